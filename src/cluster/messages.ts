/** The vocabulary of the whole node: what the shell tells it and what it asks of the shell. */
import type { EtcdInput, EtcdRequest } from '../etcd/messages.ts';
import type { AgreedCopy } from '../model/backup.ts';
import type { Dissolution } from '../model/dissolution.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipOutcome, GossipRequest } from '../model/gossip-request.ts';
import type { ClusterId, LogIndex, MemberId, NodeId, RequestId, ShardId, Stamp, StreamId } from '../model/ids.ts';
import type { KvAnswer, KvRequest } from '../model/kv.ts';
import type { PersistBatch, SnapshotMeta } from '../model/log.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { ShardState } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { LamportTimes } from '../wire/serf/snapshot-file.ts';

/** Which of the node's two UDP sockets. */
export type Channel = 'gossip' | 'liveness';

export type ClusterInput =
  /** Sockets are bound, the data directory is open. Comes once, first. `tags` are published, `endpoints` are shown in views. */
  | {
      readonly kind: 'start';
      readonly tags: ReadonlyMap<string, string>;
      readonly endpoints: ReadonlyMap<string, Endpoint>;
      /** Lamport times that an earlier run had seen. */
      readonly times?: LamportTimes;
    }
  | { readonly kind: 'datagram'; readonly channel: Channel; readonly from: Endpoint; readonly bytes: Uint8Array }
  | { readonly kind: 'streamAccepted'; readonly stream: StreamId; readonly from: Endpoint }
  | { readonly kind: 'streamOpened'; readonly stream: StreamId }
  | { readonly kind: 'streamBytes'; readonly stream: StreamId; readonly bytes: Uint8Array }
  | { readonly kind: 'streamClosed'; readonly stream: StreamId; readonly error: string | undefined }
  /** The keyring file of this `saveKeyring` was written; or why not. */
  | { readonly kind: 'keyringSaved'; readonly save: number; readonly error: string | undefined }
  | { readonly kind: 'peerFrame'; readonly bytes: Uint8Array }
  | { readonly kind: 'peerUnreachable'; readonly peer: MemberId }
  | StorageInput
  /** The wall clock ran ahead of the monotonic one (a suspended guest, a stepped clock). Comes ahead of the turn's other inputs. */
  | { readonly kind: 'clockJumped'; readonly byMs: number }
  | { readonly kind: 'loopDelay'; readonly p99Ms: number }
  | { readonly kind: 'discovered'; readonly gossip: readonly Endpoint[]; readonly searched: boolean }
  /** The application has stopped serving what `shardsReleasing` of this version named. */
  | {
      readonly kind: 'released';
      readonly version: LogIndex;
      /** For the next owners, best effort. */
      readonly states: readonly ShardState[];
    }
  /** The application is ready to serve these of `shardsStarted`. */
  | { readonly kind: 'acquired'; readonly shards: readonly ShardId[]; readonly epoch: LogIndex }
  /** clusterfunk's `ConfirmShardMap`: a holder's acknowledgement that came by another way. */
  | { readonly kind: 'confirmed'; readonly node: NodeId; readonly version: LogIndex }
  | { readonly kind: 'request'; readonly requestId: RequestId; readonly request: ClusterRequest }
  /** Of the standalone etcd, where there is one. */
  | { readonly kind: 'etcd'; readonly told: EtcdInput }
  /** Requests to the coordination state: all of a turn together, for they are many. Each is answered once, by `kvAnswers`. */
  | { readonly kind: 'kvQuestions'; readonly questions: readonly KvQuestion[] };

export interface KvQuestion {
  readonly requestId: RequestId;
  readonly request: KvRequest;
}

export interface KvOutcome {
  readonly requestId: RequestId;
  readonly answer: KvAnswer;
}

/** What came of what the disk was asked for, and how much room it has. */
export type StorageInput =
  | { readonly kind: 'persisted'; readonly batchSeq: number }
  | { readonly kind: 'persistFailed'; readonly reason: string }
  | { readonly kind: 'snapshotSaved'; readonly meta: SnapshotMeta; readonly firstIndex: LogIndex }
  /** There was no room for the snapshot that was asked for. Nothing was lost; it is asked for again later. */
  | { readonly kind: 'snapshotRefused'; readonly reason: string }
  | { readonly kind: 'snapshotInstalled'; readonly meta: SnapshotMeta }
  /** There was no room for the snapshot of the leader. Nothing has changed. */
  | { readonly kind: 'installRefused'; readonly reason: string }
  | { readonly kind: 'identified'; readonly clusterId: ClusterId }
  /** The data directory was set aside and a new, empty one is open under this stamp. */
  | { readonly kind: 'logReset'; readonly stamp: Stamp }
  /** It has changed. What was handed over and does not fit is answered when it does. */
  | { readonly kind: 'room'; readonly room: StorageRoom };

