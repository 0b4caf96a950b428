/** `funkctl drain`: a node's shards move away, so that it can be taken down without a pause. */
import type { ManagementClient } from '../../../src/client.ts';
import { withNode, withNodeAt } from '../connection.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

/** Drains the node that is asked, or the one named: its management endpoint is looked up there. */
export async function drainNode(node: string | undefined, options: GlobalOptions): Promise<void> {
  const drain = (client: ManagementClient): Promise<string> => client.drain({ timeoutMs: options.timeoutMs });
  const drained = await (node === undefined ? withNode(options, drain) : drainNamed(node, options, drain));
  if (options.json) return printJson({ nodeId: drained, drained: true });
  printLine(`Node ${printable(drained)} is drained`);
}

async function drainNamed(
  node: string,
  options: GlobalOptions,
  drain: (client: ManagementClient) => Promise<string>,
): Promise<string> {
  const { members } = await withNode(options, (client) => client.members());
  const member = members.find((one) => one.name === node);
  if (member === undefined)
    throw new ExitError(EXIT_REFUSED, `node ${node}: nobody of that name; \`funkctl members\` lists all`);
  if (member.managementAddress === '')
    throw new ExitError(EXIT_REFUSED, `node ${node} publishes no management endpoint`);
  return withNodeAt(member.managementAddress, options, drain);
}
