/** What the node and the thread that writes its log say to each other. Plain values, for they cross a thread. */
import type { ClusterId } from '../model/ids.ts';
import type { RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import {
  DamagedLogError,
  DiskFailedError,
  IdentityMismatchError,
  StorageFullError,
  StoreBrokenError,
  StoreRefusedError,
} from './disk-errors.ts';
import type { StorageError } from './disk-errors.ts';
import type { EncodedBatch } from './disk-log-wal.ts';

/** Given to the thread at its start. */
export interface LogOpening {
  readonly folder: string;
  readonly clusterId: ClusterId | undefined;
  readonly memberHash: Uint8Array;
  readonly segmentBytes: number;
  readonly firstSegmentBytes: number;
  /** Under `quarantine/`, should something have to be moved aside. */
  readonly quarantineName: string;
}

export type LogRequest =
  | { readonly kind: 'persist'; readonly id: number; readonly batch: EncodedBatch }
  | {
      readonly kind: 'saveSnapshot';
      readonly id: number;
      readonly meta: SnapshotMeta;
      readonly bytes: Uint8Array;
      readonly keepFrom: number;
    }
  | { readonly kind: 'installSnapshot'; readonly id: number; readonly meta: SnapshotMeta; readonly bytes: Uint8Array }
  | { readonly kind: 'identify'; readonly id: number; readonly clusterId: ClusterId }
  | { readonly kind: 'close'; readonly id: number };

export type LogReply =
  | { readonly kind: 'opened'; readonly recovered: RecoveredLog }
  /** `syncMs` is how long the write and its sync took, when there was one. */
  | {
      readonly kind: 'done';
      readonly ids: readonly number[];
      readonly bytes: number;
      readonly syncMs: number | undefined;
    }
  /** It has changed. What does not fit waits until there is room again. */
  | { readonly kind: 'room'; readonly room: StorageRoom }
  /** Nothing changed, and the store goes on. */
  | { readonly kind: 'refused'; readonly id: number; readonly failure: LogFailure }
  /** Final: this and everything that waits has failed. */
  | { readonly kind: 'failed'; readonly failure: LogFailure };

/** An error without its class. */
export type LogFailure =
  | { readonly kind: 'damaged'; readonly file: string; readonly offset: number; readonly what: string }
  | { readonly kind: 'disk'; readonly operation: string; readonly path: string; readonly errno: string }
  | { readonly kind: 'full'; readonly path: string }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'identity'; readonly message: string }
  | { readonly kind: 'broken'; readonly message: string };

export function failureOf(error: unknown): LogFailure {
  if (error instanceof DamagedLogError)
    return { kind: 'damaged', file: error.file, offset: error.offset, what: error.what };
  if (error instanceof StorageFullError) return { kind: 'full', path: error.path };
  if (error instanceof DiskFailedError)
    return { kind: 'disk', operation: error.operation, path: error.path, errno: error.errno };
  if (error instanceof StoreRefusedError) return { kind: 'refused', message: error.message };
  if (error instanceof IdentityMismatchError) return { kind: 'identity', message: error.message };
  return { kind: 'broken', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

export function errorOf(failure: LogFailure): StorageError {
  switch (failure.kind) {
    case 'damaged':
      return new DamagedLogError(failure.file, failure.offset, failure.what);
    case 'disk':
      return new DiskFailedError(failure.operation, failure.path, failure.errno);
    case 'full':
      return new StorageFullError(failure.path);
    case 'refused':
      return new StoreRefusedError(failure.message);
    case 'identity':
      return new IdentityMismatchError(failure.message);
    case 'broken':
      return new StoreBrokenError(failure.message);
  }
}
