/** Everything a node tells of itself. Log lines, metrics and the public streams are readings of these. */
import type { Ailment } from './ailment.ts';
import type { Endpoint } from './endpoint.ts';
import type { GossipEvent } from './gossip-request.ts';
import type { ClusterId, LogIndex, NodeId, ShardId, Term } from './ids.ts';
import type { Member } from './member.ts';
import type { NodeRole, NodeState } from './node-state.ts';
import type { RestartPermit } from './restart-permit.ts';
import type { FormerOwner, OwnerPair, ReleaseEnd, ShardMap } from './shard-map.ts';
import type { StorageRoom } from './storage-room.ts';

export type NodeEvent =
  | GossipEvent
  | { readonly kind: 'stateChanged'; readonly from: NodeState; readonly to: NodeState }
  | { readonly kind: 'roleChanged'; readonly from: NodeRole; readonly to: NodeRole; readonly term: Term }
  /** A leader is known that was not known before. */
  | { readonly kind: 'leaderChanged'; readonly leader: NodeId; readonly term: Term }
  /** Nobody is known to lead any more. */
  | { readonly kind: 'leaderLost'; readonly leader: NodeId; readonly term: Term }
  /** `memberFailed` fell silent, `memberLeft` said goodbye, `memberReaped` is forgotten for good. */
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
  /** Another cluster bears this one's name. Told again every minute as long as it lasts. */
  | { readonly kind: 'clusterConflict'; readonly ours: ClusterId; readonly theirs: ClusterId; readonly node: NodeId }
  /** This node's own cluster held nothing and gave way; the data is in quarantine. */
  | { readonly kind: 'clusterDissolved'; readonly ours: ClusterId; readonly into: ClusterId }
  | { readonly kind: 'configurationChanged'; readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[] }
  | { readonly kind: 'shardMapProposed'; readonly version: LogIndex }
  /** The map is active: its owners serve. */
  | { readonly kind: 'shardMapChanged'; readonly map: ShardMap }
  /** The application must stop serving these; it calls back when it is done or the deadline (monotonic ms) has passed. */
  | {
      readonly kind: 'shardsReleasing';
      readonly shards: readonly ShardId[];
      /** Per shard: under which epoch it was served here. */
      readonly epochs: readonly LogIndex[];
      /** Per shard: who is to have it; undefined when nobody is known to. */
      readonly to: readonly (OwnerPair | undefined)[];
      readonly version: LogIndex;
      readonly deadline: number;
    }
  /** What was asked for by `shardsReleasing` of this version is of no use any more. */
  | { readonly kind: 'shardsReleaseOver'; readonly version: LogIndex; readonly reason: ReleaseEnd }
  /** This node owns these from now on, under `epoch`; it serves them when its application is ready for them. */
  | {
      readonly kind: 'shardsStarted';
      readonly shards: readonly ShardId[];
      readonly epoch: LogIndex;
      /** Per shard: who had it before; undefined when nobody had, or that is not known here. */
      readonly from: readonly (FormerOwner | undefined)[];
      /** They were to be given up, and stay here after all, under the epoch they had. */
      readonly isResumed: boolean;
    }
  /** Without a lease no shard is served, whatever the map says. */
  | { readonly kind: 'leaseGained' | 'leaseLost' }
  /** Somebody may restart a node now, or nobody any more. */
  | { readonly kind: 'restartPermitChanged'; readonly permit: RestartPermit | undefined }
  | { readonly kind: 'livenessChanged'; readonly node: NodeId; readonly alive: boolean }
  /** The gossip keyring was changed from anywhere in the cluster; so many keys are in it now. */
  | { readonly kind: 'keysChanged'; readonly operation: 'install' | 'use' | 'remove'; readonly keys: number }
  /** The disk has become short of room for the log, or has enough again. */
  | { readonly kind: 'storageRoomChanged'; readonly room: StorageRoom }
  /** The node has become unfit to lead, or fit again (undefined). */
  | { readonly kind: 'ailmentChanged'; readonly ailment: Ailment | undefined }
  | { readonly kind: 'waiting'; readonly text: string }
  /** Bytes of a peer were refused; `where` and `reason` are of fixed sets. */
  | { readonly kind: 'dropped'; readonly where: string; readonly reason: string }
  | { readonly kind: 'warning'; readonly text: string }
  /** In the place of events that the application was too busy to take (node in a thread of its own): what is told now is of later. */
  | { readonly kind: 'eventsForgotten'; readonly count: number }
  /** The last event. 0: in order; else the exit code that a program deserves (docs/operating.md). */
  | { readonly kind: 'stopped'; readonly reason: string; readonly exitCode: number };
