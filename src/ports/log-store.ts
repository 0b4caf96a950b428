import type { PersistBatch, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { ClusterId } from '../model/ids.ts';
import type { StorageRoom } from '../model/storage-room.ts';

/**
 * Where a voter's promises live. Batches are written in `batchSeq` order, one at a time, each ended by one successful
 * `fdatasync`. A failed write or sync is final: the store is dead and the node must stop (raft.md 11.6).
 */
export interface LogStore extends AsyncDisposable {
  /** What was found when the store was opened. */
  readonly recovered: RecoveredLog;
  /** The cluster this directory belongs to; undefined while it belongs to none. */
  readonly clusterId: ClusterId | undefined;
  /**
   * Tells when room for the log becomes short and when there is enough again: at once when it is short now. One listener. What does not fit
   * waits, unanswered, until there is room.
   */
  onRoom(listener: (room: StorageRoom) => void): void;
  /** Tells of the first failure, also when nothing waits that could be told: by then nothing is written any more. One listener. */
  onFailure(listener: (error: Error) => void): void;
  /** Makes the cluster id durable. Only once in the life of a directory. */
  identify(clusterId: ClusterId): Promise<void>;
  /** Resolves when the batch is durable; rejects once, with the first failure, for this and all later batches. */
  persist(batch: PersistBatch): Promise<void>;
  /** Writes a snapshot and its reference, then drops log and snapshots that nobody needs. `keepFrom` is the first index to keep. */
  saveSnapshot(meta: SnapshotMeta, bytes: Uint8Array, keepFrom: number): Promise<void>;
  /** Replaces the whole log by a snapshot received from a leader (raft.md 10.4). Both reject with `StorageFullError` when nothing changed. */
  installSnapshot(meta: SnapshotMeta, bytes: Uint8Array): Promise<void>;
}
