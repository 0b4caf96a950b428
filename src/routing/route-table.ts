/** What a router knows of the cluster, kept up to date by the node's events, so that no request has to ask the node (it may live in another thread). */
import { type Endpoint, formatEndpoint, parseEndpoint } from '../model/endpoint.ts';
import type { NodeId } from '../model/ids.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { ShardMap } from '../model/shard-map.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';

export interface RouteTableEvents {
  /** A request that could not be placed may be placed now. */
  changed(): void;
  /** Nobody publishes the service at this `host:port` any more. */
  gone(address: string): void;
  /** The node has given up its shards and leaves: it will own none again, and may hear of no other map. */
  leaving(): void;
  /** The node has stopped: nothing more will be known. */
  stopped(): void;
}

export class RouteTable implements Disposable {
  readonly #handle: NodeHandle;
  readonly #tag: string;
  readonly #events: RouteTableEvents;
  readonly #unsubscribe: () => void;
  #endpoints: Map<string, Endpoint> = new Map();
  #map: ShardMap | undefined;

  /** `tag`: `ep.<service>`. */
  constructor(handle: NodeHandle, tag: string, events: RouteTableEvents) {
    this.#handle = handle;
    this.#tag = tag;
    this.#events = events;
    // View and subscription in one synchronous step: nothing falls between them.
    this.#read();
    this.#unsubscribe = handle.subscribe((event) => this.#onEvent(event));
  }

  get map(): ShardMap | undefined {
    return this.#map;
  }

  endpointOf(node: NodeId): Endpoint | undefined {
    return this.#endpoints.get(node);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #onEvent(event: NodeEvent): void {
    switch (event.kind) {
      case 'shardMapChanged':
        this.#map = event.map;
        this.#events.changed();
        return;
      case 'endpointChanged':
        if (event.name === this.#tag)
          this.#setEndpoint(event.node, event.change === 'removed' ? undefined : event.endpoint);
        return;
      case 'shardsStarted':
      case 'leaseGained':
        this.#events.changed();
        return;
      // The map of another cluster, or no telling what was missed.
      case 'clusterDissolved':
      case 'clusterJoined':
      case 'eventsForgotten':
        this.#read();
        this.#events.changed();
        return;
      case 'stateChanged':
        if (event.to === 'Stopping') this.#events.leaving();
        return;
      case 'stopped':
        this.#events.stopped();
        return;
      default:
        return;
    }
  }

  #setEndpoint(node: string, endpoint: Endpoint | undefined): void {
    const next = new Map(this.#endpoints);
    if (endpoint === undefined) next.delete(node);
    else next.set(node, endpoint);
    this.#replaceEndpoints(next);
    this.#events.changed();
  }

  #read(): void {
    const view = this.#handle.view();
    this.#map = view.shardMap;
    const found = new Map<string, Endpoint>();
    for (const member of view.members) {
      const endpoint = member.status === 'alive' ? parseEndpoint(member.tags.get(this.#tag) ?? '') : undefined;
      if (endpoint !== undefined) found.set(member.name, endpoint);
    }
    this.#replaceEndpoints(found);
  }

  #replaceEndpoints(next: Map<string, Endpoint>): void {
    const before = new Set([...this.#endpoints.values()].map(formatEndpoint));
    this.#endpoints = next;
    for (const endpoint of next.values()) before.delete(formatEndpoint(endpoint));
    for (const address of before) this.#events.gone(address);
  }
}
