/**
 * Serf over SWIM: members with tags that join, leave on purpose, fail and come back; user events and queries. wire-gossip.md
 * 13 to 19, the Serf of HashiCorp on the wire.
 *
 * It owns a {@link Swim}, which finds out who answers, and adds what that cannot know: whether a member that is silent meant
 * to go (leave intents, ordered by a Lamport clock), and who was there before (failed and left members, kept for a day and dialled
 * again). A member's life is drawn in `membership.ts`, the way out of this node in `departure.ts`.
 *
 * Invariants: whoever is present in SWIM's table has a record here that says so, and the reverse; every clock is later than
 * every Lamport time it has seen; queues, rings, buffers and tables keep their limits.
 */
import { assert, unreachable } from '../base/assert.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { Machine, MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { RequestId } from '../model/ids.ts';
import type { Member } from '../model/member.ts';
import type { SerfStats, SwimStats } from '../model/node-stats.ts';
import type { SwimDelegate, SwimEffect, SwimEvent, SwimInput, SwimOutcome } from '../swim/messages.ts';
import { Swim } from '../swim/swim.ts';
import { checkTags } from '../wire/serf/tag-set.ts';
import { decodeTags } from '../wire/serf/tags.ts';
import { Asking } from './asking.ts';
import { Admission, mayFollow, type MergeFilter } from './admission.ts';
import { Broadcasts } from './broadcasts.ts';
import { type SerfConfig, validateSerfConfig } from './config.ts';
import { Coordinates } from './coordinates.ts';
import { Departure } from './departure.ts';
import { isPresent, Membership } from './membership.ts';
import { KeyDesk } from './keys.ts';
import type { SerfEffect, SerfEvent, SerfInput, SerfOutcome } from './messages.ts';
import { GossipRequests } from './gossip-requests.ts';
import { NameConflicts } from './name-conflicts.ts';
import { QueueWatch } from './queue-watch.ts';
import { QueryDesk, type SendDirect } from './queries.ts';
import { Reception } from './reception.ts';
import { TagDesk } from './tag-desk.ts';
import { tagSources } from './tag-sources.ts';
import { UserEventDesk } from './user-events.ts';

export type { MergeFilter };

export interface SerfOptions {
  readonly config: SerfConfig;
  readonly random: Random;
  /** Who is refused as a member, by tags; nobody when it is not given. */
  readonly mergeFilter?: MergeFilter;
}

/** What a request that we made of SWIM was for. */
type Errand =
  | { readonly kind: 'join'; readonly requestId: RequestId; readonly replay: boolean }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'leave' };

type Deadline = 'reap' | 'reconnect';

export class Serf implements Machine<SerfInput, SerfEffect> {
  readonly #config: SerfConfig;
  readonly #random: Random;
  readonly #swim: Swim;
  readonly #membership: Membership;
  readonly #admission: Admission;
  readonly #keys: KeyDesk;
  readonly #queries: QueryDesk;
  readonly #userEvents: UserEventDesk;
  readonly #asking: Asking;
  readonly #requests: GossipRequests;
  readonly #reception: Reception;
  readonly #tags: TagDesk;
  readonly #broadcasts: Broadcasts;
  readonly #queueWatch: QueueWatch;
  /** Undefined when they are disabled. */
  readonly #coordinates: Coordinates | undefined;
  readonly #departure: Departure;
  readonly #conflicts: NameConflicts;
  readonly #deadlines: DeadlineHeap<Deadline> = new DeadlineHeap();
  readonly #errands: Map<RequestId, Errand> = new Map();
  #nextErrand = 1;
  /** What SWIM answered in this turn and we have not looked at yet. */
  #swimEffects: SwimEffect[] = [];
  /** The caller's list, during `step` and `tick`. */
  #out: SerfEffect[] = [];

