/**
 * Reads one segment and tells a torn last write from damage. raft.md 11.4. The rule that makes it decidable: batch n is written only
 * after batch n-1 was synced, so a valid batch n proves that everything before it was durable.
 */
import type { LogId } from '../model/log.ts';
import { ALIGN_BYTES, batchSize, isZero, readBatchHeader, readBatchPayload } from '../wire/raft/batch.ts';
import type { BatchHeader } from '../wire/raft/batch.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import { decodeRecords } from '../wire/raft/record.ts';
import type { LogRecord } from '../wire/raft/record.ts';
import { SEGMENT_HEADER_BYTES } from '../wire/raft/segment.ts';
import type { SegmentHeader } from '../wire/raft/segment.ts';
import { DamagedLogError } from './disk-errors.ts';

export interface ScannedBatch {
  readonly offset: number;
  readonly header: BatchHeader;
  readonly records: readonly LogRecord[];
}

export interface SegmentScan {
  readonly batches: readonly ScannedBatch[];
  /** Where the next batch would begin. */
  readonly end: number;
  /** The last batch says that the log goes on in the next segment. */
  readonly ended: boolean;
  readonly nextSequence: number;
  readonly chain: number;
  /** A torn write was found at `end`; `claim` is what it said it would hold, when its header could be read. */
  readonly torn: { readonly claim: LogId | undefined } | undefined;
}

/** Throws {@link DamagedLogError}; the caller has proven the segment header. A torn end is accepted in the last segment only. */
export function scanSegment(
  path: string,
  bytes: Uint8Array,
  header: SegmentHeader,
  place: 'last' | 'inner',
): SegmentScan {
  const batches: ScannedBatch[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  let sequence = header.firstSequence;
  let chain = header.prevChain;
  let ended = false;
  let torn: SegmentScan['torn'];
  while (!ended && offset < bytes.length) {
    const batch = readBatch(path, bytes, offset, { segment: header.segment, sequence, chain });
    if (batch === 'none' || 'claim' in batch) {
      torn = batch === 'none' ? undefined : batch;
      break;
    }
    batches.push(batch);
    offset += batchSize(batch.header.payloadSize);
    sequence += 1;
    chain = batch.header.chain;
    ended = batch.records.some((record) => record.kind === 'segmentEnd');
  }
  if (place === 'inner' && !ended)
    throw new DamagedLogError(path, offset, 'the segment stops here, and a later segment goes on');
  return { batches, end: offset, ended, nextSequence: sequence, chain, torn };
}

interface Expected {
  readonly segment: number;
  readonly sequence: number;
  readonly chain: number;
}

/** The batch at `at`; `none` where the log ends cleanly; the claim of a torn one. */
function readBatch(
  path: string,
  bytes: Uint8Array,
  at: number,
  expected: Expected,
): ScannedBatch | 'none' | { readonly claim: LogId | undefined } {
  const header = readBatchHeader(bytes, at);
  if (header instanceof FormatFault) return judgeUnreadable(path, bytes, at, expected, header);
  if (
    header.segment !== expected.segment ||
    header.sequence !== expected.sequence ||
    header.prevChain !== expected.chain
  ) {
    throw new DamagedLogError(
      path,
      at,
      'a batch does not follow the one before it: it was misdirected, doubled or is stale',
    );
  }
  const payload = readBatchPayload(bytes, at, header);
  if (payload instanceof FormatFault) {
    refuseWhenLaterBatch(path, bytes, at, at + batchSize(header.payloadSize), expected, payload.reason);
    return { claim: header.tail };
  }
  const records = decodeRecords(payload, header.recordCount);
  if (records instanceof FormatFault) {
    throw new DamagedLogError(
      path,
      at,
      `the checksum of a batch is right, but its records cannot be read: ${records.reason}`,
    );
  }
  return { offset: at, header, records };
}

function judgeUnreadable(
  path: string,
  bytes: Uint8Array,
  at: number,
  expected: Expected,
  fault: FormatFault,
): 'none' | { readonly claim: undefined } {
  refuseWhenLaterBatch(path, bytes, at, at + ALIGN_BYTES, expected, fault.reason);
  const sectorIsZero = isZero(bytes, at, at + 512);
  if (sectorIsZero && isZero(bytes, at, bytes.length)) return 'none';
  // The first sector never arrived, others did: a torn write whose header is lost.
  if (sectorIsZero) return { claim: undefined };
  // A first sector that is neither old nor new. With anything after it, it was a longer batch, and whose is unknown.
  if (isZero(bytes, at + ALIGN_BYTES, at + 2 * ALIGN_BYTES)) return { claim: undefined };
  throw new DamagedLogError(path, at, fault.reason);
}

/** Looks at every slot after a bad one: a header of this segment with a higher sequence proves that the bad one was durable. */
function refuseWhenLaterBatch(
  path: string,
  bytes: Uint8Array,
  bad: number,
  from: number,
  expected: Expected,
  reason: string,
): void {
  for (let at = from; at < bytes.length; at += ALIGN_BYTES) {
    const header = readBatchHeader(bytes, at);
    if (header instanceof FormatFault || header.segment !== expected.segment || header.sequence <= expected.sequence)
      continue;
    throw new DamagedLogError(path, bad, `${reason}, and a later batch at byte ${at} proves that it was durable`);
  }
}
