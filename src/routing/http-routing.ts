/** Routing for HTTP/1.1: a handler for `http` servers, one for their upgrades (WebSocket), and one in the style of fetch. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { Ownership } from '../model/shard-map.ts';
import { serveFetch } from './fetch-routing.ts';
import { endToEnd, pairsOf, type HeaderValues } from './http-headers.ts';
import { httpRefusal } from './http-refusal.ts';
import { OwnerAgents } from './owner-agents.ts';
import { askOwner, type OwnerAnswer, type OwnerRequest } from './owner-exchange.ts';
import type { Away } from './route-decision.ts';
import { RouteAbandonedError, RouteError } from './route-error.ts';
import {
  HEADER_EPOCH,
  HEADER_HOPS,
  HEADER_MAP,
  HEADER_OWNER,
  HEADER_REDIRECT,
  HEADER_SHARD,
  type HeaderReader,
  readRouteAnswer,
  readRouteRequest,
} from './route-headers.ts';
import { type Here, OwnerUnreachableError, type RouteAsk, type ShardRouter } from './shard-router.ts';
import { serveUpgrade } from './upgrade-routing.ts';

/**
 * The shard of a request among `shardCount`, from its head: method, URL and headers. Undefined: it is of no shard, and served here. What is no
 * integer of 0 to `shardCount` - 1, or a throw, refuses the request with 400. Must not wait.
 */
export type ShardOf<Request> = (request: Request, shardCount: number) => number | undefined;

export interface HttpRoutingOptions {
  /** How long an owner may take to begin its answer, in milliseconds; default 60,000. */
  readonly answerTimeoutMs?: number;
  /** What a request counts as, of a small fixed set; default its method. */
  readonly methodOf?: (request: { readonly method: string; readonly url: string }) => string;
}

const ANSWER_TIMEOUT_MS = 60_000;
/** Before a request is repeated, unless something changes earlier: at first, doubled each time, and at most. */
const REPEAT_MS = 10;
const REPEAT_MS_MAX = 500;
const ELSEWHERE: readonly (string | undefined)[] = ['moved', 'stopping'];

/** A request's head, from whatever server it came. */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly header: HeaderReader;
  readonly headers: HeaderValues;
  readonly shardOf: (shardCount: number) => number | undefined;
  /** As in {@link OwnerRequest}. */
  readonly body: OwnerRequest['body'];
  readonly signal: AbortSignal;
  /** Asks to change the protocol. */
  readonly upgrade: string | undefined;
}

/** Where a request has come to. */
export type Brought =
  | Here
  | { readonly kind: 'unrouted' }
  | { readonly kind: 'answered'; readonly away: Away; readonly answer: OwnerAnswer };

/**
 * ```ts
 * const routing = new HttpRouting(new ShardRouter(node, { service: 'shop' }));
 * const shardOf = (request, count) => shardOfString(new URL(request.url, 'http://shop').pathname, count);
 * createServer(routing.handler(shardOf, (request, response, ownership) => response.end('served'))).listen(8080);
 * ```
 */
export class HttpRouting implements Disposable {
  readonly #router: ShardRouter;
  readonly #agents: OwnerAgents;
  readonly #options: HttpRoutingOptions;
  /** Of upgraded connections: what ends them. */
  readonly #upgraded: Set<() => void> = new Set();

  constructor(router: ShardRouter, options: HttpRoutingOptions = {}) {
    this.#router = router;
    this.#agents = new OwnerAgents(router);
    this.#options = options;
  }

  /** HTTP connections to owners that are open. */
  get connections(): number {
    return this.#agents.open + this.#upgraded.size;
  }

  /** A listener for `createServer`. `handle` is called for requests that this node serves, with the token under which it does; without one if they are of no shard. */
  handler(
    shardOf: ShardOf<IncomingMessage>,
    handle: (request: IncomingMessage, response: ServerResponse, ownership: Ownership | undefined) => void,
  ): RequestListener {
    return (request, response) => void this.#serve(shardOf, handle, request, response);
  }

