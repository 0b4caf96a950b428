/**
 * Which shards this process may serve as far as maps say, and what it still has to let go of. docs/ownership.md O-1, O-5, O-6, O-7.
 *
 *   not mine -> serving      a commit names this process (O-7)
 *   not mine -> loading -> serving   the same, when the application is to be ready first
 *   serving, loading -> draining     a proposal takes it away: new work stops at once (O-5)
 *   draining -> drained      the application has said so
 *   draining, drained -> serving (or loading)   a newer proposal leaves it alone (O-6)
 *   draining -> left         a commit took it before the application was done; drained goes straight to not mine
 */
import { assert } from '../base/assert.ts';
import type { LogIndex, ShardId } from '../model/ids.ts';
import {
  type FormerOwner,
  type Owner,
  type ServingEdition,
  type ShardMap,
  sharedShards,
  slotCount,
} from '../model/shard-map.ts';
import type { PendingMap } from './map-state.ts';
import type { ShardingEffect } from './messages.ts';
import type { Numbering } from './resizing.ts';
import type { OwnerPair, OwnershipRules } from './rules.ts';

const NOT_MINE = 0;
const SERVING = 1;
const DRAINING = 2;
const DRAINED = 3;
const LEFT = 4;
const LOADING = 5;

export interface MapView {
  readonly active: ShardMap | undefined;
  readonly pending: PendingMap | undefined;
  /** The map that was active before this change, as far as it is known: whoever starts is told who had the shard. */
  readonly before?: ShardMap | undefined;
}

/** What starts together: of one epoch, for one reason. */
interface Starting {
  readonly epoch: LogIndex;
  readonly isResumed: boolean;
  readonly shards: ShardId[];
  readonly from: (FormerOwner | undefined)[];
}

export class OwnShards {
  readonly #self: OwnerPair;
  readonly #rules: OwnershipRules;
  readonly #startsLoading: boolean;
  #status: Uint8Array = new Uint8Array(0);
  #epochs: Float64Array = new Float64Array(0);
  #numbering: Numbering = { shardCount: 0 };
  #servingCount = 0;
  #loadingCount = 0;
  #edition: ServingEdition = { shardCount: 0 };
  #releasing: { readonly version: LogIndex; readonly deadline: number } | undefined;
  #releasedVersion: LogIndex = 0 as LogIndex;

  constructor(self: OwnerPair, rules: OwnershipRules, startsLoading: boolean) {
    this.#self = self;
    this.#rules = rules;
    this.#startsLoading = startsLoading;
  }

  /** The newest proposal whose losses are released here; never falls (SO-8). */
  get releasedVersion(): LogIndex {
    return this.#releasedVersion;
  }

  get servingCount(): number {
    return this.#servingCount;
  }

  /** Given to this process, and not served before the application is ready. */
  get loadingCount(): number {
    return this.#loadingCount;
  }

  /** Another object whenever an answer of `epochOf` may be another. */
  get edition(): ServingEdition {
    return this.#edition;
  }

  /** The epoch under which maps let this process serve `shard`; the lease is another question. */
  epochOf(shard: ShardId): LogIndex | undefined {
    return this.#status[shard] === SERVING ? (this.#epochs[shard] as LogIndex) : undefined;
  }

