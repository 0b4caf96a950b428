/** The handle of a node that runs in this thread: posts inputs to its loop and turns outcomes into promises. */
import { assert, unreachable } from '../base/assert.ts';
import type { ClusterOutcome, ClusterRequest } from '../cluster/messages.ts';
import type { Backup } from '../model/backup.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipOutcome, GossipRequest } from '../model/gossip-request.ts';
import type { LogIndex, NodeId, ShardId } from '../model/ids.ts';
import type { KvRequest } from '../model/kv.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeStats, PeerStats, StorageStats } from '../model/node-stats.ts';
import type { NodeView } from '../model/node-view.ts';
import type { RoutingReport } from '../model/routing-report.ts';
import type { Ownership, ShardState } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import {
  AlreadyMemberError,
  JoinFailedError,
  NotLeaderError,
  OutcomeUnknownError,
  RefusedError,
  StoppedError,
  StorageShortError,
  TagsTooLargeError,
  UnknownNodeError,
} from './handle-errors.ts';
import { doneOrError, type KvDone } from './kv-errors.ts';
import type { CallOptions, Discovered, JoinOptions, NodeHandle, PermitRequest } from './node-handle.ts';
import type { NodeLoop } from './node-loop.ts';
import { RoutingTally } from './routing-tally.ts';
import type { SystemClock } from './system-clock.ts';

/** Numbers of the rooms that live beside the core. */
export interface ShellStats {
  peers(): Readonly<PeerStats>;
  storage(): Readonly<StorageStats> | undefined;
}

export class LocalNodeHandle implements NodeHandle {
  readonly #loop: NodeLoop;
  readonly #clock: SystemClock;
  readonly #shell: ShellStats;
  readonly #routing: RoutingTally = new RoutingTally();

  constructor(loop: NodeLoop, clock: SystemClock, shell: ShellStats) {
    this.#loop = loop;
    this.#clock = clock;
    this.#shell = shell;
  }

  view(): NodeView {
    return this.#loop.cluster.view(this.#clock.monotonic());
  }

  stats(): NodeStats {
    return {
      ...this.#loop.cluster.stats(),
      storage: this.#shell.storage(),
      peers: this.#shell.peers(),
      loop: { ...this.#loop.stats },
      routing: this.#routing.stats(),
    };
  }

  now(): number {
    return this.#clock.monotonic();
  }

  subscribe(listener: (event: NodeEvent) => void): () => void {
    return this.#loop.subscribe(listener);
  }

  owns(shard: ShardId): Ownership | undefined {
    if (this.#loop.isStopped) return undefined;
    const epoch = this.#loop.cluster.serving(shard);
    if (epoch === undefined) return undefined;
    const isHeld = this.#clock.monotonic() + this.#loop.watch.peek() < this.#loop.cluster.leaseUntil;
    return isHeld ? { shard, epoch } : undefined;
  }

  released(version: number, states: readonly ShardState[] = []): void {
    this.#loop.post({ kind: 'released', version: version as LogIndex, states });
  }

  /** The application is ready to serve these of `shardsStarted`. */
  acquired(shards: readonly ShardId[], epoch: LogIndex): void {
    this.#loop.post({ kind: 'acquired', shards, epoch });
  }

  /** What the owner before handed over of a shard that has started here; once. */
  takeState(shard: ShardId, epoch: LogIndex): Uint8Array | undefined {
    return this.#loop.cluster.takeState(shard, epoch);
  }

  routed(report: RoutingReport): void {
    this.#routing.add(report);
  }

  async join(addresses: readonly Endpoint[], options?: JoinOptions): Promise<number> {
    return await this.#ask({ kind: 'join', addresses, replay: options?.replay ?? false }, undefined, options);
  }

  async setTags(tags: ReadonlyMap<string, string | undefined>, options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'setTags', tags }, undefined, options);
  }

  async gossip(request: GossipRequest, options?: CallOptions): Promise<GossipOutcome> {
    const outcome = await this.#request({ kind: 'gossip', request }, undefined, options);
    assert(outcome.kind === 'gossip', 'a question to gossip has an answer of gossip');
    return outcome.outcome;
  }

