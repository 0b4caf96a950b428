/**
 * The TCP side: which streams are open, what they have sent so far, and how long they may take. One request and at most one
 * answer per stream. wire-gossip.md 7.1.
 */
import { assert } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { StreamId } from '../model/ids.ts';
import type { DecodeFailure, DecodeReason } from '../wire/memberlist/failure.ts';
import { guardStream } from '../wire/memberlist/guard.ts';
import { GuardedStream } from '../wire/memberlist/guarded-stream.ts';
import { encodeErr } from '../wire/memberlist/messages.ts';
import { compressIfShorter } from '../wire/memberlist/packet.ts';
import type { StreamMessage, StreamProgress } from '../wire/memberlist/stream.ts';
import type { SwimContext } from './context.ts';

/** What comes of a stream that we opened: exactly one call. */
export interface StreamClient {
  onMessage(message: StreamMessage): void;
  onFailed(reason: string): void;
}

/** A request on a stream that a peer opened; to be answered, or not, at once. */
export interface StreamServer {
  /** The answer, or undefined for none; `after` runs when the answer is on its way. */
  onRequest(message: StreamMessage, from: Endpoint): StreamAnswer | undefined;
}

export interface StreamAnswer {
  readonly bytes: Uint8Array;
  readonly after: () => void;
}

interface OpenOptions {
  readonly client: StreamClient;
  /** Fixed; by default each step may take the TCP timeout. */
  readonly deadline?: MonotonicMs;
  /** The longest answer that is taken, as it comes over the wire. By default as much as all streams may hold. */
  readonly bytesMax?: number;
}

/** Closed without a word: what the type byte says nothing about, and strangers by their label (wire-gossip 7.2). */
const UNANSWERED: ReadonlySet<DecodeReason> = new Set(['unknownType', 'labelled', 'unlabelled', 'badLabel']);

interface Stream {
  readonly id: StreamId;
  readonly peer: Endpoint;
  readonly decoder: GuardedStream;
  /** Undefined on streams that peers opened. */
  readonly request: { readonly bytes: Uint8Array; readonly client: StreamClient; readonly renews: boolean } | undefined;
  readonly bytesMax: number;
  received: number;
}

export class Streams {
  readonly #context: SwimContext;
  readonly #streams: Map<StreamId, Stream> = new Map();
  readonly #deadlines: DeadlineHeap<StreamId> = new DeadlineHeap();
  #server: StreamServer | undefined;
  #nextId = 2;
  #acceptedCount = 0;
  #buffered = 0;

  constructor(context: SwimContext) {
    this.#context = context;
  }

  serve(server: StreamServer): void {
    this.#server = server;
  }

  open(to: Endpoint, message: Uint8Array, options: OpenOptions): void {
    const { config, effects, guard, now, stats } = this.#context;
    const id = this.#nextId as StreamId;
    this.#nextId += 2;
    const bytes = this.#wrap(message, 'dialled');
    const request = { bytes, client: options.client, renews: options.deadline === undefined };
    const decoder = new GuardedStream(guard, 'dialled');
    const { bytesMax = Number.POSITIVE_INFINITY } = options;
    this.#streams.set(id, { id, peer: to, decoder, request, bytesMax, received: 0 });
    this.#deadlines.set(id, options.deadline ?? now + config.tcpTimeoutMs);
    stats.streamsOpened += 1;
    effects.push({ kind: 'openStream', stream: id, to });
  }

  onAccepted(id: StreamId, from: Endpoint): void {
    const { config, effects, guard, now } = this.#context;
    const isAllowed = this.#context.allows(from.host);
    if (!isAllowed || this.#acceptedCount >= config.streamsAcceptedMax) {
      this.#context.drop(isAllowed ? 'tooManyStreams' : 'networkNotAllowed', from);
      effects.push({ kind: 'closeStream', stream: id });
      return;
    }
    this.#acceptedCount += 1;
    const decoder = new GuardedStream(guard, 'accepted');
    const bytesMax = Number.POSITIVE_INFINITY;
    this.#streams.set(id, { id, peer: from, decoder, request: undefined, bytesMax, received: 0 });
    // Not renewed by bytes that trickle in: a whole request comes within the time, or not at all.
    this.#deadlines.set(id, now + config.tcpTimeoutMs);
  }