  /**
   * The maps have changed: stop what is lost at once, start what is gained, ask for the release of the rest by `deadline`. True when
   * the pending map takes only what was released before, for an older map: the leader may hear of it at once.
   */
  follow(maps: MapView, deadline: number, effects: ShardingEffect[]): boolean {
    const { active, pending } = maps;
    this.#renumber(active ?? pending ?? { shardCount: 0 });
    const slots = this.#status.length;
    const slotInPending = slotsIn(pending, this.#numbering);
    this.#edition = { shardCount: slots };
    const started: Starting[] = [];
    const formerOwner = formerOwners(maps.before, slotsIn(maps.before, this.#numbering));
    const toRelease: ShardId[] = [];
    const mine = active === undefined ? -1 : this.#placeIn(active.owners);
    const mineNext = pending === undefined ? -1 : this.#placeIn(pending.owners);
    const wasReleasing = this.#releasing;
    let drainedCount = 0;
    let isLost = false;
    this.#servingCount = 0;
    this.#loadingCount = 0;
    for (let shard = 0; shard < slots; shard++) {
      const byActive = active !== undefined && active.ownerOf[shard] === mine;
      // A shard that the pending map does not have is taken, as one that it gives to another is.
      const byPending = pending === undefined ? undefined : pending.ownerOf[slotInPending(shard)] === mineNext;
      const before = this.#status[shard] as number;
      if (this.#rules.mayServe(byActive, byPending)) {
        const epoch = (byActive ? (active.epochs[shard] as number) : 0) as LogIndex;
        this.#keep(shard as ShardId, epoch, formerOwner, started);
        continue;
      }
      const after = afterLoss(before, byActive);
      this.#status[shard] = after;
      if (after === DRAINED) drainedCount += 1;
      if (after === DRAINING || after === LEFT) toRelease.push(shard as ShardId);
      if (before === DRAINING && after === LEFT) isLost = true;
    }
    const version = pending?.version ?? active?.version ?? (0 as LogIndex);
    if (wasReleasing !== undefined && (isLost || wasReleasing.version !== version)) {
      const reason = isLost ? 'lost' : toRelease.length === 0 ? 'resumed' : 'superseded';
      effects.push({ kind: 'releaseOver', version: wasReleasing.version, reason });
    }
    for (const group of started) effects.push({ kind: 'start', ...group });
    const request = { version, deadline };
    const next = pending ?? active;
    const ownerNext = (shard: ShardId): OwnerPair | undefined =>
      ownerIn(next, pending === undefined ? shard : slotInPending(shard));
    return this.#ask(request, toRelease, ownerNext, effects) && drainedCount > 0;
  }

  /** The application is ready for these. One that was lost meanwhile, or is of another epoch now, is passed over. */
  onAcquired(shards: readonly ShardId[], epoch: LogIndex): void {
    for (const shard of shards) {
      if (this.#status[shard] !== LOADING || this.#epochs[shard] !== epoch) continue;
      this.#status[shard] = SERVING;
      this.#servingCount += 1;
      this.#loadingCount -= 1;
    }
    this.#edition = { shardCount: this.#status.length };
  }

  /** The application has released what was asked for. True when that is news for the leader. */
  onReleased(version: LogIndex, now: number): boolean {
    const releasing = this.#releasing;
    if (releasing === undefined || releasing.version !== version) return false;
    this.#releasing = undefined;
    for (let shard = 0; shard < this.#status.length; shard++) {
      if (this.#status[shard] === DRAINING) this.#status[shard] = DRAINED;
      else if (this.#status[shard] === LEFT) this.#status[shard] = NOT_MINE;
    }
    // O-5: too late to acknowledge. The leader leaves this node out, or has proposed anew already.
    if (now > releasing.deadline) return false;
    return this.#acknowledge(version);
  }

  /** Nothing is served any more, whatever maps come (orderly stop). */
  stop(): void {
    this.#renumber({ shardCount: 0 });
  }

  /** Throws unless what is served agrees with the maps. */
  check(maps: MapView): void {
    const { active, pending } = maps;
    const slotInPending = slotsIn(pending, this.#numbering);
    let count = 0;
    for (let shard = 0; shard < this.#status.length; shard++) {
      if (this.#status[shard] !== SERVING) continue;
      count += 1;
      const owner = active?.owners[active.ownerOf[shard] as number];
      const next = pending?.owners[pending.ownerOf[slotInPending(shard)] as number];
      assert(owner !== undefined && this.#isSelf(owner), 'O-1: what is served is named by the active map');
      assert(
        pending === undefined || (next !== undefined && this.#isSelf(next)),
        'O-1: no pending map takes what is served',
      );
      assert(this.#epochs[shard] === active?.epochs[shard], 'the epoch of what is served is the active map’s');
    }
    assert(count === this.#servingCount, 'the count of served shards is right');
  }

  /** True when nothing is left to release and that is news. */
  #ask(
    request: { readonly version: LogIndex; readonly deadline: number },
    shards: readonly ShardId[],
    ownerNext: (shard: ShardId) => OwnerPair | undefined,
    effects: ShardingEffect[],
  ): boolean {
    if (shards.length === 0) {
      this.#releasing = undefined;
      return this.#acknowledge(request.version);
    }
    if (this.#releasing?.version === request.version) return false;
    this.#releasing = request;
    const epochs = shards.map((shard) => this.#epochs[shard] as LogIndex);
    const to = shards.map(ownerNext);
    effects.push({ kind: 'release', shards, epochs, to, ...request });
    return false;
  }

  /** The maps let this process serve `shard` under `epoch`. */
  #keep(
    shard: ShardId,
    epoch: LogIndex,
    formerOwner: (shard: ShardId) => FormerOwner | undefined,
    started: Starting[],
  ): void {
    const was = this.#status[shard] as number;
    const isSame = this.#epochs[shard] === epoch;
    const isRunning = isSame && (was === SERVING || was === LOADING);
    if (!isRunning) {
      const isResumed = isSame && (was === DRAINING || was === DRAINED);
      let group = started.find((one) => one.epoch === epoch && one.isResumed === isResumed);
      if (group === undefined) {
        group = { epoch, isResumed, shards: [], from: [] };
        started.push(group);
      }
      group.shards.push(shard);
      group.from.push(isResumed ? { node: this.#self.node, boot: this.#self.boot, epoch } : formerOwner(shard));
    }
    const isLoading = isRunning ? was === LOADING : this.#startsLoading;
    this.#status[shard] = isLoading ? LOADING : SERVING;
    this.#epochs[shard] = epoch;
    if (isLoading) this.#loadingCount += 1;
    else this.#servingCount += 1;
  }

  #acknowledge(version: LogIndex): boolean {
    if (version <= this.#releasedVersion) return false;
    this.#releasedVersion = version;
    return true;
  }

  /** Shards that the new numbering has too keep what they are, wherever they stand in it; the others are of no concern any more. */
  #renumber(numbering: Numbering): void {
    const { shardCount, nextShardCount } = numbering;
    if (shardCount === this.#numbering.shardCount && nextShardCount === this.#numbering.nextShardCount) return;
    const [status, epochs] = [this.#status, this.#epochs];
    this.#status = new Uint8Array(slotCount(numbering));
    this.#epochs = new Float64Array(slotCount(numbering));
    for (const { count, before, after } of sharedShards(this.#numbering, numbering)) {
      this.#status.set(status.subarray(before, before + count), after);
      this.#epochs.set(epochs.subarray(before, before + count), after);
      // The application is told anew, by the new number: its word would be of the old one.
      if (before !== after) startAnew(this.#status.subarray(after, after + count));
    }
    this.#numbering = { shardCount, ...(nextShardCount !== undefined && { nextShardCount }) };
    this.#servingCount = countOf(this.#status, SERVING);
    this.#loadingCount = countOf(this.#status, LOADING);
    this.#edition = { shardCount: slotCount(numbering) };
  }

  #isSelf(owner: OwnerPair): boolean {
    return this.#rules.isSameOwner(owner, this.#self);
  }

  #placeIn(owners: readonly Owner[]): number {
    return owners.findIndex((owner) => this.#isSelf(owner));
  }
}

/** Where a shard of the one numbering stands in the columns of a map; -1 when that has it not. */
function slotsIn(map: Numbering | undefined, numbering: Numbering): (slot: number) => number {
  if (map === undefined) return () => -1;
  if (map.shardCount === numbering.shardCount && map.nextShardCount === numbering.nextShardCount) return (slot) => slot;
  const shared = sharedShards(numbering, map);
  return (slot) => {
    const stretch = shared.find(({ before, count }) => slot >= before && slot < before + count);
    return stretch === undefined ? -1 : stretch.after + slot - stretch.before;
  };
}

/** What becomes of a shard that may not be served. `byActive`: the active map still names this process. */
function afterLoss(before: number, byActive: boolean): number {
  switch (before) {
    case SERVING:
    case LOADING:
      return byActive ? DRAINING : LEFT;
    case DRAINING:
      return byActive ? DRAINING : LEFT;
    case DRAINED:
      return byActive ? DRAINED : NOT_MINE;
    case LEFT:
      return LEFT;
    default:
      // Named by the active map and taken by the pending one before it was ever served: nothing is in flight.
      return byActive ? DRAINED : NOT_MINE;
  }
}

/** Who had each shard by that map. One value for many shards: they cross threads, where what is shared goes once. */
function formerOwners(
  map: ShardMap | undefined,
  slotIn: (slot: number) => number,
): (shard: ShardId) => FormerOwner | undefined {
  const known = new Map<OwnerPair, Map<number, FormerOwner>>();
  return (shard) => {
    const slot = slotIn(shard);
    const owner = ownerIn(map, slot);
    if (map === undefined || owner === undefined) return undefined;
    const epoch = map.epochs[slot] as LogIndex;
    const ofOwner = known.get(owner) ?? new Map<number, FormerOwner>();
    known.set(owner, ofOwner);
    const former = ofOwner.get(epoch) ?? { node: owner.node, boot: owner.boot, epoch };
    ofOwner.set(epoch, former);
    return former;
  };
}

function ownerIn(map: Pick<PendingMap, 'owners' | 'ownerOf'> | undefined, shard: number): OwnerPair | undefined {
  return map?.owners[map.ownerOf[shard] as number];
}

function countOf(status: Uint8Array, wanted: number): number {
  let count = 0;
  for (const one of status) if (one === wanted) count += 1;
  return count;
}

function startAnew(status: Uint8Array): void {
  for (let slot = 0; slot < status.length; slot++) if (status[slot] === LOADING) status[slot] = NOT_MINE;
}
