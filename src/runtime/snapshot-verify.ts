/** Checks every snapshot file of a data directory against the hash it carries. Reads alone; for the offline tools of raft.md 11.7. */
import type { SnapshotMeta } from '../model/log.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import { decodeSnapshotFile, parseSnapshotFileName } from '../wire/raft/snapshot-file.ts';
import { readWholeFile } from './disk-files.ts';
import { SystemDisk } from './system-disk.ts';

export interface SnapshotVerdict {
  readonly file: string;
  readonly bytes: number;
  readonly result: SnapshotMeta | FormatFault;
}

/** In the order of the file names; empty when the directory has no snapshot. */
export function verifySnapshots(folder: string): SnapshotVerdict[] {
  const disk = new SystemDisk();
  const snap = `${folder}/snap`;
  const names = disk.exists(snap) ? disk.list(snap).filter((name) => parseSnapshotFileName(name) !== undefined) : [];
  return names.sort().map((name) => {
    const file = `${snap}/${name}`;
    const content = readWholeFile(disk, file);
    const decoded = decodeSnapshotFile(content);
    return { file, bytes: content.length, result: decoded instanceof FormatFault ? decoded : decoded.meta };
  });
}
