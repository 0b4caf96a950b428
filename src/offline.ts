/** For the data directory of a node that does not run: what it holds, whether it is whole, and the ways out when it or a quorum is lost. */
export { StorageError } from './runtime/disk-errors.ts';
export {
  type ForcedCluster,
  forceNewCluster,
  type Inspection,
  inspectDirectory,
  NothingToRecoverError,
  setAside,
} from './runtime/offline-recovery.ts';
export { type SnapshotVerdict, verifySnapshots } from './runtime/snapshot-verify.ts';
export { type BatchDump, type SegmentDump, type WalDump, walDump } from './runtime/wal-dump.ts';
export { FormatFault } from './wire/raft/format-fault.ts';
