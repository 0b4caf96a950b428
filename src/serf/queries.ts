/**
 * Queries that reach this node, its own among them: each handled once, spread further, acknowledged when asked for, answered here
 * where the question is Serf's own, and else told to the application, which may answer once before the deadline. wire-gossip.md
 * 16, 17.
 *
 * Unlike real agents, we send answers and relays to addresses of present members only. A query names the address that wants
 * the answer, so anyone who can reach one node could otherwise aim the answers of all of them at a stranger.
 */
import { assert } from '../base/assert.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type Random, shuffle } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipEvent } from '../model/gossip-request.ts';
import { hostOfAddress } from '../wire/memberlist/address.ts';
import { decodeFilter } from '../wire/serf/filters.ts';
import {
  decodeSerfMessage,
  encodeSerfMessage,
  QUERY_FLAG_ACK,
  QUERY_FLAG_NO_BROADCAST,
  type Query,
  type QueryResponse,
  type Relay,
  SERF_TYPE,
} from '../wire/serf/messages.ts';
import { decodeConflictName, encodeQueryPayload } from '../wire/serf/payloads.ts';
import type { SerfConfig } from './config.ts';
import type { KeyDesk } from './keys.ts';
import { LamportClock } from './lamport-clock.ts';
import type { MemberRecord, Membership } from './membership.ts';
import { RecentRing } from './recent-ring.ts';
import { compilePattern } from '../base/pattern.ts';

/** Sends one Serf message to one node, as a datagram. */
export type SendDirect = (to: Endpoint, message: Uint8Array) => void;

export interface QueryDeskOptions {
  readonly config: SerfConfig;
  readonly membership: Membership;
  readonly random: Random;
  /** An answer of ours to a question of ours. */
  readonly answerSelf: (response: QueryResponse) => void;
  /** Whether the process at that address claims the name of a member: it may ask for the vote on it, though it is none itself. */
  readonly isRival: (name: string, address: Endpoint) => boolean;
  readonly keys: KeyDesk;
  /** For answers that come in a later turn than their query. */
  readonly sendLater: SendDirect;
  /** A question for the application. */
  readonly deliver: (event: GossipEvent & { readonly kind: 'queryAsked' }) => void;
}

/** Queries that the application may still answer; the oldest is forgotten when more come. */
const UNANSWERED_MAX = 1_024;
/** Names of Serf's own questions, never told to applications. */
export const INTERNAL_PREFIX = '_serf_';

interface Unanswered {
  readonly query: Query;
  readonly deadline: MonotonicMs;
}

/** Memberlist's protocol that knows direct messages well enough to be asked to relay. */
const RELAY_PROTOCOL_MIN = 5;

export class QueryDesk {
  readonly clock: LamportClock = new LamportClock();
  readonly #config: SerfConfig;
  readonly #membership: Membership;
  readonly #random: Random;
  readonly #keys: KeyDesk;
  readonly #sendLater: SendDirect;
  readonly #recent: RecentRing<number>;
  readonly #answerSelf: QueryDeskOptions['answerSelf'];
  readonly #isRival: QueryDeskOptions['isRival'];
  readonly #deliver: QueryDeskOptions['deliver'];
  /** By token, oldest first. */
  readonly #unanswered: Map<number, Unanswered> = new Map();
  #nextToken = 1;

  constructor({ config, membership, random, keys, sendLater, answerSelf, isRival, deliver }: QueryDeskOptions) {
    this.#answerSelf = answerSelf;
    this.#isRival = isRival;
    this.#deliver = deliver;
    this.#config = config;
    this.#membership = membership;
    this.#random = random;
    this.#keys = keys;
    this.#sendLater = sendLater;
    const limits = { times: config.recentQueryTimes, itemsPerTime: config.recentPerTime };
    this.#recent = new RecentRing<number>(limits, (a, b) => a === b);
  }

