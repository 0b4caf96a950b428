/** Named streams of chance from one seed: a draw added in one place does not change what another place draws (reliability.md 5.3). */
import { SeededRandom } from '../../src/base/random.ts';

/** FNV-1a over the seed and the name. */
export function streamOf(seed: number, name: string): SeededRandom {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return new SeededRandom(hash ^ (hash >>> 15));
}

export class Chance {
  readonly #random: SeededRandom;

  constructor(seed: number, name: string) {
    this.#random = streamOf(seed, name);
  }

  next(): number {
    return this.#random.next();
  }

  isHit(probability: number): boolean {
    return probability > 0 && this.#random.next() < probability;
  }

  between(low: number, high: number): number {
    return low + this.#random.next() * (high - low);
  }

  below(bound: number): number {
    return Math.floor(this.#random.next() * bound);
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.#random.next()) * mean;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  /** A copy in random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = copy[i] as T;
      copy[i] = copy[j] as T;
      copy[j] = kept;
    }
    return copy;
  }

  hex(digits: number): string {
    let text = '';
    for (let i = 0; i < digits; i++) text += this.below(16).toString(16);
    return text;
  }
}
