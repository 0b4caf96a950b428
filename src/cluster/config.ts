/** Settings of the whole node, as its core sees them. */
import type { Dissolution } from '../model/dissolution.ts';
import type { ClusterId, NodeId, Stamp } from '../model/ids.ts';
import type { NodeKind } from '../model/node-state.ts';
import type { Timing } from '../model/timing.ts';
import type { RaftConfig } from '../raft/config.ts';
import type { LivenessConfig } from '../liveness/config.ts';
import type { SerfConfig } from '../serf/config.ts';
import type { ShardingConfig } from '../sharding/config.ts';
import type { FoundingMode } from './founding.ts';
import type { SnapshotPolicy } from './snapshot-schedule.ts';

/** What this node's options say of the times that a cluster must agree on. */
export function ownTiming({ sharding, raft }: ClusterConfig): Timing {
  const { leaseMs, clockDrift } = sharding;
  return { leaseMs, clockDrift, heartbeatMs: raft.heartbeatMs, electionMs: raft.electionMs };
}

/** Where a standalone etcd keeps what is agreed. */
export interface EtcdPlace {
  readonly prefix: string;
  /** Of the leader's lease, in whole seconds. */
  readonly ttlSeconds: number;
  /** For people. */
  readonly where: string;
}

export interface ClusterConfig {
  readonly nodeId: NodeId;
  readonly stamp: Stamp;
  /** What earlier members on this data directory have dissolved. */
  readonly dissolutions?: readonly Dissolution[];
  /** The cluster that this node followed when it ran last (`rememberCluster`). */
  readonly followed?: ClusterId | undefined;
  readonly clusterName: string;
  readonly kind: NodeKind;
  readonly founding: FoundingMode;
  /** Gossip drives membership: voters come and go by themselves, an orderly stop gives up the vote. */
  readonly isAutoJoin: boolean;
  /** Voters to grow to: 1, 3, 5 or 7. */
  readonly votersWanted: number;
  /** How much operators want this node to lead, from -100 to 100. */
  readonly leaderPriority: number;
  /** False with `--no-shards`. */
  readonly ownsShards: boolean;
  /** The data directory is locked by this process (O-13); false in memory. */
  readonly isDirectoryLocked: boolean;
  /** Whether the application is asked before shards are released. */
  readonly hasReleaseHook: boolean;
  /** Whether the application is told what it gets; without it nobody takes what an owner hands over. */
  readonly hasAcquireHook: boolean;
  /** Unix milliseconds at monotonic instant `startedAt`: for the founding time and ages, nothing else. */
  readonly startedWallMs: number;
  readonly startedAt: number;
  readonly serf: SerfConfig;
  readonly raft: RaftConfig;
  /** Default: every 10,000 entries or 32 MiB, 5,000 entries kept. */
  readonly snapshots?: SnapshotPolicy;
  /** Reads may rest on the leader lease: the operator has said that no host is ever suspended (raft.md 7.2). */
  readonly hasLeaseReads?: boolean;
  /** A standalone etcd keeps the log, and no node votes. */
  readonly etcd?: EtcdPlace | undefined;
  readonly sharding: ShardingConfig;
  readonly liveness: LivenessConfig;
}
