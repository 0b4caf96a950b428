/**
 * Who is alive: SWIM with Lifeguard's refinements, as memberlist speaks it, as one still machine.
 *
 * Every probe interval one member is pinged; a silent one is asked about through others and by TCP, then suspected, and dead
 * unless it refutes in time (prober, suspicion). News of members rides on all of this and on a gossip tick (outbox,
 * broadcast-queue); from time to time two nodes exchange everything (push-pull). What news does to the table stands in
 * membership, whose head shows the states.
 *
 * SWIM: Das, Gupta, Motivala, DSN 2002. Lifeguard: Dadgar, Phillips, Currey, 2017. The wire: wire-gossip.md sections 1 to 12.
 *
 * A process that stood still (a paused container, a long garbage collection) must not blame others for what it did not read:
 * when a turn comes later than promised by more than `stallMs`, that time is taken out of all probes and suspicions, and our
 * own health suffers instead. The shell hands over what waits in its sockets before it calls `tick`.
 */
import { EMPTY_BYTES } from '../base/bytes.ts';
import { assert, unreachable } from '../base/assert.ts';
import type { Machine, MonotonicMs } from '../base/machine.ts';
import { randomBetween } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { RequestId } from '../model/ids.ts';
import type { SwimStats } from '../model/node-stats.ts';
import { encodeUser } from '../wire/memberlist/messages.ts';
import type { Alive, DatagramMessage, Dead, Suspect } from '../wire/memberlist/messages.ts';
import { decodePacket } from '../wire/memberlist/packet.ts';
import { encodeStreamUser, type StreamMessage } from '../wire/memberlist/stream.ts';
import { Answerer } from './answerer.ts';
import { validateSwimConfig } from './config.ts';
import { SwimContext } from './context.ts';
import type { SwimOptions } from './context.ts';
import type { Keyring } from './keyring.ts';
import { memberOf } from './member-table.ts';
import { Membership } from './membership.ts';
import type { Accusation } from './membership.ts';
import type { SwimClaim, SwimEffect, SwimInput, SwimMember, SwimRequest } from './messages.ts';
import { NameChecks } from './name-checks.ts';
import { Outbox } from './outbox.ts';
import { Prober } from './prober.ts';
import { PushPulls } from './push-pull.ts';
import { Streams } from './streams.ts';
import { Tombstones } from './tombstones.ts';

export { BroadcastQueue } from './broadcast-queue.ts';
export type { BroadcastOptions } from './broadcast-queue.ts';
export type { SwimOptions } from './context.ts';
export { Keyring } from './keyring.ts';

