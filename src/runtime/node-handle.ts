/** The one way into a running node. Message-shaped: everything is a value or a promise, so the core may live elsewhere. */
import type { Backup } from '../model/backup.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipOutcome, GossipRequest } from '../model/gossip-request.ts';
import type { NodeId, ShardId } from '../model/ids.ts';
import type { KvRequest } from '../model/kv.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeView } from '../model/node-view.ts';
import type { RoutingReport } from '../model/routing-report.ts';
import type { Ownership, ShardState } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import type { NodeStats } from '../model/node-stats.ts';
import type { KvDone } from './kv-errors.ts';

export interface CallOptions {
  /** Aborting rejects the promise; what was asked for may still happen. */
  readonly signal?: AbortSignal;
}

export interface JoinOptions extends CallOptions {
  /** Take in user events of the time before the join, too; without it they are passed over, as Serf does. */
  readonly replay?: boolean;
}

export interface PermitRequest {
  /** Any name of 1 to 64 bytes, the same to give it back. */
  readonly holder: string;
  /** The node that is to be restarted. The permit ends by itself when it is back as a new process and all is well. */
  readonly node: NodeId;
  /** When it ends if nobody ends it before: 1 s to 24 h, in milliseconds. A new leader counts it anew. */
  readonly leaseMs: number;
}

export interface NodeHandle {
  /** The newest view. Cheap; the same object until something changes. */
  view(): NodeView;
  stats(): NodeStats;
  /** Monotonic milliseconds, the clock of all instants in views. */
  now(): number;
  /** Events in order, from now on; once the node has stopped, `stopped` alone, soon. Returns the function that ends it. A listener must not throw. */
  subscribe(listener: (event: NodeEvent) => void): () => void;
  /** Whether this node serves `shard` at this very instant, reading both clocks (O-1, O-2); undefined when not. */
  owns(shard: ShardId): Ownership | undefined;
  /**
   * The application has stopped serving what `shardsReleasing` of this version named. A node with no hook releases at once, without
   * a call. `states` go to the next owners, best effort.
   */
  released(version: number, states?: readonly ShardState[]): void;
  /** What a router of the application has counted since its last report; it is shown with this node's metrics. */
  routed(report: RoutingReport): void;
  /** Push/pull with these; resolves with how many answered. Rejects with {@link JoinFailedError} when none did. */
  join(addresses: readonly Endpoint[], options?: JoinOptions): Promise<number>;
  /** Sets or removes (undefined) tags of this node, all at once. Rejects with {@link TagsTooLargeError}: nothing changed. */
  setTags(tags: ReadonlyMap<string, string | undefined>, options?: CallOptions): Promise<void>;
  /** Events, queries, keys and the rest of Serf. Resolves with a refusal too; rejects with {@link StoppedError} or when aborted. */
  gossip(request: GossipRequest, options?: CallOptions): Promise<GossipOutcome>;
  /** Makes `node` a voter, by way of a learner. Leader only. Rejects: NotLeaderError, UnknownNodeError, AlreadyMemberError, RefusedError. */
  addNode(node: NodeId, options?: CallOptions): Promise<void>;
  /** Takes `node` out of the Raft group and off the map, whether gossip knows it or not. Leader only. Same refusals. */
  removeNode(node: NodeId, options?: CallOptions): Promise<void>;
  /** Hands leadership to another voter. Leader only. Resolves when the other leads. */
  stepDown(options?: CallOptions): Promise<void>;
  /**
   * Moves this node's shards away, then resolves; it is given none until `undrain` or a restart. Rejects with {@link RefusedError}: nobody is there
   * to take them, or the drain was taken back. Aborting the call does not take it back.
   */
  drain(options?: CallOptions): Promise<void>;
  /** Takes a drain back. Resolves when this node may be given shards again, at once when it was not drained. Rejects with {@link RefusedError} when it is leaving. */
  undrain(options?: CallOptions): Promise<void>;
  /**
   * Takes the permit to restart a node, of which the cluster has one. Leader only. Resolves when it is agreed on; asked for again by its holder, its time begins anew. Rejects:
   * NotLeaderError; RefusedError, and says why: another holds it, or not every voter is there, or shards are moving. After OutcomeUnknownError ask again.
   */
  takeRestartPermit(permit: PermitRequest, options?: CallOptions): Promise<void>;
  /** Gives it back before its time. Leader only. Resolves, too, when nobody has it. Rejects: NotLeaderError, RefusedError (it is another's). */
  giveRestartPermit(holder: string, options?: CallOptions): Promise<void>;
  /**
   * Asks something of the coordination state, whoever can do it. Resolves with what was done, by which revision. Rejects with the errors
   * of `kv-errors.ts`, each of which says whether anything changed, with OutcomeUnknownError when nobody can say, with StoppedError,
   * RefusedError (of no cluster), StorageShortError. Do not write to the bytes of the request before it settles, nor ever to those of
   * the answer: they are the state's own.
   */
  kv(request: KvRequest, options?: CallOptions): Promise<KvDone>;
  /** What the leader would plan if; nothing changes. Leader only. Rejects with {@link RefusedError} when it cannot be: it says why. */
  planShards(question: ShardWhatIf, options?: CallOptions): Promise<ShardPlanReport>;
  /** Agrees on other settings of the spread of shards, and resolves with all of them. Leader only. Same refusals: nothing changed. */
  configureShards(change: ShardSettingsChange, options?: CallOptions): Promise<ShardSettings>;
  /** What the cluster has agreed on, as this node has it. Rejects with {@link RefusedError} while it has nothing. */
  backup(options?: CallOptions): Promise<Backup>;
  /** An acknowledgement of a shard map that came by clusterfunk's RPC. */
  confirmShardMap(node: NodeId, version: number): { readonly success: boolean; readonly currentIndex: number };
  /** Tells of found nodes (mDNS, DNS): undecided nodes decide by them who founds. */
  discovered(found: Discovered): void;
}

export interface Discovered {
  /** Gossip endpoints of nodes of this cluster's name, ourselves excluded. */
  readonly gossip: readonly Endpoint[];
  /** The search has run long enough that silence means absence. */
  readonly searched: boolean;
}
