/**
 * A node's data directory: locked, identified, its log open. raft.md 11.1, 11.5.
 *
 *   LOCK        held by flock while the node runs; never deleted
 *   IDENTITY    node id and stamp; written once, at the first start
 *   CLUSTER     the cluster it belongs to; written once
 *   DISSOLVED   clusters that earlier members on it gave up as their only voters
 *   wal/ snap/  the log and its snapshots
 *   quarantine/ what was moved aside; never deleted by the program
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { memberId } from '../model/ids.ts';
import type { ClusterId, MemberId, NodeId, Stamp } from '../model/ids.ts';
import { EMPTY_RECOVERED_LOG } from '../model/log.ts';
import type { Dissolution } from '../model/dissolution.ts';
import type { Configuration, LogId, RecoveredLog } from '../model/log.ts';
import type { StorageStats } from '../model/node-stats.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { decodeConfiguration } from '../wire/raft/entry.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import {
  decodeClusterFile,
  decodeDissolutions,
  decodeIdentity,
  encodeDissolutions,
  encodeIdentity,
} from '../wire/raft/identity.ts';
import type { Identity } from '../wire/raft/identity.ts';
import { parseSegmentFileName } from '../wire/raft/segment.ts';
import { finishMovingAside, moveDataAside } from './data-aside.ts';
import { DirectoryLock, lockHolder } from './directory-lock.ts';
import {
  DamagedLogError,
  DataLostError,
  DirectoryLockedError,
  DiskFailedError,
  DirectoryUnusableError,
  IdentityMismatchError,
} from './disk-errors.ts';
import { readWholeFile, writeFileDurably } from './disk-files.ts';
import { DiskLog } from './disk-log.ts';
import type { LogOpening } from './disk-log-messages.ts';
import { recoverWal } from './disk-log-recovery.ts';
import { randomHex } from './node-storage.ts';
import type { NodeStorage } from './node-storage.ts';
import { SystemDisk } from './system-disk.ts';

const SEGMENT_BYTES: number = 16 * 1024 * 1024;
const SEGMENT_BYTES_MIN: number = 64 * 1024;
const FIRST_SEGMENT_BYTES: number = 1024 * 1024;
const DISSOLVED = 'DISSOLVED';

export interface DataDirectoryOptions {
  /** What the operator calls the node; must equal what the directory was first used with. 16 random hex digits unless given. */
  readonly nodeId?: NodeId | undefined;
  /** 16 MiB; at least 64 KiB. */
  readonly segmentBytes?: number | undefined;
  readonly randomBytes?: (count: number) => Uint8Array;
  /** Unix milliseconds: the creation time of a new directory, and the name of what is moved aside. */
  readonly now?: () => number;
  /** The directory's lock, when the caller holds it already (see `data-slots.ts`). Released with the directory, or when opening fails. */
  readonly lock?: DirectoryLock | undefined;
}

export interface DataDirectory extends NodeStorage {
  readonly path: string;
  /** The directory was empty: this is the first start of a new member. */
  readonly isNew: boolean;
  readonly log: DiskLog;
  /**
   * Ends this opening, moves all data into `quarantine/`, and opens the directory as a new member's, under the same name or `nodeId`,
   * remembering what was `dissolved`.
   * The lock is held throughout; use what it resolves with from then on.
   */
  startOver(nodeId?: NodeId, dissolved?: Dissolution): Promise<DataDirectory>;
}

/**
 * Rejects with `DirectoryLockedError`, `IdentityMismatchError`, `DirectoryUnusableError`, `FlockUnusableError` (exit 78), `DamagedLogError`,
 * `DataLostError` (65) or `DiskFailedError` (74); then nothing stays open or locked.
 */
