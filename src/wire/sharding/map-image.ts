/**
 * The replicated shard map as a snapshot carries it: the active map, the pending one, the worker id handed out last; since there are
 * settings, also those, the time that the log has come to, and the worker ids that rest.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import { SHARD_COUNT_MAX, type ShardMap, slotCount } from '../../model/shard-map.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardSettings } from '../../model/shard-settings.ts';
import {
  type MapColumns,
  OWNERS_MAX,
  readColumn,
  readMap,
  readOwners,
  readShardCount,
  WORKER_ID_MAX,
  WORKER_ID_MIN,
  writeColumn,
  writeMap,
  writeOwners,
} from './owner-table.ts';
import { readSettings, writeSettings } from './settings.ts';

/** A map that is proposed and not yet committed. */
export interface PendingMap extends MapColumns {
  /** Log index of its `ShardPropose`. */
  readonly version: LogIndex;
  /** The term that proposed it. */
  readonly term: Term;
}

export interface MapImage {
  readonly active: ShardMap | undefined;
  readonly pending: PendingMap | undefined;
  readonly lastWorkerId: number;
  readonly settings: ShardSettings;
  /** The latest wall clock of an author of a map, Unix milliseconds; 0 before the first. */
  readonly logTimeMs: number;
  /** Per worker id that rests: the log's time when its process left the map. */
  readonly resting: ReadonlyMap<number, number>;
}

const FORMAT_PLAIN = 1;
const FORMAT = 2;
const HAS_ACTIVE = 1;
const HAS_PENDING = 2;

export function encodeMapImage(image: MapImage): Uint8Array {
  const { active, pending } = image;
  const format = isPlain(image) ? FORMAT_PLAIN : FORMAT;
  const writer = new ByteWriter(1024).u8(format).varint(image.lastWorkerId);
  writer.u8((active === undefined ? 0 : HAS_ACTIVE) | (pending === undefined ? 0 : HAS_PENDING));
  const write = format === FORMAT ? writeMap : writePlainMap;
  if (active !== undefined) {
    writer.varint(active.version).varint(active.committedAt);
    write(writer, active);
    writeEpochs(writer, active.epochs);
  }
  if (pending !== undefined) {
    writer.varint(pending.version).varint(pending.term);
    write(writer, pending);
  }
  if (format === FORMAT) {
    writer.varint(image.settings.version);
    writeSettings(writer, image.settings);
    writer.varint(image.logTimeMs).varint(image.resting.size);
    for (const [workerId, since] of [...image.resting].sort((a, b) => a[0] - b[0])) {
      writer.varint(workerId).varint(since);
    }
  }
  return writer.finish();
}

/** An active map alone: the compact form that watchers of the management service may ask for. */
export function encodeMap(map: ShardMap): Uint8Array {
  const writer = new ByteWriter(1024).u8(FORMAT).varint(map.version).varint(map.committedAt);
  writeMap(writer, map);
  writeEpochs(writer, map.epochs);
  return writer.finish();
}

/** The map, or why these bytes are none. */
export function decodeMap(bytes: Uint8Array): ShardMap | DecodeError {
  try {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== FORMAT) throw new DecodeError(`shard map format ${format} is unknown`);
    const map = readActive(reader, readMap);
    reader.end();
    return map;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
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

/** Nothing is in it that images of before there were settings could not say: it reads the same then. */
function isPlain({ active, pending, settings, logTimeMs, resting }: MapImage): boolean {
  const isSimple = (map: MapColumns | undefined): boolean =>
    map === undefined || (map.nextShardCount === undefined && map.standbys === undefined);
  return settings.version === 0 && logTimeMs === 0 && resting.size === 0 && isSimple(active) && isSimple(pending);
}

function readImage(reader: ByteReader): MapImage {
  const format = reader.u8();
  if (format !== FORMAT_PLAIN && format !== FORMAT)
    throw new DecodeError(`shard map image format ${format} is unknown`);
  const lastWorkerId = readWorkerId(reader);
  const flags = reader.u8();
  const read = format === FORMAT ? readMap : readPlainMap;
  const active = (flags & HAS_ACTIVE) === 0 ? undefined : readActive(reader, read);
  const pending = (flags & HAS_PENDING) === 0 ? undefined : readPending(reader, read);
  const rest =
    format === FORMAT
      ? {
          settings: readSettings(reader, reader.varint() as LogIndex),
          logTimeMs: reader.varint(),
          resting: readResting(reader),
        }
      : { settings: DEFAULT_SHARD_SETTINGS, logTimeMs: 0, resting: new Map<number, number>() };
  reader.end();
  return { active, pending, lastWorkerId, ...rest };
}

function writePlainMap(writer: ByteWriter, { shardCount, owners, ownerOf }: MapColumns): void {
  writer.varint(shardCount);
  writeOwners(writer, owners);
  writeColumn(writer, ownerOf, owners.length);
}

function readPlainMap(reader: ByteReader): MapColumns {
  const shardCount = readShardCount(reader);
  const owners = readOwners(reader);
  return { shardCount, owners, ownerOf: readColumn(reader, shardCount, owners.length) };
}

function readActive(reader: ByteReader, read: (reader: ByteReader) => MapColumns): ShardMap {
  const version = reader.varint() as LogIndex;
  const committedAt = reader.varint() as LogIndex;
  const map = read(reader);
  return { version, committedAt, ...map, epochs: readEpochs(reader, slotCount(map)) };
}

function readPending(reader: ByteReader, read: (reader: ByteReader) => MapColumns): PendingMap {
  const version = reader.varint() as LogIndex;
  const term = reader.varint() as Term;
  return { version, term, ...read(reader) };
}

function readResting(reader: ByteReader): Map<number, number> {
  const count = reader.varint();
  if (count > OWNERS_MAX) throw new DecodeError('more worker ids rest than there are');
  const resting = new Map<number, number>();
  let last = 0;
  for (let i = 0; i < count; i++) {
    const workerId = readWorkerId(reader);
    if (workerId <= last) throw new DecodeError('the worker ids that rest are not in order');
    last = workerId;
    resting.set(workerId, reader.varint());
  }
  return resting;
}

function readWorkerId(reader: ByteReader): number {
  const workerId = reader.varint();
  if (workerId < WORKER_ID_MIN || workerId > WORKER_ID_MAX) throw new DecodeError('a worker id is out of bounds');
  return workerId;
}

function writeEpochs(writer: ByteWriter, epochs: Float64Array): void {
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
  writer.varint(table.length);
  for (const epoch of table) writer.varint(epoch);
  writeColumn(writer, column, table.length);
}

function readEpochs(reader: ByteReader, slots: number): Float64Array {
  const tableSize = reader.varint();
  if (tableSize > SHARD_COUNT_MAX) throw new DecodeError('a shard map has too many epochs');
  const table: number[] = [];
  for (let i = 0; i < tableSize; i++) table.push(reader.varint());
  const column = readColumn(reader, slots, tableSize);
  const epochs = new Float64Array(slots);
  for (let shard = 0; shard < slots; shard++) epochs[shard] = table[column[shard] as number] as number;
  return epochs;
}
