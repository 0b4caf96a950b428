/** What a cluster has agreed on, as one node has it: enough to begin a new cluster from. raft.md 14, R-5. */
import type { LogIndex, NodeId, Term } from './ids.ts';
import type { SnapshotMeta } from './log.ts';

export interface AgreedCopy {
  /** Of which cluster, through which entry. */
  readonly meta: SnapshotMeta;
  /** The state after that entry. */
  readonly image: Uint8Array;
  /** The term the node was in; at least that of the last entry. */
  readonly term: Term;
  /** Empty when the node knew no leader: then others may have agreed on more. */
  readonly ledBy: NodeId | '';
  /** Entries in it that are not known to be committed: none, unless a stopped node was copied. */
  readonly uncertain: number;
  readonly clusterName: string;
  /** Unix milliseconds. */
  readonly createdMs: number;
  readonly shardCount: number;
  /** Of the active shard map; 0 before the first. */
  readonly mapVersion: LogIndex;
}

export interface Backup extends AgreedCopy {
  readonly takenBy: NodeId;
  /** Unix milliseconds, by the clock of the node that was copied. */
  readonly takenAt: number;
}
