/** Who owns which shard, as agreed. Immutable once published; typed arrays are never written to afterwards. */
import type { Boot, LogIndex, NodeId, ShardId } from './ids.ts';

/** Bounds hostile bytes, and lets one number of 16 bits per shard name its owner or its epoch. */
export const SHARD_COUNT_MAX = 65_535;

/** A process, by the name of its node and its start. Owners of shards are such pairs: a restarted process is another owner. */
export interface OwnerPair {
  readonly node: NodeId;
  readonly boot: Boot;
}

/** Who owns shards: a node and the start of its process. */
export interface Owner extends OwnerPair {
  /** 2 to 16383, handed out upward: clusterfunk's worker id. */
  readonly workerId: number;
}

/** In a column of standbys: there is none. */
export const NO_STANDBY = 0xffff;

/** The map that the cluster has agreed on. */
export interface ShardMap {
  /** Log index of the `ShardPropose` it came from. */
  readonly version: LogIndex;
  /** Log index of the `ShardCommit` that made it active. 0 while it is only proposed. */
  readonly committedAt: LogIndex;
  readonly shardCount: number;
  /**
   * While the number of shards changes: the number it changes to. Those shards have owners too; in all columns they come after the
   * `shardCount` shards of the old numbering. Absent when no change is under way.
   */
  readonly nextShardCount?: number;
  /** Distinct owners, sorted by node id. */
  readonly owners: readonly Owner[];
  /** Per shard: index into `owners`. Length is `shardCount` plus `nextShardCount`. */
  readonly ownerOf: Uint16Array;
  /** Per shard: the fencing token, the log index of the commit that gave it to its owner. As long as `ownerOf`. */
  readonly epochs: Float64Array;
  /**
   * One column for each standby that is wanted, the first in line first: per shard an index into `owners`, or {@link NO_STANDBY}. A
   * standby serves nothing; when the owner goes, it is the first choice. Absent when none are wanted.
   */
  readonly standbys?: readonly Uint16Array[];
}

/** The standbys of a shard, the first in line first. Empty for a shard that does not exist. `slot`: the place in the map's columns. */
export function standbysOf(map: Pick<ShardMap, 'owners' | 'standbys'>, slot: number): Owner[] {
  const owners: Owner[] = [];
  for (const column of map.standbys ?? []) {
    const owner = map.owners[column[slot] ?? NO_STANDBY];
    if (owner !== undefined) owners.push(owner);
  }
  return owners;
}

/** How many shards the columns of a map have, both numberings of a change counted. */
export function slotCount(map: Pick<ShardMap, 'shardCount' | 'nextShardCount'>): number {
  return map.shardCount + (map.nextShardCount ?? 0);
}

/**
 * Where a shard stands in the columns of a map; undefined when the map has no such shard. `shardCount` says which numbering is meant while
 * it changes; without it the older one is, until the change is done.
 */
export function slotOf(
  map: Pick<ShardMap, 'shardCount' | 'nextShardCount'>,
  shard: number,
  shardCount: number = map.shardCount,
): number | undefined {
  if (!Number.isInteger(shard) || shard < 0 || shard >= shardCount) return undefined;
  if (shardCount === map.shardCount) return shard;
  return shardCount === map.nextShardCount ? map.shardCount + shard : undefined;
}

/** Who had a shard before, and the fencing token it had it under. */
export interface FormerOwner extends OwnerPair {
  readonly epoch: LogIndex;
}

/**
 * Why a release need not go on. `resumed`: a newer proposal leaves the shards here. `superseded`: a newer proposal asks for another set, and
 * so does another release. `lost`: they are another's already.
 */
export type ReleaseEnd = 'resumed' | 'superseded' | 'lost';

/** What the application of one owner hands to the application of the next. */
export interface ShardState {
  readonly shard: ShardId;
  readonly bytes: Uint8Array;
}

/** Of one shard; more is refused. */
export const SHARD_STATE_BYTES_MAX: number = 1024 * 1024;
/** Of all shards of one release together. */
export const HANDED_OVER_BYTES_MAX: number = 16 * 1024 * 1024;

/** Which shards a node may serve: another object whenever it may be others, or under other epochs. */
export interface ServingEdition {
  readonly shardCount: number;
}

/** That this node served the shard at the instant of the answer. */
export interface Ownership {
  readonly shard: ShardId;
  /** The fencing token: rises with every change of owner of the shard, within one cluster id. */
  readonly epoch: LogIndex;
}

/** Shards that two maps have in common: so many, from this place in the columns of the one and from that in those of the other. */
export interface SharedShards {
  readonly count: number;
  readonly before: number;
  readonly after: number;
}

type Numberings = Pick<ShardMap, 'shardCount' | 'nextShardCount'>;

/** One or two stretches; while the number of shards changes, a map has shards that the one before it, or after it, has not. */
export function sharedShards(before: Numberings, after: Numberings): SharedShards[] {
  const shared: SharedShards[] = [];
  for (const [count, at] of numberings(before)) {
    for (const [other, place] of numberings(after))
      if (count === other) shared.push({ count, before: at, after: place });
  }
  return shared;
}

function numberings({ shardCount, nextShardCount }: Numberings): [count: number, place: number][] {
  return nextShardCount === undefined
    ? [[shardCount, 0]]
    : [
        [shardCount, 0],
        [nextShardCount, shardCount],
      ];
}