  async addNode(node: NodeId, options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'addNode', node }, node, options);
  }

  async removeNode(node: NodeId, options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'removeNode', node }, node, options);
  }

  async stepDown(options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'stepDown' }, undefined, options);
  }

  async drain(options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'drain' }, undefined, options);
  }

  async undrain(options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'undrain' }, undefined, options);
  }

  async takeRestartPermit({ holder, node, leaseMs }: PermitRequest, options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'takePermit', holder, node, leaseMs }, node, options);
  }

  async giveRestartPermit(holder: string, options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'givePermit', holder }, undefined, options);
  }

  kv(request: KvRequest, options?: CallOptions): Promise<KvDone> {
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = (): void => {
        this.#loop.abandon(requestId);
        reject(signal?.reason instanceof Error ? signal.reason : new OutcomeUnknownError('the call was aborted'));
      };
      const requestId = this.#loop.askKv(request, (answer) => {
        signal?.removeEventListener('abort', onAbort);
        const outcome = doneOrError(answer);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async planShards(question: ShardWhatIf, options?: CallOptions): Promise<ShardPlanReport> {
    const outcome = await this.#request({ kind: 'planShards', question }, undefined, options);
    assert(outcome.kind === 'shardPlan', 'who asks for a plan is given one');
    return outcome.report;
  }

  async configureShards(change: ShardSettingsChange, options?: CallOptions): Promise<ShardSettings> {
    const outcome = await this.#request({ kind: 'configureShards', change }, undefined, options);
    assert(outcome.kind === 'shardSettings', 'who changes settings is shown them');
    return outcome.settings;
  }

  async backup(options?: CallOptions): Promise<Backup> {
    const outcome = await this.#request({ kind: 'copy' }, undefined, options);
    assert(outcome.kind === 'copy', 'who asks for a copy is given one');
    return { ...outcome.copy, takenBy: this.view().id, takenAt: this.#clock.wall() };
  }

  /** The orderly stop of the core; the shell closes everything afterwards. */
  async leave(options?: CallOptions): Promise<void> {
    await this.#ask({ kind: 'leave' }, undefined, options);
  }

  confirmShardMap(node: NodeId, version: number): { readonly success: boolean; readonly currentIndex: number } {
    const index = version as LogIndex;
    const status = this.#loop.cluster.shardMapStatus(index);
    if (status.success) this.#loop.post({ kind: 'confirmed', node, version: index });
    return status;
  }

  discovered(found: Discovered): void {
    this.#loop.post({ kind: 'discovered', ...found });
  }

  async #ask(request: ClusterRequest, node: NodeId | undefined, options: CallOptions | undefined): Promise<number> {
    const outcome = await this.#request(request, node, options);
    return outcome.kind === 'done' ? outcome.count : 0;
  }

  /** Rejects with the error of a refusal. */
  #request(
    request: ClusterRequest,
    node: NodeId | undefined,
    options: CallOptions | undefined,
  ): Promise<Exclude<ClusterOutcome, { kind: 'refused' }>> {
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = (): void => {
        this.#loop.abandon(requestId);
        reject(signal?.reason instanceof Error ? signal.reason : new OutcomeUnknownError('the call was aborted'));
      };
      const requestId = this.#loop.request(request, (outcome) => {
        signal?.removeEventListener('abort', onAbort);
        if (outcome.kind === 'refused') reject(errorOf(outcome, node));
        else resolve(outcome);
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function errorOf(outcome: Extract<ClusterOutcome, { kind: 'refused' }>, node: NodeId | undefined): Error {
  const asked = node ?? ('' as NodeId);
  switch (outcome.code) {
    case 'NOT_LEADER':
      return new NotLeaderError(outcome.leader);
    case 'UNKNOWN_NODE':
      return new UnknownNodeError(asked, outcome.reason);
    case 'ALREADY_MEMBER':
      return new AlreadyMemberError(asked);
    case 'REFUSED':
      return new RefusedError(outcome.reason);
    case 'OUTCOME_UNKNOWN':
      return new OutcomeUnknownError(outcome.reason);
    case 'JOIN_FAILED':
      return new JoinFailedError(outcome.reason);
    case 'STORAGE_FULL':
      return new StorageShortError(outcome.reason);
    case 'TAGS_TOO_LARGE':
      return new TagsTooLargeError(outcome.reason);
    case 'STOPPED':
      return new StoppedError(outcome.reason);
    default:
      return unreachable(outcome.code);
  }
}
