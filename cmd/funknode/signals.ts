/** Signals of the operator: the first asks for an orderly stop, a second one a while later ends at once. */
import { constants } from 'node:os';

type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

/**
 * npm and the terminal both pass a Ctrl-C on, so that one press arrives twice within a millisecond; and people press twice when
 * nothing seems to happen. What comes within this time of the first is the first.
 */
const ONE_PRESS_MS = 1000;

/**
 * Resolves with the first signal; `stopAtOnce` gets 128 + the number of one that comes later. It listens for as long as the
 * process lives: npm may pass a Ctrl-C on when the node has left already, and that must not end the process by a signal.
 */
export function listenForStop(
  source: NodeJS.EventEmitter,
  now: () => number,
  stopAtOnce: (code: number) => void,
): Promise<StopSignal> {
  let askedAt: number | undefined;
  const signals: readonly StopSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
  return new Promise<StopSignal>((resolve) => {
    for (const signal of signals) {
      source.on(signal, () => {
        if (askedAt === undefined) {
          askedAt = now();
          resolve(signal);
        } else if (now() - askedAt >= ONE_PRESS_MS) stopAtOnce(128 + constants.signals[signal]);
      });
    }
  });
}
