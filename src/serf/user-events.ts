/** User events, of other nodes and our own: each handled once and spread further. wire-gossip.md 15. */
import { equalBytes, EMPTY_BYTES, utf8 } from '../base/bytes.ts';
import { encodeSerfMessage, type UserEvent } from '../wire/serf/messages.ts';
import type { EventSlot, RecentEvent } from '../wire/serf/push-pull.ts';
import type { SerfConfig } from './config.ts';
import { LamportClock } from './lamport-clock.ts';
import { RecentRing } from './recent-ring.ts';

export class UserEventDesk {
  readonly clock: LamportClock = new LamportClock();
  readonly #config: SerfConfig;
  readonly #recent: RecentRing<RecentEvent>;

  constructor(config: SerfConfig) {
    this.#config = config;
    const limits = { times: config.recentEventTimes, itemsPerTime: config.recentPerTime };
    this.#recent = new RecentRing<RecentEvent>(limits, isSameEvent);
  }

  /** Answers whether the event is new, and so to be spread further. */
  onEvent(lamportTime: number, event: RecentEvent): boolean {
    this.clock.witness(lamportTime);
    const size = utf8(event.name).length + (event.payload?.length ?? 0);
    if (size > this.#config.userEventBytesMax) return false;
    // The ring outlives the packet: keep a copy, not a view.
    const kept = { name: event.name, payload: event.payload?.slice() };
    return this.#recent.remember(lamportTime, this.clock.time, kept) === 'new';
  }

  /** An event of ours, as it is to be spread and told; it counts as seen. Or what is wrong with it: then nothing has changed. */
  create(
    name: string,
    payload: Uint8Array,
    coalesce: boolean,
  ): { readonly event: UserEvent; readonly bytes: Uint8Array } | string {
    const { userEventSendBytesMax: limit } = this.#config;
    if (name === '') return 'a user event needs a name';
    const plain = utf8(name).length + payload.length;
    // Refusals of what is too large are in Serf's words: its clients know them.
    if (plain > limit) return `user event exceeds configured limit of ${limit} bytes before encoding`;
    const lamportTime = this.clock.time;
    const event: UserEvent = { kind: 'userEvent', lamportTime, name, payload, coalesce };
    const bytes = encodeSerfMessage(event);
    if (bytes.length > limit) return `encoded user event exceeds configured limit of ${limit} bytes after encoding`;
    this.clock.increment();
    this.onEvent(lamportTime, event);
    return { event, bytes };
  }

  /** A node that has just joined does not want the events before its time. wire-gossip.md 15.4. */
  forgetBefore(lamportTime: number): void {
    this.#recent.forgetBefore(lamportTime);
  }

  /** What a push/pull tells of the latest events. */
  slots(): EventSlot[] {
    return this.#recent.filled().map((slot) => ({ lamportTime: slot.lamportTime, events: slot.items }));
  }

  check(): void {
    this.#recent.check();
  }
}

function isSameEvent(a: RecentEvent, b: RecentEvent): boolean {
  return a.name === b.name && equalBytes(a.payload ?? EMPTY_BYTES, b.payload ?? EMPTY_BYTES);
}
