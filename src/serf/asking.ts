/**
 * Queries of our own: what is sent, and who has acknowledged and answered until the time is up. wire-gossip.md 16.1, 16.4.
 *
 * A query is spread by gossip, so nobody knows whom it reached: its end is its deadline, or an asker that has heard enough.
 */
import { assert } from '../base/assert.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type Random, randomBelow } from '../base/random.ts';
import { encodeFilter, type QueryFilter } from '../wire/serf/filters.ts';
import {
  encodeSerfMessage,
  QUERY_FLAG_ACK,
  QUERY_FLAG_NO_BROADCAST,
  type Query,
  type QueryResponse,
} from '../wire/serf/messages.ts';
import type { SerfConfig } from './config.ts';
import type { Membership } from './membership.ts';

/** Real peers have no limit; a caller that forgets its queries stops here. */
const OPEN_QUERIES_MAX = 1_024;
/** Answers are gathered from as many members as there were, and these more: some may have come since. */
const LATECOMERS = 16;
/** Serf's ID is a non-negative Go int32. */
const ID_BELOW = 2 ** 31;
export const RELAY_FACTOR_MAX = 5;
export const QUERY_TIMEOUT_MS_MAX = 3_600_000;

export interface Question {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly filters: readonly QueryFilter[];
  readonly wantsAck: boolean;
  /** False: only whom we tell ourselves gets it. */
  readonly isSpread: boolean;
  readonly relayFactor: number;
  /** Serf's default when it is undefined. */
  readonly timeoutMs: number | undefined;
}

/** Whoever asked. `onEnd` comes exactly once, after all others. */
export interface QuestionListener {
  onAck(from: string): void;
  /** The payload is a view of the packet: keep a copy. */
  onResponse(from: string, payload: Uint8Array): void;
  onEnd(counts: { readonly acks: number; readonly responses: number }): void;
}

/** Identifies an open question of this node. */
export type QuestionKey = number;

export type Asked =
  | { readonly kind: 'asked'; readonly key: QuestionKey; readonly query: Query; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: string };

interface Open {
  readonly lamportTime: number;
  readonly id: number;
  readonly listener: QuestionListener;
  readonly answersMax: number;
  readonly acks: Set<string>;
  readonly responses: Set<string>;
}

export interface AskingOptions {
  readonly config: SerfConfig;
  readonly membership: Membership;
  readonly random: Random;
}

export class Asking {
  readonly #config: SerfConfig;
  readonly #membership: Membership;
  readonly #random: Random;
  readonly #open: Map<QuestionKey, Open> = new Map();
  /** By Lamport time and id, as answers name them. */
  readonly #keys: Map<string, QuestionKey> = new Map();
  readonly #deadlines: DeadlineHeap<QuestionKey> = new DeadlineHeap();
  #nextKey: QuestionKey = 1;

  constructor({ config, membership, random }: AskingOptions) {
    this.#config = config;
    this.#membership = membership;
    this.#random = random;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Registers the question and gives back what is to be spread; nothing has been sent yet. `lamportTime`: the query clock's. */
  ask(question: Question, lamportTime: number, listener: QuestionListener, now: MonotonicMs): Asked {
    const problem = this.#problemOf(question);
    if (problem !== undefined) return { kind: 'refused', reason: problem };
    const self = this.#membership.get(this.#config.swim.name);
    if (self === undefined) return { kind: 'refused', reason: 'this node has not begun to gossip' };
    const timeoutMs = question.timeoutMs ?? this.defaultTimeoutMs();
    const query: Query = {
      kind: 'query',
      lamportTime,
      id: randomBelow(this.#random, ID_BELOW),
      name: question.name,
      payload: question.payload.length === 0 ? undefined : question.payload,
      address: self.addressBytes,
      port: self.address.port,
      sourceNode: self.name,
      filters: question.filters.length === 0 ? undefined : question.filters.map(encodeFilter),
      flags: (question.wantsAck ? QUERY_FLAG_ACK : 0) | (question.isSpread ? 0 : QUERY_FLAG_NO_BROADCAST),
      relayFactor: question.relayFactor,
      timeoutNs: Math.round(timeoutMs * 1e6),
    };
    const bytes = encodeSerfMessage(query);
    if (bytes.length > this.#config.queryBytesMax) {
      return { kind: 'refused', reason: `query exceeds limit of ${this.#config.queryBytesMax} bytes` };
    }
    const key = this.#nextKey;
    this.#nextKey += 1;
    const answersMax = this.#membership.withStatus('alive').length + LATECOMERS;
    const { id } = query;
    this.#open.set(key, { lamportTime, id, listener, answersMax, acks: new Set(), responses: new Set() });
    this.#keys.set(`${lamportTime} ${id}`, key);
    this.#deadlines.set(key, now + timeoutMs);
    return { kind: 'asked', key, query, bytes };
  }

  /** How long a question stays open when nobody says: gossip interval * 16 * ceil(log10(n + 1)) with Serf's settings. */
  defaultTimeoutMs(): number {
    const alive = this.#membership.withStatus('alive').length;
    const { swim, queryTimeoutMult } = this.#config;
    return swim.gossipIntervalMs * queryTimeoutMult * Math.max(1, Math.ceil(Math.log10(alive + 1)));
  }

  /** Answers whether it belongs to an open question and is the first of its kind from its sender. */
  onResponse(response: QueryResponse): boolean {
    const key = this.#keys.get(`${response.lamportTime} ${response.id}`);
    const open = key === undefined ? undefined : this.#open.get(key);
    if (open === undefined) return false;
    const isAck = (response.flags & QUERY_FLAG_ACK) !== 0;
    const heard = isAck ? open.acks : open.responses;
    if (heard.has(response.from) || heard.size >= open.answersMax) return false;
    heard.add(response.from);
    if (isAck) open.listener.onAck(response.from);
    else open.listener.onResponse(response.from, response.payload ?? EMPTY_BYTES);
    return true;
  }

  /** Ends it before its time; answers whether it was open. */
  close(key: QuestionKey): boolean {
    const open = this.#open.get(key);
    if (open === undefined) return false;
    this.#open.delete(key);
    this.#keys.delete(`${open.lamportTime} ${open.id}`);
    this.#deadlines.delete(key);
    open.listener.onEnd({ acks: open.acks.size, responses: open.responses.size });
    return true;
  }

  tick(now: MonotonicMs): void {
    for (let key = this.#deadlines.popDue(now); key !== undefined; key = this.#deadlines.popDue(now)) this.close(key);
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  check(): void {
    assert(this.#open.size === this.#keys.size, 'every open question is found by its answers');
    assert(this.#open.size <= OPEN_QUERIES_MAX, 'open questions are bounded');
    for (const { acks, responses, answersMax } of this.#open.values())
      assert(acks.size <= answersMax && responses.size <= answersMax, 'answers are bounded');
  }

  #problemOf({ relayFactor, timeoutMs }: Question): string | undefined {
    if (!Number.isInteger(relayFactor) || relayFactor < 0 || relayFactor > RELAY_FACTOR_MAX)
      return `relayFactor is ${relayFactor}; it must be a whole number from 0 to ${RELAY_FACTOR_MAX}`;
    if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= QUERY_TIMEOUT_MS_MAX))
      return `the timeout is ${timeoutMs} ms; it must be above 0 and at most ${QUERY_TIMEOUT_MS_MAX}`;
    if (this.#open.size >= OPEN_QUERIES_MAX) return `${OPEN_QUERIES_MAX} queries of this node are open already`;
    return undefined;
  }
}
