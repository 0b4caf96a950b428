/**
 * What was seen of late, by Lamport time: each event or query is handled once, and what is older than the ring remembers is not
 * handled at all. wire-gossip.md 15.2, 16.2.
 */
import { assert } from '../base/assert.ts';

export interface RecentSlot<Item> {
  readonly lamportTime: number;
  readonly items: readonly Item[];
}

/** `full`: more items of one Lamport time than an honest cluster has. */
export type Novelty = 'new' | 'seen' | 'tooOld' | 'full';

export interface RecentRingLimits {
  readonly times: number;
  readonly itemsPerTime: number;
}

export class RecentRing<Item> {
  readonly #limits: RecentRingLimits;
  readonly #isSame: (a: Item, b: Item) => boolean;
  /** By time modulo its length. */
  readonly #slots: ({ lamportTime: number; items: Item[] } | undefined)[];
  #minTime = 0;

  constructor(limits: RecentRingLimits, isSame: (a: Item, b: Item) => boolean) {
    this.#limits = limits;
    this.#isSame = isSame;
    this.#slots = new Array<undefined>(limits.times).fill(undefined);
  }

  /** What happened before `time` is not wanted from now on. */
  forgetBefore(time: number): void {
    this.#minTime = Math.max(this.#minTime, time);
  }

  /** Remembers `item` if it is new. `clock` is the clock's reading after it has witnessed `lamportTime`. */
  remember(lamportTime: number, clock: number, item: Item): Novelty {
    if (lamportTime < this.#minTime) return 'tooOld';
    if (clock > this.#limits.times && lamportTime < clock - this.#limits.times) return 'tooOld';
    const at = lamportTime % this.#limits.times;
    const slot = this.#slots[at];
    if (slot?.lamportTime !== lamportTime) {
      this.#slots[at] = { lamportTime, items: [item] };
      return 'new';
    }
    if (slot.items.some((held) => this.#isSame(held, item))) return 'seen';
    if (slot.items.length >= this.#limits.itemsPerTime) return 'full';
    slot.items.push(item);
    return 'new';
  }

  /** The slots that hold something. */
  filled(): RecentSlot<Item>[] {
    return this.#slots.filter((slot) => slot !== undefined);
  }

  check(): void {
    this.#slots.forEach((slot, at) => {
      if (slot === undefined) return;
      assert(slot.lamportTime % this.#limits.times === at, 'a slot holds items of its own Lamport time');
      assert(slot.items.length <= this.#limits.itemsPerTime, 'a slot keeps its limit');
    });
  }
}
