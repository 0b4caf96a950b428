/**
 * The keys of a gossiping node: the first, primary one seals what is sent, all of them are tried on what comes. The rules and their
 * words are memberlist's (wire-gossip.md section 6), so that operators find what they know.
 */
import { keyProblem, sameKey } from '../wire/memberlist/sealing.ts';

/**
 * Hostile packets cost one trial per key, so there is a limit; memberlist has none. A rotation needs two, and 64 KiB sealed under a
 * stranger's key cost some milliseconds here.
 */
export const KEYS_MAX = 64;

export class Keyring {
  #keys: readonly Uint8Array[] = [];

  /** The first becomes the primary one; keys that come twice are there once. The caller has checked them. */
  constructor(keys: readonly Uint8Array[]) {
    for (const key of keys) this.install(key);
  }

  /** Primary first. Another array after every change. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  /** Nothing is sealed, and there is nothing to manage. It stays so: one never adds the first key at run time. */
  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  /** Each of these answers why it did nothing, or undefined. A key that is there already is no problem. */
  install(key: Uint8Array): string | undefined {
    const problem = keyProblem(key);
    if (problem !== undefined || this.#has(key)) return problem;
    if (this.#keys.length >= KEYS_MAX) return `the keyring is full: it holds ${KEYS_MAX} keys, remove some first`;
    this.#keys = [...this.#keys, key.slice()];
    return undefined;
  }

  use(key: Uint8Array): string | undefined {
    if (!this.#has(key)) return 'requested key is not in the keyring';
    const chosen = this.#keys.filter((other) => sameKey(other, key));
    this.#keys = [...chosen, ...this.#without(key)];
    return undefined;
  }

  /** A key that is not there is removed already. */
  remove(key: Uint8Array): string | undefined {
    const [primary] = this.#keys;
    if (primary !== undefined && sameKey(primary, key)) return 'removing the primary key is not allowed';
    this.#keys = this.#without(key);
    return undefined;
  }

  #has(key: Uint8Array): boolean {
    return this.#keys.some((other) => sameKey(other, key));
  }

  #without(key: Uint8Array): Uint8Array[] {
    return this.#keys.filter((other) => !sameKey(other, key));
  }
}
