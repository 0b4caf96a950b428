/** `funkctl event`: a user event to every member. */
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

export interface EventWords {
  readonly name: string;
  readonly payload: string;
  readonly coalesce: boolean;
}

export async function sendEvent({ name, payload, coalesce }: EventWords, options: GlobalOptions): Promise<void> {
  await withNode(options, (client) => client.sendEvent(name, { payload: Buffer.from(payload), coalesce }));
  if (options.json) return printJson({ event: name, sent: true });
  printLine(`Event '${name}' dispatched! Coalescing enabled: ${coalesce}`);
}
