/** The write-ahead log and its disk. Without samples on a node that stores nothing. */
import type { StorageRoom } from '../model/storage-room.ts';
import type { Families } from './families.ts';

const ROOM_VALUES: Readonly<Record<StorageRoom, number>> = { enough: 2, low: 1, full: 0 };

export function registerStorage(families: Families): void {
  families.counter(
    'funknode_storage_batches_total',
    'Batches written to the log.',
    ({ stats }) => stats.storage?.batches,
  );
  families.counter(
    'funknode_storage_written_bytes_total',
    'Bytes written to the log.',
    ({ stats }) => stats.storage?.bytesWritten,
  );
  families.counter('funknode_storage_snapshots_total', 'Snapshots written.', ({ stats }) => stats.storage?.snapshots);
  families.gauge(
    'funknode_storage_room',
    'Room for the log: 2 enough, 1 low (no further segment can be made), 0 full (no entries are taken).',
    ({ stats, view }) => (stats.storage === undefined ? undefined : ROOM_VALUES[view.room]),
  );
  families.histogram(
    'funknode_storage_sync_duration_seconds',
    'From the write of a batch to its return from fdatasync.',
    ({ stats: { storage } }) =>
      storage === undefined
        ? undefined
        : {
            buckets: storage.syncBuckets.map(({ le, count }) => ({ le: le / 1_000, count })),
            sum: storage.syncMsSum / 1_000,
            count: storage.syncCount,
          },
  );
}
