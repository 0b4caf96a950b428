/** A large set of states of small whole numbers. */

/** States that were seen, as 64 bits each: of a hundred million states two are taken for one with a chance of a few in ten thousand. */
export class SeenStates {
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(most: number) {
    const size = 2 ** Math.ceil(Math.log2(most * 1.5 + 1_024));
    this.#slots = new Int32Array(2 * size);
    this.#mask = size - 1;
  }

  /** False when it was there. */
  add(numbers: readonly number[]): boolean {
    const [a, b] = hashOf(numbers);
    const slots = this.#slots;
    for (let slot = a & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const [x, y] = [slots[2 * slot], slots[2 * slot + 1]];
      if (x === a && y === b) return false;
      if (x !== 0 || y !== 0) continue;
      slots[2 * slot] = a;
      slots[2 * slot + 1] = b;
      return true;
    }
  }
}

/** Two halves of MurmurHash3's mixing (Appleby), with different seeds. Never both 0. */
function hashOf(numbers: readonly number[]): [number, number] {
  let [a, b] = [0x2f0b4a47, 0x1b873593];
  for (const number of numbers) {
    a = mixed(a, Math.imul(number, 0xcc9e2d51 | 0));
    b = mixed(b, Math.imul(number ^ 0x5bd1e995, 0x85ebca6b | 0));
  }
  return [a, b === 0 && a === 0 ? 1 : b];
}

function mixed(hash: number, word: number): number {
  let h = hash ^ ((word << 15) | (word >>> 17));
  h = Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64;
  h ^= h >>> 16;
  return Math.imul(h, 0xc2b2ae35 | 0) | 0;
}
