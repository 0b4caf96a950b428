/** Chance, injected. The real source seeds this from the operating system, the simulator from its seed. */

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}

/** xoshiro128** (Blackman, Vigna). Small, fast, good enough for protocols; never for secrets. */
export class SeededRandom implements Random {
  readonly #state: Uint32Array = new Uint32Array(4);

  constructor(seed: number) {
    let mix = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let word = mix;
      word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
      this.#state[i] = word ^ (word >>> 16);
    }
  }

  next(): number {
    return (this.#word() * 0x20_0000 + (this.#word() >>> 11)) / 0x20_0000_0000_0000;
  }

  #word(): number {
    const s = this.#state;
    const s0 = s[0] as number;
    const s1 = s[1] as number;
    const s2 = s[2] as number;
    const s3 = s[3] as number;
    const mixed = Math.imul(s1, 5);
    const result = Math.imul((mixed << 7) | (mixed >>> 25), 9) >>> 0;
    const n2 = s2 ^ s0;
    const n3 = s3 ^ s1;
    s[1] = s1 ^ n2;
    s[0] = s0 ^ n3;
    s[2] = n2 ^ (s1 << 9);
    s[3] = (n3 << 11) | (n3 >>> 21);
    return result;
  }
}

/** Uniform integer in [0, bound). */
export function randomBelow(random: Random, bound: number): number {
  return Math.floor(random.next() * bound);
}

/** Uniform number in [low, high). */
export function randomBetween(random: Random, low: number, high: number): number {
  return low + random.next() * (high - low);
}

/** Fisher-Yates, in place. */
export function shuffle<T>(random: Random, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = randomBelow(random, i + 1);
    const kept = items[i] as T;
    items[i] = items[j] as T;
    items[j] = kept;
  }
  return items;
}
