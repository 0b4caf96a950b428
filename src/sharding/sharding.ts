/**
 * Who owns a shard: the door of the protocol of docs/ownership.md. Every node that is a member runs one: as a holder it renews its
 * lease and follows the maps, as the leader it also grants leases and moves shards.
 *
 *   lease.ts        how long this process may serve              own-shards.ts   which shards, as far as maps say
 *   grants.ts       leader: whom it grants, who is gone          coordinator.ts  leader: propose, acknowledge, commit
 *   map-state.ts    the replicated maps                          distribution.ts the planner
 *
 * The promise (SO-1): at no instant do two processes serve one shard. `owns(shard)` is `serving(shard)` while
 * `now + max(0, jump - 5 ms) < leaseUntil`, both clocks read at the call.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { Machine, MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { Boot, LogIndex, NodeId, ShardId, Term } from '../model/ids.ts';
import type { ShardingStats } from '../model/node-stats.ts';
import type { ServingEdition, ShardMap } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import { leaseTiming, RELEASE_SHARE, type ShardingConfig } from './config.ts';
import { Coordinator } from './coordinator.ts';
import { Grants } from './grants.ts';
import { HolderLease } from './lease.ts';
import { type MapChange, MapState } from './map-state.ts';
import type {
  LeaseMessage,
  NodeTraits,
  ShardingEffect,
  ShardingEvent,
  ShardingInput,
  WrittenShardCommand,
} from './messages.ts';
import { OwnShards } from './own-shards.ts';
import { OWNERSHIP_RULES, type OwnershipRules } from './rules.ts';

import { changedSettings, type SettingsProblem } from './settings-change.ts';

export { countLoads, type Plan, planShards } from './distribution.ts';

export interface ShardingSelf {
  readonly node: NodeId;
  readonly boot: Boot;
  /** This process holds the lock of its data directory (O-13). */
  readonly dirLocked: boolean;
  /** Wall clock minus monotonic clock as the process began, milliseconds; the maps of a leader without it bear no time. */
  readonly wallOffsetMs?: number;
}

type Leading = { readonly term: Term; readonly grants: Grants; readonly coordinator: Coordinator };

/** Nodes whose liveness is remembered; more than may hold leases are of no use. */
const CALLED_DEAD_MAX = 5_000;

/** The replicated part alone, for tools that read a log. */
export { MapState };

export class Sharding implements Machine<ShardingInput, ShardingEffect> {
  /** One object for all parts: the cluster's timing takes effect in each of them at once. */
  readonly #config: { -readonly [Setting in keyof ShardingConfig]: ShardingConfig[Setting] };
  readonly #self: ShardingSelf;
  readonly #rules: OwnershipRules;
  readonly #maps: MapState = new MapState();
  readonly #lease: HolderLease;
  readonly #shards: OwnShards;
  readonly #callsDead: Map<NodeId, number> = new Map();
  readonly #stats: ShardingStats;
  #leading: Leading | undefined;
  #voters: ReadonlySet<NodeId> = new Set();
  #expected: readonly NodeId[] = [];
  #traits: ReadonlyMap<NodeId, NodeTraits> = new Map();
  #jumpedMs = 0;
  #isSettled = false;
  #leaderUntil: number = Number.NEGATIVE_INFINITY;
  #isTransferring = false;
  #appliedIndex: LogIndex = 0 as LogIndex;
  #publishedUntil: number = Number.NEGATIVE_INFINITY;
  #hasLease = false;
  /** Renew as soon as something is applied: an answer said `behind`, or a leader is new and its noop is on the way (O-8). */
  #renewOnApply = false;
  #drain: { readonly sinceSeq: number; isTold: boolean } | undefined;
  #isStopped = false;
  #now: MonotonicMs;

  constructor(
    config: ShardingConfig,
    self: ShardingSelf,
    random: Random,
    now: MonotonicMs,
    rules: OwnershipRules = OWNERSHIP_RULES,
  ) {
    this.#config = { ...config };
    this.#self = self;
    this.#rules = rules;
    this.#now = now;
    this.#lease = new HolderLease(this.#config, self, random, rules);
    this.#shards = new OwnShards(self, rules, config.startsLoading);
    this.#stats = emptyStats();
  }

