/** Refusals of the data directory. Each carries the exit code that the program deserves (sysexits). raft.md 11.6, stack.md 8. */
import { FunkError } from '../base/errors.ts';

/** 65: data damaged or lost. 70: broken invariant. 74: the disk failed. 78: settings, a locked directory among them. */
export type StorageExitCode = 65 | 70 | 74 | 78;

export abstract class StorageError extends FunkError {
  abstract readonly exitCode: StorageExitCode;
}

/** Durable data is not what was written. Nothing was changed; the data stays where it is (raft.md 14, R-2). */
export class DamagedLogError extends StorageError {
  readonly code = 'FUNK_DAMAGED_LOG';
  readonly exitCode = 65;
  readonly file: string;
  readonly offset: number;
  readonly what: string;

  constructor(file: string, offset: number, what: string, options?: ErrorOptions) {
    super(
      `${file} is damaged at byte ${offset}: ${what}. The data was left where it is. To return as a new member under the same ` +
        'name, set the data aside (funknode recover rejoin) and start again.',
      options,
    );
    this.file = file;
    this.offset = offset;
    this.what = what;
  }
}

/** The directory belongs to a member of a cluster, but its log is gone: the member would forget its votes (raft.md 14, R-1). */
export class DataLostError extends StorageError {
  readonly code = 'FUNK_DATA_LOST';
  readonly exitCode = 65;
  readonly directory: string;

  constructor(directory: string) {
    super(
      `${directory} belongs to a member of a cluster, but holds neither log nor snapshot: its promises are lost. Set the data ` +
        'aside (funknode recover rejoin) and start again: the node returns as a new member under the same name.',
    );
    this.directory = directory;
  }
}

/** No room on the device, or none left of what the user may take. */
const FULL: readonly string[] = ['ENOSPC', 'EDQUOT'];

/** A call to the operating system failed. Final for a store: it accepts nothing any more, and the node must stop. */
export class DiskFailedError extends StorageError {
  readonly code = 'FUNK_DISK_FAILED';
  readonly exitCode = 74;
  readonly operation: string;
  readonly path: string;
  /** Such as `EIO` or `ENOSPC`. */
  readonly errno: string;

  constructor(operation: string, path: string, errno: string, options?: ErrorOptions) {
    const why = FULL.includes(errno) ? `${errno}: there is no room left; free some` : errno;
    super(`${operation} of ${path} failed: ${why}`, options);
    this.operation = operation;
    this.path = path;
    this.errno = errno;
  }
}

/**
 * The device, or the user's share of it, is full, and nothing is uncertain. A sync that fails, for whatever reason, is another matter: what is
 * on the disk is unknown then, and it is final (raft.md 11.6).
 */
export function isDiskFull(error: unknown): error is DiskFailedError {
  return error instanceof DiskFailedError && FULL.includes(error.errno) && !error.operation.startsWith('sync');
}

/** No room for a snapshot or a segment. Nothing was changed and the store goes on; free some space and try again. */
export class StorageFullError extends StorageError {
  readonly code = 'FUNK_STORAGE_FULL';
  readonly exitCode = 74;
  readonly path: string;

  constructor(path: string, options?: ErrorOptions) {
    super(`there is no room left on the device for ${path}`, options);
    this.path = path;
  }
}

/** Runs what may be given up when the device is full; nothing else may have changed by then. */
export function refusingFullDisk<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isDiskFull(error) ? new StorageFullError(error.path, { cause: error }) : error;
  }
}

/** Refused before anything changed; the store goes on. */
export class StoreRefusedError extends StorageError {
  readonly code = 'FUNK_STORE_REFUSED';
  readonly exitCode = 70;
}

/** The store was closed before the request was done. */
export class StoreClosedError extends StorageError {
  readonly code = 'FUNK_STORE_CLOSED';
  readonly exitCode = 70;

  constructor() {
    super('the log store is closed');
  }
}

/** The thread that writes the log ended by a fault of the program. Final. */
export class StoreBrokenError extends StorageError {
  readonly code = 'FUNK_STORE_BROKEN';
  readonly exitCode = 70;
}

/** Another running node holds the directory. */
export class DirectoryLockedError extends StorageError {
  readonly code = 'FUNK_DIRECTORY_LOCKED';
  readonly exitCode = 78;
  readonly directory: string;

  constructor(directory: string, holder: string) {
    super(
      `data directory ${directory} is locked by another running node${holder}. Give each node a directory of its own.`,
    );
    this.directory = directory;
  }
}

/** The `flock` program is missing or does not work; a node never runs on an unlocked directory. */
export class FlockUnusableError extends StorageError {
  readonly code = 'FUNK_FLOCK_UNUSABLE';
  readonly exitCode = 78;
}

/** The directory belongs to another node, another cluster, or a newer version of the program. Nothing was changed. */
export class IdentityMismatchError extends StorageError {
  readonly code = 'FUNK_IDENTITY_MISMATCH';
  readonly exitCode = 78;
}

/** The directory cannot be made, read or written as it stands. */
export class DirectoryUnusableError extends StorageError {
  readonly code = 'FUNK_DIRECTORY_UNUSABLE';
  readonly exitCode = 78;
  readonly directory: string;

  constructor(directory: string, why: string, options?: ErrorOptions) {
    super(`data directory ${directory} cannot be used: ${why}`, options);
    this.directory = directory;
  }
}
