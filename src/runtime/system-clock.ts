/** The clocks of this machine. `process.hrtime` has one origin in all threads of a process; `performance.now` has not. */
import type { MonotonicMs } from '../base/machine.ts';
import type { Clock } from '../ports/clock.ts';

const TIMER_MS_MAX = 60_000;
const STAYS_MS = 1;
const LATENESSES_MAX = 2_000;

export class SystemClock implements Clock {
  #timer: NodeJS.Timeout | undefined;
  #armedAt: MonotonicMs = Number.POSITIVE_INFINITY;
  #turn: () => void = () => {};

  monotonic(): MonotonicMs {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1e6;
  }

  wall(): number {
    return Date.now();
  }

  wakeAt(at: MonotonicMs, turn: () => void): void {
    this.#turn = turn;
    if (at === Number.POSITIVE_INFINITY) {
      this.#disarm();
      return;
    }
    // A timer that is early by little stays: making one costs something, and waking for nothing costs ten times as much.
    if (this.#timer !== undefined && this.#armedAt <= at && at - this.#armedAt < STAYS_MS) return;
    this.#disarm();
    const delay = Math.min(TIMER_MS_MAX, Math.max(0, at - this.monotonic()));
    this.#armedAt = at;
    // Node counts from when this turn of its event loop began, in whole milliseconds: without one more it would wake too early.
    this.#timer = setTimeout(this.#fire, delay === 0 ? 0 : Math.ceil(delay) + 1);
  }

  /** How late the timer that fires now is; the loop lets the sockets be read first when it is much (raft.md 12.3). */
  lateness(): number {
    return this.#lateness;
  }

  /** By how much each timer since the last call was late, in milliseconds; of very many the newest. */
  takeLateness(): number[] {
    return this.#latenesses.splice(0);
  }

  #lateness = 0;
  readonly #latenesses: number[] = [];

  readonly #fire = (): void => {
    this.#timer = undefined;
    this.#lateness = Math.max(0, this.monotonic() - this.#armedAt);
    this.#latenesses.push(this.#lateness);
    if (this.#latenesses.length > LATENESSES_MAX) this.#latenesses.shift();
    this.#armedAt = Number.POSITIVE_INFINITY;
    this.#turn();
  };

  #disarm(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedAt = Number.POSITIVE_INFINITY;
  }
}

/**
 * Watches how far the wall clock runs ahead of the monotonic one. A forward jump means that time passed which the monotonic
 * clock did not count (a suspended guest): whatever is held until an instant ends that much earlier (raft.md 7.4 rule 4).
 */
export class ClockWatch {
  readonly #clock: Clock;
  #ahead: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#ahead = clock.wall() - clock.monotonic();
  }

  /** The lead of the wall clock that counts as none. Shown together with a lease, it lets another thread do what `peek` does. */
  get ahead(): number {
    return this.#ahead;
  }

  /** What jumped since the last call, when it is 5 ms or more; else 0. Backward steps count for nothing. */
  take(): number {
    const ahead = this.#clock.wall() - this.#clock.monotonic();
    const jump = ahead - this.#ahead;
    if (jump < 0) this.#ahead = ahead;
    if (jump < JUMP_MS) return 0;
    this.#ahead = ahead;
    return jump;
  }

  /** What `take` would find beyond the threshold, without taking it: for `owns()` between two turns. */
  peek(): number {
    return jumpBeyond(this.#clock, this.#ahead);
  }
}

/** By how much the wall clock runs further ahead of the monotonic one than `ahead`, beyond the threshold; 0 when it does not. */
export function jumpBeyond(clock: Clock, ahead: number): number {
  return Math.max(0, clock.wall() - clock.monotonic() - ahead - JUMP_MS);
}

/** Below this a jump is noise of reading two clocks one after the other; holders stop 5 ms early for it. */
const JUMP_MS = 5;
