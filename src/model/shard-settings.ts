/** What operators have agreed on about the spread of shards: one small replicated value. docs/ownership.md section 10. */
import type { LogIndex, NodeId } from './ids.ts';

/** Shards `from` to `to`, both included. */
export interface ShardRange {
  readonly from: number;
  readonly to: number;
}

export interface ShardCost extends ShardRange {
  /** A whole number; what is not named costs 1. */
  readonly cost: number;
}

export interface ShardRule extends ShardRange {
  readonly node: NodeId;
}

export interface ShardSettings {
  /** Log index of the entry that set it; 0: nobody has set anything. */
  readonly version: LogIndex;
  /** Standby owners of each shard. Default 0. */
  readonly replicas: number;
  /** Shards that one map takes from processes that serve them; 0 for any number. Default 0. */
  readonly moveCap: number;
  /** How long a worker id rests after its process is out of the map, milliseconds. Default {@link WORKER_QUARANTINE_MS}. */
  readonly workerQuarantineMs: number;
  /** Share of a node beside the others; goes before what the node says itself (tag `fn.weight`). */
  readonly nodeWeights: ReadonlyMap<NodeId, number>;
  /** Ascending and apart. */
  readonly shardCosts: readonly ShardCost[];
  /** Shards that belong on a node whenever it takes shards. Ascending and apart. */
  readonly pins: readonly ShardRule[];
  /** Shards that no copy of may be on a node. Sorted by node, then ascending and apart. */
  readonly avoided: readonly ShardRule[];
  /** Nodes that take no shards. Sorted. */
  readonly excluded: readonly NodeId[];
  /** The number of shards that is to be; 0: as many as there are. */
  readonly shardCount: number;
  /** The number of shards that a change leads to, while both live; 0: no change is under way. */
  readonly nextShardCount: number;
}

/**
 * Worker ids go into ids that applications make (with a clock of milliseconds and a counter), and a process that lost its shards may go on
 * making them until it is told: an hour is beyond any partition that nobody attends to, and beyond the error of clocks that are kept at
 * all. At one restart a second 3,600 of 16,382 ids rest.
 */
export const WORKER_QUARANTINE_MS: number = 60 * 60 * 1_000;
/** A week: more would let a crash loop use up all ids. */
export const WORKER_QUARANTINE_MS_MAX: number = 7 * 24 * 60 * 60 * 1_000;
/** Copies of a shard cost memory and hand-overs on every node; more standbys than this guard against nothing that a backup does not. */
export const REPLICAS_MAX = 4;
export const MOVE_CAP_MAX = 65_535;
export const NODE_WEIGHT_MIN = 0.01;
export const NODE_WEIGHT_MAX = 1_000;
export const SHARD_COST_MAX = 1_000_000;
/** Of each list. Every plan looks at all of them, and every snapshot carries them. */
export const SHARD_RULES_MAX = 1_024;

export const DEFAULT_SHARD_SETTINGS: ShardSettings = {
  version: 0 as LogIndex,
  replicas: 0,
  moveCap: 0,
  workerQuarantineMs: WORKER_QUARANTINE_MS,
  nodeWeights: new Map(),
  shardCosts: [],
  pins: [],
  avoided: [],
  excluded: [],
  shardCount: 0,
  nextShardCount: 0,
};
