/** Logical time. Lamport 1978; wire-gossip.md 14.1. */

export class LamportClock {
  /** One from the start: zero means "never seen". */
  #time = 1;

  get time(): number {
    return this.#time;
  }

  increment(): void {
    this.#time += 1;
  }

  /** After it has seen `time`, the clock is later than it. */
  witness(time: number): void {
    if (time >= this.#time) this.#time = time + 1;
  }
}
