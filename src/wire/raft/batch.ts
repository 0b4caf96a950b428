/**
 * One write to the write-ahead log: a header of 128 bytes, the records, zeros up to the next 4,096-byte boundary. raft.md 11.3.
 *
 *    0 magic u32        4 headerCrc u32 (of 8..128)     8 sequence u64       16 segment u64
 *   24 payloadSize u32 28 payloadCrc u32               32 prevChain u32     36 chain u32
 *   40 tailTerm u64    48 tailIndex u64                56 truncatedTo u64   64 recordCount u32   68 flags u32   72 reserved
 *
 * `chain` links every batch to all before it, across segments, which exposes blocks that were misdirected, doubled or replaced and that
 * a checksum of their own would accept.
 */
import { assert } from '../../base/assert.ts';
import { crc32c } from '../../base/crc32c.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import type { LogId } from '../../model/log.ts';
import { FormatFault } from './format-fault.ts';

/** Every batch starts on such a boundary, so a write can never hurt an older batch that shares a sector with it. */
export const ALIGN_BYTES = 4096;
export const BATCH_HEADER_BYTES = 128;
/** Twice what the core lets wait uncommitted (raft.md 15); larger than any merged write. */
const BATCH_PAYLOAD_BYTES_MAX: number = 64 * 1024 * 1024;

const MAGIC = 0x464e4254; // FNBT
const TWO_32 = 0x1_0000_0000;

export interface BatchHeader {
  /** Rises by one with every batch in the life of a directory. */
  readonly sequence: number;
  readonly segment: number;
  readonly payloadSize: number;
  readonly payloadCrc: number;
  readonly prevChain: number;
  readonly chain: number;
  /** Term and index of the last entry when this batch is in: what a torn batch claimed to hold (raft.md 11.4). */
  readonly tail: LogId;
  /** The lowest index that the batch truncated from; 0 for none. */
  readonly truncatedFrom: LogIndex;
  readonly recordCount: number;
}

/** What the writer of a batch decides; the rest follows. */
export type BatchFields = Pick<
  BatchHeader,
  'sequence' | 'segment' | 'prevChain' | 'tail' | 'truncatedFrom' | 'recordCount'
>;

/** The room a batch takes in a segment. */
export function batchSize(payloadSize: number): number {
  return Math.ceil((BATCH_HEADER_BYTES + payloadSize) / ALIGN_BYTES) * ALIGN_BYTES;
}

/** Fills `into`, of exactly {@link batchSize}, header, payload and zeros. Returns the chain. */
export function encodeBatch(into: Uint8Array, fields: BatchFields, payloads: readonly Uint8Array[]): number {
  let at = BATCH_HEADER_BYTES;
  for (const payload of payloads) {
    into.set(payload, at);
    at += payload.length;
  }
  const payloadSize = at - BATCH_HEADER_BYTES;
  assert(payloadSize <= BATCH_PAYLOAD_BYTES_MAX, 'a batch is within its size limit');
  assert(into.length === batchSize(payloadSize), 'a batch fills its room');
  into.fill(0, at);
  into.fill(0, 0, BATCH_HEADER_BYTES);
  const view = new DataView(into.buffer, into.byteOffset, BATCH_HEADER_BYTES);
  view.setUint32(0, MAGIC);
  putU64(view, 8, fields.sequence);
  putU64(view, 16, fields.segment);
  view.setUint32(24, payloadSize);
  view.setUint32(28, crc32c(into.subarray(BATCH_HEADER_BYTES, at)));
  view.setUint32(32, fields.prevChain);
  putU64(view, 40, fields.tail.term);
  putU64(view, 48, fields.tail.index);
  putU64(view, 56, fields.truncatedFrom);
  view.setUint32(64, fields.recordCount);
  const chain = chainOf(into);
  view.setUint32(36, chain);
  view.setUint32(4, crc32c(into.subarray(8, BATCH_HEADER_BYTES)));
  return chain;
}

/** The header at `at`, proven by its own checksums; says nothing of the payload. */
export function readBatchHeader(bytes: Uint8Array, at: number): BatchHeader | FormatFault {
  if (at + BATCH_HEADER_BYTES > bytes.length) return new FormatFault(at, 'the file ends inside a batch header');
  const header = bytes.subarray(at, at + BATCH_HEADER_BYTES);
  const view = new DataView(header.buffer, header.byteOffset, BATCH_HEADER_BYTES);
  if (view.getUint32(0) !== MAGIC) return new FormatFault(at, 'no batch begins here');
  if (view.getUint32(4) !== crc32c(header.subarray(8)))
    return new FormatFault(at, 'the checksum of a batch header is wrong');
  if (view.getUint32(36) !== chainOf(header))
    return new FormatFault(at, 'the chain of a batch does not follow from its header');
  const numbers = [8, 16, 40, 48, 56].map((offset) => getU64(view, offset));
  if (!numbers.every(Number.isSafeInteger)) return new FormatFault(at, 'a number in a batch header is above 2^53 - 1');
  const [sequence, segment, tailTerm, tailIndex, truncatedFrom] = numbers as [number, number, number, number, number];
  return {
    sequence,
    segment,
    payloadSize: view.getUint32(24),
    payloadCrc: view.getUint32(28),
    prevChain: view.getUint32(32),
    chain: view.getUint32(36),
    tail: { term: tailTerm as Term, index: tailIndex as LogIndex },
    truncatedFrom: truncatedFrom as LogIndex,
    recordCount: view.getUint32(64),
  };
}

/** The payload of a batch at `at`; a fault when it, or the padding after it, is not what was written. */
export function readBatchPayload(bytes: Uint8Array, at: number, header: BatchHeader): Uint8Array | FormatFault {
  const end = at + batchSize(header.payloadSize);
  if (end > bytes.length) return new FormatFault(at, 'a batch is longer than its segment');
  const start = at + BATCH_HEADER_BYTES;
  const payload = bytes.subarray(start, start + header.payloadSize);
  if (crc32c(payload) !== header.payloadCrc) return new FormatFault(at, 'the checksum of a batch is wrong');
  if (!isZero(bytes, start + header.payloadSize, end)) return new FormatFault(at, 'the padding of a batch is not zero');
  return payload;
}

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  const end = Math.min(to, bytes.length);
  for (let i = from; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

function chainOf(header: Uint8Array): number {
  return crc32c(header.subarray(40, BATCH_HEADER_BYTES), crc32c(header.subarray(8, 36)));
}

function putU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a batch header holds safe, non-negative integers');
  view.setUint32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value >>> 0);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at) * TWO_32 + view.getUint32(at + 4);
}
