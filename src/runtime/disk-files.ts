/** Whole files over the disk port: read at once, or written so that a crash leaves the old file or the new one. raft.md 11.7. */
import type { DiskFile, DiskPort } from '../ports/disk-port.ts';
import { DamagedLogError, DiskFailedError } from './disk-errors.ts';

export function readWholeFile(disk: DiskPort, path: string): Uint8Array {
  const file = disk.openToRead(path);
  try {
    const bytes = new Uint8Array(file.size());
    const count = file.read(bytes, 0);
    return count === bytes.length ? bytes : bytes.subarray(0, count);
  } finally {
    file.close();
  }
}

/** A read that fails during start-up is damage, not a failing disk: it would fail again (raft.md 11.6). */
export function readOrDamage(disk: DiskPort, path: string): Uint8Array | DamagedLogError {
  try {
    return readWholeFile(disk, path);
  } catch (cause) {
    if (!(cause instanceof DiskFailedError)) throw cause;
    return new DamagedLogError(path, 0, `it cannot be read (${cause.errno})`, { cause });
  }
}

/** For the log itself. A short write is a failed one: what is on the disk is unknown. */
export function writeFully(file: DiskFile, bytes: Uint8Array, at: number): void {
  const count = file.write(bytes, at);
  if (count !== bytes.length) throw shortWrite(file, bytes.length, count);
}

/** For files that nobody believes in yet. A short write goes on, for on a full device only the next one says why. */
export function writeDraft(file: DiskFile, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    const count = file.write(bytes.subarray(done), at + done);
    if (count === 0) throw shortWrite(file, bytes.length, done);
    done += count;
  }
}

function shortWrite(file: DiskFile, wanted: number, count: number): DiskFailedError {
  return new DiskFailedError(`writing ${wanted} bytes (only ${count} went)`, file.path, 'ESHORT');
}

/** Draft, sync, rename, sync of the folder. */
export function writeFileDurably(disk: DiskPort, folder: string, name: string, bytes: Uint8Array): void {
  const draft = `${folder}/${name}.tmp`;
  const file = disk.create(draft);
  try {
    writeDraft(file, bytes, 0);
    file.sync();
  } finally {
    file.close();
  }
  disk.rename(draft, `${folder}/${name}`);
  disk.syncFolder(folder);
}

/** Removes the drafts that a crash left behind. */
export function removeDrafts(disk: DiskPort, folder: string): void {
  for (const name of disk.list(folder)) if (name.endsWith('.tmp')) disk.remove(`${folder}/${name}`);
}
