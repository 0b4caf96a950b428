/** What operators ask about the spread of shards, and what they are told. docs/ownership.md section 10. */
import type { LogIndex, NodeId } from './ids.ts';
import type { ShardCost, ShardRange, ShardRule, ShardSettings } from './shard-settings.ts';

/** What is to be different in the settings; what is absent stays. Later parts go before earlier ones. */
export interface ShardSettingsChange {
  readonly replicas?: number;
  readonly moveCap?: number;
  readonly workerQuarantineMs?: number;
  /** Undefined: back to what the node says itself. */
  readonly nodeWeights?: ReadonlyMap<NodeId, number | undefined>;
  /** A cost of 1 is none. */
  readonly shardCosts?: readonly ShardCost[];
  readonly unpin?: readonly ShardRange[];
  readonly pin?: readonly ShardRule[];
  readonly unavoid?: readonly ShardRule[];
  readonly avoid?: readonly ShardRule[];
  readonly include?: readonly NodeId[];
  readonly exclude?: readonly NodeId[];
  readonly resize?: ShardResize;
}

export type ShardResize =
  /** From now on shards of both numbers are owned. */
  | { readonly kind: 'begin'; readonly to: number }
  /** The older ones are owned no more. */
  | { readonly kind: 'done' }
  /** The newer ones are owned no more. */
  | { readonly kind: 'abort' };

/** What would be planned if. */
export interface ShardWhatIf {
  /** As if these were dead. */
  readonly without: readonly NodeId[];
  /** As if these were here too. */
  readonly joined: readonly NodeId[];
  readonly change: ShardSettingsChange;
}

/**
 * `death`: its owner is gone. `drain`: its owner gives everything away. `excluded`: its owner takes no shards. `pin`: it belongs where it goes.
 * `avoid`: it must not be where it is. `balance`: another has less than its share. `new`: nobody had it.
 */
export type MoveReason = 'death' | 'drain' | 'excluded' | 'pin' | 'avoid' | 'balance' | 'new';

export interface PlannedNode {
  readonly node: NodeId;
  readonly weight: number;
  readonly zone: string;
  /** Shards it owns. */
  readonly before: number;
  readonly after: number;
  /** Shards it stands by for. */
  readonly standbyBefore: number;
  readonly standbyAfter: number;
  readonly movesIn: number;
  readonly movesOut: number;
}

/** Shards that go one way for one reason. */
export interface PlannedMoves {
  /** Empty for shards that nobody had. */
  readonly from: NodeId | '';
  readonly to: NodeId;
  readonly reason: MoveReason;
  readonly count: number;
  /** How many of them go to one of their standbys. */
  readonly toStandby: number;
  /** The first of them. */
  readonly examples: readonly number[];
}

/** Examples of each kind of move. */
export const PLAN_EXAMPLES_MAX = 8;

export interface ShardPlanReport {
  /** Version of the map that the plan begins with; 0 for none. */
  readonly mapVersion: LogIndex;
  readonly shardCount: number;
  /** While the number of shards changes; else 0. Its shards are counted too. */
  readonly nextShardCount: number;
  /** Those that were asked about, if any, else those in force. */
  readonly settings: ShardSettings;
  /** Everyone in the map before or after; sorted by node id. */
  readonly nodes: readonly PlannedNode[];
  readonly moves: readonly PlannedMoves[];
  /** Shards that get another owner in all, and the fewest that would do. */
  readonly moved: number;
  readonly fewest: number;
  /** False when shards cost differently: then the fewest is a bound that may lie below what can be had. */
  readonly isFewestExact: boolean;
  /** Standbys that are new, by why: `zone` when the one before was in the zone of another copy. */
  readonly standbysMoved: number;
  readonly standbysMovedForZones: number;
  /** Maps until it is done; more than one with a cap on moves. */
  readonly steps: number;
  /** What cannot be had: too few zones, pins on nodes that are not here. */
  readonly notes: readonly string[];
}
