/**
 * The leader's part in moving shards: plan, propose, gather acknowledgements, commit. It keeps no promise of its own; `grants.ts`
 * says who is certainly done serving, and the log says what holds. docs/ownership.md section 5.
 *
 *   idle -> proposing (appended, not applied) -> waiting (applied, losers release) -> committing (appended) -> idle
 *   waiting -> proposing: a loser is overdue (O-20), or the plan of a predecessor no longer fits (O-21)
 */
import { assert } from '../base/assert.ts';
import type { Boot, LogIndex, NodeId, Term } from '../model/ids.ts';
import type { ShardingStats } from '../model/node-stats.ts';
import { type Owner, sharedShards, slotCount } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import type { ShardingConfig } from './config.ts';
import { countLoads, type Plan, type PlanRequest, planShards } from './distribution.ts';
import type { Fate, Grants, Roster } from './grants.ts';
import { type MapState, placeOf } from './map-state.ts';
import type { ShardCommand, ShardingEffect, WrittenShardCommand } from './messages.ts';
import { explainPlan } from './plan-report.ts';
import { type Numbering, numberingAfter } from './resizing.ts';
import type { OwnerPair, OwnershipRules } from './rules.ts';
import type { NodeTraits } from './seats.ts';
import { changedSettings, type SettingsProblem } from './settings-change.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A token that lacks no more than a rounding error is whole; its deadline would not lie ahead of now. */
const TOKEN_TOLERANCE = 1e-6;

export interface Leadership {
  readonly term: Term;
  readonly electedAt: number;
}

