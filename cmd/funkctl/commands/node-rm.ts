/** `funkctl node rm`: takes a node out of the cluster, dead and forgotten ones too. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

export async function removeNode(node: string, options: GlobalOptions): Promise<void> {
  const leaderId = await withNode(options, (client) => client.removeNode(node));
  if (options.json) return printJson({ nodeId: node, leaderId, removed: true });
  printLine(`Node ${printable(node)} removed from cluster`);
}
