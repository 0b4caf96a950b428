/**
 * One call of a client, sent to whoever owns its shard, and again where that is safe. Looks to grpc-js like any call of a channel.
 *
 * choosing ─► connecting ─► under way ─► over
 *    ▲            │             │ refused before any application saw it, nothing was given to the caller, and all that was sent is still held
 *    └─ waiting ◄─┴─────────────┘
 */
import {
  type CallCredentials,
  type ChannelInterface,
  type Deadline,
  Metadata,
  type StatusObject,
  status as Status,
} from '@grpc/grpc-js';
import type { Random } from '../../base/random.ts';
import { HEADER_MAP, HEADER_REDIRECT, HEADER_SHARD, readRouteAnswer, type RouteAnswer } from '../route-headers.ts';
import { leftMsUntil } from './deadlines.ts';
import type { NoTarget, OwnerBook, ShardOf, Target } from './owner-book.ts';
import type { OwnerChannels } from './owner-channels.ts';
import { isUnseen, pauseMs, REDIRECTS_AT_ONCE_MAX } from './retry-rules.ts';
import type { WaitingRoom } from './waiting-room.ts';

export type Call = ReturnType<ChannelInterface['createCall']>;
type Listener = Parameters<Call['start']>[1];
type MessageContext = Parameters<Call['sendMessageWithContext']>[0];

export interface ShardCallHost {
  readonly book: OwnerBook;
  readonly channels: OwnerChannels;
  readonly room: WaitingRoom;
  readonly redirect: boolean;
  /** Full methods. */
  readonly idempotent: ReadonlySet<string>;
  readonly patienceMs: number;
  readonly random: Random;
  readonly counts: { calls: number; refused: number; readonly retries: Map<string, number> };
}

export interface ShardCallRequest {
  readonly method: string;
  readonly deadline: Deadline;
  readonly start: (channel: ChannelInterface) => Call;
  /** Undefined for a call that has not come by our interceptor. */
  readonly factsOf: (metadata: Metadata) => Readonly<CallFacts> | undefined;
}

/** What the interceptor knows of a call and its channel does not. */
export interface CallFacts {
  /** One message answers it, as in a unary call. */
  readonly hasOneAnswer: boolean;
  /** There will be a key with the first message; `shardOf` is there when that has come. */
  readonly hasKey: boolean;
  shardOf: ShardOf | undefined;
}

interface Message {
  readonly bytes: Buffer;
  /** Of the sender: once it was called, he may send the next. */
  context: MessageContext;
}

/** What is held to be sent again. A call that has sent more is the node's that it went to. */
const HELD_BYTES_MAX = 1024 * 1024;
/** While a channel connects; a change of the cluster ends the wait before. */
const CONNECT_MS = 3_000;

export class ShardCall implements Call {
  readonly #host: ShardCallHost;
  readonly #request: ShardCallRequest;
  #metadata: Metadata = new Metadata();
  #listener: Listener | undefined;
  #credentials: CallCredentials | undefined;
  #shardOf: ShardOf | undefined;
  #awaitsKey = false;
  /** A single answer is handed on with its end: should the connection break before it, the call can be sent again. */
  #holdsAnswer = false;
  /** Undefined when what was sent is no longer all held: then no second attempt is possible. */
  #messages: Message[] | undefined = [];
  #heldBytes = 0;
  /** Messages of `#messages` that the attempt under way has been given. */
  #given = 0;
  /** It has not asked for more yet. */
  #isGiving = false;
  #isEndGiven = false;
  #isHalfClosed = false;
  #readsWanted = 0;
  #inner: Call | undefined;
  #isOver = false;
  #isCancelled = false;
  #failures = 0;
  #redirects = 0;
  #waitsUntil: number | undefined;
  #why = '';
  #endWait: () => void = () => undefined;

  constructor(host: ShardCallHost, request: ShardCallRequest) {
    this.#host = host;
    this.#request = request;
  }

