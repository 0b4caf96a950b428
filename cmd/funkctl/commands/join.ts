/** `funkctl join`: a node gossips with addresses that it would not find by itself. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

export async function joinAddresses(addresses: readonly string[], options: GlobalOptions): Promise<void> {
  const answered = await withNode(options, (client) => client.join(addresses));
  if (options.json) return printJson({ asked: addresses.length, answered });
  printLine(`${answered} of ${addresses.length} addresses answered`);
}
