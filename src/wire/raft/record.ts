/**
 * Records of the write-ahead log: what a batch carries. raft.md 11.3. Numbers are big-endian and only ever added, for logs outlive
 * programs.
 *
 *   record = bodySize u32 | type u8 | flags u8 | reserved u16 | body
 */
import { assert } from '../../base/assert.ts';
import { ByteReader, ByteWriter, EMPTY_BYTES } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { isMemberId } from '../../model/ids.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import type { Entry, HardState, LogId, PersistBatch } from '../../model/log.ts';
import { entrySize, readEntry, readLogId, writeEntry, writeLogId } from './entry.ts';
import { FormatFault, faultOf } from './format-fault.ts';

/** The snapshot that the log before it may be forgotten for. */
export interface SnapshotReference {
  readonly lastLog: LogId;
  readonly sha256: Uint8Array;
}

/** What is kept from now on. Everything before may be gone already, or only in part. */
export interface Retention {
  /** Newest first; one or two. */
  readonly snapshots: readonly SnapshotReference[];
  /** The first entry that is kept. */
  readonly keepFrom: LogIndex;
  /** The first segment that is kept. Older ones are leftovers, in whatever number. */
  readonly oldestSegment: number;
}

export type LogRecord =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'hardState'; readonly hardState: HardState }
  | { readonly kind: 'commit'; readonly index: LogIndex }
  | { readonly kind: 'truncate'; readonly from: LogIndex }
  | { readonly kind: 'snapshot'; readonly retention: Retention }
  /** Proves that the batch before it was durable. */
  | { readonly kind: 'seal' }
  /** The log goes on in the next segment. */
  | { readonly kind: 'segmentEnd' };

/** Append-only: a number once given keeps its meaning for ever. */
const TYPE_NUMBERS: Readonly<Record<LogRecord['kind'], number>> = {
  entry: 1,
  hardState: 2,
  commit: 3,
  truncate: 4,
  snapshot: 5,
  seal: 6,
  segmentEnd: 7,
};
const MEMBER_ID_BYTES_MAX = 81;
const SHA256_BYTES = 32;
const SNAPSHOTS_MAX = 2;

/** A persist batch as records, in the order of raft.md 11.3: hard state, truncate, entries, commit. */
export function recordsOf(batch: PersistBatch): LogRecord[] {
  const records: LogRecord[] = [];
  if (batch.hardState !== undefined) records.push({ kind: 'hardState', hardState: batch.hardState });
  if (batch.truncateFrom !== undefined) records.push({ kind: 'truncate', from: batch.truncateFrom });
  for (const entry of batch.entries ?? []) records.push({ kind: 'entry', entry });
  if (batch.commitHint !== undefined) records.push({ kind: 'commit', index: batch.commitHint });
  return records;
}

export function encodeRecords(records: readonly LogRecord[]): Uint8Array {
  let sizeHint = 0;
  for (const record of records) sizeHint += record.kind === 'entry' ? entrySize(record.entry) + 32 : 192;
  const writer = new ByteWriter(sizeHint);
  for (const record of records) {
    if (record.kind === 'entry') writeEntryRecord(writer, record.entry);
    else writeRecord(writer, TYPE_NUMBERS[record.kind], encodeBody(record));
  }
  return writer.finish();
}

/** Exactly `count` records and nothing after them; entry data are views of `payload`. */
export function decodeRecords(payload: Uint8Array, count: number): LogRecord[] | FormatFault {
  const reader = new ByteReader(payload);
  const records: LogRecord[] = [];
  for (let i = 0; i < count; i++) {
    const record = faultOf(reader.at, () => readRecord(reader));
    if (record instanceof FormatFault) return record;
    records.push(record);
  }
  if (reader.left !== 0) return new FormatFault(reader.at, `${reader.left} bytes follow the last of ${count} records`);
  return records;
}

export function writeHardState(writer: ByteWriter, hardState: HardState): void {
  writer.varint(hardState.term).bool(hardState.vote !== null);
  if (hardState.vote !== null) writer.text(hardState.vote);
}