  start(metadata: Metadata, listener: Listener): void {
    this.#host.counts.calls += 1;
    this.#metadata = metadata;
    this.#listener = listener;
    const named = metadata.get(HEADER_SHARD)[0];
    const facts = this.#request.factsOf(metadata);
    this.#awaitsKey = facts?.hasKey === true;
    this.#holdsAnswer = facts?.hasOneAnswer === true && this.#host.idempotent.has(this.#request.method);
    if (this.#awaitsKey) return this.#expectKey();
    if (named !== undefined) this.#shardOf = () => Number(named);
    this.#choose();
  }

  sendMessageWithContext(context: MessageContext, bytes: Buffer): void {
    if (this.#isOver) return;
    if (this.#messages === undefined) {
      this.#inner?.sendMessageWithContext(context, bytes);
      return;
    }
    this.#messages.push({ bytes, context });
    this.#heldBytes += bytes.length;
    if (this.#awaitsKey) this.#onKey();
    else this.#give();
    const isAllGiven = this.#inner !== undefined && this.#given === this.#messages?.length;
    if (this.#heldBytes > HELD_BYTES_MAX && isAllGiven) this.#messages = undefined;
  }

  halfClose(): void {
    this.#isHalfClosed = true;
    if (this.#awaitsKey) this.#onKey();
    else this.#giveEnd();
  }

  startRead(): void {
    this.#readsWanted += 1;
    this.#inner?.startRead();
  }

  cancelWithStatus(code: Status, details: string): void {
    this.#isCancelled = true;
    if (this.#inner === undefined) this.#end({ code, details, metadata: new Metadata() });
    else this.#inner.cancelWithStatus(code, details);
  }

  setCredentials(credentials: CallCredentials): void {
    this.#credentials = credentials;
  }

  getPeer(): string {
    return this.#inner?.getPeer() ?? 'unknown';
  }

  getCallNumber(): number {
    return this.#inner?.getCallNumber() ?? 0;
  }

  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.#inner?.getAuthContext() ?? null;
  }

  /** The first message names the shard; a stream may take its time with it, and no longer than its deadline. */
  #expectKey(): void {
    const leftMs = this.#leftMs();
    if (leftMs === Number.POSITIVE_INFINITY) return;
    this.#why = 'its first message never came';
    const timer = setTimeout(() => this.#refuseLate(), Math.max(0, leftMs));
    this.#endWait = () => clearTimeout(timer);
  }

  #onKey(): void {
    this.#endWait();
    this.#awaitsKey = false;
    this.#shardOf = this.#request.factsOf(this.#metadata)?.shardOf;
    this.#choose();
  }

  #choose(): void {
    if (this.#isOver) return;
    if (this.#host.channels.isClosed) {
      return this.#end({ code: Status.UNAVAILABLE, details: 'the client was closed', metadata: new Metadata() });
    }
    let target: Target | NoTarget;
    try {
      target = this.#host.book.choose(this.#shardOf);
    } catch (error) {
      // The caller's own key, or the function that he gave.
      const details = error instanceof Error ? error.message : String(error);
      return this.#end({ code: Status.INVALID_ARGUMENT, details, metadata: new Metadata() });
    }
    if ('why' in target) return this.#wait(target.why);
    const channel = this.#host.channels.ready(target.address);
    if (channel === undefined) this.#connect(target);
    else this.#send(target, channel);
  }

  #connect(target: Target): void {
    const why = `${target.node} does not answer at ${target.address}`;
    const endConnect = this.#host.channels.connect(target.address, (isReady) => {
      this.#endWait();
      if (isReady) return this.#choose();
      this.#host.book.forget(target);
      this.#wait(why);
    });
    if (this.#takeSeat(CONNECT_MS, why)) {
      const leave = this.#endWait;
      this.#endWait = () => {
        endConnect();
        leave();
      };
    } else endConnect();
  }