export async function openDataDirectory(path: string, options: DataDirectoryOptions = {}): Promise<DataDirectory> {
  const folder = resolve(path);
  let lock = options.lock;
  try {
    if (lock === undefined) makeFolder(folder);
    lock ??= await lockFolder(folder);
    return await openLocked(folder, lock, options);
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** Locks a directory that exists. */
export async function lockFolder(folder: string): Promise<DirectoryLock> {
  const lock = await DirectoryLock.take(`${folder}/LOCK`);
  if (lock === undefined) throw new DirectoryLockedError(folder, lockHolder(`${folder}/LOCK`));
  return lock;
}

export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new DirectoryUnusableError(folder, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** What can be told of a directory without opening its log for writing. The caller holds its lock. */
export interface DirectoryPeek {
  readonly identity: Identity | undefined;
  /** Its newest configuration names it as a voter; also true when its data cannot be read, for then it may well be one. */
  readonly mayVote: boolean;
  /** Where its log ends; undefined when it has none, or none that can be read. */
  readonly lastLog: LogId | undefined;
}

export function peekDirectory(folder: string): DirectoryPeek {
  let identity: Identity | undefined;
  try {
    identity = readIdentity(new SystemDisk(), folder);
    const log = recoverDirectory(folder);
    const mayVote = identity !== undefined && isVoter(log, memberId(identity.nodeId, identity.stamp));
    return { identity, mayVote, lastLog: lastLogOf(log) };
  } catch (error) {
    const isUnreadable = [DamagedLogError, DataLostError, IdentityMismatchError].some((type) => error instanceof type);
    if (isUnreadable) return { identity, mayVote: true, lastLog: undefined };
    throw error;
  }
}

export interface DirectoryContents {
  readonly identity: Identity | undefined;
  readonly clusterId: ClusterId | undefined;
  readonly log: RecoveredLog;
}

/** What opening would find. Changes nothing, and takes no lock; throws what opening would reject with. */
export function readDirectory(folder: string, disk: DiskPort = new SystemDisk()): DirectoryContents {
  const { identity, clusterId, isUsed } = examine(disk, folder);
  if (identity === undefined || !isUsed) return { identity, clusterId, log: EMPTY_RECOVERED_LOG };
  const place = { walFolder: `${folder}/wal`, snapFolder: `${folder}/snap` };
  const { log } = recoverWal(disk, { ...place, clusterId, memberHash: memberHash(identity) });
  refuseLostCluster(folder, clusterId, log);
  return { identity, clusterId, log };
}

export function recoverDirectory(folder: string): RecoveredLog {
  return readDirectory(folder).log;
}

/** Whether there is anything of a node in it, whole or damaged. */
export function holdsNode(folder: string): boolean {
  const disk = new SystemDisk();
  return hasLog(disk, folder) || ['IDENTITY', 'CLUSTER'].some((name) => disk.exists(`${folder}/${name}`));
}

export interface SetAside {
  /** Where the data went. */
  readonly path: string;
  /** What the next member on the directory is called; undefined when the name could not be read. */
  readonly nodeId: NodeId | undefined;
}

/** Moves all data, whole or damaged, into `quarantine/`, but keeps the name. Rejects with `DirectoryLockedError` while the node runs. */
export async function setDirectoryAside(folder: string): Promise<SetAside> {
  const lock = await lockFolder(folder);
  try {
    const disk = new SystemDisk();
    finishMovingAside(disk, folder);
    return setDataAside(disk, folder, quarantineName(Date.now()));
  } finally {
    lock.release();
  }
}

/** The same where no lock is needed. */
export function setDataAside(disk: DiskPort, folder: string, name: string, options?: DataDirectoryOptions): SetAside {
  const nodeId = readableName(disk, folder);
  const path = moveDataAside(disk, folder, name);
  // An identity without a log has promised nothing: its name is kept, and its stamp is not.
  if (nodeId !== undefined) writeIdentity(disk, folder, { ...options, nodeId }, undefined);
  return { path, nodeId };
}

function readableName(disk: DiskPort, folder: string): NodeId | undefined {
  try {
    return readIdentity(disk, folder)?.nodeId;
  } catch (error) {
    if ([DamagedLogError, DiskFailedError, IdentityMismatchError].some((type) => error instanceof type))
      return undefined;
    throw error;
  }
}

/** The newest configuration of a log, committed or not: it counts from the moment it is appended (raft.md 9.1). */
function latestConfiguration({ entries, snapshot }: RecoveredLog): Configuration | undefined {
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i];
    if (entry?.kind === 'config') return decodeConfiguration(entry.data);
  }
  return snapshot?.meta.configuration;
}

function lastLogOf({ entries, snapshot }: RecoveredLog): LogId | undefined {
  const last = entries.at(-1);
  return last === undefined ? snapshot?.meta.lastLog : { term: last.term, index: last.index };
}

/** What a start settles before the log is opened, and what it needs to open it. */
export interface PreparedDirectory {
  readonly identity: Identity;
  /** There was no log. */
  readonly isNew: boolean;
  readonly opening: LogOpening;
}

/** Makes what is missing; throws what opening rejects with. The caller holds the lock. */
export function prepareDirectory(disk: DiskPort, folder: string, options: DataDirectoryOptions): PreparedDirectory {
  finishMovingAside(disk, folder);
  const { identity: found, clusterId, isUsed } = examine(disk, folder);
  if (found !== undefined && options.nodeId !== undefined && found.nodeId !== options.nodeId) {
    const owner = `data directory ${folder} belongs to node ${found.nodeId}`;
    throw new IdentityMismatchError(`${owner}, not to ${options.nodeId}`);
  }
  // Before anything is changed: who has lost the name of its cluster is left as it is.
  if (isUsed && clusterId === undefined) readDirectory(folder, disk);
  for (const name of ['wal', 'snap', 'quarantine']) disk.makeFolder(`${folder}/${name}`);
  // Whoever has an identity and no log may have lost one before it belonged to a cluster: a new stamp has promised nothing.
  const identity = found !== undefined && isUsed ? found : writeIdentity(disk, folder, options, found);
  disk.syncFolder(folder);
  disk.syncFolder(dirname(folder));
  const segmentBytes = Math.max(SEGMENT_BYTES_MIN, options.segmentBytes ?? SEGMENT_BYTES);
  const opening: LogOpening = {
    folder,
    clusterId,
    memberHash: memberHash(identity),
    segmentBytes,
    firstSegmentBytes: Math.min(FIRST_SEGMENT_BYTES, segmentBytes),
    quarantineName: quarantineName((options.now ?? Date.now)()),
  };
  return { identity, isNew: !isUsed, opening };
}

/** Sets all data aside; the next opening is that of a new member, which remembers what is `dissolved`. The log must be closed. */
export function beginAside(disk: DiskPort, folder: string, name: string, dissolved: readonly Dissolution[]): void {
  if (dissolved.length > 0) writeDissolutions(disk, folder, dissolved);
  moveDataAside(disk, folder, name);
}

async function openLocked(folder: string, lock: DirectoryLock, options: DataDirectoryOptions): Promise<DataDirectory> {
  const disk = new SystemDisk();
  const { identity, isNew, opening } = prepareDirectory(disk, folder, options);
  const log = await DiskLog.open(opening);
  const member = memberId(identity.nodeId, identity.stamp);
  const dissolutions = readDissolutions(disk, folder, member);
  return {
    path: folder,
    nodeId: identity.nodeId,
    stamp: identity.stamp,
    memberId: member,
    isNew,
    log,
    hasVote: isVoter(log.recovered, member),
    stats: (): Readonly<StorageStats> => log.stats,
    release: async () => {
      try {
        await log.close();
      } finally {
        lock.release();
      }
    },
    dissolutions,
    startOver: async (nodeId = identity.nodeId, dissolved) => {
      await log.close();
      const name = quarantineName((options.now ?? Date.now)());
      beginAside(disk, folder, name, dissolved === undefined ? [] : [...dissolutions, dissolved]);
      return openLocked(folder, lock, { ...options, nodeId });
    },
  };
}

/** Whose the directory is, and whether there is a log; refuses what cannot be. */
function examine(
  disk: DiskPort,
  folder: string,
): { readonly identity: Identity | undefined; readonly clusterId: ClusterId | undefined; readonly isUsed: boolean } {
  const identity = readIdentity(disk, folder);
  const clusterId = readCluster(disk, folder);
  const isUsed = hasLog(disk, folder);
  if (clusterId !== undefined && !isUsed) throw new DataLostError(folder);
  if (identity === undefined && (clusterId !== undefined || isUsed)) {
    throw new DamagedLogError(`${folder}/IDENTITY`, 0, 'it is missing, though the directory holds data');
  }
  return { identity, clusterId, isUsed };
}

/** Whoever belongs to no cluster has promised nothing yet: a log that says otherwise has lost the file that names its cluster. */
function refuseLostCluster(folder: string, clusterId: ClusterId | undefined, log: RecoveredLog): void {
  const { hardState, entries, snapshot } = log;
  if (clusterId !== undefined || (hardState.term === 0 && entries.length === 0 && snapshot === undefined)) return;
  throw new DamagedLogError(`${folder}/CLUSTER`, 0, 'it is missing, though the log is that of a member of a cluster');
}

/** The name of what is moved aside now. */
export function quarantineName(now: number): string {
  return new Date(now).toISOString().replace(/[:.]/g, '-');
}

function writeIdentity(
  disk: DiskPort,
  folder: string,
  options: DataDirectoryOptions,
  found: Identity | undefined,
): Identity {
  const draw = options.randomBytes ?? randomBytes;
  const identity: Identity = {
    nodeId: options.nodeId ?? found?.nodeId ?? (randomHex(draw) as NodeId),
    stamp: randomHex(draw) as Stamp,
    createdAt: (options.now ?? Date.now)(),
  };
  writeFileDurably(disk, folder, 'IDENTITY', encodeIdentity(identity));
  return identity;
}

function readIdentity(disk: DiskPort, folder: string): Identity | undefined {
  return readSmallFile(disk, `${folder}/IDENTITY`, decodeIdentity);
}

function readCluster(disk: DiskPort, folder: string): ClusterId | undefined {
  return readSmallFile(disk, `${folder}/CLUSTER`, decodeClusterFile);
}

/** A crash between the note and what it tells of has undone the latter: who lives has dissolved nothing. */
export function readDissolutions(disk: DiskPort, folder: string, self: MemberId): readonly Dissolution[] {
  const found = readSmallFile(disk, `${folder}/${DISSOLVED}`, decodeDissolutions) ?? [];
  const happened = found.filter(({ member }) => member !== self);
  if (happened.length < found.length) writeDissolutions(disk, folder, happened);
  return happened;
}

function writeDissolutions(disk: DiskPort, folder: string, dissolutions: readonly Dissolution[]): void {
  writeFileDurably(disk, folder, DISSOLVED, encodeDissolutions(dissolutions));
}

function readSmallFile<T>(
  disk: DiskPort,
  path: string,
  decode: (bytes: Uint8Array) => T | FormatFault | 'newer',
): T | undefined {
  if (!disk.exists(path)) return undefined;
  const value = decode(readWholeFile(disk, path));
  if (value === 'newer') throw new IdentityMismatchError(`${path} was written by a newer version of funknode`);
  if (value instanceof FormatFault) throw new DamagedLogError(path, value.offset, value.reason);
  return value;
}

/** Snapshots alone are of no use: which of them counts, and the last term and vote, stand in the log. */
function hasLog(disk: DiskPort, folder: string): boolean {
  return (
    disk.exists(`${folder}/wal`) && disk.list(`${folder}/wal`).some((name) => parseSegmentFileName(name) !== undefined)
  );
}

/** What a log's segments bear of their member. */
export function memberHash({ nodeId, stamp }: Identity): Uint8Array {
  return new Uint8Array(createHash('sha256').update(memberId(nodeId, stamp)).digest().subarray(0, 8));
}

function isVoter(log: RecoveredLog, member: MemberId): boolean {
  const configuration = latestConfiguration(log);
  return configuration !== undefined && [...configuration.voters, ...configuration.votersOutgoing].includes(member);
}
