/** `funkctl force-leave`: a failed member is declared to have left. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

export async function forceLeave(name: string, prune: boolean, options: GlobalOptions): Promise<void> {
  await withNode(options, (client) => client.forceLeave(name, { prune }));
  if (options.json) return printJson({ member: name, left: true, pruned: prune });
  printLine(`Member ${name} is held for ${prune ? 'gone and is forgotten' : 'left'}`);
}
