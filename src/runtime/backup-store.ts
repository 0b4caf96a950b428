/** Backups as files on this machine: written beside their name, proven by reading them back, and only then given it. raft.md 14, R-5. */
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, unlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DecodeError, FunkError } from '../base/errors.ts';
import { logOfCopy, recoveredState } from '../cluster/cluster.ts';
import { type BackupFile, decodeBackup } from '../wire/raft/backup-file.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import { DiskFailedError } from './disk-errors.ts';

/** What the file holds is no whole backup, or none that this program can read. */
export class BadBackupError extends FunkError {
  readonly code = 'FUNK_BAD_BACKUP';
  readonly exitCode = 65;
}

/** There is a file of that name. Nothing was written. */
export class BackupExistsError extends FunkError {
  readonly code = 'FUNK_BACKUP_EXISTS';
  readonly exitCode = 1;
  constructor(path: string) {
    super(`${path} is there already, and a backup overwrites nothing: choose another name`);
  }
}

/** Proves the file: every checksum, and that a cluster could begin from it. Rejects with BadBackupError or DiskFailedError. */
export async function verifyBackup(path: string): Promise<BackupFile> {
  const bytes = await attempt('reading', path, () => readFile(path));
  const backup = decodeBackup(bytes);
  if (backup === 'newer') throw new BadBackupError(`${path} was written by a newer version of funknode`);
  if (backup instanceof FormatFault)
    throw new BadBackupError(`${path} is no whole backup: at byte ${backup.offset}: ${backup.reason}`);
  try {
    const { shardMapVersion } = recoveredState(logOfCopy(backup));
    if (shardMapVersion !== backup.mapVersion)
      throw new DecodeError(`it names shard map ${backup.mapVersion} and holds ${shardMapVersion}`);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new BadBackupError(`the state in ${path} cannot be used: ${cause.message}`, { cause });
  }
  return backup;
}

/** Writes the pieces, proves the file and gives it its name. Rejects with BackupExistsError, BadBackupError, DiskFailedError, or as the pieces do; then no file of that name is there that was not before. */
export async function storeBackup(
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<BackupFile> {
  if (existsSync(path)) throw new BackupExistsError(path);
  const draft = `${path}.${randomBytes(4).toString('hex')}.part`;
  const file = await attempt('creating', draft, () => open(draft, 'wx', 0o600));
  try {
    try {
      for await (const piece of pieces) await attempt('writing', draft, () => file.writeFile(piece));
      await attempt('syncing', draft, () => file.sync());
    } finally {
      await file.close();
    }
    const backup = await verifyBackup(draft);
    await publish(draft, path);
    return backup;
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}

/** A link refuses a name that is taken, however late it was taken; not every file system has links. */
async function publish(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' || existsSync(path)) throw new BackupExistsError(path);
    await attempt('renaming', draft, () => rename(draft, path));
  }
  await attempt('syncing', path, async () => {
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  });
}

async function attempt<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new DiskFailedError(operation, path, errnoOf(cause), { cause });
  }
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
