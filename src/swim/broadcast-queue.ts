/**
 * Messages waiting to be gossiped, each a limited number of times, the least transmitted first (wire-gossip 10.1).
 * Named entries replace an older entry of the same name: the newest word about a member is the only one worth sending.
 */
import { assert } from '../base/assert.ts';

interface Entry {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly name: string | undefined;
  readonly onFinished: ((complete: boolean) => void) | undefined;
  transmits: number;
}

export interface BroadcastOptions {
  /** Replaces the queued entry of this name. */
  readonly name?: string;
  /** Called once, when the entry leaves the queue: `complete` after its last transmit, otherwise replaced or pruned. */
  readonly onFinished?: (complete: boolean) => void;
}

export interface BroadcastQueueLimits {
  readonly retransmitMult: number;
  /** Entries beyond this push out the most transmitted ones. Serf's maximum queue depth is 4096. */
  readonly entriesMax: number;
}

/** How often one message is sent in a cluster of `memberCount`. SWIM §4.1. */
export function retransmitLimit(retransmitMult: number, memberCount: number): number {
  return retransmitMult * Math.ceil(Math.log10(memberCount + 1));
}

export class BroadcastQueue {
  readonly #limits: BroadcastQueueLimits;
  /** In the order they are sent: fewest transmits, then longest, then newest. */
  #entries: Entry[] = [];
  readonly #named: Map<string, Entry> = new Map();
  #nextId = 1;
  #pruned = 0;

  constructor(limits: BroadcastQueueLimits) {
    assert(limits.entriesMax > 0, 'a queue holds at least one entry');
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** How many entries left because the queue was full. */
  get pruned(): number {
    return this.#pruned;
  }

  add(bytes: Uint8Array, options: BroadcastOptions = {}): void {
    assert(bytes.length > 0, 'an empty message is never gossiped: old peers crash on it');
    const { name, onFinished } = options;
    if (name !== undefined) {
      const older = this.#named.get(name);
      if (older !== undefined) this.#remove(older, false);
    }
    const entry: Entry = { id: this.#nextId, bytes, name, onFinished, transmits: 0 };
    this.#nextId += 1;
    this.#insert(entry);
    if (name !== undefined) this.#named.set(name, entry);
    if (this.#entries.length > this.#limits.entriesMax) this.prune(this.#limits.entriesMax);
  }

  /** Takes messages for one packet, counting a transmit for each. `bytesMax` covers the messages and `overheadBytes` per message. */
  take(overheadBytes: number, bytesMax: number, memberCount: number): Uint8Array[] {
    const limit = retransmitLimit(this.#limits.retransmitMult, memberCount);
    const taken: Entry[] = [];
    let free = bytesMax - overheadBytes;
    for (let i = 0; i < this.#entries.length && free > 0; i++) {
      // The order of the list is the order of preference, so the first that fits is the one that memberlist picks.
      const entry = this.#entries[i] as Entry;
      if (entry.bytes.length > free) continue;
      taken.push(entry);
      free -= entry.bytes.length + overheadBytes;
    }
    if (taken.length > 0) this.#countTransmits(taken, limit);
    return taken.map((entry) => entry.bytes);
  }

  /** Drops entries down to `entriesMax`: most transmitted, then shortest, then oldest, first. */
  prune(entriesMax: number): void {
    while (this.#entries.length > entriesMax) {
      const last = this.#entries[this.#entries.length - 1] as Entry;
      this.#pruned += 1;
      this.#remove(last, false);
    }
  }

  check(): void {
    assert(this.#entries.length <= this.#limits.entriesMax, 'the broadcast queue keeps its limit');
    let names = 0;
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i] as Entry;
      const before = this.#entries[i - 1];
      assert(before === undefined || precedes(before, entry), 'the broadcast queue is in sending order');
      if (entry.name === undefined) continue;
      names += 1;
      assert(this.#named.get(entry.name) === entry, 'a named broadcast is the only one of its name');
    }
    assert(names === this.#named.size, 'every remembered name is queued');
  }

  #countTransmits(taken: readonly Entry[], limit: number): void {
    const finished: Entry[] = [];
    const gone = new Set(taken);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    for (const entry of taken) {
      if (entry.transmits + 1 >= limit) {
        if (entry.name !== undefined) this.#named.delete(entry.name);
        finished.push(entry);
        continue;
      }
      entry.transmits += 1;
      this.#insert(entry);
    }
    // Only now, with the queue whole again, may a callback add to it.
    for (const entry of finished) entry.onFinished?.(true);
  }

  #insert(entry: Entry): void {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (precedes(this.#entries[middle] as Entry, entry)) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, entry);
  }

  #remove(entry: Entry, complete: boolean): void {
    const at = this.#entries.indexOf(entry);
    assert(at >= 0, 'an entry to remove is queued');
    this.#entries.splice(at, 1);
    if (entry.name !== undefined) this.#named.delete(entry.name);
    entry.onFinished?.(complete);
  }
}

function precedes(a: Entry, b: Entry): boolean {
  if (a.transmits !== b.transmits) return a.transmits < b.transmits;
  if (a.bytes.length !== b.bytes.length) return a.bytes.length > b.bytes.length;
  return a.id > b.id;
}
