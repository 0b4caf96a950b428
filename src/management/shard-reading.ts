/** Settings and plans of the spread of shards, as messages of `funk.v1`, and back. Pure functions. */
import type { PlanShardsResponse } from '../gen/funk/v1/PlanShardsResponse.ts';
import type { ShardSettings as SettingsMessage } from '../gen/funk/v1/ShardSettings.ts';
import type { ShardSettingsChange__Output } from '../gen/funk/v1/ShardSettingsChange.ts';
import type { NodeId } from '../model/ids.ts';
import type { ShardPlanReport, ShardResize, ShardSettingsChange } from '../model/shard-plan.ts';
import type { ShardRule, ShardSettings } from '../model/shard-settings.ts';
import { requireNodeId } from './arguments.ts';
import { InvalidRequestError } from './errors.ts';

export function settingsMessage(settings: ShardSettings): SettingsMessage {
  return {
    version: settings.version,
    replicas: settings.replicas,
    moveCap: settings.moveCap,
    workerQuarantineMs: settings.workerQuarantineMs,
    nodeWeights: [...settings.nodeWeights].map(([nodeId, weight]) => ({ nodeId, weight })),
    shardCosts: [...settings.shardCosts],
    pins: settings.pins.map(ruleMessage),
    avoided: settings.avoided.map(ruleMessage),
    excluded: [...settings.excluded],
    nextShardCount: settings.nextShardCount,
  };
}

export function planMessage(report: ShardPlanReport, leaderId: NodeId): PlanShardsResponse {
  const { settings, nodes, moves, notes, ...numbers } = report;
  return {
    ...numbers,
    leaderId,
    settings: settingsMessage(settings),
    nodes: nodes.map(({ node, ...rest }) => ({ nodeId: node, ...rest })),
    moves: moves.map(({ examples, ...rest }) => ({ ...rest, examples: [...examples] })),
    notes: [...notes],
  };
}

/** Throws {@link InvalidRequestError} for what is no change at all; what its values may be the leader knows. */
export function changeOfMessage(message: ShardSettingsChange__Output | null): ShardSettingsChange {
  if (message === null) return {};
  return {
    ...(message.replicas !== undefined && { replicas: message.replicas }),
    ...(message.moveCap !== undefined && { moveCap: message.moveCap }),
    ...(message.workerQuarantineMs !== undefined && { workerQuarantineMs: message.workerQuarantineMs }),
    nodeWeights: new Map(
      message.nodeWeights.map(({ nodeId, weight }) => [requireNodeId(nodeId), weight === 0 ? undefined : weight]),
    ),
    shardCosts: message.shardCosts,
    pin: message.pin.map(ruleOf),
    unpin: message.unpin,
    avoid: message.avoid.map(ruleOf),
    unavoid: message.unavoid.map(ruleOf),
    exclude: message.exclude.map(requireNodeId),
    include: message.include.map(requireNodeId),
    ...(message.resize !== '' && { resize: resizeOf(message) }),
  };
}

function resizeOf({ resize, resizeTo }: ShardSettingsChange__Output): ShardResize {
  if (resize === 'begin') return { kind: 'begin', to: resizeTo };
  if (resize === 'done' || resize === 'abort') return { kind: resize };
  throw new InvalidRequestError(`resize is begin, done or abort, not "${resize}"`);
}

function ruleMessage({ from, to, node }: ShardRule): { from: number; to: number; nodeId: string } {
  return { from, to, nodeId: node };
}

function ruleOf({ from, to, nodeId }: { from: number; to: number; nodeId: string }): ShardRule {
  return { from, to, node: requireNodeId(nodeId) };
}