export function readHardState(reader: ByteReader): HardState {
  const term = reader.varint() as Term;
  if (!reader.bool()) return { term, vote: null };
  const vote = reader.text(MEMBER_ID_BYTES_MAX);
  if (!isMemberId(vote)) throw new DecodeError('a vote names a member');
  return { term, vote };
}

export function writeRetention(writer: ByteWriter, retention: Retention): void {
  assert(retention.snapshots.length <= SNAPSHOTS_MAX, 'at most two snapshots are kept');
  writer.u8(retention.snapshots.length);
  for (const { lastLog, sha256 } of retention.snapshots) {
    assert(sha256.length === SHA256_BYTES, 'a snapshot is named by its SHA-256');
    writeLogId(writer, lastLog);
    writer.raw(sha256);
  }
  writer.varint(retention.keepFrom).varint(retention.oldestSegment);
}

export function readRetention(reader: ByteReader): Retention {
  const count = reader.u8();
  if (count > SNAPSHOTS_MAX) throw new DecodeError(`${count} snapshots are referenced, two at most are kept`);
  const snapshots: SnapshotReference[] = [];
  for (let i = 0; i < count; i++) {
    const lastLog = readLogId(reader);
    snapshots.push({ lastLog, sha256: reader.raw(SHA256_BYTES).slice() });
  }
  return { snapshots, keepFrom: reader.varint() as LogIndex, oldestSegment: reader.varint() };
}

function writeRecord(writer: ByteWriter, type: number, body: Uint8Array): void {
  writer.u32(body.length).u8(type).u8(0).u16(0).raw(body);
}

/** Entries are the bulk: they go straight into the payload, their size worked out beforehand. */
function writeEntryRecord(writer: ByteWriter, entry: Entry): void {
  const size = varintSize(entry.index) + varintSize(entry.term) + 1 + varintSize(entry.data.length) + entry.data.length;
  writer.u32(size).u8(TYPE_NUMBERS.entry).u8(0).u16(0);
  const start = writer.size;
  writeEntry(writer, entry);
  assert(writer.size - start === size, 'an entry has the size it announced');
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

function encodeBody(record: Exclude<LogRecord, { kind: 'entry' }>): Uint8Array {
  const writer = new ByteWriter(128);
  switch (record.kind) {
    case 'hardState':
      writeHardState(writer, record.hardState);
      break;
    case 'commit':
      writer.varint(record.index);
      break;
    case 'truncate':
      writer.varint(record.from);
      break;
    case 'snapshot':
      writeRetention(writer, record.retention);
      break;
    case 'seal':
    case 'segmentEnd':
      return EMPTY_BYTES;
  }
  return writer.finish();
}

function readRecord(reader: ByteReader): LogRecord {
  const size = reader.u32();
  const type = reader.u8();
  if (reader.u8() !== 0 || reader.u16() !== 0) throw new DecodeError('a record header has bits that nobody wrote');
  if (reader.left < size) throw new DecodeError(`a record of ${size} bytes is longer than its batch`);
  const body = new ByteReader(reader.raw(size));
  const record = readBody(type, body);
  body.end();
  return record;
}

function readBody(type: number, body: ByteReader): LogRecord {
  switch (type) {
    case TYPE_NUMBERS.entry:
      return { kind: 'entry', entry: readEntry(body) };
    case TYPE_NUMBERS.hardState:
      return { kind: 'hardState', hardState: readHardState(body) };
    case TYPE_NUMBERS.commit:
      return { kind: 'commit', index: body.varint() as LogIndex };
    case TYPE_NUMBERS.truncate:
      return { kind: 'truncate', from: body.varint() as LogIndex };
    case TYPE_NUMBERS.snapshot:
      return { kind: 'snapshot', retention: readRetention(body) };
    case TYPE_NUMBERS.seal:
      return { kind: 'seal' };
    case TYPE_NUMBERS.segmentEnd:
      return { kind: 'segmentEnd' };
    default:
      throw new DecodeError(`record type ${type} is unknown`);
  }
}
