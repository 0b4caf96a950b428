/**
 * The first 4,096 bytes of a segment file, and the file's name. raft.md 11.2. The header repeats the hard state and the snapshots, so
 * older segments are never needed to find them. The last four bytes are the checksum of all before.
 */
import { assert } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { DecodeError } from '../../base/errors.ts';
import { isClusterId } from '../../model/ids.ts';
import type { ClusterId, LogIndex } from '../../model/ids.ts';
import type { HardState, LogId } from '../../model/log.ts';
import { ALIGN_BYTES } from './batch.ts';
import { readLogId, writeLogId } from './entry.ts';
import { FormatFault, faultOf } from './format-fault.ts';
import { readHardState, readRetention, writeHardState, writeRetention } from './record.ts';
import type { Retention } from './record.ts';

export const SEGMENT_HEADER_BYTES = 4096;
/** Raised when an older program could misread what a newer one wrote. */
const LOG_FORMAT_VERSION = 1;

const MAGIC = 0x464e5347; // FNSG
const CLUSTER_ID_BYTES = 22;
const MEMBER_HASH_BYTES = 8;
const NAME = /^([0-9a-f]{14})-([0-9a-f]{14})\.wal$/;

export interface SegmentHeader {
  /** Undefined in a segment that was begun before the directory belonged to a cluster. */
  readonly clusterId: ClusterId | undefined;
  /** The first eight bytes of SHA-256 over `id@stamp`. */
  readonly memberHash: Uint8Array;
  /** Rises by one, without gaps. */
  readonly segment: number;
  readonly firstSequence: number;
  /** The chain of the batch before the first one here. */
  readonly prevChain: number;
  /** One above the last entry when the segment was begun. */
  readonly firstIndex: LogIndex;
  readonly hardState: HardState;
  readonly commitHint: LogIndex;
  readonly retention: Retention;
  /** A torn batch was dropped when this segment was rewritten: what it claimed to hold (raft.md 11.4). */
  readonly tornTail: LogId | undefined;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  assert(header.memberHash.length === MEMBER_HASH_BYTES, 'a member hash has eight bytes');
  const writer = new ByteWriter(SEGMENT_HEADER_BYTES)
    .u32(MAGIC)
    .u32(LOG_FORMAT_VERSION)
    .u32(ALIGN_BYTES)
    .text(header.clusterId ?? '')
    .raw(header.memberHash)
    .u64(header.segment)
    .u64(header.firstSequence)
    .u32(header.prevChain)
    .u64(header.firstIndex);
  writeHardState(writer, header.hardState);
  writer.varint(header.commitHint);
  writeRetention(writer, header.retention);
  writer.bool(header.tornTail !== undefined);
  if (header.tornTail !== undefined) writeLogId(writer, header.tornTail);
  assert(writer.size <= SEGMENT_HEADER_BYTES - 4, 'a segment header fits its room');
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  bytes.set(writer.finish());
  new DataView(bytes.buffer).setUint32(SEGMENT_HEADER_BYTES - 4, crc32c(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)));
  return bytes;
}

/** `newer` when the header is whole, but written by a version of the program that we cannot read. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | FormatFault | 'newer' {
  if (bytes.length < SEGMENT_HEADER_BYTES)
    return new FormatFault(bytes.length, 'the file ends inside the segment header');
  const header = bytes.subarray(0, SEGMENT_HEADER_BYTES - 4);
  const reader = new ByteReader(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  if (reader.u32() !== MAGIC) return new FormatFault(0, 'this is not a segment of the log');
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  if (view.getUint32(SEGMENT_HEADER_BYTES - 4) !== crc32c(header)) {
    return new FormatFault(0, 'the checksum of the segment header is wrong');
  }
  if (reader.u32() > LOG_FORMAT_VERSION) return 'newer';
  return faultOf(0, () => readFields(reader));
}

export function segmentFileName(segment: number, firstIndex: LogIndex): string {
  return `${hex14(segment)}-${hex14(firstIndex)}.wal`;
}

/** The name while the file is being filled. */
export function segmentDraftName(segment: number): string {
  return `${hex14(segment)}.tmp`;
}

export function parseSegmentFileName(
  name: string,
): { readonly segment: number; readonly firstIndex: LogIndex } | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const segment = Number.parseInt(match[1] as string, 16);
  const firstIndex = Number.parseInt(match[2] as string, 16);
  if (!Number.isSafeInteger(segment) || !Number.isSafeInteger(firstIndex)) return undefined;
  return { segment, firstIndex: firstIndex as LogIndex };
}

/** 14 hexadecimal digits hold 2^53 - 1 and sort as numbers do. */
export function hex14(value: number): string {
  return value.toString(16).padStart(14, '0');
}

function readFields(reader: ByteReader): SegmentHeader {
  const align = reader.u32();
  if (align !== ALIGN_BYTES) throw new DecodeError(`segments aligned to ${align} bytes are not ours`);
  const clusterId = reader.text(CLUSTER_ID_BYTES);
  if (clusterId !== '' && !isClusterId(clusterId)) throw new DecodeError('the cluster id is not one');
  return {
    clusterId: clusterId === '' ? undefined : clusterId,
    memberHash: reader.raw(MEMBER_HASH_BYTES).slice(),
    segment: reader.u64(),
    firstSequence: reader.u64(),
    prevChain: reader.u32(),
    firstIndex: reader.u64() as LogIndex,
    hardState: readHardState(reader),
    commitHint: reader.varint() as LogIndex,
    retention: readRetention(reader),
    tornTail: reader.bool() ? readLogId(reader) : undefined,
  };
}
