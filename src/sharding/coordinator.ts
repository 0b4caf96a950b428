/**
 * The leader's part in moving shards: plan, propose, gather acknowledgements, commit. It keeps no promise of its own; `grants.ts`
 * says who is certainly done serving, and the log says what holds. docs/ownership.md section 5.
 *
 *   idle -> proposing (appended, not applied) -> waiting (applied, losers release) -> committing (appended) -> idle
 *   waiting -> proposing: a loser is overdue (O-20), or the plan of a predecessor no longer fits (O-21)
 */
import { assert } from '../base/assert.ts';
import type { LogIndex, NodeId, Term } from '../model/ids.ts';
import type { ShardingStats } from '../model/node-stats.ts';
import type { Owner } from '../model/shard-map.ts';
import type { ShardingConfig } from './config.ts';
import { countLoads, type Plan, planShards } from './distribution.ts';
import type { Fate, Grants, Roster } from './grants.ts';
import { type MapState, placeOf } from './map-state.ts';
import type { ShardCommand, ShardingEffect } from './messages.ts';
import type { OwnerPair, OwnershipRules } from './rules.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A token that lacks no more than a rounding error is whole; its deadline would not lie ahead of now. */
const TOKEN_TOLERANCE = 1e-6;

export interface Leadership {
  readonly term: Term;
  readonly electedAt: number;
}

/** What the coordinator asks of the leader's own holder. */
export interface OwnPart {
  readonly pair: OwnerPair;
  releasedVersion(): LogIndex;
}

export class Coordinator {
  readonly #config: ShardingConfig;
  readonly #rules: OwnershipRules;
  readonly #stats: ShardingStats;
  readonly #leadership: Leadership;
  readonly #maps: MapState;
  readonly #grants: Grants;
  readonly #own: OwnPart;
  #readyAt = NEVER;
  #isSettled: boolean;
  /** Appended and not heard of again. */
  #inFlight: { readonly kind: ShardCommand['kind']; readonly at: number } | undefined;
  /** From when the acknowledgements of the pending map are due (O-20). */
  #acksFrom = NEVER;
  #isInherited = true;
  #losers: readonly Owner[] = [];
  #loads: { readonly version: LogIndex; readonly counts: Uint32Array } | undefined;
  /** The pending map must be replaced, whatever the plan: it is overdue. */
  #mustReplace = false;
  #isFirstPlanMade = false;
  #expected: readonly NodeId[] = [];
  #formation: { since: number; lastNewAt: number; count: number } | undefined;
  #rosterChangesAt: number = Number.NEGATIVE_INFINITY;
  #lastPlanAt: number = Number.NEGATIVE_INFINITY;
  #tokens: { left: number; at: number };
  #wakeAt = NEVER;
  #hasNobody = false;

  constructor(
    settings: { readonly config: ShardingConfig; readonly rules: OwnershipRules; readonly stats: ShardingStats },
    leadership: Leadership,
    parts: { readonly maps: MapState; readonly grants: Grants; readonly own: OwnPart; readonly isSettled: boolean },
  ) {
    this.#config = settings.config;
    this.#rules = settings.rules;
    this.#stats = settings.stats;
    this.#leadership = leadership;
    this.#maps = parts.maps;
    this.#grants = parts.grants;
    this.#own = parts.own;
    this.#isSettled = parts.isSettled;
    this.#tokens = { left: Math.max(1, settings.config.mapsPerSecond), at: leadership.electedAt };
    this.#findLosers();
  }

  get wakeAt(): number {
    return this.#wakeAt;
  }

  /** There is nobody to give shards to: a leader that drains alone is as drained as it can be. */
  get hasNobody(): boolean {
    return this.#hasNobody;
  }

