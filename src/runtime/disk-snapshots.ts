/** Snapshot files of a data directory: written in slices, found again, proven by their hash, thrown away. raft.md 10.2. */
import { equalBytes } from '../base/bytes.ts';
import type { ClusterId } from '../model/ids.ts';
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
import {
  DamagedLogError,
  IdentityMismatchError,
  isDiskFull,
  refusingFullDisk,
  StorageFullError,
} from './disk-errors.ts';
import { readOrDamage, writeDraft } from './disk-files.ts';

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
      writeDraft(file, piece.value, at);
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

export interface ChosenSnapshot {
  readonly meta: SnapshotMeta;
  readonly bytes: Uint8Array;
  /** Its reference, and those of older ones. */
  readonly usable: readonly SnapshotReference[];
}

/**
 * The newest snapshot that is whole and that a log beginning at `first` goes on from. An older one serves when the log reaches back to
 * it; otherwise the damage of the newest. Undefined when none is referred to.
 */
export function chooseSnapshot(
  disk: DiskPort,
  place: { readonly snapFolder: string; readonly clusterId: ClusterId | undefined },
  references: readonly SnapshotReference[],
  first: number,
): ChosenSnapshot | DamagedLogError | undefined {
  let worst: DamagedLogError | undefined;
  for (const [i, reference] of references.entries()) {
    const path = `${place.snapFolder}/${snapshotFileName(reference.lastLog)}`;
    const found = readSnapshot(disk, path, reference);
    if (found instanceof DamagedLogError) worst ??= found;
    else if (found.meta.clusterId !== place.clusterId) {
      throw new IdentityMismatchError(
        `${path} belongs to cluster ${found.meta.clusterId}, the directory to ${place.clusterId ?? 'none'}`,
      );
    } else if (first > reference.lastLog.index + 1) {
      worst ??= new DamagedLogError(path, 0, `it ends at entry ${reference.lastLog.index}, the log begins at ${first}`);
    } else return { meta: found.meta, bytes: found.bytes, usable: references.slice(i) };
  }
  return worst;
}

/** Snapshot files that are there, whatever their contents. */
export function listSnapshots(disk: DiskPort, folder: string): { readonly name: string; readonly lastLog: LogId }[] {
  return disk.list(folder).flatMap((name) => {
    const lastLog = parseSnapshotFileName(name);
    return lastLog === undefined ? [] : [{ name, lastLog }];
  });
}

function readSnapshot(disk: DiskPort, path: string, reference: SnapshotReference): SnapshotFile | DamagedLogError {
  if (!disk.exists(path)) return new DamagedLogError(path, 0, 'the file is missing');
  const bytes = readOrDamage(disk, path);
  if (bytes instanceof DamagedLogError) return bytes;
  const file = decodeSnapshotFile(bytes);
  if (file instanceof FormatFault) return new DamagedLogError(path, file.offset, file.reason);
  const { term, index } = file.meta.lastLog;
  const isReferred = equalBytes(file.sha256, reference.sha256);
  if (!isReferred || term !== reference.lastLog.term || index !== reference.lastLog.index) {
    return new DamagedLogError(path, 0, 'the log refers to another snapshot of this name');
  }
  return file;
}
