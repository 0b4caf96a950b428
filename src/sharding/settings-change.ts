/** From the settings there are and what an operator wants changed to the settings there will be, or why not. Pure. */
import type { NodeId } from '../model/ids.ts';
import { isNodeId } from '../model/ids.ts';
import type { ShardMap } from '../model/shard-map.ts';
import type { ShardResize, ShardSettingsChange } from '../model/shard-plan.ts';
import {
  MOVE_CAP_MAX,
  NODE_WEIGHT_MAX,
  NODE_WEIGHT_MIN,
  REPLICAS_MAX,
  SHARD_COST_MAX,
  SHARD_RULES_MAX,
  type ShardRange,
  type ShardRule,
  type ShardSettings,
  WORKER_QUARANTINE_MS_MAX,
} from '../model/shard-settings.ts';
import { SHARD_COUNT_MAX } from '../model/shard-map.ts';

type Numbering = Pick<ShardMap, 'shardCount' | 'nextShardCount'>;

/** What cannot be done, in one sentence. */
export interface SettingsProblem {
  readonly problem: string;
}

/** `map`: the active one, for the numbers of shards. */
export function changedSettings(
  settings: ShardSettings,
  change: ShardSettingsChange,
  map: Numbering | undefined,
): ShardSettings | SettingsProblem {
  const problem = problemOf(change, map);
  if (problem !== undefined) return { problem };
  const resized = change.resize === undefined ? {} : resizedSettings(settings, change.resize, map);
  if (typeof resized === 'string') return { problem: resized };
  const changed: ShardSettings = {
    ...settings,
    replicas: change.replicas ?? settings.replicas,
    moveCap: change.moveCap ?? settings.moveCap,
    workerQuarantineMs: change.workerQuarantineMs ?? settings.workerQuarantineMs,
    nodeWeights: changedWeights(settings.nodeWeights, change.nodeWeights),
    shardCosts: overlaid(settings.shardCosts, change.shardCosts ?? [], (a, b) => a.cost === b.cost).filter(
      (range) => range.cost !== 1,
    ),
    pins: overlaid(without(settings.pins, change.unpin ?? []), change.pin ?? [], isSameNode),
    avoided: changedAvoided(settings.avoided, change),
    excluded: changedNodes(settings.excluded, change),
    ...resized,
  };
  const longest = Math.max(
    changed.nodeWeights.size,
    changed.shardCosts.length,
    changed.pins.length,
    changed.avoided.length,
    changed.excluded.length,
  );
  if (longest > SHARD_RULES_MAX) return { problem: `${longest} rules of one kind are more than ${SHARD_RULES_MAX}` };
  return changed;
}

/** The first thing that is out of bounds. */
function problemOf(change: ShardSettingsChange, map: Numbering | undefined): string | undefined {
  const { replicas = 0, moveCap = 0, workerQuarantineMs = 0 } = change;
  if (!isWhole(replicas, 0, REPLICAS_MAX)) return `replicas are 0 to ${REPLICAS_MAX}, not ${replicas}`;
  if (!isWhole(moveCap, 0, MOVE_CAP_MAX)) return `the cap on moves is 0 (none) to ${MOVE_CAP_MAX}, not ${moveCap}`;
  if (!isWhole(workerQuarantineMs, 0, WORKER_QUARANTINE_MS_MAX))
    return 'the quarantine of worker ids is at most 7 days';
  for (const [node, weight = 1] of change.nodeWeights ?? []) {
    if (!isNodeId(node)) return `${node} is no node id`;
    if (!(weight >= NODE_WEIGHT_MIN && weight <= NODE_WEIGHT_MAX))
      return `the weight of a node is ${NODE_WEIGHT_MIN} to ${NODE_WEIGHT_MAX}; to give it nothing, exclude it`;
  }
  for (const { cost } of change.shardCosts ?? []) {
    if (!isWhole(cost, 1, SHARD_COST_MAX)) return `the cost of a shard is 1 to ${SHARD_COST_MAX}, not ${cost}`;
  }
  const rules = [...(change.pin ?? []), ...(change.avoid ?? []), ...(change.unavoid ?? [])];
  const nodes = [...rules.map((rule) => rule.node), ...(change.exclude ?? []), ...(change.include ?? [])];
  const stranger = nodes.find((node) => !isNodeId(node));
  if (stranger !== undefined) return `${stranger} is no node id`;
  const ranges: ShardRange[] = [...rules, ...(change.shardCosts ?? []), ...(change.unpin ?? [])];
  const most = map?.shardCount ?? SHARD_COUNT_MAX;
  const wrong = ranges.find(({ from, to }) => !isWhole(from, 0, to) || !isWhole(to, 0, most - 1));
  return wrong === undefined
    ? undefined
    : `there are no shards ${wrong.from} to ${wrong.to}: they go from 0 to ${most - 1}`;
}

