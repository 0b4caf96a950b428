/** `funkctl step-down`: the leader hands over. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

export async function stepDown(options: GlobalOptions): Promise<void> {
  const { formerLeaderId, leaderId } = await withNode(options, (client) => client.stepDown());
  if (options.json) return printJson({ formerLeaderId, leaderId });
  printLine(`Leader node ${printable(formerLeaderId)} has stepped down`);
  if (leaderId !== '') printLine(`Leader node ${printable(leaderId)} has taken over`);
}
