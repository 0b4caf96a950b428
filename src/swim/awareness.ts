/** Lifeguard's local health: how much we should doubt ourselves before we doubt others. wire-gossip.md 9.5. */

export class Awareness {
  readonly #maxMultiplier: number;
  #score = 0;

  constructor(maxMultiplier: number) {
    this.#maxMultiplier = maxMultiplier;
  }

  /** 0 is healthy. */
  get score(): number {
    return this.#score;
  }

  /** Positive when we did badly. */
  apply(delta: number): void {
    this.#score = Math.min(this.#maxMultiplier - 1, Math.max(0, this.#score + delta));
  }

  scale(durationMs: number): number {
    return durationMs * (this.#score + 1);
  }
}
