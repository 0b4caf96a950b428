/** The one contract of every core. See docs/architecture.md. */

/** Milliseconds, possibly with a fraction, on a clock that never goes back. */
export type MonotonicMs = number;

export interface Machine<Input, Effect> {
  /** Takes in one thing that happened; appends effects in the order they must be performed. */
  step(input: Input, now: MonotonicMs, effects: Effect[]): void;
  /** Acts on all deadlines that are due. Calling it early is harmless. */
  tick(now: MonotonicMs, effects: Effect[]): void;
  /** When `tick` is next wanted; Infinity for never. */
  nextDeadline(): MonotonicMs;
  /** Throws if an invariant is broken. The simulator calls it after every step. */
  check(): void;
}
