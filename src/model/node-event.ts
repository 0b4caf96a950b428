/** Everything a node tells of itself. Log lines, metrics and the public streams are readings of these. */
import type { Endpoint } from './endpoint.ts';
import type { ClusterId, LogIndex, NodeId, ShardId, Term } from './ids.ts';
import type { Member } from './member.ts';
import type { NodeRole, NodeState } from './node-state.ts';
import type { ShardMap } from './shard-map.ts';

export type NodeEvent =
  | { readonly kind: 'stateChanged'; readonly from: NodeState; readonly to: NodeState }
  | { readonly kind: 'roleChanged'; readonly from: NodeRole; readonly to: NodeRole; readonly term: Term }
  | { readonly kind: 'leaderChanged'; readonly leader: NodeId; readonly term: Term }
  | { readonly kind: 'leaderLost'; readonly leader: NodeId; readonly term: Term }
  | {
      readonly kind: 'memberJoined' | 'memberLeft' | 'memberFailed' | 'memberUpdated' | 'memberReaped';
      readonly member: Member;
    }
  | {
      readonly kind: 'endpointChanged';
      readonly change: 'added' | 'changed' | 'removed';
      readonly node: string;
      readonly name: string;
      readonly endpoint: Endpoint;
    }
  | { readonly kind: 'clusterFounded' | 'clusterJoined'; readonly clusterId: ClusterId }
  | { readonly kind: 'clusterConflict'; readonly ours: ClusterId; readonly theirs: ClusterId; readonly node: NodeId }
  | { readonly kind: 'clusterDissolved'; readonly ours: ClusterId; readonly into: ClusterId }
  | { readonly kind: 'configurationChanged'; readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[] }
  | { readonly kind: 'shardMapProposed'; readonly version: LogIndex }
  | { readonly kind: 'shardMapChanged'; readonly map: ShardMap }
  /** The application must stop serving these; it calls back when it is done or the deadline (monotonic ms) has passed. */
  | {
      readonly kind: 'shardsReleasing';
      readonly shards: readonly ShardId[];
      readonly version: LogIndex;
      readonly deadline: number;
    }
  | { readonly kind: 'shardsStarted'; readonly shards: readonly ShardId[]; readonly epoch: LogIndex }
  | { readonly kind: 'leaseGained' | 'leaseLost' }
  | { readonly kind: 'livenessChanged'; readonly node: NodeId; readonly alive: boolean }
  | { readonly kind: 'waiting'; readonly text: string }
  | { readonly kind: 'dropped'; readonly where: string; readonly reason: string }
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'stopped'; readonly reason: string; readonly exitCode: number };