  constructor({ config, random, mergeFilter }: SerfOptions) {
    const problems = validateSerfConfig(config);
    assert(problems.length === 0, `the configuration was validated: ${problems.join('; ')}`);
    this.#config = config;
    this.#random = random;
    this.#coordinates = config.hasCoordinates ? new Coordinates(config.swim.name, random) : undefined;
    this.#tags = this.#makeTagDesk();
    this.#membership = new Membership(config, this.#tags, (event) => {
      if (event.kind === 'memberReaped') this.#coordinates?.forget(event.member.name);
      this.#notify(event);
    });
    const membership = this.#membership;
    const send: SendDirect = (to, message) => this.#swim.sendUserMessage(to, message, this.#swimEffects);
    this.#asking = new Asking({ config, membership, random });
    this.#keys = new KeyDesk({
      config,
      keyring: () => this.#swim.keyring,
      save: (save, keys) => this.#out.push({ kind: 'saveKeyring', save, keys }),
      notify: (event) => this.#notify(event),
    });
    this.#queries = new QueryDesk({
      config,
      membership,
      random,
      keys: this.#keys,
      sendLater: send,
      answerSelf: (response) => this.#asking.onResponse(response),
      isRival: (name, address) => this.#conflicts.isRival(name, address),
      deliver: (event) => this.#notify(event),
    });
    this.#userEvents = new UserEventDesk(config);
    this.#broadcasts = new Broadcasts(config);
    this.#queueWatch = new QueueWatch({
      config,
      broadcasts: this.#broadcasts,
      memberCount: () => membership.count,
      warn: (queue, depth, dropped) => this.#notify({ kind: 'queueDeep', queue, depth, dropped }),
    });
    this.#requests = new GossipRequests({
      queries: this.#queries,
      userEvents: this.#userEvents,
      asking: this.#asking,
      broadcasts: this.#broadcasts,
      coordinates: this.#coordinates,
      selfName: config.swim.name,
      send,
      presentCount: () => this.#swim.presentCount,
      notify: (event) => this.#notify(event),
      reply: (requestId, outcome) => this.#reply(requestId, outcome),
    });
    this.#conflicts = new NameConflicts({
      config,
      ask: (question, listener, now) => this.#requests.ask(question, listener, now),
      isForeign: (meta, name) => mergeFilter?.(decodeTags(meta) ?? new Map(), name) !== undefined,
      notify: (event) => this.#notify(event),
    });
    this.#departure = new Departure({
      config,
      membership: this.#membership,
      broadcasts: this.#broadcasts,
      reply: (requestId, outcome) => this.#reply(requestId, outcome),
      departGossip: (now) => this.#stepSwim({ kind: 'leave', requestId: this.#errand({ kind: 'leave' }) }, now),
    });
    this.#reception = this.#makeReception();
    this.#swim = new Swim({ config: config.swim, random, delegate: this.#delegate() });
    this.#admission = new Admission({
      selfName: config.swim.name,
      mergeFilter,
      validatesNames: config.validatesNames,
      held: (name) => this.#swim.member(name),
    });
  }

  get name(): string {
    return this.#config.swim.name;
  }

  /** Leaving or gone: nothing will be joined any more. */
  get isLeaving(): boolean {
    return this.#departure.stage !== 'staying';
  }

  /** All members of every status, ourselves included from `start` on. The same array until something changes. */
  members(): readonly Member[] {
    return this.#membership.list();
  }

  member(name: string): Member | undefined {
    const record = this.#membership.get(name);
    return record === undefined ? undefined : this.#membership.view(record);
  }

  /** When a packet last came straight from this member; undefined for never. */
  lastHeard(name: string): MonotonicMs | undefined {
    const at = this.#membership.get(name)?.heardAt;
    return at === undefined || at === Number.NEGATIVE_INFINITY ? undefined : at;
  }

  /** Since when the member has been present without a break; undefined when it is unknown or gone. */
  knownSince(name: string): MonotonicMs | undefined {
    const record = this.#membership.get(name);
    return record !== undefined && isPresent(record) ? record.presentSince : undefined;
  }

  get stats(): Readonly<SerfStats> {
    return {
      membersFailed: this.#membership.withStatus('failed').length,
      membersLeft: this.#membership.withStatus('left').length,
      memberClock: this.#membership.clock.time,
      eventClock: this.#userEvents.clock.time,
      queryClock: this.#queries.clock.time,
      ...this.#broadcasts.queued,
      broadcastsPruned: this.#broadcasts.pruned,
      coordinate: this.#coordinates?.stats,
      tags: this.#tags.stats,
    };
  }

  /** Undefined when these can be the tags of this node; else what stands against it. */
  checkTags(tags: ReadonlyMap<string, string>): string | undefined {
    return checkTags(tags, this.#config.tagsBytesMax);
  }

  get swimStats(): Readonly<SwimStats> {
    return this.#swim.stats;
  }

  step(input: SerfInput, now: MonotonicMs, effects: SerfEffect[]): void {
    this.#out = effects;
    this.#onInput(input, now);
    this.#settle(now);
  }

  tick(now: MonotonicMs, effects: SerfEffect[]): void {
    this.#out = effects;
    for (let due = this.#deadlines.popDue(now); due !== undefined; due = this.#deadlines.popDue(now))
      this.#onDeadline(due, now);
    this.#departure.tick(now);
    this.#asking.tick(now);
    this.#queueWatch.tick(now);
    this.#swim.tick(now, this.#swimEffects);
    this.#settle(now);
  }

  nextDeadline(): MonotonicMs {
    const parts = [this.#departure, this.#asking, this.#queueWatch, this.#tags, this.#swim];
    return Math.min(this.#deadlines.next(), ...parts.map((part) => part.nextDeadline()));
  }

  check(): void {
    this.#swim.check();
    this.#membership.check();
    this.#queries.check();
    this.#tags.check();
    this.#keys.check();
    this.#userEvents.check();
    this.#asking.check();
    this.#broadcasts.check();
    this.#coordinates?.check((name) => this.#membership.get(name) !== undefined);
    assert(this.#swimEffects.length === 0, 'every effect of SWIM was seen to');
    this.#membership.checkPresence(this.#swim.members());
  }

  #onInput(input: SerfInput, now: MonotonicMs): void {
    switch (input.kind) {
      case 'start':
        this.#queueWatch.start(now);
        this.#reception.restore(input.times);
        this.#deadlines.set('reap', now + this.#config.reapIntervalMs);
        this.#deadlines.set('reconnect', now + this.#config.reconnectIntervalMs);
        this.#stepSwim({ kind: 'start', meta: this.#tags.setOwn(input.tags) }, now);
        break;
      case 'setTags':
        this.#stepSwim({ kind: 'setMeta', meta: this.#tags.setOwn(input.tags) }, now);
        break;
      case 'datagram':
        this.#membership.heardFrom(input.from, now);
        this.#stepSwim(input, now);
        break;
      case 'streamAccepted':
      case 'streamOpened':
      case 'streamBytes':
      case 'streamClosed':
      case 'hint':
        this.#stepSwim(input, now);
        break;
      case 'join':
        if (this.isLeaving) this.#reply(input.requestId, { kind: 'refused', reason: 'this node is leaving' });
        else {
          const { requestId, replay = false } = input;
          this.#join({ kind: 'join', requestId, replay }, input.addresses, now);
        }
        break;
      case 'leave':
        this.#departure.leave(input.requestId, now);
        break;
      case 'keyringSaved':
        this.#keys.onSaved(input.save, input.error);
        break;
      case 'forceLeave':
        this.#departure.forceLeave(input, now);
        break;
      case 'userEvent':
      case 'query':
      case 'closeQuery':
      case 'respond':
      case 'keys':
      case 'roundTrip':
      case 'coordinate':
        this.#requests.onRequest(input, now);
        break;
      default:
        unreachable(input);
    }
  }

  #onDeadline(deadline: Deadline, now: MonotonicMs): void {
    // Who is gone forgets nobody and dials nobody.
    if (this.#departure.stage === 'gone') return;
    switch (deadline) {
      case 'reap':
        this.#membership.reap(now);
        this.#deadlines.set('reap', now + this.#config.reapIntervalMs);
        break;
      case 'reconnect':
        this.#reconnect(now);
        this.#deadlines.set('reconnect', now + this.#config.reconnectIntervalMs);
        break;
      default:
        unreachable(deadline);
    }
  }

  #stepSwim(input: SwimInput, now: MonotonicMs): void {
    this.#swim.step(input, now, this.#swimEffects);
  }

  #makeTagDesk(): TagDesk {
    const { swim, tagsBytesMax: bytesMax, tagsHeldBytesMax: heldBytesMax } = this.#config;
    return new TagDesk({
      selfName: swim.name,
      bytesMax,
      heldBytesMax,
      random: this.#random,
      timeoutMs: swim.tcpTimeoutMs,
      sources: (node) => tagSources(this.#membership, node, swim.name),
      request: (to, request) => this.#swim.request(to, request, this.#swimEffects),
      changed: (node) => this.#membership.onTags(node),
      notify: (event) => this.#notify(event),
    });
  }

  #makeReception(): Reception {
    return new Reception({
      selfName: this.name,
      membership: this.#membership,
      queries: this.#queries,
      userEvents: this.#userEvents,
      asking: this.#asking,
      broadcasts: this.#broadcasts,
      isStaying: () => this.#departure.stage === 'staying',
      tellEvent: (event) => this.#requests.tellEvent(event),
    });
  }

  #delegate(): SwimDelegate {
    return {
      onEvent: (event, now) => this.#onSwimEvent(event, now),
      onUserMessage: (bytes, from, now, effects) => {
        const send: SendDirect = (to, message) => this.#swim.sendUserMessage(to, message, effects);
        const isUsed = this.#reception.onMessage(bytes, now, send);
        if (!isUsed) this.#notify({ kind: 'dropped', reason: 'serf message', from });
      },
      answerRequest: (bytes, _from, now) => this.#tags.answer(bytes, now),
      localState: () => this.#reception.localState(),
      mergeRemoteState: (bytes, isJoin, now) => {
        const isJoining = [...this.#errands.values()].some((errand) => errand.kind === 'join' && !errand.replay);
        const isUsed = this.#reception.onRemoteState(bytes, isJoin && isJoining, now);
        if (!isUsed) this.#notify({ kind: 'dropped', reason: 'serf push/pull state', from: undefined });
      },
      hasBroadcasts: () => this.#broadcasts.size > 0,
      takeBroadcasts: (overheadBytes, bytesMax) =>
        this.#broadcasts.take(overheadBytes, bytesMax, this.#membership.count),
      // Agents that have coordinates disabled send nothing, too.
      ackPayload: () => this.#coordinates?.payload ?? EMPTY_BYTES,
      onAckPayload: (node, payload, roundTripMs) => {
        // It may have been erased since it was asked.
        if (this.#membership.get(node) !== undefined) this.#coordinates?.onAck(node, payload, roundTripMs);
      },
      refuseMerge: (claims) => this.#admission.refuseMerge(claims),
      refuseAlive: (claim) => this.#admission.refuseAlive(claim),
      mayReclaim: (held, claim) => this.#admission.mayReclaim(held, claim),
      mayReplaceSilent: (held, claim) => mayFollow(held.meta, claim.meta),
    };
  }

  /** Passes SWIM's effects on, and acts on its replies, which may bring more. */
  #settle(now: MonotonicMs): void {
    for (;;) {
      this.#departure.settle(now);
      if (this.#departure.stage !== 'gone') this.#tags.pump(now);
      if (this.#swimEffects.length === 0) return;
      const effects = this.#swimEffects;
      this.#swimEffects = [];
      for (const effect of effects) {
        if (effect.kind === 'reply') this.#onSwimReply(effect.requestId, effect.outcome, now);
        else this.#out.push(effect);
      }
    }
  }

  #onSwimReply(id: RequestId, outcome: SwimOutcome, now: MonotonicMs): void {
    const errand = this.#errands.get(id);
    assert(errand !== undefined, 'SWIM replies to what it was asked');
    this.#errands.delete(id);
    switch (errand.kind) {
      case 'join':
        this.#onJoined(errand.requestId, outcome, now);
        break;
      case 'leave':
        this.#departure.onDeparted(now);
        break;
      case 'reconnect':
        break;
      default:
        unreachable(errand);
    }
  }

  #onJoined(requestId: RequestId, outcome: SwimOutcome, now: MonotonicMs): void {
    assert(outcome.kind !== 'left', 'a join does not end in a leave');
    const isIn = outcome.kind === 'joined' && outcome.count > 0;
    if (isIn && !this.isLeaving) this.#reception.announceJoin(now);
    this.#reply(requestId, outcome);
  }

  #onSwimEvent(event: SwimEvent, now: MonotonicMs): void {
    switch (event.kind) {
      case 'memberJoined':
        this.#membership.onJoined(event.member, now);
        break;
      case 'memberUpdated':
        this.#membership.onUpdated(event.member);
        break;
      case 'memberLeft':
        this.#membership.onGone(event.member.name, event.member.state === 'left', now);
        break;
      case 'nameConflict':
        this.#conflicts.onConflict(event, now);
        break;
      case 'nameTaken':
        if (!this.isLeaving) this.#conflicts.onTaken(event.theirs, now);
        break;
      case 'mergeRefused':
        this.#notify({ kind: 'mergeRefused', reason: event.reason });
        break;
      case 'dropped':
        this.#notify({ kind: 'dropped', reason: event.reason, from: event.from });
        break;
      default:
      // The rest is SWIM's own business: to be read from its statistics.
    }
  }

  #join(errand: Errand, addresses: readonly Endpoint[], now: MonotonicMs): void {
    if (errand.kind === 'join') this.#conflicts.onJoin(now);
    this.#stepSwim({ kind: 'join', requestId: this.#errand(errand), addresses }, now);
  }

  /** wire-gossip.md 14.6. */
  #reconnect(now: MonotonicMs): void {
    const address = this.isLeaving ? undefined : this.#membership.drawFailed(this.#random);
    if (address !== undefined) this.#join({ kind: 'reconnect' }, [address], now);
  }

  #notify(event: SerfEvent): void {
    this.#out.push({ kind: 'notify', event });
  }

  #reply(requestId: RequestId, outcome: SerfOutcome): void {
    this.#out.push({ kind: 'reply', requestId, outcome });
  }

  #errand(errand: Errand): RequestId {
    const id = this.#nextErrand as RequestId;
    this.#nextErrand += 1;
    this.#errands.set(id, errand);
    return id;
  }
}
