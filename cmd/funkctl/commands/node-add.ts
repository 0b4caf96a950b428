/** `funkctl node add`: makes a node a voter. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

export async function addNode(node: string, options: GlobalOptions): Promise<void> {
  const leaderId = await withNode(options, (client) => client.addNode(node));
  if (options.json) return printJson({ nodeId: node, leaderId, added: true });
  printLine(`Node ${printable(node)} added to cluster`);
}
