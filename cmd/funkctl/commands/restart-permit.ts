/** `funkctl restart-permit`: one node at a time may be restarted, and only while everything else is whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CallRefusedError } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { durationText } from '../durations.ts';
import { EXIT_TIMED_OUT, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

const TRY_AGAIN_MS = 1_000;

export interface PermitFlags {
  readonly holder?: string;
  readonly node?: string;
  readonly leaseMs?: number;
  /** Undefined: do not wait. */
  readonly waitMs?: number;
}

/** Takes it; with `waitMs` it asks again every second for so long, and says on stderr what it waits for. */
export async function takePermit(flags: PermitFlags, options: GlobalOptions): Promise<void> {
  const { waitMs, ...permit } = flags;
  const until = performance.now() + (waitMs ?? 0);
  let told = '';
  for (;;) {
    try {
      const taken = await withNode(options, (client) => client.takeRestartPermit(permit));
      if (options.json) return printJson({ ...taken, taken: true });
      return printLine(`${printable(taken.holder)} may restart node ${printable(taken.nodeId)}`);
    } catch (error) {
      // A leader that falls while it is asked is a reason to wait, too.
      if (waitMs === undefined || !isForLater(error)) throw error;
      const { message } = error;
      if (performance.now() + TRY_AGAIN_MS > until)
        throw new ExitError(EXIT_TIMED_OUT, `not granted within ${durationText(waitMs)}: ${message}`, { cause: error });
      if (message !== told) process.stderr.write(`waits: ${printable(message)}\n`);
      told = message;
      await sleep(TRY_AGAIN_MS);
    }
  }
}

export async function givePermit(holder: string | undefined, options: GlobalOptions): Promise<void> {
  const leaderId = await withNode(options, (client) => client.giveRestartPermit(holder));
  if (options.json) return printJson({ leaderId, given: true });
  printLine('The permit is free');
}

const LATER: ReadonlySet<string> = new Set([
  'FUNK_REFUSED',
  'FUNK_NOT_LEADER',
  'FUNK_LEADER_UNREACHABLE',
  'FUNK_OUTCOME_UNKNOWN',
]);

function isForLater(error: unknown): error is CallRefusedError {
  return error instanceof CallRefusedError && LATER.has(error.reason);
}
