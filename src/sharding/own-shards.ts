/**
 * Which shards this process may serve as far as maps say, and what it still has to let go of. docs/ownership.md O-1, O-5, O-6, O-7.
 *
 *   not mine -> serving      a commit names this process (O-7)
 *   serving  -> draining     a proposal takes it away: new work stops at once (O-5)
 *   draining -> drained      the application has said so
 *   draining, drained -> serving   a newer proposal leaves it alone (O-6)
 *   draining -> left         a commit took it before the application was done; drained goes straight to not mine
 */
import { assert } from '../base/assert.ts';
import type { LogIndex, ShardId } from '../model/ids.ts';
import type { Owner, ServingEdition, ShardMap } from '../model/shard-map.ts';
import type { PendingMap } from './map-state.ts';
import type { ShardingEffect } from './messages.ts';
import type { OwnerPair, OwnershipRules } from './rules.ts';

const NOT_MINE = 0;
const SERVING = 1;
const DRAINING = 2;
const DRAINED = 3;
const LEFT = 4;

export interface MapView {
  readonly active: ShardMap | undefined;
  readonly pending: PendingMap | undefined;
}

export class OwnShards {
  readonly #self: OwnerPair;
  readonly #rules: OwnershipRules;
  #status: Uint8Array = new Uint8Array(0);
  #epochs: Float64Array = new Float64Array(0);
  #servingCount = 0;
  #edition: ServingEdition = { shardCount: 0 };
  #releasing: { readonly version: LogIndex; readonly deadline: number } | undefined;
  #releasedVersion: LogIndex = 0 as LogIndex;

  constructor(self: OwnerPair, rules: OwnershipRules) {
    this.#self = self;
    this.#rules = rules;
  }

  /** The newest proposal whose losses are released here; never falls (SO-8). */
  get releasedVersion(): LogIndex {
    return this.#releasedVersion;
  }

  get servingCount(): number {
    return this.#servingCount;
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
    const shardCount = (active ?? pending)?.shardCount ?? 0;
    if (this.#status.length !== shardCount) this.#resize(shardCount);
    this.#edition = { shardCount };
    const started = new Map<LogIndex, ShardId[]>();
    const toRelease: ShardId[] = [];
    const mine = active === undefined ? -1 : this.#placeIn(active.owners);
    const mineNext = pending === undefined ? -1 : this.#placeIn(pending.owners);
    let drainedCount = 0;
    this.#servingCount = 0;
    for (let shard = 0; shard < shardCount; shard++) {
      const byActive = active !== undefined && active.ownerOf[shard] === mine;
      const byPending = pending === undefined ? undefined : pending.ownerOf[shard] === mineNext;
      const epoch = (byActive ? active.epochs[shard] : 0) as LogIndex;
      const before = this.#status[shard] as number;
      if (this.#rules.mayServe(byActive, byPending)) {
        if (before !== SERVING || this.#epochs[shard] !== epoch) push(started, epoch, shard as ShardId);
        this.#status[shard] = SERVING;
        this.#epochs[shard] = epoch;
        this.#servingCount += 1;
        continue;
      }
      const after = afterLoss(before, byActive);
      this.#status[shard] = after;
      if (after === DRAINED) drainedCount += 1;
      if (after === DRAINING || after === LEFT) toRelease.push(shard as ShardId);
    }
    for (const [epoch, shards] of started) effects.push({ kind: 'start', shards, epoch });
    const version = pending?.version ?? active?.version ?? (0 as LogIndex);
    return this.#ask({ version, deadline }, toRelease, effects) && drainedCount > 0;
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
    this.#resize(0);
  }

  /** Throws unless what is served agrees with the maps. */
  check(maps: MapView): void {
    const { active, pending } = maps;
    let count = 0;
    for (let shard = 0; shard < this.#status.length; shard++) {
      if (this.#status[shard] !== SERVING) continue;
      count += 1;
      const owner = active?.owners[active.ownerOf[shard] as number];
      const next = pending?.owners[pending.ownerOf[shard] as number];
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
    effects: ShardingEffect[],
  ): boolean {
    if (shards.length === 0) {
      this.#releasing = undefined;
      return this.#acknowledge(request.version);
    }
    if (this.#releasing?.version === request.version) return false;
    this.#releasing = request;
    effects.push({ kind: 'release', shards, ...request });
    return false;
  }

  #acknowledge(version: LogIndex): boolean {
    if (version <= this.#releasedVersion) return false;
    this.#releasedVersion = version;
    return true;
  }

  #resize(shardCount: number): void {
    this.#status = new Uint8Array(shardCount);
    this.#epochs = new Float64Array(shardCount);
    this.#servingCount = 0;
    this.#edition = { shardCount };
  }

  #isSelf(owner: OwnerPair): boolean {
    return this.#rules.isSameOwner(owner, this.#self);
  }

  #placeIn(owners: readonly Owner[]): number {
    return owners.findIndex((owner) => this.#isSelf(owner));
  }
}

/** What becomes of a shard that may not be served. `byActive`: the active map still names this process. */
function afterLoss(before: number, byActive: boolean): number {
  switch (before) {
    case SERVING:
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

function push(groups: Map<LogIndex, ShardId[]>, epoch: LogIndex, shard: ShardId): void {
  const group = groups.get(epoch);
  if (group === undefined) groups.set(epoch, [shard]);
  else group.push(shard);
}
