/**
 * Rounds of contact with the followers. Each has a number, rising within a term, and the instant it began. Heartbeats and appends carry
 * the newest number and answers echo it, so an echo of round n proves that the follower followed this leader no earlier than the
 * instant round n began. Read barriers (raft.md 7.1) and the leader lease (7.2, 7.4) both rest on that. The number never comes from a
 * client and is never used twice in a term (P-19).
 */
import type { MonotonicMs } from '../base/machine.ts';

export class Rounds {
  #newest = 0;
  /** Ascending; only rounds that may still decide something. */
  #begun: { readonly seq: number; beganAt: MonotonicMs }[] = [];
  /** Echoes of older rounds give no lease (raft.md section 8: only messages sent after a cancellation do). */
  #leaseFloor = 0;

  get newest(): number {
    return this.#newest;
  }

  begin(now: MonotonicMs): number {
    this.#newest += 1;
    this.#begun.push({ seq: this.#newest, beganAt: now });
    return this.#newest;
  }

  /** From here on only rounds that begin later count for the lease. */
  voidForLease(): void {
    this.#leaseFloor = this.#newest + 1;
  }

  /** When the newest round at or below `seq` began; -Infinity when it gives no lease. */
  leaseFrom(seq: number): MonotonicMs {
    const round = this.#begun.findLast((candidate) => candidate.seq <= seq);
    return round === undefined || round.seq < this.#leaseFloor ? Number.NEGATIVE_INFINITY : round.beganAt;
  }

  /** Rounds before the newest one that a quorum has echoed decide nothing any more. */
  forgetBefore(seq: number): void {
    const keepFrom = this.#begun.findLastIndex((round) => round.seq <= seq);
    this.#begun.splice(0, keepFrom);
  }

  /** The guest was suspended for `byMs` that the monotonic clock did not count: whatever rests on these instants ends earlier. */
  shiftBack(byMs: number): void {
    for (const round of this.#begun) round.beganAt -= byMs;
  }
}
