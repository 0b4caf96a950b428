/**
 * Whether the leader's clock and this node's run as alike as every lease rests on (docs/ownership.md sections 1 and 8). Each grant tells the
 * leader's time at some instant between request and answer, which bounds by how much the clocks are apart; two such bounds a minute
 * apart bound their rates. Only what is certain counts: a slow network widens the bounds and proves nothing.
 */
import type { Term } from '../model/ids.ts';

/** Bounds are compared with those of so long ago. */
const APART_MS = 60_000;
/** The best answer of each so long stands for all of them. */
const BUCKET_MS = 5_000;
const BUCKETS: number = APART_MS / BUCKET_MS;

interface Bounds {
  /** The leader's clock minus ours was at least `low` and at most `high`. */
  readonly low: number;
  readonly high: number;
  readonly at: number;
}

export class ClockRates {
  /** One for each time, oldest first; the last one is not full yet. */
  readonly #buckets: Bounds[] = [];
  #bucketFrom = Number.NEGATIVE_INFINITY;
  #term: Term | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;
  #isApart = false;

  /** It is certain that one of the two clocks is wrong: no lease that either counts is safe from the other. */
  get isApart(): boolean {
    return this.#isApart;
  }

  /** Whether it has just become so, or has ended. `drift`: by how much each clock may be wrong. */
  onGrant(
    grant: { readonly term: Term; readonly sentAt: number; readonly receivedAt: number; readonly leaderNow: number },
    drift: number,
  ): boolean {
    const { term, sentAt, receivedAt: at, leaderNow } = grant;
    const most = (1 + drift) / (1 - drift);
    // A clock that stood still with its machine is another matter (O-5), and shows as a silence.
    const silenceMs = ((most - 1) * APART_MS) / 2;
    if (term !== this.#term || at - this.#heardAt > silenceMs) this.forget();
    this.#term = term;
    this.#heardAt = at;
    const isFull = this.#note({ low: leaderNow - at, high: leaderNow - sentAt, at });
    if (!isFull) return false;
    const [first, last] = [this.#buckets[0] as Bounds, this.#buckets[BUCKETS] as Bounds];
    const passed = last.at - first.at;
    const isFast = passed + last.low - first.high > passed * most;
    const isSlow = passed + last.high - first.low < passed / most;
    const wasApart = this.#isApart;
    this.#isApart = isFast || isSlow;
    this.#buckets.shift();
    return this.#isApart !== wasApart;
  }

  /** Our own clock has stood still, or another leads by another clock. What was found of this one's rate stays until it is known better. */
  forget(): void {
    this.#buckets.length = 0;
    this.#bucketFrom = Number.NEGATIVE_INFINITY;
  }

  /** True when a bucket beyond those of a minute was closed by this. */
  #note(bounds: Bounds): boolean {
    const { at } = bounds;
    const last = this.#buckets.at(-1);
    if (last !== undefined && at - this.#bucketFrom < BUCKET_MS) {
      if (bounds.high - bounds.low < last.high - last.low) this.#buckets[this.#buckets.length - 1] = bounds;
      return false;
    }
    const isFull = this.#buckets.length > BUCKETS;
    this.#buckets.push(bounds);
    this.#bucketFrom = at;
    return isFull;
  }
}