  /** The process of `node` that this leader accepts as its holder and has heard lately; undefined elsewhere. */
  holderBoot(node: NodeId): Boot | undefined {
    return node === this.#self.node ? this.#self.boot : this.#leading?.grants.liveBoot(node, this.#now);
  }

  /** Why the shards are not settled for this leader; undefined when they are: the plan is the map, and every owner renews. */
  unsettled(now: MonotonicMs): string | undefined {
    const leading = this.#leading;
    if (leading === undefined || !leading.grants.isReady) return 'this node does not lead';
    if (this.#maps.active === undefined) return 'there is no shard map yet';
    return leading.coordinator.unsettled(now);
  }

  /** O-1 without the lease: the epoch under which the maps let this process serve `shard`. */
  serving(shard: ShardId): LogIndex | undefined {
    return this.#isStopped ? undefined : this.#shards.epochOf(shard);
  }

  /** Another object whenever an answer of `serving` may be another. */
  get servingEdition(): ServingEdition {
    return this.#shards.edition;
  }

  /** Shards that the maps let this process serve, those included for which the application is not ready yet. */
  get ownedCount(): number {
    return this.#shards.servingCount + this.#shards.loadingCount;
  }

  /** O-2: what `publishLease` said last. */
  get leaseUntil(): number {
    return this.#publishedUntil;
  }

  /** When the leader answered last; -Infinity for never. A non-voter looks for another voter by it (O-16). */
  get answeredAt(): number {
    return this.#lease.answeredAt;
  }

  activeMap(): ShardMap | undefined {
    return this.#maps.active;
  }

  get pendingVersion(): LogIndex | undefined {
    return this.#maps.pending?.version;
  }

  get stats(): Readonly<ShardingStats> {
    return this.#stats;
  }

  /** What operators have agreed on. */
  get settings(): ShardSettings {
    return this.#maps.settings;
  }

  /** Leader only: what would be planned if, or why nobody can tell. Nothing changes. */
  whatIf(question: ShardWhatIf, now: MonotonicMs): ShardPlanReport | SettingsProblem | undefined {
    return this.#leading?.grants.isReady === true ? this.#leading.coordinator.whatIf(question, now) : undefined;
  }

  /** Leader only: the entry that changes the settings, for the log; or why it cannot be. */
  configure(change: ShardSettingsChange): WrittenShardCommand | SettingsProblem | undefined {
    if (this.#leading?.grants.isReady !== true) return undefined;
    const { settings, active } = this.#maps;
    const changed = changedSettings(settings, change, active);
    if ('problem' in changed) return changed;
    return {
      kind: 'shardConfigure',
      term: this.#leading.term,
      expects: settings.version,
      settings: changed,
    };
  }

  /** The replicated part, for a snapshot at the applied index. */
  image(): Uint8Array {
    return this.#maps.image();
  }

  /** clusterfunk's `ConfirmShardMap`: an acknowledgement that came by another way. False: not the leader, or another map is pending. */
  confirm(
    confirmation: { readonly node: NodeId; readonly version: LogIndex },
    now: MonotonicMs,
    effects: ShardingEffect[],
  ): { readonly success: boolean; readonly currentIndex: LogIndex } {
    const pending = this.#maps.pending;
    const currentIndex = pending?.version ?? this.#maps.activeVersion;
    const success = this.#leading !== undefined && pending !== undefined && pending.version === confirmation.version;
    if (success) this.step({ kind: 'confirmed', ...confirmation }, now, effects);
    return { success, currentIndex };
  }

  step(input: ShardingInput, now: MonotonicMs, effects: ShardingEffect[]): void {
    this.#now = now;
    if (input.kind === 'leaderHeard' && !this.#lease.onLeaderHeard(now)) return;
    this.#take(input, now, effects);
    this.#finish(now, effects);
  }

  tick(now: MonotonicMs, effects: ShardingEffect[]): void {
    this.#now = now;
    this.#finish(now, effects);
  }

  nextDeadline(): MonotonicMs {
    const leaseEnd = this.#hasLease ? this.#publishedUntil : Number.POSITIVE_INFINITY;
    return Math.min(this.#lease.renewAt, leaseEnd, this.#leading?.coordinator.wakeAt ?? Number.POSITIVE_INFINITY);
  }

  check(): void {
    this.#lease.check();
    if (!this.#isStopped) this.#shards.check(this.#maps);
    this.#leading?.grants.check(this.#now);
    assert(this.#publishedUntil === this.#lease.until, 'SO-9: what owns() reads is what the lease allows');
    assert(
      this.#shards.releasedVersion <=
        Math.max(this.#appliedIndex, this.#maps.activeVersion, this.#maps.pending?.version ?? 0),
      'a release follows its proposal',
    );
  }

  #take(input: ShardingInput, now: number, effects: ShardingEffect[]): void {
    switch (input.kind) {
      case 'leadership':
        return this.#onLeadership(input, now, effects);
      case 'leaderLease':
        this.#leaderUntil = input.until;
        this.#lease.onLeaderLease(input.until);
        return this.#leading?.grants.onLeaderLease(input.until, now, effects);
      case 'transferring':
        this.#isTransferring = input.active;
        this.#lease.onTransferring(input.active);
        return this.#leading?.grants.onTransferring(input.active, now, effects);
      case 'leaderKnown':
        this.#renewOnApply = input.leader !== undefined;
        return this.#lease.onLeaderKnown(input.leader, now);
      case 'leaderHeard':
        return;
      case 'logSettled':
        this.#isSettled = input.settled;
        return this.#leading?.coordinator.onSettled(input.settled);
      case 'applied':
        return this.#onApplied(input, now, effects);
      case 'appliedTo':
        return this.#onAppliedTo(input.index, now);
      case 'imageInstalled':
        return this.#onImage(input, now, effects);
      case 'received':
        return this.#onMessage(input.message, now, effects);
      case 'livenessChanged':
        return this.#onLiveness(input.node, input.alive, now);
      case 'votersChanged':
        this.#voters = new Set(input.nodes);
        return this.#leading?.grants.onVoters(this.#voters);
      case 'expected':
        this.#expected = input.nodes;
        return this.#leading?.coordinator.onExpected(input.nodes);
      case 'traits':
        this.#traits = input.nodes;
        return this.#leading?.coordinator.onTraits(input.nodes);
      case 'released':
        if (this.#shards.onReleased(input.version, now)) this.#lease.renewNow(now);
        return;
      case 'acquired':
        return this.#shards.onAcquired(input.shards, input.epoch);
      case 'confirmed':
        return this.#leading?.grants.confirm(input.node, input.version);
      case 'clockJumped':
        this.#jumpedMs += input.byMs;
        this.#lease.onJump(input.byMs);
        if (this.#hasLease && this.#lease.until <= now) this.#lease.renewNow(now);
        return;
      case 'timing':
        Object.assign(this.#config, leaseTiming(input.leaseMs), { clockDrift: input.clockDrift });
        return;
      case 'drain':
        this.#drain ??= { sinceSeq: this.#lease.lastSeq, isTold: false };
        this.#lease.renewNow(now);
        return this.#leading?.grants.onOwnWish(false);
      case 'undrain':
        this.#drain = undefined;
        this.#lease.renewNow(now);
        return this.#leading?.grants.onOwnWish(this.#wantsShards());
      case 'stopping':
        return this.#onStopping(now, effects);
      default:
        unreachable(input);
    }
  }

  #onLeadership(input: Extract<ShardingInput, { kind: 'leadership' }>, now: number, effects: ShardingEffect[]): void {
    this.#lease.onLeadership(input, now);
    if (!input.isLeader) {
      this.#leading = undefined;
      this.#isTransferring = false;
      this.#leaderUntil = Number.NEGATIVE_INFINITY;
      return;
    }
    const leading = this.#leading?.term === input.term ? this.#leading : this.#lead(input);
    this.#leading = leading;
    if (!input.isReady || leading.grants.isReady) return;
    leading.grants.onReady(now, effects);
    leading.coordinator.onReady(now);
  }

  #lead(input: Extract<ShardingInput, { kind: 'leadership' }>): Leading {
    const { term, electedAt, restedOnLease, predecessor } = input;
    const settings = { config: this.#config, rules: this.#rules, stats: this.#stats };
    const grants = new Grants(settings, this.#self, { term, electedAt, restedOnLease, predecessor }, this.#callsDead);
    grants.onVoters(this.#voters);
    grants.onOwnWish(this.#wantsShards());
    grants.onLeaderLease(this.#leaderUntil, electedAt, []);
    grants.onTransferring(this.#isTransferring, electedAt, []);
    const active = this.#maps.active;
    if (active !== undefined) grants.onActive(active.version, active.owners);
    const own = { pair: this.#self, releasedVersion: () => this.#shards.releasedVersion };
    const { wallOffsetMs } = this.#self;
    const wallMs = wallOffsetMs === undefined ? undefined : (now: number) => now + wallOffsetMs + this.#jumpedMs;
    const parts = { maps: this.#maps, grants, own, isSettled: this.#isSettled, wallMs };
    const coordinator = new Coordinator(settings, { term, electedAt }, parts);
    coordinator.onExpected(this.#expected);
    coordinator.onTraits(this.#traits);
    return { term, grants, coordinator };
  }

  #onApplied(input: Extract<ShardingInput, { kind: 'applied' }>, now: number, effects: ShardingEffect[]): void {
    const voided = this.#maps.pending?.version;
    const before = this.#maps.active;
    const change = this.#maps.apply(input.index, input.term, input.command);
    this.#appliedIndex = input.index;
    if (change === 'proposed' && voided !== undefined) this.#voided(voided, effects);
    this.#followMaps({ change, before }, now, effects);
    this.#leading?.coordinator.onApplied(input.command, now);
    if (change === 'proposed') notify(effects, { kind: 'mapProposed', version: input.index });
  }

  #onImage(input: Extract<ShardingInput, { kind: 'imageInstalled' }>, now: number, effects: ShardingEffect[]): void {
    const { activeVersion, pending } = this.#maps;
    this.#maps.install(input.image);
    this.#appliedIndex = input.index;
    if (
      pending !== undefined &&
      pending.version !== this.#maps.pending?.version &&
      pending.version !== this.#maps.activeVersion
    ) {
      this.#voided(pending.version, effects);
    }
    const change = this.#maps.activeVersion === activeVersion ? 'proposed' : 'committed';
    // What lay between the two maps is not known here: who had a shard last, neither.
    this.#followMaps({ change, before: undefined }, now, effects);
  }

  #onAppliedTo(index: LogIndex, now: number): void {
    assert(index >= this.#appliedIndex, 'the applied index never falls');
    this.#appliedIndex = index;
    if (!this.#renewOnApply) return;
    this.#renewOnApply = false;
    this.#lease.renewNow(now);
  }

  /** O-5, O-6, O-7: what the new maps mean for this process, and for the leader's floor. */
  #followMaps(
    { change, before }: { readonly change: MapChange; readonly before: ShardMap | undefined },
    now: number,
    effects: ShardingEffect[],
  ): void {
    if (change === 'ignored' || change === 'configured') return;
    if (!this.#isStopped) {
      const deadline = now + RELEASE_SHARE * this.#config.ackTimeoutMs;
      const maps = { active: this.#maps.active, pending: this.#maps.pending, before };
      if (this.#shards.follow(maps, deadline, effects)) this.#lease.renewNow(now);
    }
    const active = this.#maps.active;
    if (change !== 'committed' || active === undefined) return;
    this.#leading?.grants.onActive(active.version, active.owners);
    this.#stats.commits += 1;
    this.#stats.shardsMoved += this.#maps.moved;
    notify(effects, { kind: 'mapChanged', map: active });
  }

  #onMessage(message: LeaseMessage, now: number, effects: ShardingEffect[]): void {
    switch (message.kind) {
      case 'renew':
        return this.#leading?.grants.onRenew(message, now, effects);
      case 'release':
        return this.#leading?.grants.onRelease(message, now);
      case 'grant':
        if (message.node === this.#self.node) this.#lease.onGrant(message, now, effects);
        return;
      case 'refusal':
        if (message.node !== this.#self.node || message.boot !== this.#self.boot) return;
        this.#lease.onRefusal(message, now);
        if (message.reason === 'behind') this.#renewOnApply = true;
        notify(effects, { kind: 'refused', reason: message.reason });
    }
  }

  #onLiveness(node: NodeId, alive: boolean, now: number): void {
    this.#callsDead.delete(node);
    if (!alive && this.#callsDead.size < CALLED_DEAD_MAX) this.#callsDead.set(node, now);
    this.#leading?.grants.noteChange();
  }

  /** O-23: nothing is served from here on, and the leader hears it after the last request. */
  #onStopping(now: number, effects: ShardingEffect[]): void {
    if (this.#isStopped) return;
    const hasLeader = this.#lease.renewAt !== Number.POSITIVE_INFINITY;
    this.#isStopped = true;
    this.#lease.stop();
    this.#shards.stop();
    this.#publish(now, effects);
    const { node, boot } = this.#self;
    if (hasLeader) effects.push({ kind: 'sendToLeader', message: { kind: 'release', node, boot } });
  }

  /** What every step ends with: deadlines that are due, the lease as it is now, and the plain numbers. */
  #finish(now: number, effects: ShardingEffect[]): void {
    this.#leading?.coordinator.evaluate(now, effects);
    if (now >= this.#lease.renewAt) this.#renew(now, effects);
    this.#publish(now, effects);
    this.#tellDrained(effects);
    this.#stats.shardCount = this.#maps.active?.shardCount ?? 0;
    this.#stats.shardsOwned = this.#shards.servingCount;
    this.#stats.shardsLoading = this.#shards.loadingCount;
    this.#stats.mapVersion = this.#maps.activeVersion;
    this.#stats.mapCommittedAt = this.#maps.active?.committedAt ?? 0;
  }

  #renew(now: number, effects: ShardingEffect[]): void {
    const report = {
      appliedIndex: this.#appliedIndex,
      releasedVersion: this.#shards.releasedVersion,
      wantsShards: this.#wantsShards(),
    };
    this.#stats.renewalsSent += 1;
    effects.push({ kind: 'sendToLeader', message: this.#lease.renew(report, now) });
  }

  #publish(now: number, effects: ShardingEffect[]): void {
    const until = this.#lease.until;
    if (until !== this.#publishedUntil) {
      this.#publishedUntil = until;
      effects.push({ kind: 'publishLease', until });
    }
    const hasLease = now < until;
    if (hasLease === this.#hasLease) return;
    this.#hasLease = hasLease;
    if (!hasLease) this.#stats.leaseLosses += 1;
    notify(effects, { kind: hasLease ? 'leaseGained' : 'leaseLost' });
  }

  /** O-23: no map names this process, and the leader knows that none should. */
  #tellDrained(effects: ShardingEffect[]): void {
    const drain = this.#drain;
    if (drain === undefined || drain.isTold) return;
    const { active, pending } = this.#maps;
    const isOwner = [active, pending].some((map) =>
      map?.owners.some((owner) => owner.node === this.#self.node && owner.boot === this.#self.boot),
    );
    const coordinator = this.#leading?.grants.isReady === true ? this.#leading.coordinator : undefined;
    const isKnown = coordinator !== undefined || this.#lease.answeredSeq > drain.sinceSeq;
    if (coordinator?.hasNobody !== true && (isOwner || !isKnown)) return;
    drain.isTold = true;
    notify(effects, { kind: 'drained' });
  }

  #wantsShards(): boolean {
    return this.#config.wantsShards && this.#drain === undefined;
  }

  #voided(version: LogIndex, effects: ShardingEffect[]): void {
    this.#stats.proposalsVoided += 1;
    notify(effects, { kind: 'proposalVoided', version });
  }
}

function notify(effects: ShardingEffect[], event: ShardingEvent): void {
  effects.push({ kind: 'notify', event });
}

function emptyStats(): ShardingStats {
  return {
    shardCount: 0,
    shardsOwned: 0,
    shardsLoading: 0,
    mapVersion: 0,
    mapCommittedAt: 0,
    proposals: 0,
    commits: 0,
    proposalsVoided: 0,
    shardsMoved: 0,
    grantsGiven: 0,
    grantsRefused: 0,
    renewalsSent: 0,
    leaseLosses: 0,
    holdersGone: 0,
    acknowledgementsOverdue: 0,
  };
}
