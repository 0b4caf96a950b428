/**
 * Two readings of one clock. `now` is monotonic time; leases use it. `healthyMs` grows with it, except that a stall counts for little:
 * elections use it, so that a node that was stopped for three seconds does not conclude that its leader was silent for three seconds.
 * raft.md 4.1 and 12.3.
 *
 * A call adds at most what the node had planned to sleep, plus a margin. That is the bound of 4.1 without its price: a timer of the
 * node that is far away needs no wake-up on the way, and still a stall alone never brings it due, because sleeps end early (see
 * `sleepFor`) and the last stretch is walked in short steps, between which the loop reads its sockets.
 */
import type { MonotonicMs } from '../base/machine.ts';

/** What any call may add, whatever was planned. */
const STEP_MAX_MS = 50;
/** How late a wake-up may be and still count in full. */
const LATENESS_MS = 25;
const SHORT_SLEEP_MS = 25;

export class HealthyClock {
  #now: MonotonicMs;
  #healthyMs = 0;
  #plannedWake: MonotonicMs;

  constructor(now: MonotonicMs) {
    this.#now = now;
    this.#plannedWake = now;
  }

  get now(): MonotonicMs {
    return this.#now;
  }

  get healthyMs(): number {
    return this.#healthyMs;
  }

  advance(now: MonotonicMs): void {
    if (now <= this.#now) return;
    const allowedMs = Math.max(STEP_MAX_MS, this.#plannedWake - this.#now + LATENESS_MS);
    this.#healthyMs += Math.min(now - this.#now, allowedMs);
    this.#now = now;
  }

  /** Called at the end of each step with the next deadline. */
  plan(wakeAt: MonotonicMs): void {
    this.#plannedWake = wakeAt;
  }

  /** How long to sleep towards a deadline `leftMs` of healthy time away: at once to `marginMs` before it, then in short steps. */
  sleepFor(leftMs: number, marginMs: number): number {
    return Math.max(Math.min(leftMs, SHORT_SLEEP_MS), leftMs - marginMs);
  }
}
