/**
 * The map as clusterfunk's clients read it: a `shardpb.ShardDistribution` (proto/clusterfunk/shard.proto). Written by hand: ten thousand small
 * messages, and nothing else in this house is protobuf below the management room.
 */
import { ByteWriter } from '../../base/bytes.ts';
import type { ShardMap } from '../../model/shard-map.ts';
import type { ShardCost } from '../../model/shard-settings.ts';

const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** Field numbers of ShardDistribution, WireNodes and WireShard. */
const NODES = 1;
const SHARDS = 2;
const NODE = { id: 1, name: 2, workerId: 3 } as const;
const SHARD = { id: 1, weight: 2, nodeId: 3 } as const;

/** The shards of the older numbering while it changes: clusterfunk knows of one. */
export function encodeShardDistribution(
  { owners, ownerOf, shardCount }: Pick<ShardMap, 'owners' | 'ownerOf' | 'shardCount'>,
  costs: readonly ShardCost[],
): Uint8Array {
  const out = new ByteWriter(64 + owners.length * 32 + shardCount * 10);
  for (const [at, { node, workerId }] of owners.entries()) {
    const one = new ByteWriter(64);
    writeNumber(one, NODE.id, at);
    writeKey(one, NODE.name, LENGTH_DELIMITED);
    one.text(node);
    writeNumber(one, NODE.workerId, workerId);
    writeMessage(out, NODES, one.finish());
  }
  const weights = new Uint32Array(shardCount).fill(1);
  for (const { from, to, cost } of costs) weights.fill(cost, from, to + 1);
  for (let shard = 0; shard < shardCount; shard++) {
    const one = new ByteWriter(16);
    writeNumber(one, SHARD.id, shard);
    writeNumber(one, SHARD.weight, weights[shard] as number);
    writeNumber(one, SHARD.nodeId, ownerOf[shard] as number);
    writeMessage(out, SHARDS, one.finish());
  }
  return out.finish();
}

/** As proto3 has it: zero is not written. */
function writeNumber(writer: ByteWriter, field: number, value: number): void {
  if (value === 0) return;
  writeKey(writer, field, VARINT);
  writer.varint(value);
}

function writeMessage(writer: ByteWriter, field: number, bytes: Uint8Array): void {
  writeKey(writer, field, LENGTH_DELIMITED);
  writer.blob(bytes);
}

function writeKey(writer: ByteWriter, field: number, wireType: number): void {
  writer.varint(field * 8 + wireType);
}
