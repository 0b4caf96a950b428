/** Columns and tables that map entries and map images share: the list of owners, and one small number per shard. */
import { assert } from '../../base/assert.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { isNodeId } from '../../model/ids.ts';
import type { Boot } from '../../model/ids.ts';
import { NO_STANDBY, type Owner, SHARD_COUNT_MAX, type ShardMap, slotCount } from '../../model/shard-map.ts';
import { REPLICAS_MAX } from '../../model/shard-settings.ts';

/** Worker ids are clusterfunk's: below 2^14, and 0 and 1 are never handed out. */
export const WORKER_ID_MIN = 2;
export const WORKER_ID_MAX = 16_383;
/** One worker id per owner. */
export const OWNERS_MAX: number = WORKER_ID_MAX - WORKER_ID_MIN + 1;

/** What a map says, but for when it came about. */
export type MapColumns = Pick<ShardMap, 'shardCount' | 'nextShardCount' | 'owners' | 'ownerOf' | 'standbys'>;

const NODE_ID_BYTES_MAX = 64;
/** Append-only numbering of the forms of a column. */
const BYTE_EACH = 1;
const TWO_BYTES_EACH = 2;
const RUNS = 3;

/** Sorted by node id, each node once. */
export function writeOwners(writer: ByteWriter, owners: readonly Owner[]): void {
  assert(owners.length <= OWNERS_MAX, 'a map has no more owners than there are worker ids');
  writer.varint(owners.length);
  for (const owner of owners) writer.text(owner.node).varint(owner.boot).varint(owner.workerId);
}

export function readOwners(reader: ByteReader): Owner[] {
  const count = reader.varint();
  if (count > OWNERS_MAX) throw new DecodeError(`a shard map of ${count} owners is larger than ${OWNERS_MAX}`);
  const owners: Owner[] = [];
  for (let i = 0; i < count; i++) {
    const node = reader.text(NODE_ID_BYTES_MAX);
    if (!isNodeId(node)) throw new DecodeError('an owner of shards has no valid node id');
    const before = owners[i - 1];
    if (before !== undefined && before.node >= node)
      throw new DecodeError('the owners of a shard map are not in order');
    const boot = reader.varint() as Boot;
    const workerId = reader.varint();
    if (workerId < WORKER_ID_MIN || workerId > WORKER_ID_MAX) throw new DecodeError('a worker id is out of bounds');
    owners.push({ node, boot, workerId });
  }
  return owners;
}

export function readShardCount(reader: ByteReader): number {
  const count = reader.varint();
  if (count === 0 || count > SHARD_COUNT_MAX) throw new DecodeError(`a shard map of ${count} shards is out of bounds`);
  return count;
}

/** Everything a map says. */
export function writeMap(writer: ByteWriter, map: MapColumns): void {
  const { owners, ownerOf, standbys = [] } = map;
  writer.varint(map.shardCount).varint(map.nextShardCount ?? 0);
  writeOwners(writer, owners);
  writeColumn(writer, ownerOf, owners.length);
  writer.u8(standbys.length);
  for (const column of standbys) writeColumn(writer, raised(column), owners.length + 1);
}

/** What comes out satisfies everything its type promises. */
export function readMap(reader: ByteReader): MapColumns {
  const shardCount = readShardCount(reader);
  const nextShardCount = reader.varint();
  const slots = slotCount({ shardCount, nextShardCount });
  if (slots > SHARD_COUNT_MAX || nextShardCount === shardCount)
    throw new DecodeError(`a change from ${shardCount} to ${nextShardCount} shards is out of bounds`);
  const owners = readOwners(reader);
  const ownerOf = readColumn(reader, slots, owners.length);
  const replicas = reader.u8();
  if (replicas > REPLICAS_MAX) throw new DecodeError(`${replicas} standbys of each shard are out of bounds`);
  const standbys: Uint16Array[] = [];
  for (let rank = 0; rank < replicas; rank++) standbys.push(lowered(readColumn(reader, slots, owners.length + 1)));
  return {
    shardCount,
    ...(nextShardCount > 0 && { nextShardCount }),
    owners,
    ownerOf,
    ...(replicas > 0 && { standbys }),
  };
}

/** No standby is 0. */
function raised(column: Uint16Array): Uint16Array {
  return column.map((place) => (place === NO_STANDBY ? 0 : place + 1));
}

function lowered(column: Uint16Array): Uint16Array {
  return column.map((value) => (value === 0 ? NO_STANDBY : value - 1));
}

/** Each value is below `bound`. Takes the shortest of: runs, one byte each, two bytes each. */
export function writeColumn(writer: ByteWriter, column: Uint16Array, bound: number): void {
  const flatSize = column.length * (bound <= 256 ? 1 : 2);
  const runs = countRuns(column);
  // A run takes two bytes or three, and is slower to read: it has to halve the column.
  if (runs * 4 < flatSize) {
    const start = writer.size;
    writer.u8(RUNS).varint(runs);
    writeRuns(writer, column);
    assert(writer.size - start <= runs * 7 + 6, 'a run takes at most seven bytes');
    return;
  }
  if (bound <= 256) {
    writer.u8(BYTE_EACH).raw(Uint8Array.from(column));
    return;
  }
  const bytes = new Uint8Array(column.length * 2);
  for (let i = 0; i < column.length; i++) {
    const value = column[i] as number;
    bytes[2 * i] = value >>> 8;
    bytes[2 * i + 1] = value;
  }
  writer.u8(TWO_BYTES_EACH).raw(bytes);
}

export function readColumn(reader: ByteReader, length: number, bound: number): Uint16Array {
  const form = reader.u8();
  switch (form) {
    case BYTE_EACH:
      return bounded(new Uint16Array(reader.raw(length)), bound);
    case TWO_BYTES_EACH: {
      const bytes = reader.raw(length * 2);
      const column = new Uint16Array(length);
      for (let i = 0; i < length; i++) column[i] = ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number);
      return bounded(column, bound);
    }
    case RUNS:
      return readRuns(reader, length, bound);
    default:
      throw new DecodeError(`column form ${form} is unknown`);
  }
}

function countRuns(column: Uint16Array): number {
  let runs = 0;
  let before = -1;
  for (let i = 0; i < column.length; i++) {
    const value = column[i] as number;
    if (value !== before) runs += 1;
    before = value;
  }
  return runs;
}

function writeRuns(writer: ByteWriter, column: Uint16Array): void {
  let start = 0;
  for (let i = 1; i <= column.length; i++) {
    if (i < column.length && column[i] === column[start]) continue;
    writer.varint(column[start] as number).varint(i - start);
    start = i;
  }
}

function readRuns(reader: ByteReader, length: number, bound: number): Uint16Array {
  const runs = reader.varint();
  if (runs > length) throw new DecodeError('a column has more runs than shards');
  const column = new Uint16Array(length);
  let at = 0;
  for (let i = 0; i < runs; i++) {
    const value = reader.varint();
    const count = reader.varint();
    if (value >= bound) throw new DecodeError('a shard names an owner that is not in the table');
    if (count === 0 || count > length - at) throw new DecodeError('a run does not fit its column');
    column.fill(value, at, at + count);
    at += count;
  }
  if (at !== length) throw new DecodeError('the runs of a column leave shards out');
  return column;
}

function bounded(column: Uint16Array, bound: number): Uint16Array {
  let highest = -1;
  for (let i = 0; i < column.length; i++) {
    const value = column[i] as number;
    if (value > highest) highest = value;
  }
  if (highest >= bound) throw new DecodeError('a shard names an owner that is not in the table');
  return column;
}
