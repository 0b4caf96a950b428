/** What the management client asks and answers about the spread of shards. */
import type { PlanShardsRequest } from '../gen/funk/v1/PlanShardsRequest.ts';
import type { PlanShardsResponse__Output } from '../gen/funk/v1/PlanShardsResponse.ts';
import type { ShardSettings__Output } from '../gen/funk/v1/ShardSettings.ts';
import type { ShardSettingsChange as ChangeMessage } from '../gen/funk/v1/ShardSettingsChange.ts';

/** A plan explained. `fewest` is the theoretical minimum of moves; a bound unless `isFewestExact`. */
export type ShardPlan = PlanShardsResponse__Output;
/** What is agreed on about the spread of shards. */
export type ShardSettingsAnswer = ShardSettings__Output;

/** Shards `from` to `to`, both included. */
export interface ShardStretch {
  readonly from: number;
  readonly to: number;
}

/** What is to be different; what is absent stays. */
export interface ShardSettingsChange {
  /** Standbys of each shard: 0 to 4. */
  readonly replicas?: number;
  /** Shards that one map takes from nodes that serve them; 0 for any number. */
  readonly moveCap?: number;
  /** How long a worker id rests, in milliseconds; at most 7 days. */
  readonly workerQuarantineMs?: number;
  /** 0.01 to 1000; undefined: what the node says itself. */
  readonly nodeWeights?: readonly { readonly node: string; readonly weight: number | undefined }[];
  /** 1 to 1,000,000; 1 is none. */
  readonly shardCosts?: readonly (ShardStretch & { readonly cost: number })[];
  readonly pin?: readonly (ShardStretch & { readonly node: string })[];
  readonly unpin?: readonly ShardStretch[];
  readonly avoid?: readonly (ShardStretch & { readonly node: string })[];
  readonly unavoid?: readonly (ShardStretch & { readonly node: string })[];
  /** Nodes that take no shards, and nodes that take some again. */
  readonly exclude?: readonly string[];
  readonly include?: readonly string[];
  readonly resize?: { readonly kind: 'begin'; readonly to: number } | { readonly kind: 'done' | 'abort' };
}

export interface ShardQuestion {
  /** As if these were dead. */
  readonly without?: readonly string[];
  /** As if these were here too. */
  readonly joined?: readonly string[];
  readonly change?: ShardSettingsChange;
}

export function shardQuestion({ without = [], joined = [], change = {} }: ShardQuestion): PlanShardsRequest {
  return { without: [...without], joined: [...joined], change: changeMessage(change) };
}

export function changeMessage(change: ShardSettingsChange): ChangeMessage {
  const { replicas, moveCap, workerQuarantineMs, resize } = change;
  return {
    ...(replicas !== undefined && { replicas }),
    ...(moveCap !== undefined && { moveCap }),
    ...(workerQuarantineMs !== undefined && { workerQuarantineMs }),
    nodeWeights: (change.nodeWeights ?? []).map(({ node, weight = 0 }) => ({ nodeId: node, weight })),
    shardCosts: [...(change.shardCosts ?? [])],
    pin: (change.pin ?? []).map(ruleMessage),
    unpin: [...(change.unpin ?? [])],
    avoid: (change.avoid ?? []).map(ruleMessage),
    unavoid: (change.unavoid ?? []).map(ruleMessage),
    exclude: [...(change.exclude ?? [])],
    include: [...(change.include ?? [])],
    resize: resize?.kind ?? '',
    resizeTo: resize?.kind === 'begin' ? resize.to : 0,
  };
}

function ruleMessage({ from, to, node }: ShardStretch & { readonly node: string }): {
  from: number;
  to: number;
  nodeId: string;
} {
  return { from, to, nodeId: node };
}
