/**
 * What an operator does to the data directory of a node that does not run: look into it, set it aside, or make it the beginning of a
 * new cluster when the old one has lost its quorum for good. raft.md 14, R-1, R-2 and R-4. The directory's lock is held throughout.
 */
import { FunkError } from '../base/errors.ts';
import { forcedState, mintClusterId, type RecoveredState, recoveredState } from '../cluster/cluster.ts';
import type { ClusterId, LogIndex, NodeId, Stamp, Term } from '../model/ids.ts';
import { EMPTY_CONFIGURATION, type SnapshotMeta } from '../model/log.ts';
import { openDataDirectory, peekDirectory, readDirectory, setDirectoryAside } from './data-directory.ts';
import { SystemRandom } from './system-random.ts';

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
  const { identity, clusterId, log } = readDirectory(folder);
  if (identity === undefined) throw new NothingToRecoverError(`${folder} holds no node`);
  const { nodeId, stamp } = identity;
  const { hardState, commitHint, snapshot } = log;
  const snapshotIndex = snapshot?.meta.lastLog.index;
  return { ...recoveredState(log), nodeId, stamp, clusterId, term: hardState.term, commitHint, snapshotIndex };
}

/** Where the data went. The next start is that of a new member under the same name. */
export async function setAside(folder: string): Promise<string> {
  if (peekDirectory(folder).identity === undefined) throw new NothingToRecoverError(`${folder} holds no node`);
  return await setDirectoryAside(folder);
}

export interface ForcedCluster {
  readonly before: Inspection;
  readonly clusterId: ClusterId;
  /** Where the log of the new cluster begins: above every epoch that the old one may have handed out. */
  readonly firstIndex: LogIndex;
}

/**
 * Makes the node the only voter of a new cluster with the state of the old. The old data is kept in `quarantine/`. Every entry of its log
 * counts from then on, also those that the old cluster may never have committed. Should the process die on the way, the directory is empty
 * and the old data in `quarantine/`.
 */
export async function forceNewCluster(folder: string): Promise<ForcedCluster> {
  const before = inspectDirectory(folder);
  if (before.clusterId === undefined || before.founding === undefined)
    throw new NothingToRecoverError(`the node in ${folder} has never belonged to a cluster`);
  const old = await openDataDirectory(folder, { nodeId: before.nodeId });
  const state = forcedState(old.log.recovered);
  const fresh = await old.startOver();
  try {
    const clusterId = mintClusterId(new SystemRandom());
    const meta: SnapshotMeta = {
      clusterId,
      lastLog: state.base,
      configuration: { ...EMPTY_CONFIGURATION, voters: [fresh.memberId] },
      configurationIndex: state.base.index,
    };
    await fresh.log.identify(clusterId);
    const { term } = state.base;
    await fresh.log.persist({ batchSeq: 1, underTerm: term, hardState: { term, vote: null } });
    await fresh.log.installSnapshot(meta, state.image);
    return { before, clusterId, firstIndex: state.base.index };
  } finally {
    await fresh.release();
  }
}
