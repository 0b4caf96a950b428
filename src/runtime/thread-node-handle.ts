/** The handle of a node that runs in a thread of its own: calls go there as messages, readings are asked for, and `owns` is read from shared memory. */
import { compactBytes } from '../base/bytes.ts';
import type { Backup } from '../model/backup.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipOutcome, GossipRequest } from '../model/gossip-request.ts';
import type { NodeId, ShardId } from '../model/ids.ts';
import type { KvRequest } from '../model/kv.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeStats } from '../model/node-stats.ts';
import type { NodeView } from '../model/node-view.ts';
import type { RoutingReport } from '../model/routing-report.ts';
import type { Ownership, ShardState } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import { OutcomeUnknownError, StoppedError } from './handle-errors.ts';
import type { CallOptions, Discovered, JoinOptions, NodeHandle, PermitRequest } from './node-handle.ts';
import type { KvDone } from './kv-errors.ts';
import { callListener, callListenerSoon } from './node-loop.ts';
import { OwnershipReader } from './shared-ownership.ts';
import { SystemClock } from './system-clock.ts';
import type {
  Answer,
  CallValue,
  HandleCall,
  LastReadings,
  Question,
  ThreadMemory,
  ToThread,
} from './thread-messages.ts';
import { ViewReceiver } from './thread-view.ts';

export interface ThreadLink {
  readonly memory: ThreadMemory;
  post(message: ToThread): void;
  /** Undefined when nobody answers. */
  ask(question: Question): Answer | undefined;
}

interface Waiting {
  readonly resolve: (value: CallValue) => void;
  readonly reject: (error: Error) => void;
}

interface Subscription {
  readonly listener: (event: NodeEvent) => void;
  /** Events up to this one are of before. */
  readonly after: number;
}

export class ThreadNodeHandle implements NodeHandle {
  readonly #link: ThreadLink;
  readonly #clock: SystemClock = new SystemClock();
  readonly #ownership: OwnershipReader;
  readonly #views: ViewReceiver = new ViewReceiver();
  readonly #subscriptions: Set<Subscription> = new Set();
  readonly #waiting: Map<number, Waiting> = new Map();
  #stats: NodeStats;
  #lastId = 0;
  /**
   * The newest event that the application knows of, told or seen in a view. "From now on" is counted from it: a view and a subscription
   * taken in one go leave no gap between them, and no event comes that the view had taken in already.
   */
  #seen = 0;
  #isOver = false;
  #lastEvent: NodeEvent | undefined;

  constructor(link: ThreadLink, { view, stats }: LastReadings) {
    this.#link = link;
    this.#ownership = new OwnershipReader(link.memory.ownership, this.#clock);
    this.#views.take(view);
    this.#stats = stats;
  }

  view(): NodeView {
    const answer = this.#ask({ kind: 'view', basis: this.#views.edition });
    if (answer?.kind !== 'view') return this.#views.view;
    this.#seen = Math.max(this.#seen, answer.seq);
    return this.#views.take(answer.view);
  }

  stats(): NodeStats {
    const answer = this.#ask({ kind: 'stats' });
    if (answer?.kind === 'stats') this.#stats = answer.stats;
    return this.#stats;
  }

  now(): number {
    return this.#clock.monotonic();
  }

