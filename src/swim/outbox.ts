/** Datagrams on their way out: what rides along, how it is wrapped, and the gossip tick. wire-gossip.md 4.4, 10.2, 10.3. */
import { assert } from '../base/assert.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { guardOverheadBytes, guardPacket } from '../wire/memberlist/guard.ts';
import { encodeUser } from '../wire/memberlist/messages.ts';
import {
  COMPOUND_HEADER_BYTES,
  COMPOUND_PART_BYTES,
  CRC_BYTES,
  encodePacket,
  packMessages,
} from '../wire/memberlist/packet.ts';
import type { SwimContext } from './context.ts';
import type { Row } from './member-table.ts';

/** A user message costs its type byte besides its entry in the compound. */
const USER_PART_BYTES: number = COMPOUND_PART_BYTES + 1;
/** memberlist's maximum protocol from which a peer knows checksums (wire-gossip 3.1). */
const CRC_VERSION = 5;

export class Outbox {
  readonly #context: SwimContext;

  constructor(context: SwimContext) {
    this.#context = context;
  }

  /** Sends `message` with as much news as fits behind it. */
  sendWithNews(to: Endpoint, message: Uint8Array): void {
    const used = message.length + COMPOUND_PART_BYTES;
    this.#sendAll(to, [message, ...this.#takeNews(this.#room - used)]);
  }

  /** Sends `messages` as one packet, alone. */
  send(to: Endpoint, ...messages: readonly Uint8Array[]): void {
    this.#sendAll(to, messages);
  }

  get hasNews(): boolean {
    return this.#context.queue.size > 0 || this.#context.delegate.hasBroadcasts();
  }

  /** 10.3: news to a few members at random. Each target counts as one transmit. */
  gossip(): void {
    const { config, now, table } = this.#context;
    const isTarget = (row: Row): boolean => {
      if (this.#context.isSelf(row.name) || row.state === 'left') return false;
      return row.state !== 'dead' || now - row.changedAt <= config.gossipToTheDeadMs;
    };
    for (const row of table.pick(config.gossipNodes, isTarget)) {
      const news = this.#takeNews(this.#room);
      if (news.length === 0) return;
      this.#sendAll(row.endpoint, news);
    }
  }

  /** For messages and their entries in the compound. */
  get #room(): number {
    const { config, guard } = this.#context;
    return config.packetBytesMax - guardOverheadBytes(guard) - CRC_BYTES - COMPOUND_HEADER_BYTES;
  }

  /** memberlist's own news first, then the delegate's. */
  #takeNews(room: number): Uint8Array[] {
    const { delegate, queue, table } = this.#context;
    const news = queue.take(COMPOUND_PART_BYTES, room, table.size);
    let left = room;
    for (const message of news) left -= message.length + COMPOUND_PART_BYTES;
    if (left <= USER_PART_BYTES) return news;
    for (const payload of delegate.takeBroadcasts(USER_PART_BYTES, left)) {
      left -= payload.length + USER_PART_BYTES;
      news.push(encodeUser(payload));
    }
    assert(left >= 0, 'the delegate keeps to the room it was given');
    return news;
  }

  #sendAll(to: Endpoint, messages: readonly Uint8Array[]): void {
    const { config, effects, guard, random, stats, table } = this.#context;
    // Only a known member is known to understand checksums.
    const checksum = (table.at(to)?.versions[1] ?? 0) >= CRC_VERSION;
    for (const packet of packMessages(messages)) {
      const body = encodePacket(packet, { compression: config.compression, checksum });
      const bytes = guardPacket(body, guard, random);
      stats.packetsSent += 1;
      stats.bytesSent += bytes.length;
      effects.push({ kind: 'sendDatagram', to, bytes });
    }
  }
}
