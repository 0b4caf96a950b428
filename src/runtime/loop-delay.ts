/**
 * How late this process's event loop runs: while it is late, the core suspects itself before others (raft.md 12.3). Read off the node's
 * own timer, which fires many times a second anyway; a timer just for this would wake an idle process more often than all its work.
 */
import type { SystemClock } from './system-clock.ts';

const WINDOW_MS = 10_000;

export class LoopDelay implements Disposable {
  readonly #timer: NodeJS.Timeout;

  /** `tell` hears the 99th percentile of every window, in milliseconds. */
  constructor(clock: SystemClock, tell: (p99Ms: number) => void) {
    this.#timer = setInterval(() => tell(percentile99(clock.takeLateness())), WINDOW_MS);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function percentile99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
}
