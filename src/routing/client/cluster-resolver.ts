/**
 * `cluster:///ep.name` for clients of grpc-js: all live endpoints of that name, followed as they come, change and go. The one file that knows
 * grpc-js's resolver interface, which is experimental (grpc-node #719); its test says so when that has changed.
 *
 * A resolver speaks **only when its list differs from the last one it gave**. grpc-js asks again whenever a connection is lost, and an answer with
 * nothing new would make it connect at once and ask again: a loop without end while a server is down.
 */
import { type ChannelOptions, experimental, Metadata, status } from '@grpc/grpc-js';
import { Listeners } from '../../base/listeners.ts';
import { type ClusterPicture, type ClusterSource, endpointTag, liveEndpoints } from '../../model/cluster-source.ts';
import { type Endpoint, formatEndpoint } from '../../model/endpoint.ts';
import { ResolverInterfaceError, SchemeTakenError } from './errors.ts';

export const CLUSTER_SCHEME = 'cluster';

/** Requests take turns, unless the channel has a `grpc.service_config` of its own. */
const ROUND_ROBIN = { loadBalancingConfig: [{ round_robin: {} }], methodConfig: [] };

export interface ClusterSchemeOptions {
  /**
   * Tells clusters apart where one process speaks to several: `cluster://east/ep.shop` asks the source of authority `east`. Unless given it is
   * the empty one, of `cluster:///ep.shop`.
   */
  readonly authority?: string;
}

/** Options that suit channels to nodes that come and go. What a channel sets besides wins. */
export const CLUSTER_CHANNEL_OPTIONS: Readonly<ChannelOptions> = {
  // A node that was killed is back within seconds: no wait doubles to minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A host that vanishes says nothing; without a ping its connection looks well for many minutes.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  // Closing one channel must not shake another.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
};

/** Who answers for one authority. A channel may be older than its source, and outlive it. */
class Slot {
  readonly #listeners: Listeners = new Listeners();
  #source: ClusterSource | undefined;
  #unsubscribe: () => void = () => undefined;

  get source(): ClusterSource | undefined {
    return this.#source;
  }

  follow(source: ClusterSource): void {
    this.#source = source;
    this.#unsubscribe = source.subscribe(() => this.#listeners.call());
    this.#listeners.call();
  }

  forget(): void {
    this.#unsubscribe();
    this.#source = undefined;
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }
}

/** Per authority. grpc-js keeps one resolver per scheme in a process, so who answers for it belongs to the process, too. */
const slots: Map<string, Slot> = new Map();

/**
 * From now on grpc-js resolves `cluster:///ep.name` (and `cluster:///name`) by `source`, in this process. Returns the function that ends it:
 * channels then keep the addresses they have, until another source is given. A channel made before the source knows anything waits; its calls
 * do so until their deadlines.
 * @throws {SchemeTakenError} when another source answers for this authority. {@link ResolverInterfaceError} when grpc-js has changed.
 */
export function serveClusterScheme(source: ClusterSource, { authority = '' }: ClusterSchemeOptions = {}): () => void {
  registerScheme();
  const slot = slotOf(authority);
  if (slot.source !== undefined) {
    throw new SchemeTakenError(`${CLUSTER_SCHEME}://${authority}/ is resolved by another source already`);
  }
  slot.follow(source);
  return () => {
    if (slot.source === source) slot.forget();
  };
}

/** Registering again replaces the class by itself. */
function registerScheme(): void {
  if (typeof experimental?.registerResolver !== 'function') {
    throw new ResolverInterfaceError('this version of @grpc/grpc-js has no experimental.registerResolver');
  }
  experimental.registerResolver(CLUSTER_SCHEME, ClusterResolver);
}

function slotOf(authority: string): Slot {
  const held = slots.get(authority) ?? new Slot();
  slots.set(authority, held);
  return held;
}

class ClusterResolver implements experimental.Resolver {
  readonly #slot: Slot;
  readonly #tag: string;
  readonly #tell: experimental.ResolverListener;
  readonly #serviceConfig: Parameters<experimental.ResolverListener>[2];
  #unsubscribe: (() => void) | undefined;
  #soon: NodeJS.Immediate | undefined;
  /** The addresses that were told last, sorted; undefined when none were. */
  #told: string | undefined;

  constructor(target: experimental.GrpcUri, tell: experimental.ResolverListener, options: ChannelOptions) {
    this.#slot = slotOf(target.authority ?? '');
    this.#tag = endpointTag(target.path);
    this.#tell = tell;
    const isChosen = options['grpc.service_config'] !== undefined;
    this.#serviceConfig = isChosen ? null : experimental.statusOrFromValue(ROUND_ROBIN);
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return target.path;
  }

  /** grpc-js begins with this, and calls it again and again while a connection is lost. It must not be answered from within. */
  updateResolution(): void {
    if (this.#unsubscribe !== undefined) return;
    this.#unsubscribe = this.#slot.subscribe(() => this.#lookSoon());
    this.#lookSoon();
  }

  /** A channel that falls idle destroys its resolver and wakes it again by `updateResolution`. */
  destroy(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    clearImmediate(this.#soon);
    this.#soon = undefined;
    this.#told = undefined;
  }

  #lookSoon(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#look();
    });
  }

  #look(): void {
    const picture = this.#slot.source?.picture();
    if (picture === undefined) return;
    const endpoints = distinctEndpoints(picture, this.#tag);
    const told = endpoints.map(formatEndpoint).join(' ');
    if (told === this.#told) return;
    const before = this.#told;
    this.#told = told;
    if (endpoints.length > 0 || (before ?? '') !== '') {
      const addresses = endpoints.map(({ host, port }) => ({ addresses: [{ host, port }] }));
      this.#tell(experimental.statusOrFromValue(addresses), {}, this.#serviceConfig, '');
    }
    // After an empty list calls would wait for their deadlines without a word of why.
    if (endpoints.length === 0) this.#tell(nobody(this.#tag), {}, this.#serviceConfig, '');
  }
}

function nobody(tag: string): ReturnType<typeof experimental.statusOrFromError<experimental.Endpoint[]>> {
  const details = `no live node of the cluster publishes ${tag}`;
  return experimental.statusOrFromError({ code: status.UNAVAILABLE, details, metadata: new Metadata() });
}

/** Nodes that publish one address count once. */
function distinctEndpoints(picture: ClusterPicture, tag: string): Endpoint[] {
  const byText = new Map<string, Endpoint>();
  for (const endpoint of liveEndpoints(picture.members, tag).values()) byText.set(formatEndpoint(endpoint), endpoint);
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