export type ClusterRequest =
  | { readonly kind: 'join'; readonly addresses: readonly Endpoint[]; readonly replay?: boolean }
  /** Undefined removes the tag. */
  | { readonly kind: 'setTags'; readonly tags: ReadonlyMap<string, string | undefined> }
  | { readonly kind: 'addNode'; readonly node: NodeId }
  | { readonly kind: 'removeNode'; readonly node: NodeId }
  | { readonly kind: 'stepDown' }
  /** What the leader would plan if. Nothing changes. */
  | { readonly kind: 'planShards'; readonly question: ShardWhatIf }
  /** Agree on other settings of the spread of shards. The leader does it. */
  | { readonly kind: 'configureShards'; readonly change: ShardSettingsChange }
  | { readonly kind: 'drain' | 'undrain' }
  /** The leader's. `leaseMs`: when it ends by itself. */
  | { readonly kind: 'takePermit'; readonly holder: string; readonly node: NodeId; readonly leaseMs: number }
  | { readonly kind: 'givePermit'; readonly holder: string }
  /** The agreed state as this node has it. */
  | { readonly kind: 'copy' }
  | { readonly kind: 'gossip'; readonly request: GossipRequest }
  /** The orderly stop: shards away, vote given up, gossip left. The reply is the last thing the node says. */
  | { readonly kind: 'leave' };

export type ClusterEffect =
  | { readonly kind: 'sendDatagram'; readonly channel: Channel; readonly to: Endpoint; readonly bytes: Uint8Array }
  | { readonly kind: 'openStream'; readonly stream: StreamId; readonly to: Endpoint }
  | { readonly kind: 'sendStream'; readonly stream: StreamId; readonly bytes: Uint8Array }
  | { readonly kind: 'closeStream'; readonly stream: StreamId }
  /** Over the long-lived link to that peer; may be lost, is never reordered on one link. */
  | { readonly kind: 'sendPeer'; readonly to: MemberId; readonly endpoint: Endpoint; readonly bytes: Uint8Array }
  | { readonly kind: 'persist'; readonly batch: PersistBatch }
  | {
      readonly kind: 'saveSnapshot';
      readonly meta: SnapshotMeta;
      readonly bytes: Uint8Array;
      readonly keepFrom: LogIndex;
    }
  | { readonly kind: 'installSnapshot'; readonly meta: SnapshotMeta; readonly bytes: Uint8Array }
  /** Make it durable that this directory belongs to that cluster; answered by `identified`. */
  | { readonly kind: 'identify'; readonly clusterId: ClusterId }
  /** Set the data directory aside and open an empty one, which remembers what was `dissolved`; answered by `logReset`. */
  | { readonly kind: 'resetLog'; readonly dissolved: Dissolution | undefined }
  /** Keep these gossip addresses beside the data, to find the others after a restart. Best effort. */
  | { readonly kind: 'rememberPeers'; readonly gossip: readonly Endpoint[] }
  /** Keep beside the data that this node follows that cluster: after a restart it founds no other. Best effort. */
  | { readonly kind: 'rememberCluster'; readonly clusterId: ClusterId }
  /** Keep these keys (base64, the primary first) in the keyring file, one effect after the other; answered by `keyringSaved`. */
  | { readonly kind: 'saveKeyring'; readonly save: number; readonly keys: readonly string[] }
  /** To the standalone etcd, where there is one. */
  | { readonly kind: 'etcd'; readonly request: EtcdRequest }
  | { readonly kind: 'reply'; readonly requestId: RequestId; readonly outcome: ClusterOutcome }
  | { readonly kind: 'kvAnswers'; readonly answers: readonly KvOutcome[] }
  | { readonly kind: 'notify'; readonly event: NodeEvent }
  | { readonly kind: 'stop'; readonly reason: string; readonly exitCode: number };

export type ClusterOutcome =
  /** `count`: for `join`, how many addresses answered. */
  | { readonly kind: 'done'; readonly count: number }
  | { readonly kind: 'copy'; readonly copy: AgreedCopy }
  | { readonly kind: 'shardPlan'; readonly report: ShardPlanReport }
  /** As they are now. */
  | { readonly kind: 'shardSettings'; readonly settings: ShardSettings }
  /** To a `gossip` request, refusals of it included. */
  | { readonly kind: 'gossip'; readonly outcome: GossipOutcome }
  | {
      readonly kind: 'refused';
      readonly code: ClusterRefusal;
      readonly reason: string;
      readonly leader: NodeId | undefined;
    };

export type ClusterRefusal =
  | 'NOT_LEADER'
  | 'UNKNOWN_NODE'
  | 'ALREADY_MEMBER'
  | 'REFUSED'
  | 'OUTCOME_UNKNOWN'
  | 'JOIN_FAILED'
  | 'TAGS_TOO_LARGE'
  | 'STORAGE_FULL'
  | 'STOPPED';
