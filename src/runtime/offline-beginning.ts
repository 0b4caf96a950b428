/**
 * A new cluster out of a copy of an old one: who its members are, what it is called, and the data that each begins with. Members that
 * begin together get the same names without talking to each other, for these follow from what all of them were given. raft.md 14, R-4, R-5.
 */
import { createHash, randomBytes } from 'node:crypto';
import { FunkError } from '../base/errors.ts';
import { forcedState, logOfCopy, mintClusterId } from '../cluster/cluster.ts';
import type { AgreedCopy } from '../model/backup.ts';
import { type ClusterId, type LogIndex, memberId, type NodeId, type Stamp } from '../model/ids.ts';
import { EMPTY_CONFIGURATION, type SnapshotMeta } from '../model/log.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import type { BackupFile } from '../wire/raft/backup-file.ts';
import { putFreshData } from './fresh-directory.ts';
import { randomHex } from './node-storage.ts';
import { SystemRandom } from './system-random.ts';

const CLUSTER_ID_BYTES = 16;
const STAMP_BYTES = 8;

/** This node is not among those that are to begin together. Nothing was changed. */
export class NotAPeerError extends FunkError {
  readonly code = 'FUNK_NOT_A_PEER';
  readonly exitCode = 78;
}

/** What a new cluster is called, and its voters under their new stamps: nobody who bore an old one is let in. */
export interface NewNames {
  readonly clusterId: ClusterId;
  readonly voters: ReadonlyMap<NodeId, Stamp>;
}

export function namesAlone(nodeId: NodeId): NewNames {
  const stamp = randomHex(randomBytes) as Stamp;
  return { clusterId: mintClusterId(new SystemRandom()), voters: new Map([[nodeId, stamp]]) };
}

/** The same for everyone who has the same copy and the same list, in whatever order. */
export function namesTogether({ sha256 }: BackupFile, peers: readonly NodeId[]): NewNames {
  const sorted = [...new Set(peers)].sort();
  const draw = (what: string, size: number): Buffer =>
    createHash('sha256')
      .update(sha256)
      .update(JSON.stringify([what, sorted]))
      .digest()
      .subarray(0, size);
  const clusterId = draw('cluster', CLUSTER_ID_BYTES).toString('base64url') as ClusterId;
  const stampOf = (peer: NodeId): Stamp => draw(`stamp of ${peer}`, STAMP_BYTES).toString('hex') as Stamp;
  return { clusterId, voters: new Map(sorted.map((peer) => [peer, stampOf(peer)])) };
}

export interface BegunCluster {
  readonly nodeId: NodeId;
  readonly clusterId: ClusterId;
  readonly voters: readonly NodeId[];
  /** Where the log of the new cluster begins: above every epoch that the old one may have handed out. */
  readonly firstIndex: LogIndex;
  /** Entries that the old cluster may never have committed, and that count from now on. */
  readonly uncertain: number;
}

export interface Beginning {
  readonly nodeId: NodeId;
  readonly copy: AgreedCopy;
  readonly names: NewNames;
  /** Unix milliseconds. */
  readonly now: number;
  readonly segmentBytes?: number;
}

/** The old data, if any, goes to `quarantine/<aside>`. */
export function beginAnew(
  disk: DiskPort,
  folder: string,
  beginning: Beginning,
  aside: string | undefined,
): BegunCluster {
  const { nodeId, copy, names, now, segmentBytes } = beginning;
  const stamp = names.voters.get(nodeId);
  const voters = [...names.voters.keys()];
  if (stamp === undefined)
    throw new NotAPeerError(`node ${nodeId} is not in the list of peers (${voters.join(', ')}); nothing was changed`);
  const { base, image } = forcedState(logOfCopy(copy));
  const members = [...names.voters].map(([voter, own]) => memberId(voter, own)).sort();
  const meta: SnapshotMeta = {
    clusterId: names.clusterId,
    lastLog: base,
    configuration: { ...EMPTY_CONFIGURATION, voters: members },
    configurationIndex: base.index,
  };
  putFreshData(disk, folder, { identity: { nodeId, stamp, createdAt: now }, meta, image, segmentBytes }, aside);
  return { nodeId, clusterId: names.clusterId, voters, firstIndex: base.index, uncertain: copy.uncertain };
}