  subscribe(listener: (event: NodeEvent) => void): () => void {
    if (this.#lastEvent !== undefined) return callListenerSoon(listener, this.#lastEvent);
    const subscription = { listener, after: this.#seen };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  owns(shard: ShardId): Ownership | undefined {
    return this.#isOver ? undefined : this.#ownership.owns(shard);
  }

  released(version: number, states: readonly ShardState[] = []): void {
    this.#post({ kind: 'released', version, states });
  }

  routed(report: RoutingReport): void {
    this.#post({ kind: 'routed', report });
  }

  async join(addresses: readonly Endpoint[], options?: JoinOptions): Promise<number> {
    const call: HandleCall = { name: 'join', addresses, replay: options?.replay ?? false };
    return (await this.#call(call, options)) as number;
  }

  async setTags(tags: ReadonlyMap<string, string | undefined>, options?: CallOptions): Promise<void> {
    await this.#call({ name: 'setTags', tags }, options);
  }

  async gossip(request: GossipRequest, options?: CallOptions): Promise<GossipOutcome> {
    return (await this.#call({ name: 'gossip', request: compacted(request) }, options)) as GossipOutcome;
  }

  async addNode(node: NodeId, options?: CallOptions): Promise<void> {
    await this.#call({ name: 'addNode', node }, options);
  }

  async removeNode(node: NodeId, options?: CallOptions): Promise<void> {
    await this.#call({ name: 'removeNode', node }, options);
  }

  async stepDown(options?: CallOptions): Promise<void> {
    await this.#call({ name: 'stepDown' }, options);
  }

  async drain(options?: CallOptions): Promise<void> {
    await this.#call({ name: 'drain' }, options);
  }

  async undrain(options?: CallOptions): Promise<void> {
    await this.#call({ name: 'undrain' }, options);
  }

  async takeRestartPermit(permit: PermitRequest, options?: CallOptions): Promise<void> {
    await this.#call({ name: 'takeRestartPermit', permit }, options);
  }

  async giveRestartPermit(holder: string, options?: CallOptions): Promise<void> {
    await this.#call({ name: 'giveRestartPermit', holder }, options);
  }

  async kv(request: KvRequest, options?: CallOptions): Promise<KvDone> {
    return (await this.#call({ name: 'kv', request: compactedKv(request) }, options)) as KvDone;
  }

  async planShards(question: ShardWhatIf, options?: CallOptions): Promise<ShardPlanReport> {
    return (await this.#call({ name: 'planShards', question }, options)) as ShardPlanReport;
  }

  async configureShards(change: ShardSettingsChange, options?: CallOptions): Promise<ShardSettings> {
    return (await this.#call({ name: 'configureShards', change }, options)) as ShardSettings;
  }

  async backup(options?: CallOptions): Promise<Backup> {
    return (await this.#call({ name: 'backup' }, options)) as Backup;
  }

  confirmShardMap(node: NodeId, version: number): { readonly success: boolean; readonly currentIndex: number } {
    const answer = this.#ask({ kind: 'confirmShardMap', node, version });
    if (answer?.kind === 'confirmShardMap') return { success: answer.success, currentIndex: answer.currentIndex };
    return { success: false, currentIndex: this.#views.view.shardMap?.version ?? 0 };
  }

  discovered(found: Discovered): void {
    this.#post({ kind: 'discovered', found });
  }

  // What comes from the thread.

  deliver(seq: number, event: NodeEvent): void {
    this.#seen = Math.max(this.#seen, seq);
    const isLast = event.kind === 'stopped';
    if (isLast) this.#lastEvent = event;
    for (const { listener, after } of this.#subscriptions) if (seq > after || isLast) callListener(listener, event);
  }

  /** An outcome of a call; of one that was aborted nobody hears. */
  settle(id: number, outcome: { readonly value: CallValue } | { readonly error: Error }): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if ('error' in outcome) waiting?.reject(outcome.error);
    else waiting?.resolve(outcome.value);
  }

  /** Nothing comes any more. Without readings of the end the newest that there are stay; then nobody knows of a lease. */
  end(last: LastReadings | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (last !== undefined) {
      this.#views.take(last.view);
      this.#stats = last.stats;
    } else this.#views.giveUpLease();
    for (const { reject } of this.#waiting.values()) reject(stopped());
    this.#waiting.clear();
    this.#subscriptions.clear();
    this.#lastEvent ??= { kind: 'stopped', reason: 'the node has stopped', exitCode: 0 };
  }

  #post(message: ToThread): void {
    if (!this.#isOver) this.#link.post(message);
  }

  #ask(question: Question): Answer | undefined {
    return this.#isOver ? undefined : this.#link.ask(question);
  }

  #call(call: HandleCall, options: CallOptions | undefined): Promise<CallValue> {
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#isOver) throw stopped();
      this.#lastId += 1;
      const id = this.#lastId;
      const onAbort = (): void => {
        this.#waiting.delete(id);
        this.#post({ kind: 'abort', id });
        reject(signal?.reason instanceof Error ? signal.reason : new OutcomeUnknownError('the call was aborted'));
      };
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      // Before it is noted: what cannot be cloned throws, and rejects.
      this.#link.post({ kind: 'call', id, call });
      this.#waiting.set(id, {
        resolve: (value) => {
          settled();
          resolve(value);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function compactedKv(request: KvRequest): KvRequest {
  if (request.kind !== 'mutate' || request.mutation.kind !== 'put') return request;
  const { mutation } = request;
  return {
    ...request,
    mutation: { ...mutation, key: compactBytes(mutation.key), value: compactBytes(mutation.value) },
  };
}

function compacted(request: GossipRequest): GossipRequest {
  if ('payload' in request) return { ...request, payload: compactBytes(request.payload) };
  if (request.kind !== 'query') return request;
  const { parameters } = request;
  return { ...request, parameters: { ...parameters, payload: compactBytes(parameters.payload) } };
}

function stopped(): StoppedError {
  return new StoppedError('the node has stopped');
}