  /** Until the cluster changes, or a while has passed. */
  #wait(why: string): void {
    this.#failures += 1;
    this.#takeSeat(pauseMs(this.#failures, this.#host.random.next()), why);
  }

  /** False when the call was refused instead. */
  #takeSeat(ms: number, why: string): boolean {
    this.#why = why;
    const now = performance.now();
    this.#waitsUntil ??= now + this.#host.patienceMs;
    const leftMs = Math.min(this.#waitsUntil - now, this.#leftMs());
    if (leftMs <= 0) {
      this.#refuseLate();
      return false;
    }
    const again = (): void => {
      this.#endWait();
      this.#choose();
    };
    const leave = this.#host.room.enter(Math.min(ms, leftMs), again);
    if (leave === undefined) {
      this.#host.counts.refused += 1;
      const details = `too many calls wait for an owner; this one since ${why}`;
      this.#end({ code: Status.RESOURCE_EXHAUSTED, details, metadata: new Metadata() });
      return false;
    }
    this.#endWait = leave;
    return true;
  }

  #refuseLate(): void {
    const isDeadline = this.#leftMs() <= 0;
    const code = isDeadline ? Status.DEADLINE_EXCEEDED : Status.UNAVAILABLE;
    this.#end({ code, details: `never sent: ${this.#why}`, metadata: new Metadata() });
  }

  #leftMs(): number {
    return leftMsUntil(this.#request.deadline);
  }

  #send(target: Target, channel: ChannelInterface): void {
    this.#endWait = () => undefined;
    const inner = this.#request.start(channel);
    this.#inner = inner;
    this.#given = 0;
    this.#isGiving = false;
    this.#isEndGiven = false;
    if (this.#credentials !== undefined) inner.setCredentials(this.#credentials);
    inner.start(this.#headersFor(target), this.#listenerFor(target, inner));
    for (let reads = 0; reads < this.#readsWanted; reads++) inner.startRead();
    this.#give();
  }

  #headersFor(target: Target): Metadata {
    const metadata = this.#metadata.clone();
    if (target.shard !== undefined) metadata.set(HEADER_SHARD, String(target.shard));
    if (target.shard !== undefined && target.map !== undefined) metadata.set(HEADER_MAP, String(target.map));
    if (target.shard !== undefined && this.#host.redirect) metadata.set(HEADER_REDIRECT, '1');
    return metadata;
  }

  /** Gives the attempt the next message that it has not had: one at a time, as grpc-js wants them. */
  #give(): void {
    const [inner, message] = [this.#inner, this.#messages?.[this.#given]];
    if (inner === undefined || this.#isGiving) return;
    if (message === undefined) return this.#giveEnd();
    this.#given += 1;
    this.#isGiving = true;
    const { callback, ...context } = message.context;
    // Of a second attempt the sender hears nothing.
    message.context = context;
    const onTaken = (error?: Error | null): void => {
      callback?.(error);
      if (this.#inner !== inner) return;
      this.#isGiving = false;
      this.#give();
    };
    inner.sendMessageWithContext({ ...context, callback: onTaken }, message.bytes);
    this.#giveEnd();
  }

  #giveEnd(): void {
    const isAllGiven = this.#messages === undefined || this.#given === this.#messages.length;
    if (!this.#isHalfClosed || !isAllGiven || this.#inner === undefined || this.#isEndGiven) return;
    this.#isEndGiven = true;
    this.#inner.halfClose();
  }

  #listenerFor(target: Target, inner: Call): Listener {
    const held: (() => void)[] = [];
    let hasDelivered = false;
    const deliver = (part: () => void): void => {
      if (this.#holdsAnswer) return void held.push(part);
      hasDelivered = true;
      part();
    };
    return {
      onReceiveMetadata: (metadata) => {
        this.#host.book.learn(target, answerIn(metadata));
        deliver(() => this.#listener?.onReceiveMetadata(metadata));
      },
      onReceiveMessage: (message: unknown) => {
        deliver(() => {
          this.#readsWanted -= 1;
          this.#listener?.onReceiveMessage(message);
        });
      },
      onReceiveStatus: (status) => {
        if (this.#isOver || this.#inner !== inner) return;
        const answer = answerIn(status.metadata);
        const isNews = this.#host.book.learn(target, answer);
        const why = this.#whyAgain(status, answer);
        if (why !== undefined && !hasDelivered && this.#messages !== undefined) return this.#again(why, isNews);
        for (const part of held) part();
        this.#end(status);
      },
    };
  }

  /** Why it may be sent again; undefined when it may not. */
  #whyAgain({ code }: StatusObject, { reason }: RouteAnswer): string | undefined {
    if (isUnseen(reason)) return reason;
    // A server that is torn down cancels what it had begun.
    const isTorn = code === Status.CANCELLED && !this.#isCancelled;
    const isLost = isTorn || (code === Status.UNAVAILABLE && (reason === undefined || reason === 'broken'));
    return isLost && this.#host.idempotent.has(this.#request.method) ? 'broken' : undefined;
  }

  #again(why: string, isNews: boolean): void {
    const { retries } = this.#host.counts;
    retries.set(why, (retries.get(why) ?? 0) + 1);
    this.#inner = undefined;
    this.#redirects = isNews ? this.#redirects + 1 : 0;
    if (isNews && this.#redirects <= REDIRECTS_AT_ONCE_MAX) return this.#choose();
    this.#redirects = 0;
    this.#wait(`the node that was asked refused: ${why}`);
  }

  #end(status: StatusObject): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#endWait();
    this.#messages = undefined;
    const listener = this.#listener;
    // grpc-js expects its answer in a turn of its own.
    if (this.#inner === undefined) setImmediate(() => listener?.onReceiveStatus(status));
    else listener?.onReceiveStatus(status);
  }
}

function answerIn(metadata: Metadata): RouteAnswer {
  return readRouteAnswer((name) => {
    const value = metadata.get(name)[0];
    return value === undefined ? undefined : String(value);
  });
}