  /** A listener for a server's event `upgrade`. Connections to other owners are passed on byte by byte, until either side ends them. */
  upgrade(
    shardOf: ShardOf<IncomingMessage>,
    handle: (request: IncomingMessage, socket: Duplex, head: Buffer, ownership: Ownership | undefined) => void,
  ): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
    const bring = (head: RequestHead): Promise<Brought> => this.bring(head);
    const onEndpointGone = (listener: (address: string) => void): (() => void) => this.#router.onEndpointGone(listener);
    return (request, socket, head) =>
      void serveUpgrade(
        { bring, onEndpointGone, upgraded: this.#upgraded },
        { request, socket, head },
        shardOf,
        handle,
      );
  }

  /** The same for servers in the style of fetch. Never rejects, unless `handle` does. */
  fetch(
    shardOf: ShardOf<Request>,
    handle: (request: Request, ownership: Ownership | undefined) => Response | Promise<Response>,
  ): (request: Request) => Promise<Response> {
    const bring = (head: RequestHead): Promise<Brought> => this.bring(head);
    return (request) => serveFetch({ bring, self: this.#router.self }, request, shardOf, handle);
  }

  /** Breaks off what is on its way to owners. The router stays. */
  close(): void {
    this.#agents[Symbol.dispose]();
    for (const end of this.#upgraded) end();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Brings a request to where it is served, or to the beginning of the owner's answer. Rejects: RouteError, RouteAbandonedError. */
  async bring(head: RequestHead): Promise<Brought> {
    try {
      return await this.#bring(head);
    } catch (error) {
      if (error instanceof RouteError) this.#router.counts.onRefused(error.reason);
      throw error;
    }
  }

  async #bring(head: RequestHead): Promise<Brought> {
    const router = this.#router;
    let ask = this.#ask(head);
    if (isOfNoShard(head, router.shardCount)) return { kind: 'unrouted' };
    for (let repeats = 0; ; repeats++) {
      const placed = await router.place(ask);
      if (placed.kind === 'here') return placed;
      try {
        const answer = await askOwner(router, placed, this.#forwarded(head, placed));
        const { reason, map } = routeAnswerOf(answer.message);
        if (!ELSEWHERE.includes(reason) || head.body !== undefined) {
          router.onAway(ask, placed);
          return { kind: 'answered', away: placed, answer };
        }
        answer.message.resume();
        router.counts.onRetried();
        // Who knows a newer map is right: this node must have seen it before it sends the request on.
        ask = { ...ask, map: Math.max(ask.map ?? 0, map ?? 0) as NonNullable<RouteAsk['map']> };
        await router.pause(ask, placed, repeatPause(repeats));
      } catch (error) {
        if (!(error instanceof OwnerUnreachableError)) throw error;
        await router.pause(ask, placed, Math.max(error.retryInMs, repeatPause(repeats)));
      }
    }
  }

  #ask(head: RequestHead): RouteAsk {
    const { hops, map, wantsRedirect } = readRouteRequest(head.header);
    return {
      // A request that is of no shard when it comes is so when the count has changed, too.
      shardOf: (count) => head.shardOf(count) ?? Number.NaN,
      hops,
      map,
      wantsRedirect,
      method: this.#options.methodOf?.(head) ?? head.method,
      bytes: 0,
      until: this.#router.waitUntil(),
      signal: head.signal,
    };
  }

  #forwarded(head: RequestHead, away: Away): OwnerRequest {
    const hops = readRouteRequest(head.header).hops;
    const { [HEADER_REDIRECT]: _redirect, ...rest } = head.headers;
    const headers: HeaderValues = {
      ...rest,
      [HEADER_SHARD]: String(away.shard),
      [HEADER_HOPS]: String(hops + 1),
      [HEADER_MAP]: String(away.map),
      ...(head.upgrade === undefined ? {} : { connection: 'Upgrade', upgrade: head.upgrade }),
    };
    return {
      method: head.method,
      path: head.url,
      headers,
      body: head.body,
      answerTimeoutMs: this.#options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
      signal: head.signal,
      agent: head.upgrade === undefined ? this.#agents.agentOf(away.endpoint) : false,
    };
  }

  async #serve(
    shardOf: ShardOf<IncomingMessage>,
    handle: (request: IncomingMessage, response: ServerResponse, ownership: Ownership | undefined) => void,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const brought = await this.bring(headOf(request, shardOf, gone.signal));
      if (brought.kind === 'answered') relay(brought.answer.message, response);
      else {
        const ownership = brought.kind === 'here' ? brought.ownership : undefined;
        if (brought.kind === 'here') {
          response.once('close', brought.end);
          if (response.destroyed) brought.end();
        }
        for (const [name, value] of Object.entries(servedHeaders(this.#router.self, ownership)))
          response.setHeader(name, value);
        handle(request, response, ownership);
      }
    } catch (error) {
      if (error instanceof RouteAbandonedError) return;
      if (!(error instanceof RouteError)) throw error;
      const refusal = httpRefusal(error);
      // What is left of the body nobody reads: the connection cannot be used again.
      if (!request.complete) response.setHeader('connection', 'close');
      response.writeHead(refusal.status, refusal.headers).end(refusal.body);
    }
  }
}

/** Beside every answer of an owner. */
export function servedHeaders(self: string, ownership: Ownership | undefined): Record<string, string> {
  const owner = { [HEADER_OWNER]: self };
  return ownership === undefined ? owner : { ...owner, [HEADER_EPOCH]: String(ownership.epoch) };
}

/** Of a request as `http` servers have it. */
export function headOf(request: IncomingMessage, shardOf: ShardOf<IncomingMessage>, signal: AbortSignal): RequestHead {
  const { method = 'GET', url = '/', rawHeaders, headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const kept = endToEnd(pairsOf(rawHeaders));
  // Node's server has answered it.
  delete kept['expect'];
  const from = request.socket.remoteAddress;
  if (from !== undefined) kept['x-forwarded-for'] = [kept['x-forwarded-for'] ?? [], from].flat().join(', ');
  if (hasBody && kept['content-length'] === undefined) kept['transfer-encoding'] = 'chunked';
  const body = (): { stream: Readable; trailers: () => [string, string][] } => ({
    stream: request,
    trailers: () => [...pairsOf(request.rawTrailers)].map(([name, value]) => [name, value]),
  });
  return {
    method,
    url,
    header: (name) => headers[name]?.toString(),
    headers: kept,
    shardOf: (count) => shardOf(request, count),
    body: hasBody ? body : undefined,
    signal,
    upgrade: headers.upgrade,
  };
}

function relay(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(pairsOf(answer.rawHeaders)));
  answer.once('end', () => {
    const trailers = [...pairsOf(answer.rawTrailers)];
    if (trailers.length > 0) response.addTrailers(trailers.map(([name, value]) => [name, value] as [string, string]));
    response.end();
  });
  // An answer that breaks off must not look like a whole one.
  answer.once('error', () => response.destroy());
  answer.once('aborted', () => response.destroy());
  answer.pipe(response, { end: false });
}

function routeAnswerOf(message: IncomingMessage): ReturnType<typeof readRouteAnswer> {
  return readRouteAnswer((name) => message.headers[name]?.toString());
}

function isOfNoShard(head: RequestHead, shardCount: number): boolean {
  try {
    return head.shardOf(shardCount) === undefined;
  } catch {
    // It has a key, if a bad one or no shards to choose from yet: placing it says which.
    return false;
  }
}

function repeatPause(repeats: number): number {
  return Math.min(REPEAT_MS * 2 ** repeats, REPEAT_MS_MAX);
}
