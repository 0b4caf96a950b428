/**
 * The holder's side of the lease: renewals out, grants in, and the instant until which this process may serve. What is held may end
 * early and never late, so everything counts from sending, and every forward jump of the wall clock shortens it. docs/ownership.md
 * sections 1 and 3.
 */
import { assert } from '../base/assert.ts';
import { type Random, randomBetween } from '../base/random.ts';
import type { LogIndex, NodeId, Term } from '../model/ids.ts';
import type { LeaseGrant, LeaseRefusal, LeaseRenew } from '../wire/sharding/lease.ts';
import { ClockRates } from './clock-rates.ts';
import { LEASE_MARGIN_MS, RENEWAL_LATEST, type ShardingConfig } from './config.ts';
import type { ShardingEffect } from './messages.ts';
import type { OwnerPair, OwnershipRules } from './rules.ts';

/** More than the renewals of a lease, so that only answers that are worth nothing are dropped (O-2). */
export const OPEN_REQUESTS_MAX = 32;
/** Renewals of many holders must not fall in step: each interval is drawn from this share of the setting up to all of it. */
const INTERVAL_LOW = 0.9;
/** A renewal is not sent along with an answer when the last one is as young as this share of the interval. */
const TOO_YOUNG = 0.4;

const NEVER = Number.NEGATIVE_INFINITY;

/** What a renewal says of its holder beside its lease. */
export interface HolderReport {
  readonly appliedIndex: LogIndex;
  readonly releasedVersion: LogIndex;
  readonly wantsShards: boolean;
}

export class HolderLease {
  readonly #config: ShardingConfig;
  readonly #self: OwnerPair & { readonly dirLocked: boolean };
  readonly #rules: OwnershipRules;
  readonly #random: Random;
  /** When each unanswered request was sent, by seq, oldest first; shortened like all that is held. */
  readonly #open: Map<number, number> = new Map();
  readonly #rates: ClockRates = new ClockRates();
  #seq = 0;
  #grantUntil = NEVER;
  #leaderUntil = NEVER;
  #rests: 'onGrant' | 'onLeaderLease' = 'onGrant';
  #isTransferring = false;
  #isStopped = false;
  #leader: NodeId | undefined;
  #renewAt: number = Number.POSITIVE_INFINITY;
  #renewedAt = NEVER;
  /** When a frame of the leader was last answered. */
  #leaderHeardAt = NEVER;
  #answered: { readonly term: Term; readonly seq: number } = { term: 0 as Term, seq: 0 };
  #answeredAt = NEVER;

  constructor(
    config: ShardingConfig,
    self: OwnerPair & { readonly dirLocked: boolean },
    random: Random,
    rules: OwnershipRules,
  ) {
    this.#config = config;
    this.#self = self;
    this.#random = random;
    this.#rules = rules;
  }

