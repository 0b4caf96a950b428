/**
 * The leader's side of the lease: whom it grants, and when a process that it has granted is certainly done serving. What a leader
 * waits for may end late and never early, so everything counts from answering. docs/ownership.md section 4.
 */
import { assert } from '../base/assert.ts';
import type { Boot, LogIndex, NodeId, Term } from '../model/ids.ts';
import type { Owner } from '../model/shard-map.ts';
import type { ShardingStats } from '../model/node-stats.ts';
import type { LeaseRefusalReason, LeaseRelease, LeaseRenew } from '../wire/sharding/lease.ts';
import { leaderWaitMs, type ShardingConfig } from './config.ts';
import { Flapping } from './flapping.ts';
import { type Holder, Holders } from './holders.ts';
import type { ShardingEffect } from './messages.ts';
import type { OwnerPair, OwnershipRules } from './rules.ts';

/** What one leadership begins with. */
export interface Election {
  readonly term: Term;
  /** `now` of the step that counted the last needed vote (O-14). */
  readonly electedAt: number;
  readonly restedOnLease: NodeId | undefined;
  readonly predecessor: NodeId | undefined;
}

/** What a plan does with an owner of the active map. `candidate` may win and lose, `leaving` only loses, both by acknowledging. */
export type Fate = 'candidate' | 'leaving' | 'pinned' | 'gone';

export interface Roster {
  /** Per owner of the active map. */
  readonly fates: readonly Fate[];
  /** Everyone who may be given shards, sorted by node id. */
  readonly candidates: readonly OwnerPair[];
  /** When time alone may change this roster; Infinity for never. */
  readonly nextChangeAt: number;
}

/** `gone` asks for strictly later than the wait; deadlines are set this far behind it. */
const STRICTLY_LATER_MS = 0.001;

export class Grants {
  readonly #config: ShardingConfig;
  readonly #self: OwnerPair & { readonly dirLocked: boolean };
  readonly #rules: OwnershipRules;
  readonly #stats: ShardingStats;
  readonly #election: Election;
  readonly #holders: Holders;
  readonly #leftOut: Map<string, OwnerPair> = new Map();
  readonly #toldGone: Set<string> = new Set();
  readonly #flapping: Flapping;
  /** Owners that said so when they ended. */
  readonly #leftInOrder: Set<string> = new Set();
  /** Owners that left in order, and until when what they had is kept for their return. */
  readonly #awaitedUntil: Map<string, number> = new Map();
  readonly #callsDead: ReadonlyMap<NodeId, number>;
  #isReady = false;
  #leaseUntil: number = Number.NEGATIVE_INFINITY;
  #isTransferring = false;
  #voters: ReadonlySet<NodeId> = new Set();
  #activeVersion: LogIndex = 0 as LogIndex;
  #appendedVersion: LogIndex = 0 as LogIndex;
  #ownPinnedUntil: number = Number.NEGATIVE_INFINITY;
  #wantsShards = true;
  #hasChanged = true;

  /** `callsDead`: when the liveness checker last called a node dead, for those it calls dead now (O-19). */
  constructor(
    settings: { readonly config: ShardingConfig; readonly rules: OwnershipRules; readonly stats: ShardingStats },
    self: OwnerPair & { readonly dirLocked: boolean },
    election: Election,
    callsDead: ReadonlyMap<NodeId, number>,
  ) {
    this.#config = settings.config;
    this.#rules = settings.rules;
    this.#stats = settings.stats;
    this.#self = self;
    this.#election = election;
    this.#callsDead = callsDead;
    this.#holders = new Holders(election.term);
    this.#flapping = new Flapping(settings.config.flapHoldMs);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get isTransferring(): boolean {
    return this.#isTransferring;
  }

  /** O-11. Never falls within a term (SO-8). */
  get floor(): LogIndex {
    return this.#rules.floor({ active: this.#activeVersion, appended: this.#appendedVersion });
  }

  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  /** Whether a plan made before would come out differently now, time aside. Reading it clears it. */
  takeChange(): boolean {
    const changed = this.#hasChanged;
    this.#hasChanged = false;
    return changed;
  }

  noteChange(): void {
    this.#hasChanged = true;
  }

