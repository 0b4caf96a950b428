/** Chance from the operating system, drawn in blocks. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/random.ts';

const BLOCK_WORDS = 512;

export class SystemRandom implements Random {
  readonly #words: Uint32Array = new Uint32Array(BLOCK_WORDS);
  #next: number = BLOCK_WORDS;

  next(): number {
    return (this.#word() * 0x20_0000 + (this.#word() >>> 11)) / 0x20_0000_0000_0000;
  }

  #word(): number {
    if (this.#next === BLOCK_WORDS) {
      randomFillSync(this.#words);
      this.#next = 0;
    }
    const word = this.#words[this.#next] as number;
    this.#next += 1;
    return word;
  }
}
