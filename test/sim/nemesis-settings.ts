/** An operator's wishes about the spread of shards, one at a time. */
import type { NodeId } from '../../src/model/ids.ts';
import type { ShardSettingsChange } from '../../src/model/shard-plan.ts';
import type { Chance } from './chance.ts';

/** Rules about more shards at once could leave a node without any, which looks like one that was forgotten. */
const SHARDS_OF_A_RULE = 6;

export function drawSettings(chance: Chance, nodes: readonly NodeId[], shards: number): ShardSettingsChange {
  const node = chance.pick(nodes) as NodeId;
  const from = chance.below(shards - SHARDS_OF_A_RULE);
  const range = { from, to: from + chance.below(SHARDS_OF_A_RULE) };
  switch (chance.below(8)) {
    case 0:
      return { replicas: chance.below(4) };
    case 1:
      return { moveCap: chance.pick([0, 0, 4, 16]) ?? 0 };
    case 2:
      return { nodeWeights: new Map([[node, chance.isHit(0.3) ? undefined : chance.between(0.5, 3)]]) };
    case 3:
      return { shardCosts: [{ ...range, cost: 1 + chance.below(4) }] };
    case 4:
      return { avoid: [{ ...range, node }] };
    case 5:
      return { unavoid: [{ from: 0, to: shards - 1, node }] };
    case 6:
      return { pin: [{ ...range, node }] };
    default:
      return { unpin: [{ from: 0, to: shards - 1 }] };
  }
}
