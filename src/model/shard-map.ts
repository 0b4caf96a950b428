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

/** The map that the cluster has agreed on. */
export interface ShardMap {
  /** Log index of the `ShardPropose` it came from. */
  readonly version: LogIndex;
  /** Log index of the `ShardCommit` that made it active. 0 while it is only proposed. */
  readonly committedAt: LogIndex;
  readonly shardCount: number;
  /** Distinct owners, sorted by node id. */
  readonly owners: readonly Owner[];
  /** Per shard: index into `owners`. Length is `shardCount`. */
  readonly ownerOf: Uint16Array;
  /** Per shard: the fencing token, the log index of the commit that gave it to its owner. Length is `shardCount`. */
  readonly epochs: Float64Array;
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