type PlannedMap = Numbering & Plan;

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
  readonly #wallMs: ((now: number) => number) | undefined;
  /** What a plan was last made of; undefined before the first. */
  #roster: Roster | undefined;
  #traits: ReadonlyMap<NodeId, NodeTraits> = new Map();
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
  /** The last look found nothing to do. */
  #isPlanDone = false;

  constructor(
    settings: { readonly config: ShardingConfig; readonly rules: OwnershipRules; readonly stats: ShardingStats },
    leadership: Leadership,
    parts: {
      readonly maps: MapState;
      readonly grants: Grants;
      readonly own: OwnPart;
      readonly isSettled: boolean;
      /** Unix milliseconds; maps bear no time without it. */
      readonly wallMs: ((now: number) => number) | undefined;
    },
  ) {
    this.#config = settings.config;
    this.#rules = settings.rules;
    this.#stats = settings.stats;
    this.#leadership = leadership;
    this.#maps = parts.maps;
    this.#grants = parts.grants;
    this.#own = parts.own;
    this.#isSettled = parts.isSettled;
    this.#wallMs = parts.wallMs;
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

  /** What the nodes say of themselves. */
  onTraits(traits: ReadonlyMap<NodeId, NodeTraits>): void {
    this.#traits = traits;
    this.#grants.noteChange();
  }

  /** What would be planned if; or why nobody can tell. Nothing changes. */
  whatIf({ without, joined, change }: ShardWhatIf, now: number): ShardPlanReport | SettingsProblem {
    const roster = this.#roster;
    if (roster === undefined) return { problem: 'the leader has made no plan yet: ask again in a second' };
    const { active, settings } = this.#maps;
    const changed = changedSettings(settings, change, active);
    if ('problem' in changed) return changed;
    const gone = new Set(without);
    const known = new Set([...(active?.owners ?? []), ...roster.candidates].map(({ node }) => node));
    const stranger = without.find((node) => !known.has(node));
    if (stranger !== undefined) return { problem: `${stranger} has no shards and could be given none` };
    const owners = active?.owners ?? [];
    const request = this.#planRequest({ ...roster, settings: changed, now });
    const isLeft = (owner: number): boolean => !gone.has(owners[owner]?.node ?? ('' as NodeId));
    const newcomers = joined.filter((node) => !known.has(node)).map((node) => ({ node, boot: 0 as Boot }));
    const report = explainPlan({
      active,
      request: {
        ...request,
        candidates: [...roster.candidates.filter(({ node }) => !gone.has(node)), ...newcomers].sort((a, b) =>
          a.node < b.node ? -1 : 1,
        ),
        pinned: new Set([...request.pinned].filter(isLeft)),
        leaving: new Set([...(request.leaving ?? [])].filter(isLeft)),
      },
    });
    return report ?? { problem: 'there would be nobody to give the shards to' };
  }

  /** A shard command was applied, whoever wrote it. */
  onApplied(command: ShardCommand, now: number): void {
    const appendedAt = this.#inFlight?.kind === command.kind ? this.#inFlight.at : undefined;
    this.#inFlight = undefined;
    if (command.kind === 'shardPropose') {
      this.#isInherited = command.term !== this.#leadership.term;
      this.#acksFrom = this.#isInherited ? this.#readyAt : (appendedAt ?? now);
      this.#mustReplace = false;
    } else if (command.kind === 'shardConfigure') this.#grants.noteChange();
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
    this.#roster = roster;
    this.#rosterChangesAt = roster.nextChangeAt;
    this.#wake(roster.nextChangeAt);
    this.#isPlanDone = this.#plan(roster, now, effects);
    if (!this.#isPlanDone) this.#grants.noteChange();
  }

  /** Why shards may move soon, in words; undefined when nothing is known that would move any. */
  unsettled(now: number): string | undefined {
    if (this.#maps.pending !== undefined || this.#inFlight !== undefined) return 'shards are moving';
    const silent = this.#grants.silentOwner(this.#maps.active?.owners ?? [], now);
    if (silent !== undefined) return `node ${silent} owns shards and is silent`;
    return this.#isPlanDone && !this.#grants.hasChanged ? undefined : 'shards are about to move';
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
    const plan = this.#makePlan(roster, now);
    const base = this.#maps.pending ?? active;
    if (plan === undefined || (base !== undefined && isSameMap(plan, base) && !this.#mustReplace)) return true;
    const isUrgent = this.#mustReplace || roster.fates.some((fate) => fate === 'gone' || fate === 'leaving');
    if (!isUrgent && active !== undefined && !this.#takeToken(now)) return false;
    this.#checkLosers(plan, roster.fates);
    this.#lastPlanAt = now;
    this.#stats.proposals += 1;
    const atMs = this.#wallMs === undefined ? {} : { atMs: Math.floor(this.#wallMs(now)) };
    const { shardCount, nextShardCount, owners, ownerOf, standbys } = plan;
    const columns = { owners, ownerOf, ...(standbys !== undefined && { standbys }) };
    const numbering = { shardCount, ...(nextShardCount !== undefined && { nextShardCount }) };
    const { term } = this.#leadership;
    this.#append({ kind: 'shardPropose', term, ...atMs, ...numbering, ...columns }, now, effects);
    return true;
  }

  #makePlan(roster: Roster, now: number): PlannedMap | undefined {
    const { active, settings } = this.#maps;
    if (roster.candidates.length === 0) return active;
    const request = this.#planRequest({ ...roster, settings, now });
    // With everybody excluded, all stays as it is.
    const plan = planShards(request) ?? active;
    if (plan === undefined) return undefined;
    const { shardCount, nextShardCount } = request;
    return { shardCount, ...(nextShardCount !== undefined && { nextShardCount }), ...plan };
  }

  #planRequest({ fates, candidates, settings, now }: Roster & { settings: ShardSettings; now: number }): PlanRequest {
    const { active, pending, lastWorkerId } = this.#maps;
    if (active !== undefined && this.#loads?.version !== active.version) {
      this.#loads = { version: active.version, counts: countLoads(active.ownerOf, active.owners.length) };
    }
    const pinned = new Set<number>();
    const leaving = new Set<number>();
    for (const [i, fate] of fates.entries()) {
      if (fate === 'pinned') pinned.add(i);
      if (fate === 'leaving') leaving.add(i);
    }
    const atMs = this.#wallMs?.(now) ?? 0;
    return {
      ...this.#numbering(settings, pinned.size > 0),
      previous: active,
      ...(this.#loads === undefined ? {} : { loads: this.#loads.counts }),
      pinned,
      leaving,
      candidates,
      traits: this.#traits,
      settings,
      promised: pending?.owners ?? [],
      lastWorkerId,
      isResting: (workerId) => this.#maps.isResting(workerId, atMs),
    };
  }

  /** A number of shards ends for all at once, so nobody may have to be waited for (O-18). */
  #numbering(settings: ShardSettings, isSomebodySilent: boolean): Numbering {
    const { active, pending } = this.#maps;
    if (active === undefined) return { shardCount: pending?.shardCount ?? this.#config.shardCount };
    const next = numberingAfter(active, settings);
    const isEnding = active.nextShardCount !== undefined && next.nextShardCount === undefined;
    const { shardCount, nextShardCount } = active;
    return isEnding && isSomebodySilent
      ? { shardCount, ...(nextShardCount !== undefined && { nextShardCount }) }
      : next;
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
  #checkLosers(plan: PlannedMap, fates: readonly Fate[]): void {
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
  #losersOf(next: PlannedMap): Owner[] {
    const active = this.#maps.active;
    if (active === undefined) return [];
    const stays = active.owners.map((owner) => placeOf(next.owners, owner));
    const loses = new Set<number>();
    const isKept = new Uint8Array(slotCount(active));
    for (const { count, before, after } of sharedShards(active, next)) {
      isKept.fill(1, before, before + count);
      for (let i = 0; i < count; i++) {
        const owner = active.ownerOf[before + i] as number;
        if (stays[owner] !== next.ownerOf[after + i]) loses.add(owner);
      }
    }
    // A number of shards that ends takes its shards from everybody.
    for (let slot = isKept.indexOf(0); slot >= 0; slot = isKept.indexOf(0, slot + 1))
      loses.add(active.ownerOf[slot] as number);
    return active.owners.filter((_, i) => loses.has(i));
  }

  #append(command: WrittenShardCommand, now: number, effects: ShardingEffect[]): void {
    assert(this.#inFlight === undefined && this.#isSettled, 'O-22: at most one map entry is on its way');
    this.#inFlight = { kind: command.kind, at: now };
    this.#wake(now + this.#config.appendRetryMs);
    effects.push({ kind: 'append', command });
  }

  #wake(at: number): void {
    if (at < this.#wakeAt) this.#wakeAt = at;
  }
}

function isSameMap(plan: PlannedMap, other: PlannedMap): boolean {
  if (plan.shardCount !== other.shardCount || plan.nextShardCount !== other.nextShardCount) return false;
  if (plan.owners.length !== other.owners.length) return false;
  for (const [i, owner] of plan.owners.entries()) {
    const twin = other.owners[i];
    if (twin?.node !== owner.node || twin.boot !== owner.boot) return false;
  }
  const [standbys, others] = [plan.standbys ?? [], other.standbys ?? []];
  if (standbys.length !== others.length || !isSameColumn(plan.ownerOf, other.ownerOf)) return false;
  return standbys.every((column, rank) => isSameColumn(column, others[rank] as Uint16Array));
}

function isSameColumn(column: Uint16Array, other: Uint16Array): boolean {
  if (column.length !== other.length) return false;
  for (let i = 0; i < column.length; i++) if (column[i] !== other[i]) return false;
  return true;
}