export class Swim implements Machine<SwimInput, SwimEffect> {
  readonly #context: SwimContext;
  readonly #membership: Membership;
  readonly #outbox: Outbox;
  readonly #nameChecks: NameChecks;
  readonly #tombstones: Tombstones;
  readonly #streams: Streams;
  readonly #prober: Prober;
  readonly #answerer: Answerer;
  readonly #pushPulls: PushPulls;
  #isStarted = false;
  #gossipAt: MonotonicMs = Number.POSITIVE_INFINITY;
  /** Who waits for the leave to be spread, and until when. */
  #leaves: RequestId[] = [];
  #leaveUntil: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(options: SwimOptions) {
    const problems = validateSwimConfig(options.config);
    assert(problems.length === 0, `the configuration was validated: ${problems.join('; ')}`);
    this.#context = new SwimContext(options);
    this.#outbox = new Outbox(this.#context);
    this.#nameChecks = new NameChecks(this.#context, this.#outbox);
    this.#streams = new Streams(this.#context);
    this.#tombstones = new Tombstones(this.#context, {
      outbox: this.#outbox,
      streams: this.#streams,
      admit: (claim, from) => this.#membership.onAlive(claim, from),
    });
    this.#membership = new Membership(this.#context, {
      outbox: this.#outbox,
      checks: this.#nameChecks,
      tombstones: this.#tombstones,
    });
    this.#answerer = new Answerer(this.#context, this.#outbox);
    this.#pushPulls = new PushPulls(this.#context, this.#membership, this.#streams);
    this.#streams.serve(this.#pushPulls);
    this.#prober = new Prober(this.#context, {
      membership: this.#membership,
      outbox: this.#outbox,
      streams: this.#streams,
    });
  }

  get stats(): Readonly<SwimStats> {
    const { awareness, keyring, queue, roundTrips, stats, table } = this.#context;
    stats.membersAlive = table.count('alive');
    stats.membersSuspect = table.count('suspect');
    stats.membersDead = table.count('dead');
    stats.membersLeft = table.count('left');
    stats.healthScore = awareness.score;
    stats.broadcastsQueued = queue.size;
    stats.encryptionKeys = keyring.keys.length;
    stats.roundTrips = { sum: roundTrips.sum, count: roundTrips.count, buckets: roundTrips.buckets };
    return stats;
  }

  /** Rows of the table, of every state, ourselves included: the n of the formulas. */
  get memberCount(): number {
    return this.#context.table.size;
  }

  /** Alive or suspect members, ourselves included. */
  get presentCount(): number {
    return this.#context.table.presentCount;
  }

  get isLeaving(): boolean {
    return this.#context.isLeaving;
  }

  /** To be changed by the layer above, with effect on the next packet. */
  get keyring(): Keyring {
    return this.#context.keyring;
  }

  /** Our own row; there from `start` on. */
  get self(): SwimMember {
    return memberOf(this.#membership.self);
  }

  member(name: string): SwimMember | undefined {
    const row = this.#context.table.get(name);
    return row === undefined ? undefined : memberOf(row);
  }

  members(): SwimMember[] {
    return Array.from(this.#context.table.rows(), memberOf);
  }

  /** Sends a user message directly, unreliably, without piggyback. For the layer above; allowed inside hooks. */
  sendUserMessage(to: Endpoint, bytes: Uint8Array, effects: SwimEffect[]): void {
    const { effects: outer } = this.#context;
    this.#context.effects = effects;
    this.#outbox.send(to, encodeUser(bytes));
    this.#context.effects = outer;
  }

  /**
   * Asks a member by a stream of its own; its `answerRequest` answers. For the layer above; allowed inside hooks. `client` hears once what came
   * of it, in a later turn.
   */
  request(to: Endpoint, { bytes, deadline, answerBytesMax, client }: SwimRequest, effects: SwimEffect[]): void {
    const { effects: outer } = this.#context;
    this.#context.effects = effects;
    const onFailed = (reason: string): void => client.onFailed(reason, this.#context.now);
    const onMessage = (message: StreamMessage): void => {
      if (message.kind === 'user') client.onAnswer(message.bytes, this.#context.now);
      else onFailed(message.kind === 'err' ? `the peer refused: ${message.error}` : 'the peer answered otherwise');
    };
    const options = { client: { onMessage, onFailed }, deadline, bytesMax: answerBytesMax };
    this.#streams.open(to, encodeStreamUser(bytes), options);
    this.#context.effects = outer;
  }

  step(input: SwimInput, now: MonotonicMs, effects: SwimEffect[]): void {
    this.#enter(now, effects);
    if (!this.#isStarted && input.kind !== 'start') {
      this.#refuseEarly(input);
      return;
    }
    switch (input.kind) {
      case 'start':
        this.#start(input.meta);
        break;
      case 'datagram':
        this.#onDatagram(input.bytes, input.from);
        break;
      case 'streamAccepted':
        this.#streams.onAccepted(input.stream, input.from);
        break;
      case 'streamOpened':
        this.#streams.onOpened(input.stream);
        break;
      case 'streamBytes':
        this.#streams.onBytes(input.stream, input.bytes);
        break;
      case 'streamClosed':
        this.#streams.onClosed(input.stream, input.error);
        break;
      case 'join':
        this.#pushPulls.join(input.requestId, input.addresses);
        break;
      case 'setMeta':
        this.#membership.announceSelf(input.meta);
        break;
      case 'leave':
        this.#leave(input.requestId);
        break;
      case 'hint':
        this.#membership.suspect(input.node);
        break;
      default:
        unreachable(input);
    }
  }

  tick(now: MonotonicMs, effects: SwimEffect[]): void {
    this.#enter(now, effects);
    if (!this.#isStarted) return;
    this.#streams.tick();
    this.#answerer.tick();
    this.#nameChecks.tick();
    this.#tombstones.tick();
    this.#prober.tick();
    this.#membership.tick();
    this.#pushPulls.tick();
    if (this.#gossipAt <= now && this.#outbox.hasNews) {
      this.#gossipAt = now + this.#context.config.gossipIntervalMs;
      this.#outbox.gossip();
    }
    // Whoever could still hear us has gone meanwhile: nodes that are stopped together wait for nobody.
    if (this.#leaves.length > 0 && this.#context.table.presentCount === 0) this.#endLeave(true);
    if (this.#leaveUntil <= now) this.#endLeave(false);
  }

  /** Gossip ticks without news are not worth waking for; the first news after a quiet time goes out on the next tick of the old beat. */
  nextDeadline(): MonotonicMs {
    return this.#outbox.hasNews ? Math.min(this.#gossipAt, this.#promised()) : this.#promised();
  }

  check(): void {
    this.#context.table.check();
    this.#context.queue.check();
    this.#streams.check();
    this.#answerer.check();
    this.#nameChecks.check();
    this.#tombstones.check();
    this.#prober.check();
    if (this.#isStarted) this.#membership.check();
    this.#pushPulls.check();
    assert(this.#leaves.length === 0 || this.#context.isLeaving, 'only a leaving node has somebody waiting for it');
  }

  /** What a late turn is late against. Gossip is never late: what it brings is news whenever it comes. */
  #promised(): MonotonicMs {
    return Math.min(
      this.#streams.nextDeadline(),
      this.#answerer.nextDeadline(),
      this.#nameChecks.nextDeadline(),
      this.#tombstones.nextDeadline(),
      this.#prober.nextDeadline(),
      this.#membership.nextDeadline(),
      this.#pushPulls.nextDeadline(),
      this.#leaveUntil,
    );
  }

  #enter(now: MonotonicMs, effects: SwimEffect[]): void {
    // Against the last turn too: what the inputs of one wake-up find late is late once.
    const lateMs = now - Math.max(this.#promised(), this.#context.now);
    const { gossipIntervalMs } = this.#context.config;
    if (this.#gossipAt < now && !this.#outbox.hasNews)
      this.#gossipAt += Math.ceil((now - this.#gossipAt) / gossipIntervalMs) * gossipIntervalMs;
    this.#context.now = now;
    this.#context.effects = effects;
    if (lateMs <= this.#context.config.stallMs) return;
    this.#membership.postpone(lateMs);
    this.#prober.postpone(lateMs);
    this.#answerer.postpone(lateMs);
    this.#nameChecks.postpone(lateMs);
    this.#tombstones.postpone(lateMs);
    this.#streams.postpone(lateMs);
    if (lateMs >= this.#context.config.probeTimeoutMs) this.#context.awareness.apply(1);
  }

  #start(meta: Uint8Array): void {
    assert(!this.#isStarted, 'a node starts once');
    this.#isStarted = true;
    const { config, now, random } = this.#context;
    this.#membership.announceSelf(meta);
    this.#prober.start();
    this.#pushPulls.start();
    this.#gossipAt = now + randomBetween(random, 0, config.gossipIntervalMs);
  }

  /** Sockets may bring something before we are in our own table; peers will say it again. */
  #refuseEarly(input: Exclude<SwimInput, { readonly kind: 'start' }>): void {
    const { effects } = this.#context;
    if (input.kind === 'streamAccepted') effects.push({ kind: 'closeStream', stream: input.stream });
    if (input.kind !== 'join' && input.kind !== 'leave') return;
    const outcome = { kind: 'refused', reason: 'gossip has not started' } as const;
    effects.push({ kind: 'reply', requestId: input.requestId, outcome });
  }

  #onDatagram(bytes: Uint8Array, from: Endpoint): void {
    const { stats } = this.#context;
    stats.packetsReceived += 1;
    stats.bytesReceived += bytes.length;
    if (!this.#context.allows(from.host)) {
      this.#context.drop('networkNotAllowed', from);
      return;
    }
    const { messages, failures } = decodePacket(bytes, this.#context.guard);
    for (const message of messages) this.#onMessage(message, from);
    for (const failure of failures) this.#context.drop(failure.reason, from);
    if (messages.length > 0) this.#membership.onContact(from);
  }

  #onMessage(message: DatagramMessage, from: Endpoint): void {
    switch (message.kind) {
      case 'ping':
        this.#answerer.onPing(message, from);
        break;
      case 'indirectPing':
        this.#answerer.onIndirectPing(message, from);
        break;
      case 'ack':
        // Late answers, and answers to pings that we sent for others after they had been told no, are everyday.
        if (this.#prober.onAck(message) || this.#nameChecks.onAck(message.sequence)) return;
        if (this.#tombstones.onAck(message.sequence)) return;
        this.#answerer.onAck(message.sequence);
        return;
      case 'nack':
        this.#prober.onNack(message.sequence);
        return;
      case 'suspect':
        this.#membership.onSuspect(accusationOf(message), from);
        break;
      case 'dead':
        this.#membership.onDead(accusationOf(message), from);
        break;
      case 'alive':
        this.#membership.onAlive(aliveClaim(message), from);
        break;
      case 'user':
        this.#context.delegate.onUserMessage(message.bytes, from, this.#context.now, this.#context.effects);
    }
  }

  /** 11.2 */
  #leave(requestId: RequestId): void {
    const { config, now, table } = this.#context;
    this.#leaves.push(requestId);
    if (this.#context.isLeaving) {
      if (this.#leaveUntil === Number.POSITIVE_INFINITY) this.#endLeave(true);
      return;
    }
    this.#context.isLeaving = true;
    this.#leaveUntil = now + config.leaveTimeoutMs;
    const accusation = { node: config.name, incarnation: this.#membership.incarnation, from: config.name };
    // Replaced is as good as sent: a newer word about us is on its way.
    this.#membership.onDead(accusation, undefined, () => this.#endLeave(true));
    if (table.presentCount === 0) this.#endLeave(true);
  }

  #endLeave(complete: boolean): void {
    const waiting = this.#leaves;
    this.#leaves = [];
    this.#leaveUntil = Number.POSITIVE_INFINITY;
    for (const requestId of waiting) {
      this.#context.effects.push({ kind: 'reply', requestId, outcome: { kind: 'left', complete } });
    }
  }
}

function accusationOf(message: Suspect | Dead): Accusation {
  return { node: message.node, incarnation: message.incarnation, from: message.from };
}

/** Copied out of the packet, since rows outlive it. */
function aliveClaim(message: Alive): SwimClaim {
  return {
    name: message.node,
    addressBytes: message.address?.slice() ?? EMPTY_BYTES,
    port: message.port,
    meta: message.meta?.slice() ?? EMPTY_BYTES,
    versions: message.versions?.slice() ?? EMPTY_BYTES,
    incarnation: message.incarnation,
    state: 'alive',
  };
}