  /** The lease runs while `now` is below this; -Infinity for none (O-2). */
  get until(): number {
    if (this.#isStopped) return NEVER;
    if (this.#rests === 'onGrant') return this.#grantUntil;
    // A ready leader has no grant (O-3): the greater one is its leader lease.
    return Math.max(this.#isTransferring ? NEVER : this.#leaderUntil, this.#grantUntil);
  }

  /** When the next renewal is due; Infinity while nobody is there to ask. */
  get renewAt(): number {
    return this.#renewAt;
  }

  /** When an answer came last; -Infinity for never. A non-voter changes its voter by this (O-16). */
  get answeredAt(): number {
    return this.#answeredAt;
  }

  get answeredSeq(): number {
    return this.#answered.seq;
  }

  get lastSeq(): number {
    return this.#seq;
  }

  /** The leader to ask, or undefined. A leader that is new is asked at once (O-8). */
  onLeaderKnown(leader: NodeId | undefined, now: number): void {
    const isNew = leader !== this.#leader;
    this.#leader = leader;
    if (this.#isStopped || leader === undefined || leader === this.#self.node) this.#renewAt = Number.POSITIVE_INFINITY;
    else if (isNew || this.#renewAt === Number.POSITIVE_INFINITY) this.#renewAt = now;
  }

  /** Brings the next renewal forward (O-8). Nothing when there is nobody to ask. */
  renewNow(now: number): void {
    if (this.#renewAt !== Number.POSITIVE_INFINITY) this.#renewAt = Math.min(this.#renewAt, now);
  }

  /**
   * A frame of the leader is being answered in this turn. True when the renewal is to go along with it, for the next such frame would come too
   * late; else the timer waits a little longer than usual for that one.
   */
  onLeaderHeard(now: number): boolean {
    const gapMs = now - this.#leaderHeardAt;
    this.#leaderHeardAt = now;
    if (this.#renewAt === Number.POSITIVE_INFINITY || this.#renewedAt === NEVER) return false;
    const { renewIntervalMs } = this.#config;
    const latest = this.#renewedAt + RENEWAL_LATEST * renewIntervalMs;
    if (now + gapMs <= latest) this.#renewAt = latest;
    else if (now - this.#renewedAt >= TOO_YOUNG * renewIntervalMs) this.#renewAt = now;
    return this.#renewAt <= now;
  }

  /** The next renewal, sent in this step: the lease it may bring counts from here. */
  renew(report: HolderReport, now: number): LeaseRenew {
    this.#seq += 1;
    this.#renewedAt = now;
    this.#open.set(this.#seq, now);
    if (this.#open.size > OPEN_REQUESTS_MAX) {
      for (const oldest of this.#open.keys()) {
        this.#open.delete(oldest);
        break;
      }
    }
    const share = this.#leaderHeardAt === now ? RENEWAL_LATEST : randomBetween(this.#random, INTERVAL_LOW, 1);
    this.#renewAt = now + share * this.#config.renewIntervalMs;
    return {
      kind: 'renew',
      node: this.#self.node,
      boot: this.#self.boot,
      seq: this.#seq,
      ...report,
      dirLocked: this.#self.dirLocked,
      answeredTerm: this.#answered.term,
      answeredSeq: this.#answered.seq,
    };
  }

  /** O-2. An answer that is not to a request of this boot still open counts for nothing. */
  onGrant(grant: LeaseGrant, now: number, effects: ShardingEffect[]): void {
    if (grant.boot !== this.#self.boot || this.#isStopped) return;
    this.#onAnswer(grant, now);
    const sentAt = this.#open.get(grant.seq);
    if (sentAt === undefined) return;
    const bounds = { term: grant.term, sentAt, receivedAt: now, leaderNow: grant.leaderNow };
    if (this.#rates.onGrant(bounds, this.#config.clockDrift))
      effects.push({ kind: 'notify', event: { kind: 'clocksApart', isApart: this.#rates.isApart } });
    for (const seq of this.#open.keys()) {
      if (seq <= grant.seq) this.#open.delete(seq);
    }
    // The leader may count less time than we do: nothing that it grants is safe to serve by.
    if (this.#rates.isApart) return;
    const from = this.#rules.grantCountsFrom({ sentAt, receivedAt: now });
    this.#grantUntil = Math.max(this.#grantUntil, from + this.#config.leaseMs - LEASE_MARGIN_MS);
  }

  onRefusal(refusal: LeaseRefusal, now: number): void {
    if (refusal.boot === this.#self.boot && !this.#isStopped) this.#onAnswer(refusal, now);
  }

  /** O-3: readiness and the drop are one step. O-4: the leader lease ends in the step that leaves the role. */
  onLeadership(role: { readonly isLeader: boolean; readonly isReady: boolean }, now: number): void {
    if (role.isLeader) this.#renewAt = Number.POSITIVE_INFINITY;
    else this.onLeaderKnown(this.#leader, now);
    if (role.isLeader && role.isReady) {
      if (this.#rests === 'onLeaderLease') return;
      this.#rests = 'onLeaderLease';
      if (!this.#rules.keepsAtReadiness('openRequests')) this.#open.clear();
      if (!this.#rules.keepsAtReadiness('grant')) this.#grantUntil = NEVER;
      return;
    }
    if (this.#rests === 'onLeaderLease') this.#leaderUntil = NEVER;
    this.#rests = 'onGrant';
    if (!role.isLeader) this.#isTransferring = false;
  }

  onLeaderLease(until: number): void {
    this.#leaderUntil = until;
  }

  onTransferring(active: boolean): void {
    this.#isTransferring = active;
  }

  /** The wall clock ran ahead of the monotonic one: a guest was suspended. All that is held is that much older. */
  onJump(byMs: number): void {
    if (!(byMs > 0)) return;
    this.#rates.forget();
    this.#grantUntil -= byMs;
    this.#leaderUntil -= byMs;
    for (const [seq, sentAt] of this.#open) this.#open.set(seq, sentAt - byMs);
  }

  /** No renewal and no lease from here on; late grants find nothing open. */
  stop(): void {
    this.#isStopped = true;
    this.#renewAt = Number.POSITIVE_INFINITY;
    this.#open.clear();
    this.#grantUntil = NEVER;
  }

  check(): void {
    assert(this.#open.size <= OPEN_REQUESTS_MAX, 'O-2: open requests are within their limit');
    if (this.#rests === 'onGrant') return;
    assert(
      (this.#open.size === 0 || this.#rules.keepsAtReadiness('openRequests')) &&
        (this.#grantUntil === NEVER || this.#rules.keepsAtReadiness('grant')),
      'SO-6: a ready leader has no grant and no open request',
    );
  }

  /** Whether the newest answer is the first of its term: the leader then waits for an echo (O-13). */
  #onAnswer(answer: LeaseGrant | LeaseRefusal, now: number): void {
    if (answer.seq > this.#seq || answer.term < this.#answered.term) return;
    const isFirst = answer.term > this.#answered.term;
    if (!isFirst && answer.seq <= this.#answered.seq) return;
    this.#answered = { term: answer.term, seq: answer.seq };
    this.#answeredAt = now;
    if (isFirst) this.renewNow(now);
  }
}
