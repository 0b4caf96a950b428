/**
 * What an operator does to the data directory of a node that does not run: look into it, copy it, set it aside, or put in its place the
 * beginning of a new cluster. raft.md 14, R-1, R-2, R-4 and R-5. The directory's lock is held by whatever changes something.
 */
import { existsSync, readdirSync } from 'node:fs';
import { FunkError } from '../base/errors.ts';
import { copyOfLog, type RecoveredState, recoveredState } from '../cluster/cluster.ts';
import type { Backup } from '../model/backup.ts';
import type { ClusterId, LogIndex, NodeId, Stamp, Term } from '../model/ids.ts';
import type { BackupFile } from '../wire/raft/backup-file.ts';
import { finishMovingAside, isMoveUnderWay } from './data-aside.ts';
import {
  lockFolder,
  makeFolder,
  peekDirectory,
  quarantineName,
  holdsNode,
  readDirectory,
  type SetAside,
  setDirectoryAside,
} from './data-directory.ts';
import { DirectoryUnusableError, StorageError } from './disk-errors.ts';
import { beginAnew, type BegunCluster, namesAlone, namesTogether } from './offline-beginning.ts';
import { SystemDisk } from './system-disk.ts';

/** What may lie in a directory that counts as empty: no data of a node, or data that was set aside. */
const NO_DATA: readonly string[] = [
  'LOCK',
  'PEERS',
  'PEERS.tmp',
  'DISSOLVED',
  'DISSOLVED.tmp',
  'quarantine',
  'incoming',
  'ASIDE',
  'ASIDE.tmp',
  'lost+found',
];

/** The directory holds nothing that a cluster could go on from. */
export class NothingToRecoverError extends FunkError {
  readonly code = 'FUNK_NOTHING_TO_RECOVER';
  readonly exitCode = 1;
}

export interface Inspection extends RecoveredState {
  readonly nodeId: NodeId;
  readonly stamp: Stamp;
  readonly clusterId: ClusterId | undefined;
  readonly term: Term;
  readonly commitHint: LogIndex;
  readonly snapshotIndex: LogIndex | undefined;
}

/** Changes nothing and takes no lock. Throws as a start of the node would: DamagedLogError, DataLostError, … */
export function inspectDirectory(folder: string): Inspection {
  if (isMoveUnderWay(new SystemDisk(), folder)) {
    const what = `a command that moves the data in ${folder} was interrupted`;
    throw new NothingToRecoverError(`${what}: give it again, or start the node, and it is brought to its end`);
  }
  const { identity, clusterId, log } = readDirectory(folder);
  if (identity === undefined) throw new NothingToRecoverError(`${folder} holds no node`);
  const { nodeId, stamp } = identity;
  const { hardState, commitHint, snapshot } = log;
  const snapshotIndex = snapshot?.meta.lastLog.index;
  return { ...recoveredState(log), nodeId, stamp, clusterId, term: hardState.term, commitHint, snapshotIndex };
}

/** Throws when there is nothing of a node, not even damaged. */
export function refuseWithoutNode(folder: string): void {
  if (!holdsNode(folder)) throw new NothingToRecoverError(`${folder} holds no node`);
}

/** The next start is that of a new member, under the same name when that was readable, or is told (`--node-id`). */
export async function setAside(folder: string): Promise<SetAside> {
  refuseWithoutNode(folder);
  return await setDirectoryAside(folder);
}

/** All that a stopped node has, its uncertain entries included. Rejects with `DirectoryLockedError` while it runs. */
export async function copyDirectory(folder: string): Promise<Backup> {
  return await holdingLock(folder, () => {
    finishMovingAside(new SystemDisk(), folder);
    return copyOf(folder);
  });
}

/** Nodes that begin a new cluster together: each is given the same list and the same copy. */
export interface SharedBeginning {
  readonly peers: readonly NodeId[];
  readonly backup: BackupFile;
}

