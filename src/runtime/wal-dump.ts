/** What stands in a log, batch by batch, and what a start would make of it. Reads alone; for the offline tools of raft.md 11.7. */
import type { RecoveredLog } from '../model/log.ts';
import { batchSize, readBatchHeader, readBatchPayload } from '../wire/raft/batch.ts';
import type { BatchHeader } from '../wire/raft/batch.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import { decodeRecords } from '../wire/raft/record.ts';
import type { LogRecord } from '../wire/raft/record.ts';
import { decodeSegmentHeader, parseSegmentFileName, SEGMENT_HEADER_BYTES } from '../wire/raft/segment.ts';
import type { SegmentHeader } from '../wire/raft/segment.ts';
import { recoverDirectory } from './data-directory.ts';
import { StorageError } from './disk-errors.ts';
import { readWholeFile } from './disk-files.ts';
import { SystemDisk } from './system-disk.ts';

export interface WalDump {
  readonly segments: readonly SegmentDump[];
  /** What a start would recover, or why it would refuse. */
  readonly verdict: RecoveredLog | StorageError;
}

export interface SegmentDump {
  readonly file: string;
  readonly size: number;
  readonly header: SegmentHeader | FormatFault | 'newer';
  /** Up to the first that cannot be read. */
  readonly batches: readonly BatchDump[];
}

export interface BatchDump {
  readonly offset: number;
  readonly header: BatchHeader;
  readonly records: readonly LogRecord[] | FormatFault;
}

export function walDump(folder: string): WalDump {
  const disk = new SystemDisk();
  const files = disk.exists(`${folder}/wal`) ? disk.list(`${folder}/wal`) : [];
  const segments = files.filter((name) => parseSegmentFileName(name) !== undefined);
  return { segments: segments.map((name) => dumpSegment(disk, `${folder}/wal/${name}`)), verdict: verdictOn(folder) };
}

function verdictOn(folder: string): WalDump['verdict'] {
  try {
    return recoverDirectory(folder);
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
}

function dumpSegment(disk: SystemDisk, file: string): SegmentDump {
  const bytes = readWholeFile(disk, file);
  const batches: BatchDump[] = [];
  for (let offset = SEGMENT_HEADER_BYTES; offset < bytes.length; ) {
    const header = readBatchHeader(bytes, offset);
    if (header instanceof FormatFault) break;
    const payload = readBatchPayload(bytes, offset, header);
    const records = payload instanceof FormatFault ? payload : decodeRecords(payload, header.recordCount);
    batches.push({ offset, header, records });
    offset += batchSize(header.payloadSize);
  }
  return { file, size: bytes.length, header: decodeSegmentHeader(bytes), batches };
}
