/** `funkctl rtt`: the round trip between two members, estimated from network coordinates. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

export async function showRoundTrip(from: string, to: string | undefined, options: GlobalOptions): Promise<void> {
  const answer = await withNode(options, (client) => client.roundTrip(from, to));
  if (options.json) return printJson(answer);
  const { seconds } = answer;
  printLine(`Estimated ${printable(answer.from)} <-> ${printable(answer.to)} rtt: ${(seconds * 1_000).toFixed(3)} ms`);
}
