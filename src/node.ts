/** A node of a cluster, as an application sees it. The node itself runs behind a `NodeRunner`, in this thread or in another. */
import type { Observable } from 'rxjs';
import type { ClusterReader } from './cluster-reader.ts';
import { type NodeStreams, nodeStreams } from './events/node-streams.ts';
import { endpointTag, liveEndpoints } from './model/cluster-source.ts';
import { type Endpoint, formatEndpoint } from './model/endpoint.ts';
import type { NodeId } from './model/ids.ts';
import type { NodeEvent } from './model/node-event.ts';
import type { NodeRole, NodeState } from './model/node-state.ts';
import type { MemberView, NodeView } from './model/node-view.ts';
import type { Ownership } from './model/shard-map.ts';
import { type NodeConfig, type NodeOptions, resolveNodeConfig } from './node-config.ts';
import { NodeGossip } from './node-gossip.ts';
import { type NodeRunner, type NodeRunnerHooks, NotRunningError } from './node-runner.ts';
import type { Logger } from './ports/logger.ts';
import type { ShardHooks } from './ports/shard-hooks.ts';
import { callListener } from './runtime/node-loop.ts';
import { askHandle, KvClient } from './runtime/kv-client.ts';
import type { NodeHandle } from './runtime/node-handle.ts';
import { settledWithin } from './runtime/settled-within.ts';
import { hookCalls } from './runtime/shard-hooks.ts';
import { ownsOf, type ShardNumbering, type ShardReadings, shardReadings } from './shard-readings.ts';
import { ThreadNode } from './thread-node.ts';

/** Sessions that do not end within it end by themselves, after an hour. */
const SESSIONS_CLOSE_MS = 500;

/** What an application gives to its node beside the settings. All of it is called in the application's thread. */
export interface FunkNodeHooks extends ShardHooks {
  readonly logger?: Logger;
}

/**
 * A node of a cluster: gossip, discovery, consensus, shard ownership and management in one process.
 *
 * ```ts
 * const node = new FunkNode({ zeroconf: true });
 * await node.start();
 * if (node.owns(shard)) serve(shard);
 * await node.stop();
 * ```
 */
export class FunkNode implements AsyncDisposable {
  readonly #config: NodeConfig;
  readonly #hooks: FunkNodeHooks;
  readonly #listeners: Set<(event: NodeEvent) => void> = new Set();
  #opening: Promise<NodeRunner> | undefined;
  #runner: NodeRunner | undefined;
  #streams: NodeStreams | undefined;
  /** It never changes, and asking the node's thread would take a while. */
  #id: NodeId | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws {ConfigError} naming every setting that cannot be used. Nothing starts before `start`. */
  constructor(settings: NodeOptions | NodeConfig = {}, hooks: FunkNodeHooks = {}) {
    this.#config = 'endpoints' in settings ? settings : resolveNodeConfig(settings);
    this.#hooks = hooks;
  }

  /**
   * Opens the data directory, binds the ports and begins to gossip; `streams.states` tells when the node is Operational. Rejects
   * with an error that has a `code` and says what could not be had; then all is closed again. A node starts once.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Leaves in order: shards move away, the vote is given up (unless `autoJoin` is false), gossip is left; then closes
   * everything. Always ends: leaving takes 13 s at most, closing a part 8 s. Safe to call at any time, and again.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get config(): NodeConfig {
    return this.#config;
  }

  /** The folder of this node's data; undefined in memory and before `start`. */
  get dataDir(): string | undefined {
    return this.#runner?.dataDir;
  }

  /** For servers and tools beside the node. @throws {NotRunningError} before `start`. */
  get handle(): NodeHandle {
    const handle = this.#runner?.handle;
    if (handle === undefined) throw new NotRunningError('the node has not been started');
    return handle;
  }

  /** Everything the node knows of itself and its cluster, as a value. @throws {NotRunningError} before `start`. */
  view(): NodeView {
    return this.handle.view();
  }

  /** Monotonic milliseconds: the clock of all instants in views and events. @throws {NotRunningError} before `start`. */
  now(): number {
    return this.handle.now();
  }

  /** @throws {NotRunningError} before `start`. */
  get id(): NodeId {
    this.#id ??= this.view().id;
    return this.#id;
  }

  get clusterName(): string {
    return this.#config.clusterName;
  }

  /** `Invalid` before `start`. */
  get state(): NodeState {
    return this.#runner?.handle === undefined ? 'Invalid' : this.view().state;
  }

