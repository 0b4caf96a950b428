/** The agreed shard settings (model/shard-settings.ts) as log entries and snapshots carry them. Every list is in order, so one value has one form. */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { isNodeId } from '../../model/ids.ts';
import type { LogIndex, NodeId } from '../../model/ids.ts';
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
} from '../../model/shard-settings.ts';
import { SHARD_COUNT_MAX } from '../../model/shard-map.ts';

const NODE_ID_BYTES_MAX = 64;

/** All but the version, which is the index of the entry. */
export function writeSettings(writer: ByteWriter, settings: ShardSettings): void {
  writer.u8(settings.replicas).varint(settings.moveCap).varint(settings.workerQuarantineMs);
  writer.varint(settings.shardCount).varint(settings.nextShardCount);
  const weights = [...settings.nodeWeights].sort(([a], [b]) => (a < b ? -1 : 1));
  writer.varint(weights.length);
  for (const [node, weight] of weights) writer.text(node).f64(weight);
  writer.varint(settings.shardCosts.length);
  for (const { from, to, cost } of settings.shardCosts) writer.varint(from).varint(to).varint(cost);
  for (const rules of [settings.pins, settings.avoided]) {
    writer.varint(rules.length);
    for (const { from, to, node } of rules) writer.varint(from).varint(to).text(node);
  }
  writer.varint(settings.excluded.length);
  for (const node of settings.excluded) writer.text(node);
}

/** Throws {@link DecodeError}. What comes out satisfies everything its type promises. */
export function readSettings(reader: ByteReader, version: LogIndex): ShardSettings {
  const replicas = atMost(reader.u8(), REPLICAS_MAX, 'the number of standbys');
  const moveCap = atMost(reader.varint(), MOVE_CAP_MAX, 'the cap on moves');
  const workerQuarantineMs = atMost(reader.varint(), WORKER_QUARANTINE_MS_MAX, 'the quarantine of worker ids');
  const shardCount = atMost(reader.varint(), SHARD_COUNT_MAX, 'the number of shards');
  const nextShardCount = atMost(reader.varint(), SHARD_COUNT_MAX, 'the next number of shards');
  const nodeWeights = readWeights(reader);
  const shardCosts = readList(reader, () => {
    const range = readRange(reader);
    const cost = atMost(reader.varint(), SHARD_COST_MAX, 'the cost of a shard');
    if (cost === 0) throw new DecodeError('a shard that costs nothing');
    return { ...range, cost };
  });
  const pins = readList(reader, () => readRule(reader));
  const avoided = readList(reader, () => readRule(reader));
  const excluded = readList(reader, () => readNode(reader));
  inOrder(shardCosts, (a, b) => a.to < b.from);
  inOrder(pins, (a, b) => a.to < b.from);
  inOrder(avoided, (a, b) => a.node < b.node || (a.node === b.node && a.to < b.from));
  inOrder(excluded, (a, b) => a < b);
  return {
    version,
    replicas,
    moveCap,
    workerQuarantineMs,
    nodeWeights,
    shardCosts,
    pins,
    avoided,
    excluded,
    shardCount,
    nextShardCount,
  };
}

function readWeights(reader: ByteReader): Map<NodeId, number> {
  const rows = readList(reader, () => {
    const node = readNode(reader);
    const weight = reader.f64();
    if (!(weight >= NODE_WEIGHT_MIN && weight <= NODE_WEIGHT_MAX))
      throw new DecodeError('the weight of a node is out of bounds');
    return [node, weight] as const;
  });
  inOrder(rows, (a, b) => a[0] < b[0]);
  return new Map(rows);
}

function readRule(reader: ByteReader): ShardRule {
  const range = readRange(reader);
  return { ...range, node: readNode(reader) };
}

function readRange(reader: ByteReader): ShardRange {
  const from = reader.varint();
  const to = atMost(reader.varint(), SHARD_COUNT_MAX - 1, 'a shard');
  if (from > to) throw new DecodeError('a range of shards is backwards');
  return { from, to };
}

function readNode(reader: ByteReader): NodeId {
  const node = reader.text(NODE_ID_BYTES_MAX);
  if (!isNodeId(node)) throw new DecodeError('shard settings name no valid node id');
  return node;
}

function readList<T>(reader: ByteReader, readOne: () => T): T[] {
  const count = reader.varint();
  if (count > SHARD_RULES_MAX) throw new DecodeError(`a list of ${count} shard settings is too long`);
  return Array.from({ length: count }, readOne);
}

function inOrder<T>(items: readonly T[], isBefore: (a: T, b: T) => boolean): void {
  for (let i = 1; i < items.length; i++) {
    if (!isBefore(items[i - 1] as T, items[i] as T)) throw new DecodeError('shard settings are not in order');
  }
}

function atMost(value: number, most: number, what: string): number {
  if (value > most) throw new DecodeError(`${what} is out of bounds`);
  return value;
}
