/** `funkctl endpoints`: what the nodes publish, in one of four shapes. */
import type { ClusterEndpoint } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printTable } from '../output.ts';

export interface EndpointsOptions extends GlobalOptions {
  /** A fragment of the endpoint's name. */
  readonly filter: string;
  /** The service of the nodes, exactly. */
  readonly service?: string;
  readonly showInactive: boolean;
  readonly format: string;
}

export async function showEndpoints(options: EndpointsOptions): Promise<void> {
  const { filter, service, showInactive } = options;
  const answer = await withNode(options, (client) => client.endpoints({ filter, includeInactive: showInactive }));
  const rows = answer.endpoints
    .filter((endpoint) => service === undefined || endpoint.service === service)
    // Second names of one address are told to those who ask for them.
    .filter((endpoint) => filter !== '' || endpoint.aliasOf === '');
  if (options.json || options.format === 'json') return printJson(Object.fromEntries(byNode(rows)));
  if (options.format === 'plain') return printPlain(rows);
  if (options.format === 'namevalue') return printNameValue(rows);
  printTree(rows);
}

interface NodeEndpoints {
  readonly nodeId: string;
  readonly service: string;
  readonly endpoints: { readonly name: string; readonly listenAddress: string }[];
}

function byNode(rows: readonly ClusterEndpoint[]): ReadonlyMap<string, NodeEndpoints> {
  const nodes = new Map<string, NodeEndpoints>();
  for (const { nodeId, service, name, address } of rows) {
    const node = nodes.get(nodeId) ?? { nodeId, service, endpoints: [] };
    nodes.set(nodeId, node);
    node.endpoints.push({ name, listenAddress: address });
  }
  return nodes;
}

function printTree(rows: readonly ClusterEndpoint[]): void {
  for (const node of byNode(rows).values()) {
    printLine('-'.repeat(48));
    printLine(printable(`Node: ${node.nodeId}, Service: ${node.service}`));
    node.endpoints.forEach((endpoint, at) => {
      const branch = at === node.endpoints.length - 1 ? '\\-' : '|-';
      printLine(`  ${branch} ${printable(`${endpoint.name} -> ${endpoint.listenAddress}`)}`);
    });
  }
}

function printPlain(rows: readonly ClusterEndpoint[]): void {
  printTable([
    ['Node', 'Service', 'Name', 'Endpoint'],
    ...rows.map(({ nodeId, service, name, address }) => [nodeId, service, name, address].map(printable)),
  ]);
}

function printNameValue(rows: readonly ClusterEndpoint[]): void {
  for (const { nodeId, service, name, address } of rows)
    printLine(printable(`${nodeId}.${service}.${name}=${address}`));
}