  get role(): NodeRole {
    return this.#runner?.handle === undefined ? 'Unknown' : this.view().role;
  }

  /** Undefined while no leader is known. */
  get leader(): NodeId | undefined {
    return this.#runner?.handle?.view().leader;
  }

  /** Every gossip member, this node included, sorted by name. */
  get members(): readonly MemberView[] {
    return this.#runner?.handle?.view().members ?? [];
  }

  /** Live endpoints of a name (`ep.` may be left out), by node. No promise that they answer. */
  endpoints(name: string): ReadonlyMap<string, Endpoint> {
    return liveEndpoints(this.members, name);
  }

  /** Publishes `ep.<name>`, or withdraws it (undefined). Rejects with TagsTooLargeError, StoppedError: nothing changed. */
  async setEndpoint(name: string, endpoint: Endpoint | undefined): Promise<void> {
    await this.handle.setTags(
      new Map([[endpointTag(name), endpoint === undefined ? undefined : formatEndpoint(endpoint)]]),
    );
  }

  /** Sets and removes (undefined) tags together. Rejects with TagsTooLargeError, StoppedError: nothing changed. */
  async setTags(tags: Readonly<Record<string, string | undefined>>): Promise<void> {
    await this.handle.setTags(new Map(Object.entries(tags)));
  }

  /**
   * Whether this node serves `shard` at this very instant, with the fencing token to hand to whatever it writes to; undefined
   * when it does not. A process may be paused right after the answer: only the token covers that.
   */
  owns(shard: number, of?: ShardNumbering): Ownership | undefined {
    const handle = this.#runner?.handle;
    return handle === undefined ? undefined : ownsOf(handle, shard, of);
  }

  readonly shards: ShardReadings = shardReadings(() => this.#runner?.handle);

  /** User events and queries; its calls throw {@link NotRunningError} before `start`. */
  readonly gossip: NodeGossip = new NodeGossip(() => this.handle);

  /**
   * Keys and values that the whole cluster agrees on, with the semantics of etcd; any node may ask. Writes are tried again until their time is
   * over and take effect once; reads see every write that was answered before, unless they ask for less. Its calls throw
   * {@link NotRunningError} before `start`.
   */
  readonly kv: KvClient = new KvClient(askHandle(() => this.handle));

  /** The public streams; see `NodeStreams`. @throws {NotRunningError} before `start`. */
  get streams(): NodeStreams {
    this.#streams ??= nodeStreams(this.handle);
    return this.#streams;
  }

  /**
   * The cluster as a client sees it, by this node's own view; what `openClusterReader` of `funknode/client` gives without a node. A
   * `non-member` keeps no shard map: there the reader watches a member for it. Close it; it ends by itself when the node has stopped.
   * Rejects with {@link NotRunningError} before `start`.
   */
  async openReader(): Promise<ClusterReader> {
    const { handle } = this;
    // Loaded where it is used only: the watch speaks gRPC, which an application's thread else does without.
    const { readerOfNode } = await import('./node-reader.ts');
    return readerOfNode(handle);
  }

  /** Everything the node tells, in order, as one typed union; completes when the node has stopped. The same as `streams.events`. @throws {NotRunningError} before `start`. */
  get events(): Observable<NodeEvent> {
    return this.streams.events;
  }

  /** Events in order, from now on, also across `start`. Returns the function that ends it. */
  subscribe(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #start(): Promise<void> {
    if (this.#stopping !== undefined) throw new NotRunningError('the node has been stopped; make a new one');
    this.#opening = this.#makeRunner();
    this.#runner = await this.#opening;
    await this.#runner.start();
  }

  async #makeRunner(): Promise<NodeRunner> {
    const { logger } = this.#hooks;
    const hooks: NodeRunnerHooks = {
      ...(logger !== undefined && { logger }),
      ...hookCalls(this.#hooks),
      onEvent: (event) => {
        for (const listener of this.#listeners) callListener(listener, event);
      },
    };
    if (this.#config.thread === 'caller') {
      // Loaded where it runs only: the parts of a node weigh some twenty megabytes.
      const { LocalNode } = await import('./local-node.ts');
      return new LocalNode(this.#config, hooks);
    }
    return new ThreadNode(this.#config, hooks);
  }

  async #stop(): Promise<void> {
    const runner = await this.#opening?.catch(() => undefined);
    if (this.#runner?.handle !== undefined) await settledWithin(this.kv.close(), SESSIONS_CLOSE_MS);
    await runner?.stop();
  }
}
