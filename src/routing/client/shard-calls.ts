/**
 * Clients of grpc-js that go straight to the owner of a request's shard. Any client class fits, generated or loaded: it is given a channel that
 * chooses the node anew for each call, and an interceptor that finds the key in the message.
 */
import {
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  type ClientOptions,
  connectivityState,
  type Deadline,
  InterceptingCall,
  type Interceptor,
  type Metadata,
} from '@grpc/grpc-js';
import type { Random } from '../../base/random.ts';
import type { ClusterSource } from '../../model/cluster-source.ts';
import { leftMsUntil } from './deadlines.ts';
import { OwnerBook } from './owner-book.ts';
import { OwnerChannels } from './owner-channels.ts';
import { type Call, type CallFacts, ShardCall, type ShardCallHost } from './shard-call.ts';
import { WaitingRoom } from './waiting-room.ts';

/** Finds the shard of a request, as the service does: the functions `shardOf…` of this package, with the key and the number of shards. */
export type RequestShard = (request: unknown, shardCount: number) => number;

export interface ShardCallsOptions {
  readonly source: ClusterSource;
  /** The name that the service is published under; `ep.` may be left out. */
  readonly endpoint: string;
  readonly credentials: ChannelCredentials;
  /**
   * By full method, `/package.Service/Method`: how its shard is found from its first or only message. A method that is not named goes to any
   * node, unless its metadata names a shard (`funknode-shard`).
   */
  readonly shardOf?: Readonly<Record<string, RequestShard>>;
  /** Ask nodes not to pass requests on but to say who owns the shard. Default false: a request by a stale map is passed on to the owner. */
  readonly redirect?: boolean;
  /** Methods that may be sent again after a connection broke in the middle, though they may have taken effect. Default: none. */
  readonly idempotent?: readonly string[];
  /** Calls that may wait for an owner at one time; one more is refused with RESOURCE_EXHAUSTED. Default 1,000. */
  readonly queuedMax?: number;
  /** How long a call waits for an owner that can be reached, in milliseconds, if its deadline is not before that. Default 10,000. */
  readonly patienceMs?: number;
  /** Of the channels to the nodes, in place of those that suit a cluster. */
  readonly channelOptions?: ChannelOptions;
  readonly random: Random;
}

export interface ShardCallCounts {
  readonly calls: number;
  /** Sent again, by why the attempt before came to nothing. */
  readonly retries: Readonly<Record<string, number>>;
  /** Refused, since too many waited. */
  readonly refused: number;
  /** Waiting now. */
  readonly waiting: number;
  /** Channels open now. */
  readonly channels: number;
}

const QUEUED_MAX = 1_000;
const PATIENCE_MS = 10_000;

export class ShardCalls implements Disposable {
  readonly #options: ShardCallsOptions;
  readonly #book: OwnerBook;
  readonly #channels: OwnerChannels;
  readonly #host: ShardCallHost;
  readonly #channel: ShardChannel;
  readonly #unsubscribe: () => void;

  constructor(options: ShardCallsOptions) {
    this.#options = options;
    this.#book = new OwnerBook(options.source, options.endpoint);
    this.#channels = new OwnerChannels(this.#book, options.credentials, options.channelOptions ?? {});
    this.#host = {
      book: this.#book,
      channels: this.#channels,
      room: new WaitingRoom(options.source, options.queuedMax ?? QUEUED_MAX),
      redirect: options.redirect ?? false,
      idempotent: new Set(options.idempotent),
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      random: options.random,
      counts: { calls: 0, refused: 0, retries: new Map() },
    };
    this.#channel = new ShardChannel(this.#host, options.source);
    this.#unsubscribe = options.source.subscribe(() => this.#channels.prune());
  }

  /**
   * What to give to the constructor of a client; address and credentials there count for nothing. `interceptors` of your own come before ours; those
   * given with a single call take the place of all, and with them of the key.
   */
  clientOptions(own: { readonly interceptors?: readonly Interceptor[] } = {}): ClientOptions {
    return { channelOverride: this.#channel, interceptors: [...(own.interceptors ?? []), this.#interceptor] };
  }

  counts(): ShardCallCounts {
    const { calls, refused, retries } = this.#host.counts;
    const [waiting, channels] = [this.#host.room.size, this.#channels.size];
    return { calls, refused, retries: Object.fromEntries(retries), waiting, channels };
  }

  /** Closes the connections; calls under way end first, those that wait are refused. The clients' own `close` does the same. */
  close(): void {
    this.#unsubscribe();
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #interceptor: Interceptor = (options, nextCall) => {
    const { path, responseStream } = options.method_definition;
    const find = this.#options.shardOf?.[path];
    let facts: CallFacts | undefined;
    return new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        facts = { hasOneAnswer: !responseStream, hasKey: find !== undefined, shardOf: undefined };
        factsOf.set(metadata, facts);
        next(metadata, listener);
      },
      sendMessage: (message: unknown, next) => {
        if (facts !== undefined && find !== undefined) facts.shardOf ??= (count) => find(message, count);
        next(message);
      },
    });
  };
}

/** By the metadata that a call starts with, which interceptor and channel both see. */
const factsOf: WeakMap<Metadata, CallFacts> = new WeakMap();

/** What a client takes for its channel: each call goes its own way. */
class ShardChannel implements ChannelInterface {
  readonly #host: ShardCallHost;
  readonly #source: ClusterSource;
  #isClosed = false;

  constructor(host: ShardCallHost, source: ClusterSource) {
    this.#host = host;
    this.#source = source;
  }

  createCall(
    method: string,
    deadline: Deadline,
    host: string | null | undefined,
    parent: unknown,
    flags: unknown,
  ): Call {
    if (this.#isClosed) throw new Error('the channel has been closed');
    type Arguments = Parameters<ChannelInterface['createCall']>;
    const start = (channel: ChannelInterface): Call =>
      channel.createCall(method, deadline, host, parent as Arguments[3], flags as Arguments[4]);
    return new ShardCall(this.#host, { method, deadline, start, factsOf: (metadata) => factsOf.get(metadata) });
  }

  close(): void {
    this.#isClosed = true;
    this.#host.channels.close();
    this.#host.room.wakeAll();
  }

  getTarget(): string {
    return `cluster:///${this.#host.book.tag}`;
  }

  /** READY as soon as somebody can be asked: who that is depends on the call. */
  getConnectivityState(): connectivityState {
    if (this.#isClosed) return connectivityState.SHUTDOWN;
    return this.#host.book.endpoints().size > 0 ? connectivityState.READY : connectivityState.CONNECTING;
  }

  watchConnectivityState(current: connectivityState, deadline: Date | number, settled: (error?: Error) => void): void {
    const untilMs = Math.min(leftMsUntil(deadline), 2 ** 31 - 1);
    const end = (error?: Error): void => {
      clearTimeout(timer);
      unsubscribe();
      settled(error);
    };
    const timer = setTimeout(() => end(new Error('Deadline passed without connectivity state change')), untilMs);
    const look = (): void => {
      if (this.getConnectivityState() !== current) end();
    };
    const unsubscribe = this.#source.subscribe(look);
    setImmediate(look);
  }

  getChannelzRef(): ReturnType<ChannelInterface['getChannelzRef']> {
    // Registered with nobody: the channels to the nodes are.
    const ref = { kind: 'channel', id: 0, name: this.getTarget() };
    return ref as ReturnType<ChannelInterface['getChannelzRef']>;
  }
}