  onOpened(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream?.request === undefined) return;
    if (stream.request.renews) this.#deadlines.set(id, this.#context.now + this.#context.config.tcpTimeoutMs);
    this.#write(id, stream.request.bytes);
  }

  onBytes(id: StreamId, bytes: Uint8Array): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#context.stats.bytesReceived += bytes.length;
    stream.received += bytes.length;
    if (stream.received > stream.bytesMax) {
      this.#fail(stream, { reason: 'tooLarge', detail: 'the answer is longer than it may be' });
      return;
    }
    const before = stream.decoder.buffered;
    const progress = stream.decoder.push(bytes);
    this.#buffered += stream.decoder.buffered - before;
    if (progress.kind === 'more' && this.#buffered > this.#context.config.streamBufferedBytesMax) {
      this.#fail(stream, { reason: 'tooLarge', detail: 'streams hold too many bytes' });
    } else this.#onProgress(stream, progress);
  }

  onClosed(id: StreamId, error: string | undefined): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#forget(stream);
    if (stream.request !== undefined) stream.request.client.onFailed(error ?? 'closed before an answer came');
    else if (!stream.decoder.isEmpty) this.#context.drop('streamCutOff', stream.peer);
  }

  tick(): void {
    const { now } = this.#context;
    for (let id = this.#deadlines.popDue(now); id !== undefined; id = this.#deadlines.popDue(now)) {
      const stream = this.#streams.get(id);
      if (stream === undefined) continue;
      this.#close(stream);
      if (stream.request !== undefined) stream.request.client.onFailed('timed out');
      else this.#context.drop('streamTimedOut', stream.peer);
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  postpone(byMs: number): void {
    for (const id of this.#streams.keys()) {
      const deadline = this.#deadlines.deadlineOf(id);
      if (deadline !== undefined) this.#deadlines.set(id, deadline + byMs);
    }
  }

  check(): void {
    let accepted = 0;
    let buffered = 0;
    for (const [id, stream] of this.#streams) {
      assert(this.#deadlines.has(id), 'every stream has a deadline');
      assert((id % 2 === 0) === (stream.request !== undefined), 'streams that we open have even numbers');
      if (stream.request === undefined) accepted += 1;
      buffered += stream.decoder.buffered;
    }
    assert(this.#streams.size === this.#deadlines.size, 'no deadline outlives its stream');
    assert(accepted === this.#acceptedCount, 'accepted streams are counted');
    assert(buffered === this.#buffered, 'buffered bytes are counted');
  }

  #onProgress(stream: Stream, progress: StreamProgress): void {
    if (progress.kind === 'more') return;
    if (progress.kind === 'failed') {
      this.#fail(stream, progress.failure);
      return;
    }
    const { message } = progress;
    if (stream.request !== undefined) {
      this.#close(stream);
      stream.request.client.onMessage(message);
      return;
    }
    const answer = this.#server?.onRequest(message, stream.peer);
    if (answer !== undefined) this.#write(stream.id, this.#wrap(answer.bytes, 'accepted'));
    this.#close(stream);
    answer?.after();
  }

  #fail(stream: Stream, failure: DecodeFailure): void {
    this.#context.drop(failure.reason, stream.peer);
    if (stream.request === undefined && !UNANSWERED.has(failure.reason)) {
      this.#write(stream.id, this.#wrap(encodeErr({ kind: 'err', error: failure.detail }), 'accepted'));
    }
    this.#close(stream);
    stream.request?.client.onFailed(failure.detail);
  }

  /** Compressed when that is shorter (memberlist compresses every stream; peers accept both), then sealed and labelled. */
  #wrap(message: Uint8Array, side: 'dialled' | 'accepted'): Uint8Array {
    const { config, guard, random } = this.#context;
    return guardStream(config.compression ? compressIfShorter(message) : message, guard, side, random);
  }

  #write(id: StreamId, bytes: Uint8Array): void {
    this.#context.stats.bytesSent += bytes.length;
    this.#context.effects.push({ kind: 'sendStream', stream: id, bytes });
  }

  #close(stream: Stream): void {
    this.#forget(stream);
    this.#context.effects.push({ kind: 'closeStream', stream: stream.id });
  }

  #forget(stream: Stream): void {
    this.#streams.delete(stream.id);
    this.#deadlines.delete(stream.id);
    this.#buffered -= stream.decoder.buffered;
    if (stream.request === undefined) this.#acceptedCount -= 1;
  }
}
