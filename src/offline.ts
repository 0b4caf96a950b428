/** For the data directory of a node that does not run: what it holds, whether it is whole, and the ways out when it or a quorum is lost. */
export type { Backup } from './model/backup.ts';
export { BackupExistsError, BadBackupError, storeBackup, verifyBackup } from './runtime/backup-store.ts';
export { StorageError } from './runtime/disk-errors.ts';
export { meaningOf } from './runtime/entry-meaning.ts';
export { type BegunCluster, NotAPeerError } from './runtime/offline-beginning.ts';
export {
  copyDirectory,
  forceNewCluster,
  type Inspection,
  inspectDirectory,
  NothingToRecoverError,
  type Outcome,
  refuseWithoutNode,
  restoreBackup,
  type RestoreOptions,
  setAside,
  type SharedBeginning,
} from './runtime/offline-recovery.ts';
export { type SnapshotVerdict, verifySnapshots } from './runtime/snapshot-verify.ts';
export { type BatchDump, type SegmentDump, type WalDump, walDump } from './runtime/wal-dump.ts';
export { type BackupFile, encodeBackup } from './wire/raft/backup-file.ts';
export { FormatFault } from './wire/raft/format-fault.ts';
