/** Which name conflicts were told of lately. Two processes of one name go on gossiping: each is worth a word, not a flood. */
import type { MonotonicMs } from '../base/machine.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';

const REPEAT_MS = 30_000;
/** A peer can invent conflicts without end; beyond this the oldest is forgotten. */
const CONFLICTS_MAX = 64;

export class ConflictLog {
  readonly #toldAt: Map<string, MonotonicMs> = new Map();

  /** Whether a process at `theirs` was lately seen to claim `name`. */
  has(name: string, theirs: Endpoint): boolean {
    return this.#toldAt.has(`${name} ${formatEndpoint(theirs)}`);
  }

  /** Whether this conflict is to be told of now. */
  isWorthTelling(name: string, theirs: Endpoint, now: MonotonicMs): boolean {
    const key = `${name} ${formatEndpoint(theirs)}`;
    const toldAt = this.#toldAt.get(key);
    if (toldAt !== undefined && now - toldAt < REPEAT_MS) return false;
    this.#toldAt.delete(key);
    this.#toldAt.set(key, now);
    if (this.#toldAt.size > CONFLICTS_MAX) {
      const oldest = this.#toldAt.keys().next();
      if (!oldest.done) this.#toldAt.delete(oldest.value);
    }
    return true;
  }
}
