/** `funkctl nodes`: the nodes as the leader sees them, in clusterfunk's shape. */
import { CallRefusedError } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printTable } from '../output.ts';

export async function showNodes(options: GlobalOptions): Promise<void> {
  const answer = await withNode(options, (client) => client.nodes()).catch((error: unknown) => {
    if (!(error instanceof CallRefusedError) || error.reason !== 'NO_LEADER') throw error;
    const advice = '`funkctl status` says why, `funkctl members` lists whom this node knows';
    throw new ExitError(EXIT_REFUSED, `${error.message}; ${advice}`, { cause: error });
  });
  const { nodeId, leaderId, nodes } = answer;
  if (options.json) return printJson({ nodeId, leaderId, nodes });
  printTable([
    [' ', 'Node ID', 'Raft', 'Serf'],
    ...nodes.map((node) => [node.leader ? '*' : ' ', printable(node.nodeId), node.raftState, node.serfState]),
  ]);
  printLine('');
  printLine(`Reporting node: ${printable(nodeId)}   Leader node: ${printable(leaderId)}`);
}
