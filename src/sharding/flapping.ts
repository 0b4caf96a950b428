/**
 * Damping: a node that dies again and again would move its shards twice each time. From its second death in a while on it is given none for some
 * seconds, twice as many with each further one. Memory of one leadership; a new leader starts with none.
 */
import type { NodeId } from '../model/ids.ts';

/** A node that has not died for so long has no past. */
const MEMORY_MS = 300_000;
/** No node is kept out for longer than so many times the first hold. */
const HOLDS_MAX = 8;

interface Past {
  readonly deaths: number;
  readonly lastAt: number;
}

/** A death that keeps the node out of the maps. */
export interface Hold {
  readonly node: NodeId;
  /** Within the memory, this one included; two at least. */
  readonly deaths: number;
  /** From the death on. */
  readonly forMs: number;
}

export class Flapping {
  readonly #firstHoldMs: number;
  readonly #pasts: Map<NodeId, Past> = new Map();

  /** 0: nobody is ever kept out. */
  constructor(firstHoldMs: number) {
    this.#firstHoldMs = firstHoldMs;
  }

  /** An owner died: it did not leave in order. Undefined when it may come back at once. */
  onDeath(node: NodeId, now: number): Hold | undefined {
    for (const [other, { lastAt }] of this.#pasts) if (now - lastAt > MEMORY_MS) this.#pasts.delete(other);
    const deaths = (this.#pasts.get(node)?.deaths ?? 0) + 1;
    this.#pasts.set(node, { deaths, lastAt: now });
    const forMs = this.#holdMs(deaths);
    return forMs > 0 ? { node, deaths, forMs } : undefined;
  }

  /** Until then it is given no shards; -Infinity when nothing is held against it. */
  heldUntil(node: NodeId): number {
    const past = this.#pasts.get(node);
    return past === undefined ? Number.NEGATIVE_INFINITY : past.lastAt + this.#holdMs(past.deaths);
  }

  #holdMs(deaths: number): number {
    return deaths < 2 ? 0 : this.#firstHoldMs * Math.min(HOLDS_MAX, 2 ** (deaths - 2));
  }
}
