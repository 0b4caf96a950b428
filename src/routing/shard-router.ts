/**
 * Brings the requests of one service to the owners of their shards. It decides (`route-decision.ts`), lets wait what cannot be placed yet, and
 * counts; how a request travels is the business of the protocols beside it (`grpc-routing.ts`, `sharded-handler.ts`).
 */
import { formatEndpoint } from '../model/endpoint.ts';
import type { ShardId } from '../model/ids.ts';
import type { Ownership } from '../model/shard-map.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { HOPS_MAX, type RouteReason } from './route-headers.ts';
import type { OwnerTls } from './owner-tls.ts';
import { RouteCounts } from './route-counts.ts';
import { type Away, decideRoute, type RouteFacts, type RouteQuestion } from './route-decision.ts';
import { RouteError } from './route-error.ts';
import { RouteTable } from './route-table.ts';
import { ServedRequests } from './served-requests.ts';
import { WaitingLine } from './waiting-line.ts';

/** A node that has been started: a `FunkNode`, or whatever has its handle. */
export interface RoutedNode {
  readonly handle: NodeHandle;
}

export interface ShardRouterOptions {
  /** The service's endpoint as owners publish it: `shop` for the tag `ep.shop`. */
  readonly service: string;
  /** How long a request may wait for its shard to have an owner that can be reached, in milliseconds; default 5,000. Its own deadline may be earlier. */
  readonly waitMsMax?: number;
  /** Requests that wait at once; default 10,000. One more is refused. */
  readonly waitingMax?: number;
  /** What waiting requests hold in memory, as far as is known; default 64 MiB. */
  readonly waitingBytesMax?: number;
  /** Routers that a request may pass, the first included; default 3. */
  readonly hopsMax?: number;
  /** Speak TLS to owners. Without it connections to them are plain. */
  readonly tls?: OwnerTls;
}

/** This node serves the request. */
export interface Here {
  readonly kind: 'here';
  readonly ownership: Ownership;
  /** To be called when the request is done: hand-overs wait for it. */
  readonly end: () => void;
}

/** A request on its way. */
export interface RouteAsk extends RouteQuestion {
  /** For the counts. */
  readonly method: string;
  readonly bytes: number;
  /** Monotonic milliseconds, by {@link ShardRouter.now}. */
  readonly until: number;
  readonly signal: AbortSignal;
}

/** An owner was dialled in vain; it is worth while to try again later. */
export class OwnerUnreachableError extends Error {
  readonly retryInMs: number;
  constructor(message: string, retryInMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryInMs = retryInMs;
  }
}

const WAIT_MS_MAX = 5_000;
const WAITING_MAX = 10_000;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;

export class ShardRouter implements Disposable {
  readonly service: string;
  readonly tls: OwnerTls | undefined;
  readonly counts: RouteCounts;
  readonly #handle: NodeHandle;
  readonly #table: RouteTable;
  readonly #facts: RouteFacts;
  readonly #line: WaitingLine;
  readonly #served: ServedRequests = new ServedRequests();
  readonly #goneListeners: Set<(address: string) => void> = new Set();
  readonly #waitMsMax: number;
  /** What would have to wait for this node is refused, and may be tried elsewhere; what others own still goes to them. */
  #isLeaving: boolean;
  #isOver = false;