  onReady(now: number): void {
    this.#readyAt = now;
    // O-20: for an inherited proposal the time to acknowledge begins here.
    if (this.#maps.pending !== undefined) this.#acksFrom = now;
  }

  onSettled(settled: boolean): void {
    this.#isSettled = settled;
  }

  onExpected(nodes: readonly NodeId[]): void {
    this.#expected = nodes;
    this.#grants.noteChange();
  }

  /** A shard command was applied, whoever wrote it. */
  onApplied(command: ShardCommand, now: number): void {
    const appendedAt = this.#inFlight?.kind === command.kind ? this.#inFlight.at : undefined;
    this.#inFlight = undefined;
    if (command.kind === 'shardPropose') {
      this.#isInherited = command.term !== this.#leadership.term;
      this.#acksFrom = this.#isInherited ? this.#readyAt : (appendedAt ?? now);
      this.#mustReplace = false;
    }
    this.#findLosers();
  }

  /** Does whatever is due. Called at the end of every step and tick of a ready leader. */
  evaluate(now: number, effects: ShardingEffect[]): void {
    this.#wakeAt = NEVER;
    if (!this.#grants.isReady || this.#grants.isTransferring) return;
    if (this.#isWaitingForAppend(now)) return;
    if (this.#maps.pending !== undefined && this.#commitOrLeaveOut(now, effects)) return;
    const changed = this.#grants.takeChange();
    if (!changed && !this.#mustReplace && now < this.#rosterChangesAt) {
      this.#wake(this.#rosterChangesAt);
      return;
    }
    const roster = this.#grants.roster(this.#maps.active?.owners ?? [], now, effects);
    this.#rosterChangesAt = roster.nextChangeAt;
    this.#wake(roster.nextChangeAt);
    if (!this.#plan(roster, now, effects)) this.#grants.noteChange();
  }

  /** Every loser of the pending map has let go, or is certainly done serving (O-17, SO-5). */
  mayCommit(now: number): boolean {
    const pending = this.#maps.pending;
    return pending !== undefined && this.#losers.every((loser) => this.#hasLetGo(loser, pending.version, now));
  }

  /** O-22: one un-applied map entry at most, and nothing before the log is applied. A refused append is asked for again. */
  #isWaitingForAppend(now: number): boolean {
    if (this.#inFlight === undefined) return false;
    const retryAt = this.#inFlight.at + this.#config.appendRetryMs;
    if (now < retryAt) {
      this.#wake(retryAt);
      return true;
    }
    if (!this.#isSettled) return true;
    this.#inFlight = undefined;
    this.#grants.noteChange();
    return false;
  }

  /** True when there is nothing left to do but wait. */
  #commitOrLeaveOut(now: number, effects: ShardingEffect[]): boolean {
    const pending = this.#maps.pending;
    if (pending === undefined) return false;
    if (!this.#mustReplace && this.mayCommit(now)) {
      if (this.#isSettled) this.#commit(pending.version, now, effects);
      return true;
    }
    const overdueAt = this.#acksFrom + this.#config.ackTimeoutMs;
    if (!this.#mustReplace && now >= overdueAt) {
      for (const loser of this.#losers) {
        if (this.#hasLetGo(loser, pending.version, now)) continue;
        this.#grants.leaveOut(loser, now);
        this.#stats.acknowledgementsOverdue += 1;
      }
      this.#mustReplace = true;
    }
    if (this.#mustReplace) return false;
    this.#wake(overdueAt);
    for (const loser of this.#losers) this.#wake(this.#grants.goneAfter(loser, now));
    // O-21: only a plan that another leader made is looked at again while it waits.
    return !this.#isInherited || this.#isFirstPlanMade;
  }

  #hasLetGo(loser: OwnerPair, version: LogIndex, now: number): boolean {
    const isOwn = loser.node === this.#own.pair.node && loser.boot === this.#own.pair.boot;
    const released = isOwn ? this.#own.releasedVersion() : this.#grants.releasedBy(loser);
    return this.#rules.isAcknowledged(released, version) || (!isOwn && this.#grants.isGone(loser, now));
  }

  #commit(version: LogIndex, now: number, effects: ShardingEffect[]): void {
    // O-11: the floor rises in the step that appends, not when the entry comes back.
    this.#grants.onCommitAppended(version);
    this.#append({ kind: 'shardCommit', term: this.#leadership.term, version }, now, effects);
  }

  /** False when a plan is wanted and has to wait. */
  #plan(roster: Roster, now: number, effects: ShardingEffect[]): boolean {
    const active = this.#maps.active;
    this.#hasNobody = roster.candidates.length === 0;
    if (this.#hasNobody && !this.#mustReplace) return true;
    const notBefore = Math.max(this.#mayPlanFrom(roster, now), this.#lastPlanAt + this.#config.planSpacingMs);
    if (now < notBefore || !this.#isSettled) {
      if (now < notBefore) this.#wake(notBefore);
      return false;
    }
    this.#isFirstPlanMade = true;
    const plan = this.#makePlan(roster);
    const base = this.#maps.pending ?? active;
    if (plan === undefined || (base !== undefined && isSamePlan(plan, base) && !this.#mustReplace)) return true;
    const isUrgent = this.#mustReplace || roster.fates.some((fate) => fate === 'gone' || fate === 'leaving');
    if (!isUrgent && active !== undefined && !this.#takeToken(now)) return false;
    this.#checkLosers(plan, roster.fates);
    this.#lastPlanAt = now;
    const { owners, ownerOf } = plan;
    const shardCount = ownerOf.length;
    this.#stats.proposals += 1;
    const command = { kind: 'shardPropose', term: this.#leadership.term, shardCount, owners, ownerOf } as const;
    this.#append(command, now, effects);
    return true;
  }

  #makePlan(roster: Roster): Plan | undefined {
    const { active, pending, lastWorkerId } = this.#maps;
    if (roster.candidates.length === 0) return active;
    if (active !== undefined && this.#loads?.version !== active.version) {
      this.#loads = { version: active.version, counts: countLoads(active.ownerOf, active.owners.length) };
    }
    const pinned = new Set<number>();
    for (const [i, fate] of roster.fates.entries()) if (fate === 'pinned') pinned.add(i);
    return planShards({
      shardCount: active?.shardCount ?? pending?.shardCount ?? this.#config.shardCount,
      previous: active,
      ...(this.#loads === undefined ? {} : { loads: this.#loads.counts }),
      pinned,
      candidates: roster.candidates,
      promised: pending?.owners ?? [],
      lastWorkerId,
    });
  }

  /**
   * A first map waits until the cluster has gathered, so that it does not begin with a burst of maps: until everyone who is expected
   * holds a lease, else until nobody new has come for a while. A new leader waits until it has
   * heard every owner, at most for the grace of its predecessor (O-19): a plan made before would be made of guesses.
   */
  #mayPlanFrom(roster: Roster, now: number): number {
    const active = this.#maps.active;
    if (active !== undefined) {
      // The winners of an inherited proposal too: without them it would be superseded for nothing (O-21).
      const known = [...active.owners, ...(this.#maps.pending?.owners ?? [])];
      if (this.#isFirstPlanMade || this.#grants.hasHeardAll(known, now)) return now;
      return this.#leadership.electedAt + this.#config.predecessorGraceMs;
    }
    const gathered = new Set(roster.candidates.map((candidate) => candidate.node));
    if (this.#expected.length > 0 && this.#expected.every((node) => gathered.has(node))) return now;
    const count = gathered.size;
    this.#formation ??= { since: now, lastNewAt: now, count };
    if (count > this.#formation.count) this.#formation.lastNewAt = now;
    this.#formation.count = count;
    const { since, lastNewAt } = this.#formation;
    return Math.min(lastNewAt + this.#config.formationQuietMs, since + this.#config.formationMaxMs);
  }

  /** O-22: maps of other causes than death or drain. False, and a deadline, when none is left. */
  #takeToken(now: number): boolean {
    const perMs = this.#config.mapsPerSecond / 1_000;
    const most = Math.max(1, this.#config.mapsPerSecond);
    const left = Math.min(most, this.#tokens.left + (now - this.#tokens.at) * perMs);
    this.#tokens = { left, at: now };
    if (left < 1 - TOKEN_TOLERANCE) {
      this.#wake(now + (1 - left) / perMs);
      return false;
    }
    this.#tokens.left = left - 1;
    return true;
  }

  /** SO-10, O-18. */
  #checkLosers(plan: Plan, fates: readonly Fate[]): void {
    for (const loser of this.#losersOf(plan)) {
      const fate = fates[placeOf(this.#maps.active?.owners ?? [], loser)];
      assert(
        fate !== undefined && fate !== 'pinned',
        'SO-10: no proposal takes from an owner that would have to be waited for',
      );
    }
  }

  #findLosers(): void {
    this.#losers = this.#maps.pending === undefined ? [] : this.#losersOf(this.#maps.pending);
  }

  /** Owners of the active map from whom `next` takes a shard. */
  #losersOf(next: Plan): Owner[] {
    const active = this.#maps.active;
    if (active === undefined) return [];
    const stays = active.owners.map((owner) => placeOf(next.owners, owner));
    const loses = new Set<number>();
    for (let shard = 0; shard < active.shardCount; shard++) {
      const owner = active.ownerOf[shard] as number;
      if (stays[owner] !== next.ownerOf[shard]) loses.add(owner);
    }
    return active.owners.filter((_, i) => loses.has(i));
  }

  #append(command: ShardCommand, now: number, effects: ShardingEffect[]): void {
    assert(this.#inFlight === undefined && this.#isSettled, 'O-22: at most one map entry is on its way');
    this.#inFlight = { kind: command.kind, at: now };
    this.#wake(now + this.#config.appendRetryMs);
    effects.push({ kind: 'append', command });
  }

  #wake(at: number): void {
    if (at < this.#wakeAt) this.#wakeAt = at;
  }
}

function isSamePlan(plan: Plan, other: Plan): boolean {
  if (plan.owners.length !== other.owners.length || plan.ownerOf.length !== other.ownerOf.length) return false;
  for (const [i, owner] of plan.owners.entries()) {
    const twin = other.owners[i];
    if (twin?.node !== owner.node || twin.boot !== owner.boot) return false;
  }
  for (let shard = 0; shard < plan.ownerOf.length; shard++) {
    if (plan.ownerOf[shard] !== other.ownerOf[shard]) return false;
  }
  return true;
}