/** `finished`: an earlier run had been interrupted after its decision and was brought to its end. Nothing else was done. */
export type Outcome =
  | (BegunCluster & { readonly kind: 'begun' })
  | { readonly kind: 'finished'; readonly now: Inspection };

/**
 * Makes the node the only voter of a new cluster with the state of the old, or one of the voters of `shared`. The old data is kept in
 * `quarantine/`. Every entry of the log counts from then on, also those that the old cluster may never have committed. Should the process
 * die on the way, it is the old data or the new: give the command again.
 */
export async function forceNewCluster(folder: string, shared?: SharedBeginning): Promise<Outcome> {
  return await holdingLock(folder, () => {
    const disk = new SystemDisk();
    if (finishMovingAside(disk, folder)) return { kind: 'finished', now: inspectDirectory(folder) };
    const { identity } = peekDirectory(folder);
    if (identity === undefined) throw new NothingToRecoverError(`${folder} holds no node`);
    const { nodeId } = identity;
    const copy = shared?.backup ?? copyOf(folder);
    const names = shared === undefined ? namesAlone(nodeId) : namesTogether(shared.backup, shared.peers);
    // A second time, the same name and stamp would stand for a member that has forgotten what it promised.
    if (shared !== undefined && isOf(folder, names.clusterId))
      throw new NothingToRecoverError(`node ${nodeId} belongs to the new cluster ${names.clusterId} already: start it`);
    const now = Date.now();
    return { kind: 'begun', ...beginAnew(disk, folder, { nodeId, copy, names, now }, quarantineName(now)) };
  });
}

export interface RestoreOptions {
  /** The node's name; that of the node which the backup was taken of unless given. */
  readonly nodeId?: NodeId | undefined;
  /** Those that are restored from the same backup and begin together; the node alone unless given. */
  readonly peers?: readonly NodeId[] | undefined;
}

/** A new cluster out of a backup, in a directory that holds no data. Rejects with `DirectoryUnusableError` when it does: nothing changed. */
export async function restoreBackup(
  folder: string,
  backup: BackupFile,
  { nodeId = backup.takenBy, peers }: RestoreOptions = {},
): Promise<Outcome> {
  // Looked at before anything is made in it, the lock included.
  if (!isMoveUnderWay(new SystemDisk(), folder)) refuseData(folder);
  makeFolder(folder);
  return await holdingLock(folder, () => {
    const disk = new SystemDisk();
    if (finishMovingAside(disk, folder)) return { kind: 'finished', now: inspectDirectory(folder) };
    refuseData(folder);
    const names = peers === undefined ? namesAlone(nodeId) : namesTogether(backup, peers);
    return { kind: 'begun', ...beginAnew(disk, folder, { nodeId, copy: backup, names, now: Date.now() }, undefined) };
  });
}

async function holdingLock<T>(folder: string, work: () => T): Promise<T> {
  const lock = await lockFolder(folder);
  try {
    return work();
  } finally {
    lock.release();
  }
}

function copyOf(folder: string): Backup {
  const { identity, clusterId, log } = readDirectory(folder);
  if (identity === undefined) throw new NothingToRecoverError(`${folder} holds no node`);
  const copy = copyOfLog(log, clusterId);
  if (copy === undefined) throw new NothingToRecoverError(`the node in ${folder} has never belonged to a cluster`);
  return { ...copy, takenBy: identity.nodeId, takenAt: Date.now() };
}

function isOf(folder: string, clusterId: ClusterId): boolean {
  try {
    return readDirectory(folder).clusterId === clusterId;
  } catch (error) {
    // Damaged data is no reason not to begin anew.
    if (error instanceof StorageError) return false;
    throw error;
  }
}

function refuseData(folder: string): void {
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => !NO_DATA.includes(name)) : [];
  // A name alone is none: what belonged to it was set aside.
  if (found.every((name) => name === 'IDENTITY')) return;
  const advice = 'name an empty directory, or set the data aside first (funknode recover rejoin)';
  throw new DirectoryUnusableError(folder, `it holds ${found.join(', ')}, and a restore overwrites nothing: ${advice}`);
}
