/** Looking at a cluster without being part of it, and the same look from a node: values, streams, observers. */
import { FunkError } from './base/errors.ts';
import { Listeners } from './base/listeners.ts';
import {
  type EndpointFollowOptions,
  endpointChanges,
  type EndingSource,
  type FollowOptions,
  observeEndpoints,
  pictures,
  readings,
} from './events/picture-feed.ts';
import { MANAGEMENT_PORT } from './management/client.ts';
import { InvalidEndpointError } from './management/client-errors.ts';
import { ClusterWatch } from './management/cluster-watch.ts';
import {
  type ClusterPicture,
  type ClusterSource,
  endpointTag,
  liveEndpoints,
  ownerOf,
  type SeenMember,
} from './model/cluster-source.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from './model/endpoint.ts';
import type { EndpointChange } from './model/endpoint-table.ts';
import type { NodeId } from './model/ids.ts';
import type { ShardMap } from './model/shard-map.ts';
import { SystemRandom } from './runtime/system-random.ts';

/** The reader was closed, or its node has stopped, before what was waited for came. */
export class ReaderClosedError extends FunkError {
  readonly code = 'FUNK_READER_CLOSED';
}

export interface ReaderOptions {
  /** Nodes of another cluster are left alone. Unless given, the name that the first node to answer tells. */
  readonly clusterName?: string;
}

/** An endpoint and who publishes it. */
export interface NamedEndpoint {
  readonly node: string;
  readonly endpoint: Endpoint;
}

/** What a reader is made of: where its pictures come from, and what else there is to close. */
export interface ReaderParts {
  readonly source: ClusterSource;
  readonly close: () => Promise<void>;
  /** `host:port` of the node whose word it goes by; undefined when it is the node of this process, or nobody. */
  readonly watched: () => string | undefined;
}

/**
 * What a client sees of a cluster: members, endpoints, leader and shard map, as values and as streams, kept up to date from any node that
 * answers. It takes part in nothing. Readings are of the last picture; while no node answers they stay as they were.
 *
 * ```ts
 * const reader = openClusterReader(['10.0.0.1:7948', '10.0.0.2:7948']);
 * const { endpoint } = await reader.waitForEndpoint('shop');
 * for await (const change of reader.endpointChanges({ name: 'shop' })) console.log(change);
 * ```
 */
export class ClusterReader implements EndingSource, AsyncDisposable {
  readonly #parts: ReaderParts;
  readonly #listeners: Listeners = new Listeners();
  readonly #unsubscribe: () => void;
  #closing: Promise<void> | undefined;