  onReady(now: number, effects: ShardingEffect[]): void {
    this.#isReady = true;
    this.#hasChanged = true;
    this.#answerKept(now, effects);
  }

  onLeaderLease(until: number, now: number, effects: ShardingEffect[]): void {
    this.#leaseUntil = until;
    this.#answerKept(now, effects);
  }

  onTransferring(active: boolean, now: number, effects: ShardingEffect[]): void {
    this.#isTransferring = active;
    this.#answerKept(now, effects);
  }

  /** Whether this leader itself may be given shards. */
  onOwnWish(wantsShards: boolean): void {
    if (wantsShards !== this.#wantsShards) this.#hasChanged = true;
    this.#wantsShards = wantsShards;
  }

  onVoters(voters: ReadonlySet<NodeId>): void {
    this.#voters = voters;
    this.#hasChanged = true;
  }

  /** A map is active. O-12: whoever was left out and is not in it may come back. */
  onActive(version: LogIndex, owners: readonly Owner[]): void {
    assert(version >= this.#activeVersion, 'SO-8: the active version never falls within a term');
    this.#activeVersion = version;
    this.#toldGone.clear();
    this.#leftInOrder.clear();
    for (const [key, pair] of this.#leftOut) {
      if (!owners.some((owner) => owner.node === pair.node && owner.boot === pair.boot)) this.#leftOut.delete(key);
    }
    this.#hasChanged = true;
  }

  /** O-11: from the step that appends a commit, nobody below that version is granted. */
  onCommitAppended(version: LogIndex): void {
    if (version > this.#appendedVersion) this.#appendedVersion = version;
  }

  /** O-12, O-20: its acknowledgement is overdue. */
  leaveOut(pair: OwnerPair, now: number): void {
    this.#hasChanged = true;
    if (this.#isSelf(pair)) this.#ownPinnedUntil = now + this.#config.ownReleaseRetryMs;
    else this.#leftOut.set(keyOf(pair), pair);
  }

  onRenew(renew: LeaseRenew, now: number, effects: ShardingEffect[]): void {
    if (renew.node === this.#self.node) {
      if (renew.boot !== this.#self.boot) this.#refuse(renew, 'idInUse', effects);
      return;
    }
    const before = this.#holders.get(renew.node);
    const wasWilling = before?.wantsShards;
    const wasSilent = before === undefined || this.#isSilent(before, now);
    const heard = this.#holders.hear(renew, now);
    if (heard.kind === 'ignored') return;
    const { holder } = heard;
    if (heard.kind === 'claimant') {
      this.#onClaim(holder, renew, now, effects);
      return;
    }
    if (heard.isNew || wasSilent || wasWilling !== holder.wantsShards) this.#hasChanged = true;
    this.#answer(holder, renew, now, effects);
  }

  onRelease(release: LeaseRelease, now: number): void {
    if (this.#isSelf(release)) return;
    this.#holders.end(release);
    this.#leftInOrder.add(keyOf(release));
    for (const [key, until] of this.#awaitedUntil) if (until <= now) this.#awaitedUntil.delete(key);
    if (this.#config.restartGraceMs > 0) this.#awaitedUntil.set(keyOf(release), now + this.#config.restartGraceMs);
    this.#hasChanged = true;
  }

  /** The newest version this process says it has released to this leader; 0 for none. */
  releasedBy(pair: OwnerPair): LogIndex {
    return this.#holders.find(pair)?.releasedVersion ?? (0 as LogIndex);
  }

  /** The boot of a node that renews. */
  liveBoot(node: NodeId, now: number): Boot | undefined {
    const holder = this.#holders.get(node);
    return holder === undefined || this.#isSilent(holder, now) ? undefined : holder.boot;
  }

  /** An owner that does not renew, or has not let go of what it should; undefined when all is well. */
  silentOwner(owners: readonly Owner[], now: number): NodeId | undefined {
    return owners.find((owner) => this.#isSilent(owner, now) || this.#leftOut.has(keyOf(owner)))?.node;
  }

  /** clusterfunk's acknowledgement, which names no boot: the one that this leader accepts is meant. */
  confirm(node: NodeId, version: LogIndex): void {
    const holder = this.#holders.get(node);
    if (holder !== undefined && version > holder.releasedVersion) holder.releasedVersion = version;
  }

  /** O-14, O-15: this process certainly serves nothing. */
  isGone(pair: OwnerPair, now: number): boolean {
    return this.#hasEnded(pair) || this.#isExempt(pair) || now > this.#goneAt(pair);
  }

  /** When waiting alone makes this process gone; Infinity when that lies behind `now`, or never comes. */
  goneAfter(pair: OwnerPair, now: number): number {
    const at = this.#goneAt(pair) + STRICTLY_LATER_MS;
    return at > now ? at : Number.POSITIVE_INFINITY;
  }

  /** Every owner and every holder, as a plan sees them; forgets holders on which nothing hangs. */
  roster(owners: readonly Owner[], now: number, effects: ShardingEffect[]): Roster {
    this.#settleClaims(now, effects);
    const fates = owners.map((owner) => this.#fateOf(owner, now));
    let nextChangeAt = this.#ownPinnedUntil > now ? this.#ownPinnedUntil : Number.POSITIVE_INFINITY;
    const watch = (pair: OwnerPair): void => {
      for (const at of [this.#silentAt(pair), this.#goneAt(pair) + STRICTLY_LATER_MS]) {
        if (at > now && at < nextChangeAt) nextChangeAt = at;
      }
    };
    const owned = new Set<string>();
    const waitedFor = new Set<NodeId>();
    for (const [i, owner] of owners.entries()) {
      owned.add(keyOf(owner));
      this.#tellGone(owner, { isGone: fates[i] === 'gone', now }, effects);
      if (fates[i] === 'gone') continue;
      watch(owner);
      const awaitedUntil = this.#awaitedUntil.get(keyOf(owner)) ?? now;
      if (awaitedUntil > now && awaitedUntil < nextChangeAt) nextChangeAt = awaitedUntil;
      if (this.#bootOf(owner.node) !== owner.boot) waitedFor.add(owner.node);
    }
    const candidates: OwnerPair[] = [];
    const held: OwnerPair[] = [];
    if (this.#ownFate(now) === 'candidate') candidates.push({ node: this.#self.node, boot: this.#self.boot });
    for (const holder of [...this.#holders.accepted()]) {
      const isOwner = owned.has(keyOf(holder));
      if (!isOwner && this.isGone(holder, now) && this.#isSilent(holder, now)) {
        this.#holders.forget(holder);
        continue;
      }
      watch(holder);
      if (!this.#mayWin(holder, isOwner, now)) continue;
      const heldUntil = isOwner ? now : this.#flapping.heldUntil(holder.node);
      if (heldUntil > now) nextChangeAt = Math.min(nextChangeAt, heldUntil);
      (heldUntil > now ? held : candidates).push({ node: holder.node, boot: holder.boot });
    }
    // A node whose older boot may still serve is given nothing: one map names a node once.
    const isFree = ({ node }: OwnerPair): boolean => !waitedFor.has(node);
    const free = candidates.filter(isFree);
    // Shards that nobody else could serve are better served by one that may die again.
    const ready = free.length > 0 ? free : held.filter(isFree);
    return { fates, candidates: ready.sort((a, b) => (a.node < b.node ? -1 : 1)), nextChangeAt };
  }

  /** Every owner has been heard by this leader, or has been silent for long enough (O-19). */
  hasHeardAll(owners: readonly Owner[], now: number): boolean {
    return owners.every(
      (owner) =>
        this.#isSelf(owner) ||
        this.#hasEnded(owner) ||
        this.#holders.find(owner) !== undefined ||
        this.#isSilent(owner, now),
    );
  }

  check(now: number): void {
    for (const holder of this.#holders.accepted()) {
      const { grantedAt } = holder;
      assert(
        grantedAt === undefined || (grantedAt >= this.#election.electedAt && grantedAt <= now),
        'O-10: records are of this term',
      );
      assert(!this.#holders.hasEnded(holder), 'a process that has ended holds nothing');
    }
    assert(
      this.#isReady || [...this.#holders.accepted()].every((h) => h.grantedAt === undefined),
      'O-9: no grant before readiness',
    );
  }

  #answer(holder: Holder, renew: LeaseRenew, now: number, effects: ShardingEffect[]): void {
    const holdsLease = now < this.#leaseUntil;
    const leader = { isReady: this.#isReady, isTransferring: this.#isTransferring, holdsLease };
    if (!this.#rules.mayGrant(leader)) {
      holder.kept = renew;
      return;
    }
    holder.kept = undefined;
    this.#holders.answered(holder, renew.seq, now);
    if (this.#leftOut.has(keyOf(holder))) {
      this.#refuse(renew, 'leftOut', effects);
    } else if (renew.appliedIndex < this.floor) {
      this.#refuse(renew, 'behind', effects);
    } else {
      if (holder.grantedAt === undefined || now - holder.grantedAt > this.#config.silentAfterMs)
        this.#hasChanged = true;
      holder.grantedAt = now;
      this.#stats.grantsGiven += 1;
      const { node, boot, seq } = renew;
      const message = { kind: 'grant', node, boot, seq, term: this.#election.term, leaderNow: now } as const;
      effects.push({ kind: 'sendToHolder', node, message });
    }
  }

  #refuse(renew: LeaseRenew, reason: LeaseRefusalReason, effects: ShardingEffect[]): void {
    this.#stats.grantsRefused += 1;
    const { node, boot, seq } = renew;
    const message = { kind: 'refusal', node, boot, seq, term: this.#election.term, reason } as const;
    effects.push({ kind: 'sendToHolder', node, message });
  }

  #answerKept(now: number, effects: ShardingEffect[]): void {
    if (!this.#isReady || this.#isTransferring || now >= this.#leaseUntil) return;
    for (const holder of this.#holders.accepted()) {
      if (holder.kept !== undefined) this.#answer(holder, holder.kept, now, effects);
    }
  }

  /** O-13: a second process of one id. It is told to wait, and its answer shows whether it is the one that lives. */
  #onClaim(claimant: Holder, renew: LeaseRenew, now: number, effects: ShardingEffect[]): void {
    claimant.kept = renew;
    this.#settleClaims(now, effects);
    if (!this.#isReady || this.#holders.find(claimant) === claimant) return;
    this.#holders.answered(claimant, renew.seq, now);
    this.#refuse(renew, 'idInUse', effects);
  }

  /** Names whose older boot is gone go to their claimants, who are answered as if they had just asked. */
  #settleClaims(now: number, effects: ShardingEffect[]): void {
    for (const claimant of [...this.#holders.claimed()]) {
      const accepted = this.#holders.get(claimant.node);
      if (accepted !== undefined && this.#replaces(claimant, accepted)) this.#holders.end(accepted);
      else if (accepted !== undefined && !this.isGone(accepted, now)) continue;
      this.#holders.accept(claimant);
      this.#hasChanged = true;
      const { kept } = claimant;
      if (kept !== undefined && !this.#isSilent(claimant, now)) this.#answer(claimant, kept, now, effects);
    }
  }

  /** Whether the lock of `newer` proves `older` dead: both held it, and `newer` was alive after `older` was last heard. */
  #replaces(newer: Holder, older: { readonly boot: number; readonly heardAt?: number }): boolean {
    if (newer.boot === older.boot) return false;
    const seenAfter =
      newer.livedAfter > Number.NEGATIVE_INFINITY && newer.livedAfter >= (older.heardAt ?? newer.livedAfter);
    return this.#rules.isProvenDead({
      newLocked: newer.dirLocked,
      isVoter: this.#voters.has(newer.node),
      seenAfter,
    });
  }

  /** O-14 b, c. */
  #hasEnded(pair: OwnerPair): boolean {
    if (this.#isSelf(pair)) return false;
    if (this.#holders.hasEnded(pair)) return true;
    if (pair.node === this.#self.node) return this.#self.dirLocked;
    const holder = this.#holders.get(pair.node);
    return (
      holder !== undefined && this.#holders.claimantOf(pair.node)?.boot !== pair.boot && this.#replaces(holder, pair)
    );
  }

  /** O-15: it led the term before, rested on its leader lease, and has been granted nothing here. */
  #isExempt(pair: OwnerPair): boolean {
    return pair.node === this.#election.restedOnLease && this.#holders.find(pair)?.grantedAt === undefined;
  }

  /** O-14 a: gone when `now` is above this. */
  #goneAt(pair: OwnerPair): number {
    if (this.#isSelf(pair)) return Number.POSITIVE_INFINITY;
    const recordedAt = this.#holders.find(pair)?.grantedAt;
    return this.#rules.lastGrantAt({ electedAt: this.#election.electedAt, recordedAt }) + leaderWaitMs(this.#config);
  }

  /** O-19: silent from this instant on, unless it is heard before. Liveness may bring it forward. */
  #silentAt(pair: OwnerPair): number {
    if (this.#isSelf(pair)) return Number.POSITIVE_INFINITY;
    const heardAt = this.#holders.find(pair)?.heardAt;
    const { electedAt, predecessor } = this.#election;
    const grace =
      heardAt === undefined && pair.node === predecessor ? this.#config.predecessorGraceMs : this.#config.silentAfterMs;
    const deadAt = this.#callsDead.get(pair.node);
    const byTime = (heardAt ?? electedAt) + grace;
    return deadAt !== undefined && deadAt >= (heardAt ?? Number.NEGATIVE_INFINITY) ? Math.min(byTime, deadAt) : byTime;
  }

  #isSilent(pair: OwnerPair, now: number): boolean {
    return now >= this.#silentAt(pair);
  }

  #isSelf(pair: OwnerPair): boolean {
    return pair.node === this.#self.node && pair.boot === this.#self.boot;
  }

  /** The boot that this leader takes for the one of that node. */
  #bootOf(node: NodeId): number | undefined {
    return node === this.#self.node ? this.#self.boot : this.#holders.get(node)?.boot;
  }

  #tellGone(owner: OwnerPair, { isGone, now }: { isGone: boolean; now: number }, effects: ShardingEffect[]): void {
    const key = keyOf(owner);
    if (isGone === this.#toldGone.has(key)) return;
    if (!isGone) {
      this.#toldGone.delete(key);
      return;
    }
    this.#toldGone.add(key);
    this.#stats.holdersGone += 1;
    effects.push({ kind: 'notify', event: { kind: 'holderGone', node: owner.node, boot: owner.boot } });
    const hold = this.#leftInOrder.has(key) ? undefined : this.#flapping.onDeath(owner.node, now);
    if (hold !== undefined) effects.push({ kind: 'notify', event: { kind: 'held', ...hold } });
  }

  #ownFate(now: number): Fate {
    if (now < this.#ownPinnedUntil) return 'pinned';
    return this.#wantsShards ? 'candidate' : 'leaving';
  }

  /** O-18, O-12, O-19: what the next plan does with this owner. */
  #fateOf(owner: OwnerPair, now: number): Fate {
    if (this.#isSelf(owner)) return this.#ownFate(now);
    if (this.#isAwaited(owner, now)) return 'pinned';
    if (this.#hasEnded(owner)) return 'gone';
    const isTimedOut = now > this.#goneAt(owner);
    if (isTimedOut) return 'gone';
    if (this.#leftOut.has(keyOf(owner))) return 'pinned';
    if (this.#isSilent(owner, now)) return this.#isExempt(owner) ? 'gone' : 'pinned';
    const holder = this.#holders.find(owner);
    if (holder === undefined) return 'pinned';
    return holder.wantsShards ? 'candidate' : 'leaving';
  }

  /** It left in order, may be back soon, and no process of its name is ready to serve yet. */
  #isAwaited(owner: OwnerPair, now: number): boolean {
    const until = this.#awaitedUntil.get(keyOf(owner));
    return until !== undefined && now < until && this.#holders.get(owner.node)?.grantedAt === undefined;
  }

  /** A holder is given shards when it is heard, wants them, and has proved by a grant that it follows the map. */
  #mayWin(holder: Holder, isOwner: boolean, now: number): boolean {
    if (isOwner) return this.#fateOf(holder, now) === 'candidate';
    if (!holder.wantsShards || this.#isSilent(holder, now)) return false;
    if (this.#leftOut.has(keyOf(holder))) return false;
    return holder.grantedAt !== undefined && now <= this.#goneAt(holder);
  }
}

function keyOf(pair: OwnerPair): string {
  return `${pair.node} ${pair.boot}`;
}
