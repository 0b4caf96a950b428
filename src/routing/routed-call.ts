/**
 * One call of a routed method, between the server's transport and the handler.
 *
 *   opening -> placing   its shard can be told
 *   placing -> here      this node owns the shard: the handler sees an ordinary call
 *           -> away      messages, metadata, status and cancellation pass between the caller and the owner
 *   away -> placing      the owner's application has not seen the call, and it can be repeated: at most its first message had been sent
 *   any -> over          refused, answered, or the caller has gone
 */
import {
  Metadata,
  type MethodDefinition,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  status as Status,
} from '@grpc/grpc-js';
import type { ClientHttp2Session } from 'node:http2';
import { formatEndpoint } from '../model/endpoint.ts';
import type { LogIndex } from '../model/ids.ts';
import type { MethodRoute } from './grpc-routing.ts';
import { OwnerCall, type OwnerCallEnd } from './owner-call.ts';
import type { OwnerSessions } from './owner-sessions.ts';
import type { Away } from './route-decision.ts';
import { RouteAbandonedError, RouteError, refusalHeaders } from './route-error.ts';
import {
  HEADER_EPOCH,
  HEADER_HOPS,
  HEADER_MAP,
  HEADER_OWNER,
  HEADER_REDIRECT,
  HEADER_SHARD,
  readRouteAnswer,
  readRouteRequest,
  type RouteReason,
  type RouteRequest,
} from './route-headers.ts';
import type { Here, RouteAsk, ShardRouter } from './shard-router.ts';

/** A routed method. */
export interface GrpcRoute {
  readonly path: string;
  readonly responseStream: boolean;
  readonly decode: (bytes: Buffer) => unknown;
  readonly route: MethodRoute<unknown>;
}

export interface RoutedCallHost {
  readonly router: ShardRouter;
  readonly sessions: OwnerSessions;
  readonly messageBytesMax: number;
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
type PartialStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];
type Phase =
  | { readonly kind: 'opening' | 'placing' }
  | { readonly kind: 'here'; readonly served: Here }
  | { readonly kind: 'away'; readonly call: OwnerCall }
  | { readonly kind: 'over' };

/** A message that nobody has looked at. */
class RawMessage {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** Before a call is repeated, unless something changes earlier: at first, doubled each time, and at most. */
const REPEAT_MS = 10;
const REPEAT_MS_MAX = 500;
/** Refusals after which the same call may be tried elsewhere: the application has not seen it. */
const ELSEWHERE: readonly RouteReason[] = ['moved', 'stopping'];

export class RoutedCall extends ServerInterceptingCall {
  readonly #host: RoutedCallHost;
  readonly #route: GrpcRoute;
  readonly #next: ServerInterceptingCallInterface;
  readonly #gone: AbortController = new AbortController();
  #listener: Listener | undefined;
  #metadata: Metadata = new Metadata();
  #request: RouteRequest = { shard: undefined, hops: 0, map: undefined, wantsRedirect: false };
  #phase: Phase = { kind: 'opening' };
  /** Read and not handed on for good: the first message, and one more at most, since each is asked for. */
  #held: RawMessage[] = [];
  /** The caller has sent everything; and whether the handler knows it. */
  #isHalfClosed = false;
  #isHalfCloseTold = false;
  #hasSentMetadata = false;
  #isRepeatable = true;
  #repeats = 0;

  constructor(host: RoutedCallHost, route: GrpcRoute, next: ServerInterceptingCallInterface) {
    super(next);
    this.#host = host;
    this.#route = route;
    this.#next = next;
  }

  /** As the server must know the method, for its messages to come and go as bytes. */
  static definitionFor(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
    return {
      ...method,
      requestDeserialize: (bytes) => new RawMessage(bytes),
      responseSerialize: (value) => (value instanceof RawMessage ? value.bytes : method.responseSerialize(value)),
    };
  }

