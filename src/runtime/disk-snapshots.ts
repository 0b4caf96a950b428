/** Snapshot files of a data directory: written in slices, found again, proven by their hash, thrown away. raft.md 10.2. */
import { equalBytes } from '../base/bytes.ts';
import type { LogId, SnapshotMeta } from '../model/log.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import type { SnapshotReference } from '../wire/raft/record.ts';
import {
  decodeSnapshotFile,
  encodeSnapshotFile,
  parseSnapshotFileName,
  snapshotFileName,
} from '../wire/raft/snapshot-file.ts';
import type { SnapshotFile } from '../wire/raft/snapshot-file.ts';
import { isDiskFull, refusingFullDisk, StorageFullError } from './disk-errors.ts';
import { readWholeFile, writeFully } from './disk-files.ts';

/** How many pieces of 64 KiB are written in one slice: a few milliseconds, in which no batch can be written. */
const SLICE_PIECES = 4;
/** Syncing now and then keeps the last sync short: a batch may be waiting for it. */
const SLICES_PER_SYNC = 4;

/** Yields between slices; the file has its name, durably, when the generator returns. Throws {@link StorageFullError}, the draft removed. */
export function* writeSnapshot(
  disk: DiskPort,
  folder: string,
  meta: SnapshotMeta,
  bytes: Uint8Array,
): Generator<void, SnapshotReference> {
  const name = snapshotFileName(meta.lastLog);
  const draft = `${folder}/${name}.tmp`;
  const file = refusingFullDisk(() => disk.create(draft));
  const pieces = encodeSnapshotFile(meta, bytes);
  let at = 0;
  let written = 0;
  let piece = pieces.next();
  try {
    for (; piece.done !== true; piece = pieces.next()) {
      writeFully(file, piece.value, at);
      at += piece.value.length;
      written += 1;
      if (written % (SLICE_PIECES * SLICES_PER_SYNC) === 0) file.sync();
      if (written % SLICE_PIECES === 0) yield;
    }
    file.sync();
  } catch (error) {
    file.close();
    if (disk.exists(draft)) disk.remove(draft);
    throw isDiskFull(error) ? new StorageFullError(draft, { cause: error }) : error;
  }
  file.close();
  disk.rename(draft, `${folder}/${name}`);
  disk.syncFolder(folder);
  return { lastLog: meta.lastLog, sha256: piece.value };
}

/** The snapshot a reference names; a fault when the file is missing, damaged or another. Throws what the disk throws. */
export function readSnapshot(disk: DiskPort, folder: string, reference: SnapshotReference): SnapshotFile | FormatFault {
  const path = `${folder}/${snapshotFileName(reference.lastLog)}`;
  if (!disk.exists(path)) return new FormatFault(0, 'the file is missing');
  const file = decodeSnapshotFile(readWholeFile(disk, path));
  if (file instanceof FormatFault) return file;
  if (!equalBytes(file.sha256, reference.sha256))
    return new FormatFault(0, 'the log refers to another snapshot of this name');
  return file;
}

/** Snapshot files that are there, whatever their contents. */
export function listSnapshots(disk: DiskPort, folder: string): { readonly name: string; readonly lastLog: LogId }[] {
  return disk.list(folder).flatMap((name) => {
    const lastLog = parseSnapshotFileName(name);
    return lastLog === undefined ? [] : [{ name, lastLog }];
  });
}