function resizedSettings(
  settings: ShardSettings,
  resize: ShardResize,
  map: Numbering | undefined,
): Partial<ShardSettings> | string {
  if (map === undefined) return 'there is no shard map yet, so its number of shards cannot change';
  const { shardCount, nextShardCount } = map;
  const isAgreed = settings.nextShardCount !== 0;
  switch (resize.kind) {
    case 'begin':
      if (isAgreed || nextShardCount !== undefined)
        return `a change to ${nextShardCount ?? settings.nextShardCount} shards is under way: end it with --done or --abort`;
      if (!isWhole(resize.to, 1, SHARD_COUNT_MAX - shardCount))
        return `shards of both numbers live at once, together at most ${SHARD_COUNT_MAX}: at most ${SHARD_COUNT_MAX - shardCount} beside ${shardCount}`;
      if (resize.to === shardCount) return `there are ${shardCount} shards already`;
      return { shardCount, nextShardCount: resize.to };
    case 'done':
      if (!isAgreed) return 'no change of the number of shards is under way';
      if (nextShardCount !== settings.nextShardCount)
        return 'the shards of the new number have no owners yet: ask again when they have';
      // What is said of single shards was said of those that end here.
      return { shardCount: nextShardCount, nextShardCount: 0, shardCosts: [], pins: [], avoided: [] };
    case 'abort':
      if (!isAgreed) return 'no change of the number of shards is under way';
      return { shardCount, nextShardCount: 0 };
  }
}

function changedWeights(
  before: ReadonlyMap<NodeId, number>,
  change: ShardSettingsChange['nodeWeights'],
): ReadonlyMap<NodeId, number> {
  const weights = new Map(before);
  for (const [node, weight] of change ?? []) {
    if (weight === undefined) weights.delete(node);
    else weights.set(node, weight);
  }
  return new Map([...weights].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function changedNodes(before: readonly NodeId[], { exclude = [], include = [] }: ShardSettingsChange): NodeId[] {
  const nodes = new Set(before);
  for (const node of include) nodes.delete(node);
  for (const node of exclude) nodes.add(node);
  return [...nodes].sort();
}

function changedAvoided(before: readonly ShardRule[], { avoid = [], unavoid = [] }: ShardSettingsChange): ShardRule[] {
  const nodes = [...new Set([...before, ...avoid].map((rule) => rule.node))].sort();
  return nodes.flatMap((node) => {
    const ofNode = (rules: readonly ShardRule[]): ShardRule[] => rules.filter((rule) => rule.node === node);
    return overlaid(without(ofNode(before), ofNode(unavoid)), ofNode(avoid), isSameNode);
  });
}

function isSameNode(a: ShardRule, b: ShardRule): boolean {
  return a.node === b.node;
}

/** Ranges, ascending and apart, with others laid over them; neighbours that say the same become one. */
function overlaid<T extends ShardRange>(
  before: readonly T[],
  over: readonly T[],
  isSame: (a: T, b: T) => boolean,
): T[] {
  let ranges = [...before];
  for (const range of over) ranges = [...without(ranges, [range]), range].sort((a, b) => a.from - b.from);
  const merged: T[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.to + 1 === range.from && isSame(last, range))
      merged[merged.length - 1] = { ...last, to: range.to };
    else merged.push(range);
  }
  return merged;
}

/** What is left of ranges when others are cut out of them. */
function without<T extends ShardRange>(before: readonly T[], cuts: readonly ShardRange[]): T[] {
  let ranges = [...before];
  for (const { from, to } of cuts) {
    ranges = ranges.flatMap((range) => {
      if (range.to < from || range.from > to) return [range];
      const left = range.from < from ? [{ ...range, to: from - 1 }] : [];
      const right = range.to > to ? [{ ...range, from: to + 1 }] : [];
      return [...left, ...right];
    });
  }
  return ranges;
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
