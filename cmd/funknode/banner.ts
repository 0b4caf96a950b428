/** The first thing a newcomer reads: who this node is, where it listens, and what to try next. */
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { NodeView } from '../../src/model/node-view.ts';
import { TAG_EP_MANAGEMENT } from '../../src/model/tags.ts';
import type { NodeConfig } from '../../src/node-config.ts';

const NAMES: readonly (readonly [string, string])[] = [
  ['ep.serf', 'gossip'],
  ['ep.raft', 'raft'],
  [TAG_EP_MANAGEMENT, 'management'],
  ['ep.liveness', 'liveness'],
  ['ep.http', 'http'],
];

export interface BannerFacts {
  readonly version: string;
  readonly config: NodeConfig;
  readonly view: Pick<NodeView, 'id' | 'kind' | 'clusterName' | 'endpoints'>;
  /** Undefined when nothing is kept. */
  readonly dataDir: string | undefined;
}

function bannerRows({ config, view, dataDir }: BannerFacts): [string, string][] {
  const { address, name, chosenBy } = config.interface;
  const why = chosenBy === 'option' ? '' : `, ${chosenBy}`;
  const rows: [string, string][] = [
    ['node', `${view.id} (${view.kind})`],
    ['cluster', view.clusterName],
    ['interface', `${address} (${name ?? 'unknown'}${why})`],
  ];
  for (const [tag, label] of NAMES) {
    const endpoint = view.endpoints.get(tag);
    if (endpoint !== undefined) rows.push([label, endpointText(label, endpoint)]);
  }
  rows.push(['data', dataDir ?? 'in memory']);
  const management = view.endpoints.get(TAG_EP_MANAGEMENT);
  if (management !== undefined) rows.push(['try', `npx funkctl status --endpoint ${formatEndpoint(management)}`]);
  return rows;
}

export function bannerText(facts: BannerFacts): string {
  const rows = bannerRows(facts);
  const width = Math.max(...rows.map(([name]) => name.length));
  return `funknode ${facts.version}\n${rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`).join('')}`;
}

/** The same for machines. */
export function bannerFields({ version, config, view, dataDir }: BannerFacts): Readonly<Record<string, unknown>> {
  const endpoints = Object.fromEntries([...view.endpoints].map(([name, at]) => [name, formatEndpoint(at)]));
  const { id, kind, clusterName } = view;
  return { version, id, kind, clusterName, interface: config.interface.address, endpoints, dataDir: dataDir ?? null };
}

function endpointText(label: string, endpoint: Endpoint): string {
  return label === 'http' ? `http://${formatEndpoint(endpoint)}/metrics` : formatEndpoint(endpoint);
}
