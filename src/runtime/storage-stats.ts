/** Numbers of the log store, as `model/node-stats.ts` states them. */
import type { StorageStats } from '../model/node-stats.ts';

/** From a tenth of a millisecond (a write-ahead log on a good disk) to the 5 s at which a leader gives up (raft.md 12.4). */
const SYNC_BOUNDS_MS: readonly number[] = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 500, 1000, 5000];

/** The same numbers where they are counted. */
export interface OwnStorageStats extends StorageStats {
  readonly syncBuckets: readonly { readonly le: number; count: number }[];
}

export function emptyStorageStats(): OwnStorageStats {
  return {
    batches: 0,
    bytesWritten: 0,
    syncMsSum: 0,
    syncCount: 0,
    snapshots: 0,
    syncBuckets: SYNC_BOUNDS_MS.map((le) => ({ le, count: 0 })),
  };
}

/** One write that was synced. */
export function recordSync(stats: OwnStorageStats, write: { readonly bytes: number; readonly syncMs: number }): void {
  stats.batches += 1;
  stats.bytesWritten += write.bytes;
  stats.syncMsSum += write.syncMs;
  stats.syncCount += 1;
  for (const bucket of stats.syncBuckets) if (write.syncMs <= bucket.le) bucket.count += 1;
}
