/** Signals of the operator: the first asks for an orderly stop, a second one a while later ends at once. */
import { constants } from 'node:os';

type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

/**
 * npm and the terminal both pass a Ctrl-C on, so that one press arrives twice within a millisecond; and people press twice when
 * nothing seems to happen. What comes within this time of the first is the first.
 */
const ONE_PRESS_MS = 1000;

export interface StopRequest {
  /** Resolves with the first signal. */
  readonly asked: Promise<StopSignal>;
  /** Stops listening. */
  end(): void;
}

/** `stopAtOnce` gets 128 + the signal's number. */
export function listenForStop(
  source: NodeJS.EventEmitter,
  now: () => number,
  stopAtOnce: (code: number) => void,
): StopRequest {
  let askedAt: number | undefined;
  const signals: StopSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
  const listeners = new Map<StopSignal, () => void>();
  const asked = new Promise<StopSignal>((resolve) => {
    for (const signal of signals) {
      listeners.set(signal, () => {
        if (askedAt === undefined) {
          askedAt = now();
          resolve(signal);
        } else if (now() - askedAt >= ONE_PRESS_MS) stopAtOnce(128 + constants.signals[signal]);
      });
    }
  });
  for (const [signal, listener] of listeners) source.on(signal, listener);
  const end = (): void => {
    for (const [signal, listener] of listeners) source.off(signal, listener);
  };
  return { asked, end };
}
