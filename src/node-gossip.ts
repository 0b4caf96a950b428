/** User events and queries, as an application sees them: Serf's (wire-gossip.md 15, 16), through the node's handle. */
import { utf8 } from './base/bytes.ts';
import type { GossipEvent, NetworkCoordinate, QueryParameters } from './model/gossip-request.ts';
import type { NodeEvent } from './model/node-event.ts';
import { eventFeed } from './events/event-feed.ts';
import { RefusedError } from './runtime/handle-errors.ts';
import { type IncomingQuery, incomingQuery } from './events/incoming-query.ts';
import type { CallOptions, NodeHandle } from './runtime/node-handle.ts';
import { askQuery, type QueryAnswer, type QueryCounts } from './runtime/query-call.ts';

export type { IncomingQuery, QueryAnswer, QueryCounts };

export type UserEvent = Omit<Extract<GossipEvent, { kind: 'userEvent' }>, 'kind'>;

export type QueryOptions = Omit<QueryParameters, 'name' | 'payload'> & CallOptions;

export class NodeGossip {
  readonly #handle: () => NodeHandle;

  constructor(handle: () => NodeHandle) {
    this.#handle = handle;
  }

  /**
   * Tells every member once, this one too. `payload` as text is sent as UTF-8; with the name 512 bytes at most, as encoded. With `coalesce`
   * (true unless given) receivers may drop it in favour of a newer one of the same name. Resolves when it is on its way; rejects with
   * RefusedError: nothing was sent.
   */
  async userEvent(
    name: string,
    payload: Uint8Array | string = '',
    { coalesce = true }: { readonly coalesce?: boolean } = {},
  ): Promise<void> {
    const outcome = await this.#handle().gossip({ kind: 'userEvent', name, payload: bytesOf(payload), coalesce });
    if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  }

  /**
   * Asks the members that the filters leave, this one too. Iterate for acks and responses as they come; the generator returns their counts
   * when the query's time is up. Leaving the loop ends the query. Throws RefusedError when nothing was asked.
   *
   * ```ts
   * for await (const answer of node.gossip.query('load', '', { tags: new Map([['role', 'web']]) }))
   *   if (answer.kind === 'response') console.log(answer.from, new TextDecoder().decode(answer.payload));
   * ```
   */
  query(
    name: string,
    payload: Uint8Array | string = '',
    { signal, ...parameters }: QueryOptions = {},
  ): AsyncGenerator<QueryAnswer, QueryCounts, undefined> {
    const options = signal === undefined ? {} : { signal };
    return askQuery(this.#handle(), { ...parameters, name, payload: bytesOf(payload) }, options);
  }

  /** Calls `listener` for every user event from now on. Returns the function that ends it. */
  onEvent(listener: (event: UserEvent) => void): () => void {
    return this.#handle().subscribe((event) => {
      const userEvent = userEventIn(event);
      if (userEvent !== undefined) listener(userEvent);
    });
  }

  /** Calls `listener` for every query from now on that is meant for this node. Returns the function that ends it. */
  onQuery(listener: (query: IncomingQuery) => void): () => void {
    const handle = this.#handle();
    return handle.subscribe((event) => {
      const query = incomingQuery(event, handle);
      if (query !== undefined) listener(query);
    });
  }

  /**
   * User events to iterate over, from the first `next()` on. Ends when the node stops; throws the reason of an aborted `signal`. Beyond 10,000
   * that wait for a slow reader the oldest are forgotten.
   */
  userEvents(options: CallOptions = {}): AsyncGenerator<UserEvent, void, undefined> {
    return eventFeed(this.#handle, userEventIn, options);
  }

  /** Queries meant for this node, to iterate over and to answer; otherwise as {@link userEvents}. */
  queries(options: CallOptions = {}): AsyncGenerator<IncomingQuery, void, undefined> {
    return eventFeed(this.#handle, incomingQuery, options);
  }

  /**
   * The round trip between two members in milliseconds, estimated from network coordinates (Vivaldi); `to` is this node unless given.
   * Rejects with RefusedError while the coordinate of one is not known, or when coordinates are disabled.
   */
  async roundTripMs(from: string, to?: string): Promise<number> {
    const outcome = await this.#handle().gossip({ kind: 'roundTrip', from, ...(to === undefined ? {} : { to }) });
    if (outcome.kind === 'roundTrip') return outcome.seconds * 1_000;
    throw new RefusedError(outcome.kind === 'refused' ? outcome.reason : 'the node estimates no round trips');
  }

  /** The network coordinate of a member; undefined while it is not known, or when coordinates are disabled. */
  async coordinate(node: string): Promise<NetworkCoordinate | undefined> {
    const outcome = await this.#handle().gossip({ kind: 'coordinate', node });
    return outcome.kind === 'coordinate' ? outcome.coordinate : undefined;
  }

  /** Declares a failed member to have left, everywhere; with `prune` it is forgotten. One that is alive objects. */
  async forceLeave(node: string, { prune = false }: { readonly prune?: boolean } = {}): Promise<void> {
    const outcome = await this.#handle().gossip({ kind: 'forceLeave', node, prune });
    if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  }
}

function userEventIn(event: NodeEvent): UserEvent | undefined {
  return event.kind === 'userEvent' ? event : undefined;
}

function bytesOf(payload: Uint8Array | string): Uint8Array {
  return typeof payload === 'string' ? utf8(payload) : payload;
}
