/**
 * The leader's place: a key under a lease, created by whoever finds none. etcd counts a lease from when it heard of it, so whoever counts
 * from when it *sent* that word, and a little less than the lease, stops before etcd lets another in (docs/ownership.md, C-22).
 */
import type { MonotonicMs } from '../base/machine.ts';
import { randomBelow, type Random } from '../base/random.ts';
import type { Layout } from './layout.ts';
import type { EtcdAnswer, EtcdKeyValue, EtcdLogEffect, EtcdQuestion } from './messages.ts';
import type { Questions } from './questions.ts';

/** Candidates do not all come at once. */
const SPREAD_MS = 150;
const RETRY_MS = 500;
/** Who gave leadership away lets others go first. */
const REST_MS = 1_000;
/** Words that keep the lease: so many in its time. */
const WORDS_PER_LEASE = 6;

export interface SeatConfig {
  readonly ttlSeconds: number;
  mayLead(): boolean;
  /** What the key holds: who leads. */
  readonly name: Uint8Array;
}

export class Seat {
  readonly #config: SeatConfig;
  readonly #layout: Layout;
  readonly #questions: Questions;
  readonly #random: Random;
  clockDrift: number;
  /** How often this node has tried to take it. */
  tries = 0;
  /** Of the newest try or of this leadership; 0 when there is none. */
  #lease = 0;
  #until: MonotonicMs = Number.NEGATIVE_INFINITY;
  #isEmpty = false;
  #campaignAt: MonotonicMs = Number.POSITIVE_INFINITY;
  #restsUntil: MonotonicMs = Number.NEGATIVE_INFINITY;
  #keepAliveAt: MonotonicMs = Number.POSITIVE_INFINITY;
  /** How far the wall clock has run ahead by now, all jumps together. */
  #jumpedMs = 0;

  constructor(
    config: SeatConfig & { readonly clockDrift: number },
    { layout, questions, random }: { layout: Layout; questions: Questions; random: Random },
  ) {
    this.#config = config;
    this.clockDrift = config.clockDrift;
    this.#layout = layout;
    this.#questions = questions;
    this.#random = random;
  }

  /** Until when nobody else can have taken the seat that this node has; -Infinity when its lease is gone. */
  get until(): MonotonicMs {
    return this.#until;
  }

  /** Whether that key is held under the lease of this node's. */
  isOurs(leader: EtcdKeyValue): boolean {
    return this.#lease !== 0 && leader.lease === this.#lease;
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#campaignAt, this.#keepAliveAt);
  }

  /** Who sits there, as far as this node has heard. */
  onSeat(leader: EtcdKeyValue | undefined, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const isEmpty = leader === undefined;
    // A try that came too late holds a lease for nothing.
    if (leader !== undefined && !this.isOurs(leader)) this.#giveBack(effects);
    if (this.#isEmpty === isEmpty) return;
    this.#isEmpty = isEmpty;
    this.#campaignAt = Number.POSITIVE_INFINITY;
    if (isEmpty) this.#tryAt(Math.max(now, this.#restsUntil));
  }

  tick(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (now >= this.#campaignAt) this.#campaign(now, effects);
    if (now >= this.#keepAliveAt) {
      this.#keepAliveAt = now + this.#everyMs;
      this.#askLease({ kind: 'keepAlive', lease: this.#lease }, now, effects);
    }
  }

  onClockJumped(byMs: number): void {
    this.#jumpedMs += byMs;
    this.#until -= byMs;
  }

  /** Nothing rests on the lease any more: others need not wait for its end, and go first. */
  vacate(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#restsUntil = now + REST_MS;
    this.#giveBack(effects);
  }

  #giveBack(effects: EtcdLogEffect[]): void {
    if (this.#lease === 0) return;
    const lease = this.#lease;
    this.#lease = 0;
    this.#until = Number.NEGATIVE_INFINITY;
    this.#keepAliveAt = Number.POSITIVE_INFINITY;
    this.#questions.ask({ kind: 'revoke', lease }, () => undefined, effects);
  }

  #tryAt(from: MonotonicMs): void {
    this.#campaignAt = from + randomBelow(this.#random, SPREAD_MS);
  }

  get #everyMs(): number {
    return (this.#config.ttlSeconds * 1_000) / WORDS_PER_LEASE;
  }

  #campaign(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    // A try goes on for as long as it takes: whoever began anew would give up what is about to come true.
    this.#campaignAt = Number.POSITIVE_INFINITY;
    this.#giveBack(effects);
    if (!this.#config.mayLead()) {
      this.#tryAt(now + RETRY_MS);
      return;
    }
    const lease = 1 + randomBelow(this.#random, Number.MAX_SAFE_INTEGER - 1);
    this.#lease = lease;
    this.tries += 1;
    this.#askLease({ kind: 'grant', lease, ttlSeconds: this.#config.ttlSeconds }, now, effects);
  }

  #askLease(
    question: Extract<EtcdQuestion, { kind: 'grant' | 'keepAlive' }>,
    sentAt: MonotonicMs,
    effects: EtcdLogEffect[],
  ): void {
    const { lease } = question;
    const jumpedBefore = this.#jumpedMs;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (lease !== this.#lease) return;
      if (answer.kind !== 'lease') {
        if (question.kind === 'grant') this.#fail(now, out);
        return;
      }
      if (answer.ttlSeconds <= 0) {
        this.#until = Number.NEGATIVE_INFINITY;
        return;
      }
      const d = this.clockDrift;
      const until = sentAt + ((answer.ttlSeconds * 1_000) / (1 + d)) * (1 - d) - (this.#jumpedMs - jumpedBefore);
      this.#until = Math.max(this.#until, until);
      if (question.kind === 'grant') this.#sitDown(lease, now, out);
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  /** Whether it has come true shows by the key itself. */
  #sitDown(lease: number, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#keepAliveAt = now + this.#everyMs;
    const { leader } = this.#layout;
    const question: EtcdQuestion = {
      kind: 'txn',
      guards: [{ key: leader, createRevision: 0 }],
      puts: [{ key: leader, value: this.#config.name, lease }],
      deletes: [],
    };
    const onAnswer = (answer: EtcdAnswer, at: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (lease !== this.#lease) return;
      const isRefused = answer.kind === 'txn' ? !answer.succeeded : answer.kind === 'failed' && answer.isRefused;
      if (isRefused) this.#fail(at, out);
      // Its word may be lost, or on its way: when the lease is over it will not come true any more.
      else if (this.#isEmpty) this.#tryAt(Math.max(at, this.#until) + RETRY_MS);
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  #fail(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#giveBack(effects);
    if (this.#isEmpty) this.#tryAt(now + RETRY_MS);
  }
}
