/** A histogram of our own as plain numbers, read at scrape time like everything else. */

export interface CumulativeBuckets {
  /** Upper bounds, ascending, and how many observations were at or below each. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

export class Distribution implements CumulativeBuckets {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  sum = 0;
  count = 0;

  /** `bounds` ascend; above the last one an observation counts in `count` only. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at !== -1) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  get buckets(): CumulativeBuckets['buckets'] {
    let below = 0;
    return this.#bounds.map((le, at) => {
      below += this.#counts[at] ?? 0;
      return { le, count: below };
    });
  }
}