  /** Use {@link openClusterReader}, or `FunkNode.openReader`. */
  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#unsubscribe = parts.source.subscribe(() => this.#listeners.call());
  }

  /** The newest picture, whole; the same object until something changes. Undefined before the first node has answered. */
  picture(): ClusterPicture | undefined {
    return this.#parts.source.picture();
  }

  /** Called after changes; it must be quick and must not throw. For the changes themselves see the streams. Returns the function that ends it. */
  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  get hasEnded(): boolean {
    return this.#closing !== undefined;
  }

  /** `host:port` of the node whose word it goes by now; undefined while it looks for one, and for a node's own reader. */
  get watched(): string | undefined {
    return this.#parts.watched();
  }

  /** Undefined before the first picture. */
  get clusterName(): string | undefined {
    return this.picture()?.clusterName;
  }

  /** Every gossip member, sorted by name; empty before the first picture. */
  get members(): readonly SeenMember[] {
    return this.picture()?.members ?? [];
  }

  /** Undefined while nobody is known to lead. */
  get leader(): NodeId | undefined {
    return this.picture()?.leader;
  }

  /** The active map; undefined before the first one. */
  get shardMap(): ShardMap | undefined {
    return this.picture()?.shardMap;
  }

  /** The node that owns `shard` by the active map; undefined when there is no map or no such shard. By the time you ask it, it may have moved. */
  ownerOf(shard: number): NodeId | undefined {
    return ownerOf(this.picture(), shard);
  }

  /** Live endpoints of a name (`ep.` may be left out), by node. No promise that they answer. */
  endpoints(name: string): ReadonlyMap<string, Endpoint> {
    return liveEndpoints(this.members, name);
  }

  /**
   * The streams are async iterators. Each gives what is there now, as soon as it is known, then what changes; changes that come while the loop is
   * busy are folded into one. They end when the reader is closed, and throw the reason of an aborted signal.
   */
  pictures(options?: FollowOptions): AsyncGenerator<ClusterPicture, void, undefined> {
    return pictures(this, options);
  }

  leaders(options?: FollowOptions): AsyncGenerator<NodeId | undefined, void, undefined> {
    return readings(this, (picture) => picture.leader, options);
  }

  memberLists(options?: FollowOptions): AsyncGenerator<readonly SeenMember[], void, undefined> {
    return readings(this, (picture) => picture.members, options);
  }

  shardMaps(options?: FollowOptions): AsyncGenerator<ShardMap | undefined, void, undefined> {
    return readings(this, (picture) => picture.shardMap, options);
  }

  /** Every endpoint now as `added`, then every change. */
  endpointChanges(options?: EndpointFollowOptions): AsyncGenerator<EndpointChange, void, undefined> {
    return endpointChanges(this, options);
  }

  /**
   * The same for a listener: called in turns of its own, never from within this call. Returns the function that ends it at once, from
   * within the listener too. What a listener throws is uncaught.
   */
  observeEndpoints(listener: (change: EndpointChange) => void, options: { readonly name?: string } = {}): () => void {
    return observeEndpoints(this, listener, options);
  }

  /** Resolves with the first picture. Waits for as long as it takes: give a signal. Rejects with its reason, or {@link ReaderClosedError}. */
  async ready(options: FollowOptions = {}): Promise<ClusterPicture> {
    for await (const picture of this.pictures(options)) return picture;
    throw new ReaderClosedError('the reader was closed before any node had answered');
  }

  /**
   * Resolves with a live endpoint of this name (`ep.` may be left out), as soon as there is one. Waits for as long as it takes: give a signal.
   * Rejects with its reason, or {@link ReaderClosedError}.
   */
  async waitForEndpoint(name: string, options: FollowOptions = {}): Promise<NamedEndpoint> {
    for await (const { members } of this.pictures(options)) {
      for (const [node, endpoint] of liveEndpoints(members, name)) return { node, endpoint };
    }
    throw new ReaderClosedError(`the reader was closed before anyone published ${endpointTag(name)}`);
  }

  /** Ends streams and observers, and closes its connection. Readings stay. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#unsubscribe();
    await Promise.resolve();
    // `hasEnded` is true by now: this wakes the streams for the last time.
    this.#listeners.call();
    this.#listeners.clear();
    await this.#parts.close();
  }
}

/**
 * Begins to read a cluster by the management endpoints of some of its nodes (`host:port`, or a host for port 7948); the others it learns of. It
 * answers at once and connects in the background: `ready` waits. The death of the node it watches costs it some milliseconds.
 * @throws {InvalidEndpointError} when an address is none.
 */
export function openClusterReader(addresses: string | readonly string[], options: ReaderOptions = {}): ClusterReader {
  const given = typeof addresses === 'string' ? [addresses] : addresses;
  const contacts = given.map((address) => {
    const endpoint = parseEndpoint(address, MANAGEMENT_PORT);
    if (endpoint === undefined || endpoint.port === 0) throw new InvalidEndpointError(`"${address}" is no host:port`);
    return formatEndpoint(endpoint);
  });
  if (contacts.length === 0) throw new InvalidEndpointError('no address is given');
  const watch = new ClusterWatch({
    contacts: () => contacts,
    random: new SystemRandom(),
    clusterName: options.clusterName,
  });
  watch.start();
  return new ClusterReader({ source: watch, close: () => watch.close(), watched: () => watch.stats().watched });
}
