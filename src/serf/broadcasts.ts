/** What Serf gossips on: three queues, of which intents go first, then queries, then user events. wire-gossip.md 10.2, 14.6. */
import type { SerfConfig } from './config.ts';
import { type BroadcastOptions, BroadcastQueue } from '../swim/swim.ts';

export type BroadcastKind = 'intent' | 'query' | 'event';

/** Type bytes and headers around a message in a packet: with more than the rest, it would never find room and stay queued. */
const PACKET_OVERHEAD = 64;

export class Broadcasts {
  readonly #messageBytesMax: number;
  readonly #queues: Readonly<Record<BroadcastKind, BroadcastQueue>>;

  constructor(config: SerfConfig) {
    // The check of the queues cuts them at times only; this limit holds always.
    const entriesMax = Math.max(config.queueEntriesMax, 2 * config.membersMax, config.queueEntriesMin);
    const limits = {
      retransmitMult: config.swim.retransmitMult,
      entriesMax: config.queueEntriesMin === 0 ? config.queueEntriesMax : entriesMax,
    };
    this.#messageBytesMax = config.swim.packetBytesMax - PACKET_OVERHEAD;
    this.#queues = {
      intent: new BroadcastQueue(limits),
      query: new BroadcastQueue(limits),
      event: new BroadcastQueue(limits),
    };
  }

  get size(): number {
    return this.#queues.intent.size + this.#queues.query.size + this.#queues.event.size;
  }

  get queued(): { readonly intentsQueued: number; readonly eventsQueued: number; readonly queriesQueued: number } {
    const { intent, event, query } = this.#queues;
    return { intentsQueued: intent.size, eventsQueued: event.size, queriesQueued: query.size };
  }

  depth(kind: BroadcastKind): number {
    return this.#queues[kind].size;
  }

  /** Entries that were dropped because their queue was too long. */
  get pruned(): number {
    return Object.values(this.#queues).reduce((sum, queue) => sum + queue.pruned, 0);
  }

  /** Drops the most transmitted, then the shortest, then the oldest, until `entriesMax` are left; answers how many. */
  prune(kind: BroadcastKind, entriesMax: number): number {
    const before = this.#queues[kind].pruned;
    this.#queues[kind].prune(entriesMax);
    return this.#queues[kind].pruned - before;
  }

  /** Queues a copy of `message`; one that is too large for any packet is not spread. */
  add(kind: BroadcastKind, message: Uint8Array, options?: BroadcastOptions): void {
    if (message.length <= this.#messageBytesMax) this.#queues[kind].add(message.slice(), options);
  }

  /** Messages to fill a packet with. `memberCount` counts members of every status. */
  take(overheadBytes: number, bytesMax: number, memberCount: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let free = bytesMax;
    for (const kind of ['intent', 'query', 'event'] as const) {
      for (const message of this.#queues[kind].take(overheadBytes, free, memberCount)) {
        taken.push(message);
        free -= message.length + overheadBytes;
      }
    }
    return taken;
  }

  check(): void {
    for (const queue of Object.values(this.#queues)) queue.check();
  }
}