  /** The node must have been started. @throws {NotRunningError} when it has not. */
  constructor(node: RoutedNode, options: ShardRouterOptions) {
    const handle = node.handle;
    this.#handle = handle;
    this.service = options.service.replace(/^ep\./, '');
    this.tls = options.tls;
    this.#waitMsMax = options.waitMsMax ?? WAIT_MS_MAX;
    this.counts = new RouteCounts(this.service, (report) => handle.routed(report));
    const limits = {
      countMax: options.waitingMax ?? WAITING_MAX,
      bytesMax: options.waitingBytesMax ?? WAITING_BYTES_MAX,
    };
    this.#line = new WaitingLine(limits, () => handle.now());
    this.#table = new RouteTable(handle, `ep.${this.service}`, {
      changed: () => this.#line.wake(),
      gone: (address) => {
        for (const listener of this.#goneListeners) listener(address);
      },
      leaving: () => {
        this.#isLeaving = true;
        this.#line.wake();
      },
      stopped: () => this.#end(),
    });
    this.#isLeaving = handle.view().state === 'Stopping';
    const table = this.#table;
    this.#facts = {
      self: handle.view().id,
      get map() {
        return table.map;
      },
      owns: (shard) => handle.owns(shard),
      endpointOf: (owner) => table.endpointOf(owner),
      hopsMax: options.hopsMax ?? HOPS_MAX,
    };
  }

  get self(): string {
    return this.#facts.self;
  }

  /** 0 before the first map. */
  get shardCount(): number {
    return this.#table.map?.shardCount ?? 0;
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#line.count;
  }

  /** Monotonic milliseconds. */
  now(): number {
    return this.#handle.now();
  }

  /** When a request that begins now must have been placed. */
  waitUntil(): number {
    return this.now() + this.#waitMsMax;
  }

  /**
   * Resolves when no request of these shards is being served here: what a node's `onRelease` has to wait for. Rejects with the reason of
   * `signal`. Requests that come meanwhile wait, and go to the new owner.
   */
  whenIdle(shards: Iterable<ShardId>, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#served.whenIdle(shards, options.signal);
  }

  /** Where the request is to be served, at the latest when its time is over. Rejects: RouteError, RouteAbandonedError. */
  async place(ask: RouteAsk): Promise<Here | Away> {
    for (;;) {
      if (this.#isOver) throw stopping();
      const decision = decideRoute(this.#facts, ask);
      switch (decision.kind) {
        case 'here': {
          const end = this.#served.begin(decision.ownership.shard);
          this.counts.onRouted(this.#facts.self, ask.method);
          return { kind: 'here', ownership: decision.ownership, end };
        }
        case 'away':
          return decision;
        case 'refuse':
          throw decision.error;
        case 'wait':
          if (this.#isLeaving) throw stopping();
          await this.#wait(ask, { reason: decision.reason, message: decision.message });
      }
    }
  }

  /**
   * Places the request and, when it goes away, reaches the owner: `reach` gives a connection, or the promise of one, or throws
   * {@link OwnerUnreachableError}. As long as none is had, whatever changes is a reason to look again.
   */
  async bring<Link extends object>(
    ask: RouteAsk,
    reach: (away: Away) => Link | Promise<Link>,
  ): Promise<Here | (Away & { readonly link: Link })> {
    for (;;) {
      const placed = await this.place(ask);
      if (placed.kind === 'here') return placed;
      try {
        const link = reach(placed);
        if (!(link instanceof Promise)) return this.#onAway(ask, placed, link);
        await this.#wait(ask, { ...unreachable(placed), attempt: link });
        // Whether it is there now, or the map has changed meanwhile, is the next round's to say.
      } catch (error) {
        if (!(error instanceof OwnerUnreachableError)) throw error;
        await this.pause(ask, placed, error.retryInMs);
      }
    }
  }

  /** Nobody answers at the owner's endpoint: looks again when something has changed, or after `ms`. Rejects as `place` does. */
  async pause(ask: RouteAsk, away: Away, ms: number): Promise<void> {
    await this.#wait(ask, { ...unreachable(away), atMostMs: ms });
  }

  /** For protocols without a connection of their own to reach. */
  onAway(ask: RouteAsk, away: Away): void {
    this.counts.onRouted(away.owner, ask.method);
  }

  /** Returns the function that ends it. */
  onEndpointGone(listener: (address: string) => void): () => void {
    this.#goneListeners.add(listener);
    return () => this.#goneListeners.delete(listener);
  }

  /** Lets go of the node: what waits is refused, and nothing is routed any more. */
  close(): void {
    this.#end();
    this.#table[Symbol.dispose]();
    this.counts[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #onAway<Link>(ask: RouteAsk, away: Away, link: Link): Away & { readonly link: Link } {
    this.onAway(ask, away);
    return { ...away, link };
  }

  async #wait(
    ask: RouteAsk,
    options: {
      readonly reason: RouteReason;
      readonly message: string;
      readonly attempt?: Promise<unknown>;
      readonly atMostMs?: number;
    },
  ): Promise<void> {
    const since = this.now();
    this.counts.onWaiting(1);
    try {
      await this.#line.wait(ask, options);
    } finally {
      this.counts.onWaiting(-1);
      this.counts.onWaited(this.now() - since);
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#line.close(stopping());
  }
}

function stopping(): RouteError {
  return new RouteError('stopping', 'this node is stopping');
}

function unreachable(away: Away): { readonly reason: RouteReason; readonly message: string } {
  return {
    reason: 'unreachable',
    message: `nobody answers at ${formatEndpoint(away.endpoint)}, where ${away.owner} is`,
  };
}