  override start(listener: Listener): void {
    this.#listener = listener;
    this.#next.start({
      onReceiveMetadata: (metadata) => this.#onMetadata(metadata),
      onReceiveMessage: (message: RawMessage) => this.#onMessage(message),
      onReceiveHalfClose: () => this.#onHalfClose(),
      onCancel: () => this.#onCancel(),
    });
  }

  // What the handler does. It is called for shards of this node only.

  override startRead(): void {
    const held = this.#held.shift();
    if (held !== undefined) this.#deliver(held);
    else if (this.#isHalfClosed) this.#tellHalfClose();
    else this.#next.startRead();
  }

  override sendMetadata(metadata: Metadata): void {
    if (this.#hasSentMetadata) return;
    this.#hasSentMetadata = true;
    this.#next.sendMetadata(this.#signed(metadata));
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.sendMetadata(new Metadata());
    // The handler of a unary answer is done, whether or not anybody still waits for it.
    if (!this.#route.responseStream) this.#end();
    this.#next.sendMessage(message, callback);
  }

  override sendStatus(status: PartialStatus): void {
    const metadata = this.#hasSentMetadata ? (status.metadata ?? null) : this.#signed(status.metadata);
    this.#end();
    this.#next.sendStatus({ ...status, metadata });
  }

  // What the caller does.

  #onMetadata(metadata: Metadata): void {
    this.#metadata = metadata;
    this.#request = readRouteRequest((name) => metadata.get(name)[0]?.toString());
    if ('shardOfMetadata' in this.#route.route) void this.#bring(this.#ask(undefined));
    else this.#next.startRead();
  }

  #onMessage(message: RawMessage): void {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'opening':
        this.#held.push(message);
        this.#decodeAndBring(message);
        return;
      case 'placing':
        this.#held.push(message);
        return;
      case 'here':
        this.#deliver(message);
        return;
      case 'away':
        // From now on the call cannot be repeated, and nothing needs to be kept.
        this.#isRepeatable = false;
        this.#held = [];
        phase.call.send(message.bytes, () => this.#next.startRead());
        return;
      case 'over':
        return;
    }
  }

  #onHalfClose(): void {
    this.#isHalfClosed = true;
    const phase = this.#phase;
    switch (phase.kind) {
      case 'opening':
        this.#refuse(new RouteError('bad-key', 'no shard can be told from a call without a message'));
        return;
      case 'here':
        this.#tellHalfClose();
        return;
      case 'away':
        phase.call.halfClose();
        return;
      case 'placing':
      case 'over':
        return;
    }
  }

  /** Comes after an ordinary end, too. */
  #onCancel(): void {
    const phase = this.#phase;
    this.#gone.abort();
    if (phase.kind === 'away') phase.call.cancel();
    if (phase.kind === 'here') {
      // Nobody can tell when a handler of streams has seen it; one that answers once will answer.
      if (this.#route.responseStream) phase.served.end();
      this.#listener?.onCancel();
      return;
    }
    this.#phase = { kind: 'over' };
  }

  #decodeAndBring(message: RawMessage): void {
    let request: unknown;
    try {
      request = this.#route.decode(message.bytes);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#finish({ code: Status.INTERNAL, details: 'Error deserializing request' });
      return;
    }
    void this.#bring(this.#ask(request));
  }

  /** Never rejects. `after`: the place where it was not seen, and is not sent to again at once. */
  async #bring(ask: RouteAsk, after?: Away): Promise<void> {
    const { router, sessions } = this.#host;
    this.#phase = { kind: 'placing' };
    try {
      if (after !== undefined) await router.pause(ask, after, this.#repeatPause());
      const placed = await router.bring(ask, ({ endpoint }) => sessions.reach(endpoint));
      if (this.#gone.signal.aborted) {
        if (placed.kind === 'here') placed.end();
      } else if (placed.kind === 'here') this.#serve(placed);
      else this.#send(ask, placed, placed.link);
    } catch (error) {
      if (error instanceof RouteAbandonedError) return;
      if (error instanceof RouteError) this.#refuse(error);
      else throw error;
    }
  }

  #ask(request: unknown): RouteAsk {
    const { route, path } = this.#route;
    const { hops, map, wantsRedirect } = this.#request;
    return {
      shardOf: (count) =>
        'shardOf' in route ? route.shardOf(request, count) : route.shardOfMetadata(this.#metadata, count),
      hops,
      map,
      wantsRedirect,
      method: path,
      bytes: this.#held[0]?.bytes.length ?? 0,
      until: this.#host.router.waitUntil(),
      signal: this.#gone.signal,
    };
  }

  #serve(served: Here): void {
    this.#phase = { kind: 'here', served };
    const metadata = this.#metadata.clone();
    for (const name of [HEADER_HOPS, HEADER_MAP, HEADER_REDIRECT]) metadata.remove(name);
    // Whatever the caller wrote there: this is what the handler may rely on.
    metadata.set(HEADER_SHARD, String(served.ownership.shard));
    metadata.set(HEADER_EPOCH, String(served.ownership.epoch));
    this.#listener?.onReceiveMetadata(metadata);
  }

  #deliver(message: RawMessage): void {
    let decoded: unknown;
    try {
      decoded = this.#route.decode(message.bytes);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#finish({ code: Status.INTERNAL, details: 'Error deserializing request' });
      return;
    }
    this.#listener?.onReceiveMessage(decoded);
  }

  #send(ask: RouteAsk, away: Away, session: ClientHttp2Session): void {
    if (session.closed || session.destroyed) {
      void this.#bring(ask, away);
      return;
    }
    const { router, messageBytesMax } = this.#host;
    const call = new OwnerCall(
      session,
      {
        path: this.#route.path,
        authority: formatEndpoint(away.endpoint),
        scheme: router.tls === undefined ? 'http' : 'https',
        metadata: this.#forwarded(away),
        timeoutMs: leftUntil(this.#next.getDeadline()),
        messageBytesMax,
      },
      {
        metadata: (metadata) => {
          this.#hasSentMetadata = true;
          this.#next.sendMetadata(metadata);
        },
        message: (bytes, taken) => this.#next.sendMessage(new RawMessage(bytes), taken),
        ended: (end) => this.#onOwnerEnded(ask, away, end),
      },
    );
    this.#phase = { kind: 'away', call };
    const [first, second] = this.#held;
    if (second !== undefined) {
      this.#isRepeatable = false;
      this.#held = [];
    }
    if (first === undefined) this.#readOn(call);
    else
      call.send(first.bytes, () => {
        if (second === undefined) this.#readOn(call);
        else call.send(second.bytes, () => this.#readOn(call));
      });
  }

  #readOn(call: OwnerCall): void {
    // A call that is repeated may have been read to its end already.
    if (this.#isHalfClosed) call.halfClose();
    else this.#next.startRead();
  }

  #tellHalfClose(): void {
    if (this.#isHalfCloseTold || this.#held.length > 0) return;
    this.#isHalfCloseTold = true;
    this.#listener?.onReceiveHalfClose();
  }

  #onOwnerEnded(ask: RouteAsk, away: Away, { status, how, isBare }: OwnerCallEnd): void {
    if (this.#phase.kind !== 'away') return;
    const answer = readRouteAnswer((name) => status.metadata.get(name)[0]?.toString());
    const isElsewhere = isBare && answer.reason !== undefined && ELSEWHERE.includes(answer.reason);
    if ((how === 'unsent' || isElsewhere) && this.#isRepeatable && !this.#hasSentMetadata) {
      this.#host.router.counts.onRetried();
      // Who knows a newer map is right: this node must have seen it before it sends the call on.
      const map = Math.max(ask.map ?? 0, answer.map ?? 0) as LogIndex;
      void this.#bring({ ...ask, map }, away);
      return;
    }
    if (how === 'answered') this.#finish(status);
    else this.#refuse(new RouteError(how === 'unsent' ? 'unreachable' : 'broken', status.details));
  }

  #repeatPause(): number {
    this.#repeats += 1;
    return Math.min(REPEAT_MS * 2 ** (this.#repeats - 1), REPEAT_MS_MAX);
  }

  #forwarded(away: Away): Metadata {
    const metadata = this.#metadata.clone();
    metadata.remove(HEADER_REDIRECT);
    metadata.set(HEADER_SHARD, String(away.shard));
    metadata.set(HEADER_HOPS, String(this.#request.hops + 1));
    metadata.set(HEADER_MAP, String(away.map));
    return metadata;
  }

  /** With who served it and under which token. */
  #signed(metadata: Metadata | null | undefined): Metadata {
    const signed = metadata?.clone() ?? new Metadata();
    if (this.#phase.kind !== 'here') return signed;
    signed.set(HEADER_OWNER, this.#host.router.self);
    signed.set(HEADER_EPOCH, String(this.#phase.served.ownership.epoch));
    return signed;
  }

  #refuse(error: RouteError): void {
    this.#host.router.counts.onRefused(error.reason);
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(refusalHeaders(error))) metadata.set(name, value);
    this.#finish({
      code: CODES[error.reason] ?? Status.UNAVAILABLE,
      details: `${error.reason}: ${error.message}`,
      metadata,
    });
  }

  #finish(status: PartialStatus): void {
    this.#end();
    this.#phase = { kind: 'over' };
    this.#next.sendStatus(status);
  }

  #end(): void {
    if (this.#phase.kind === 'here') this.#phase.served.end();
  }
}

/** All others are UNAVAILABLE: another time, or another way in, may do. */
const CODES: Readonly<Partial<Record<RouteReason, Status>>> = {
  moved: Status.FAILED_PRECONDITION,
  'bad-key': Status.INVALID_ARGUMENT,
};

/** gRPC tells a deadline by the wall clock; what counts between machines is how long it is. */
function leftUntil(deadline: Date | number): number | undefined {
  const at = Number(deadline);
  const now = new Date();
  return Number.isFinite(at) ? at - now.getTime() : undefined;
}
