/** The log store of `--in-memory`: the same port, and nothing that outlives the process. The stamp is minted at each start. */
import { randomBytes } from 'node:crypto';
import { memberId } from '../model/ids.ts';
import type { ClusterId, NodeId, Stamp } from '../model/ids.ts';
import { EMPTY_RECOVERED_LOG } from '../model/log.ts';
import type { PersistBatch, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { StorageStats } from '../model/node-stats.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { LogStore } from '../ports/log-store.ts';
import { StoreClosedError, StoreRefusedError } from './disk-errors.ts';
import { randomHex } from './node-storage.ts';
import type { NodeStorage } from './node-storage.ts';
import { emptyStorageStats } from './storage-stats.ts';
import type { OwnStorageStats } from './storage-stats.ts';

class MemoryLog implements LogStore {
  readonly recovered: RecoveredLog = EMPTY_RECOVERED_LOG;
  readonly #stats: OwnStorageStats = emptyStorageStats();
  #clusterId: ClusterId | undefined;
  #isClosed = false;

  get clusterId(): ClusterId | undefined {
    return this.#clusterId;
  }

  get stats(): Readonly<StorageStats> {
    return this.#stats;
  }

  /** Memory that runs out ends the process. */
  onRoom(_listener: (room: StorageRoom) => void): void {}

  onFailure(_listener: (error: Error) => void): void {}

  async identify(clusterId: ClusterId): Promise<void> {
    this.#refuseClosed();
    if (this.#clusterId !== undefined && this.#clusterId !== clusterId) {
      throw new StoreRefusedError(`the log belongs to cluster ${this.#clusterId} for good`);
    }
    this.#clusterId = clusterId;
  }

  async persist(_batch: PersistBatch): Promise<void> {
    this.#refuseClosed();
    this.#stats.batches += 1;
  }

  async saveSnapshot(_meta: SnapshotMeta, _bytes: Uint8Array, _keepFrom: number): Promise<void> {
    this.#refuseClosed();
    this.#stats.snapshots += 1;
  }

  async installSnapshot(_meta: SnapshotMeta, _bytes: Uint8Array): Promise<void> {
    this.#refuseClosed();
    this.#stats.snapshots += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new StoreClosedError();
  }
}

export interface MemoryStorageOptions {
  /** 16 random hex digits unless given. */
  readonly nodeId?: NodeId | undefined;
  /** What comes before the random digits. */
  readonly idPrefix?: string | undefined;
  readonly randomBytes?: (count: number) => Uint8Array;
}

export function openMemoryStorage(options: MemoryStorageOptions = {}): NodeStorage {
  const draw = options.randomBytes ?? randomBytes;
  const stamp = randomHex(draw) as Stamp;
  const nodeId = options.nodeId ?? (`${options.idPrefix ?? ''}${randomHex(draw)}` as NodeId);
  const log = new MemoryLog();
  return {
    nodeId,
    stamp,
    memberId: memberId(nodeId, stamp),
    log,
    dissolutions: [],
    hasVote: false,
    stats: () => log.stats,
    release: () => log[Symbol.asyncDispose](),
  };
}