  /** Answers whether the query is to be spread further: when it is new and allows it, our own match or not. */
  onQuery(query: Query, now: MonotonicMs, send: SendDirect): boolean {
    this.clock.witness(query.lamportTime);
    if (this.#recent.remember(query.lamportTime, this.clock.time, query.id) !== 'new') return false;
    const self = this.#membership.get(this.#config.swim.name);
    if (self !== undefined && matchesFilters(query.filters ?? [], self)) this.#answer(query, now, send);
    return (query.flags & QUERY_FLAG_NO_BROADCAST) === 0;
  }

  /** What was asked before that time is not answered any more. */
  forgetBefore(lamportTime: number): void {
    this.#recent.forgetBefore(lamportTime);
  }

  /** Passes on what another node wants to reach its asker by a second way. Answers false when it is not used. */
  onRelay(relay: Relay, send: SendDirect): boolean {
    const target = this.#membership.atBytes(relay.address, relay.port);
    const isResponse = relay.message[0] === SERF_TYPE.queryResponse;
    const isSmall = relay.message.length <= this.#config.queryResponseBytesMax;
    if (target === undefined || !isResponse || !isSmall) return false;
    if (!this.#isSelf(target)) {
      send(target.address, relay.message);
      return true;
    }
    // Real agents choose their helpers without sparing the asker.
    const response = decodeSerfMessage(relay.message);
    if (response.kind !== 'queryResponse') return false;
    this.#answerSelf(response);
    return true;
  }

  /** The application's one answer to the query that came with `token`. What is wrong with it, or undefined: it has left. */
  respond(token: number, payload: Uint8Array, now: MonotonicMs, send: SendDirect): string | undefined {
    const asked = this.#unanswered.get(token);
    if (asked === undefined) return 'the query is unknown, has been answered already, or is long over';
    if (now > asked.deadline) {
      this.#unanswered.delete(token);
      return `the query's deadline has passed by ${Math.ceil(now - asked.deadline)} ms`;
    }
    const problem = this.#respond(asked.query, { flags: 0, payload }, send);
    if (problem === undefined) this.#unanswered.delete(token);
    return problem;
  }

  check(): void {
    this.#recent.check();
    assert(this.#unanswered.size <= UNANSWERED_MAX, 'unanswered queries are bounded');
  }

  #answer(query: Query, now: MonotonicMs, send: SendDirect): void {
    if ((query.flags & QUERY_FLAG_ACK) !== 0) this.#respond(query, { flags: QUERY_FLAG_ACK, payload: undefined }, send);
    if (query.name.startsWith(INTERNAL_PREFIX)) {
      if (this.#keys.onQuery(query, (payload) => this.#respond(query, { flags: 0, payload }, this.#sendLater))) return;
      const payload = this.#internalAnswer(query);
      if (payload !== undefined) this.#respond(query, { flags: 0, payload }, send);
    } else this.#tell(query, now);
  }

  #tell(query: Query, now: MonotonicMs): void {
    const token = this.#nextToken;
    this.#nextToken += 1;
    const deadline = now + query.timeoutNs / 1e6;
    for (const [old, { deadline: over }] of this.#unanswered) {
      if (over >= now && this.#unanswered.size < UNANSWERED_MAX) break;
      this.#unanswered.delete(old);
    }
    this.#unanswered.set(token, { query, deadline });
    const { lamportTime, name, sourceNode: source } = query;
    // The event outlives the packet: a copy, not a view.
    const payload = query.payload?.slice() ?? EMPTY_BYTES;
    this.#deliver({ kind: 'queryAsked', token, lamportTime, name, payload, source, deadline });
  }

  #respond(
    query: Query,
    answer: { readonly flags: number; readonly payload: Uint8Array | undefined },
    send: SendDirect,
  ): string | undefined {
    const asker = this.#membership.atBytes(query.address, query.port);
    const rival = asker === undefined ? this.#rivalBehind(query) : undefined;
    if (asker === undefined && rival === undefined)
      return `the asker, ${query.sourceNode}, is no member at its address`;
    const { lamportTime, id } = query;
    const from = this.#config.swim.name;
    const response: QueryResponse = { kind: 'queryResponse', lamportTime, id, from, ...answer };
    const message = encodeSerfMessage(response);
    const { queryResponseBytesMax } = this.#config;
    if (message.length > queryResponseBytesMax) return `response exceeds limit of ${queryResponseBytesMax} bytes`;
    if (rival !== undefined) send(rival, message);
    else if (asker !== undefined && this.#isSelf(asker)) this.#answerSelf(response);
    else if (asker !== undefined) {
      send(asker.address, message);
      this.#relay(query, message, asker, send);
    }
    return undefined;
  }

  /** Of two processes of one name only one is a member; the other must hear the vote too. */
  #rivalBehind({ name, sourceNode, address, port }: Query): Endpoint | undefined {
    const host = hostOfAddress(address);
    if (name !== '_serf_conflict' || host === undefined) return undefined;
    const endpoint = { host, port };
    return this.#isRival(sourceNode, endpoint) ? endpoint : undefined;
  }

  /** Sends the answer by way of others too, in case the straight way is blocked. wire-gossip.md 16.3. */
  #relay(query: Query, message: Uint8Array, asker: MemberRecord, send: SendDirect): void {
    if (query.relayFactor === 0 || this.#membership.count < query.relayFactor + 1) return;
    const { address, port } = query;
    const wrapped = encodeSerfMessage({ kind: 'relay', address, port, zone: '', node: query.sourceNode, message });
    if (wrapped.length > this.#config.queryResponseBytesMax) return;
    const helpers = this.#membership
      .withStatus('alive')
      .filter((member) => !this.#isSelf(member) && member !== asker && (member.versions[1] ?? 0) >= RELAY_PROTOCOL_MIN);
    for (const helper of shuffle(this.#random, helpers).slice(0, query.relayFactor)) send(helper.address, wrapped);
  }

  /** What we answer to Serf's own questions; undefined when the acknowledgement is all, or the question is for applications. */
  #internalAnswer(query: Query): Uint8Array | undefined {
    switch (query.name) {
      case '_serf_conflict':
        return this.#voteOnName(query.payload);
      default:
        return undefined;
    }
  }

  /** Whom we hold for the bearer of a name that two processes claim. We say nothing about our own name. */
  #voteOnName(payload: Uint8Array | undefined): Uint8Array | undefined {
    const name = payload === undefined ? undefined : decodeConflictName(payload);
    if (name === undefined || name === this.#config.swim.name) return undefined;
    const record = this.#membership.get(name);
    if (record === undefined) return encodeQueryPayload({ kind: 'conflictResponse', member: undefined });
    // As gossip carries them: a larger set would not fit into an answer, and the vote is about the address.
    const { status, gossipedTags: tags, versions, addressBytes: address } = record;
    const member = { name, address, port: record.address.port, status, tags, versions };
    return encodeQueryPayload({ kind: 'conflictResponse', member });
  }

  #isSelf(record: MemberRecord): boolean {
    return record.name === this.#config.swim.name;
  }
}

/** All filters must match; one that cannot be understood matches nobody. wire-gossip.md 13.6. */
export function matchesFilters(filters: readonly Uint8Array[], self: Pick<MemberRecord, 'name' | 'tags'>): boolean {
  return filters.every((bytes) => {
    const filter = decodeFilter(bytes);
    switch (filter.kind) {
      case 'nodes':
        return filter.names.includes(self.name);
      case 'tag':
        return compilePattern(filter.expression)?.(self.tags.get(filter.tag) ?? '') ?? false;
      default:
        return false;
    }
  });
}
