/** How much of what anybody can send is looked at. */

/** A fixed number a second, counted in whole seconds. */
export class RateLimit {
  readonly #max: number;
  #second = 0;
  #taken = 0;
  refused = 0;

  constructor(max: number) {
    this.#max = max;
  }

  take(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken = 0;
    }
    if (this.#taken < this.#max) {
      this.#taken++;
      return true;
    }
    this.refused++;
    return false;
  }
}
