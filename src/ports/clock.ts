import type { MonotonicMs } from '../base/machine.ts';

export interface Clock {
  /** Milliseconds with a fraction; never goes back; equal origin in all threads of a process. */
  monotonic(): MonotonicMs;
  /** Unix milliseconds; may step either way. */
  wall(): number;
  /** Calls `turn` once at or after `at`. A later call replaces an earlier one. Infinity cancels. */
  wakeAt(at: MonotonicMs, turn: () => void): void;
}
