/** The replicated shard map as a snapshot carries it: the active map, the pending one, and the worker id handed out last. */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import { type Owner, SHARD_COUNT_MAX, type ShardMap } from '../../model/shard-map.ts';
import {
  readColumn,
  readOwners,
  readShardCount,
  WORKER_ID_MAX,
  WORKER_ID_MIN,
  writeColumn,
  writeOwners,
} from './owner-table.ts';

/** A map that is proposed and not yet committed. */
export interface PendingMap {
  /** Log index of its `ShardPropose`. */
  readonly version: LogIndex;
  /** The term that proposed it. */
  readonly term: Term;
  readonly shardCount: number;
  readonly owners: readonly Owner[];
  readonly ownerOf: Uint16Array;
}

export interface MapImage {
  readonly active: ShardMap | undefined;
  readonly pending: PendingMap | undefined;
  readonly lastWorkerId: number;
}

const FORMAT = 1;
const HAS_ACTIVE = 1;
const HAS_PENDING = 2;

export function encodeMapImage(image: MapImage): Uint8Array {
  const { active, pending } = image;
  const writer = new ByteWriter(1024).u8(FORMAT).varint(image.lastWorkerId);
  writer.u8((active === undefined ? 0 : HAS_ACTIVE) | (pending === undefined ? 0 : HAS_PENDING));
  if (active !== undefined) writeActive(writer, active);
  if (pending !== undefined) {
    writer.varint(pending.version).varint(pending.term).varint(pending.shardCount);
    writeOwners(writer, pending.owners);
    writeColumn(writer, pending.ownerOf, pending.owners.length);
  }
  return writer.finish();
}

/** The image, or why these bytes are none. */
export function decodeMapImage(bytes: Uint8Array): MapImage | DecodeError {
  try {
    return readImage(new ByteReader(bytes));
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function readImage(reader: ByteReader): MapImage {
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`shard map image format ${format} is unknown`);
  const lastWorkerId = reader.varint();
  if (lastWorkerId < WORKER_ID_MIN || lastWorkerId > WORKER_ID_MAX) {
    throw new DecodeError('the last worker id is out of bounds');
  }
  const flags = reader.u8();
  const active = (flags & HAS_ACTIVE) === 0 ? undefined : readActive(reader);
  const pending = (flags & HAS_PENDING) === 0 ? undefined : readPending(reader);
  reader.end();
  return { active, pending, lastWorkerId };
}

function writeActive(writer: ByteWriter, map: ShardMap): void {
  writer.varint(map.version).varint(map.committedAt).varint(map.shardCount);
  writeOwners(writer, map.owners);
  writeColumn(writer, map.ownerOf, map.owners.length);
  const { table, column } = epochColumn(map.epochs);
  writer.varint(table.length);
  for (const epoch of table) writer.varint(epoch);
  writeColumn(writer, column, table.length);
}

function readActive(reader: ByteReader): ShardMap {
  const version = reader.varint() as LogIndex;
  const committedAt = reader.varint() as LogIndex;
  const shardCount = readShardCount(reader);
  const owners = readOwners(reader);
  const ownerOf = readColumn(reader, shardCount, owners.length);
  const tableSize = reader.varint();
  if (tableSize > SHARD_COUNT_MAX) throw new DecodeError('a shard map has too many epochs');
  const table: number[] = [];
  for (let i = 0; i < tableSize; i++) table.push(reader.varint());
  const column = readColumn(reader, shardCount, tableSize);
  const epochs = new Float64Array(shardCount);
  for (let shard = 0; shard < shardCount; shard++) epochs[shard] = table[column[shard] as number] as number;
  return { version, committedAt, shardCount, owners, ownerOf, epochs };
}

function readPending(reader: ByteReader): PendingMap {
  const version = reader.varint() as LogIndex;
  const term = reader.varint() as Term;
  const shardCount = readShardCount(reader);
  const owners = readOwners(reader);
  return { version, term, shardCount, owners, ownerOf: readColumn(reader, shardCount, owners.length) };
}

function epochColumn(epochs: Float64Array): { readonly table: number[]; readonly column: Uint16Array } {
  const table: number[] = [];
  const places = new Map<number, number>();
  const column = new Uint16Array(epochs.length);
  for (let shard = 0; shard < epochs.length; shard++) {
    const epoch = epochs[shard] as number;
    let place = places.get(epoch);
    if (place === undefined) {
      place = table.length;
      places.set(epoch, place);
      table.push(epoch);
    }
    column[shard] = place;
  }
  return { table, column };
}
