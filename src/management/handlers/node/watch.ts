/**
 * funk.v1 Watch: first the whole picture, then what changes. The stream's own flow control sets the pace: nothing is
 * written while earlier messages wait, and what happens meanwhile folds into the next picture (watch-picture.ts).
 */
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import type { WatchRequest__Output } from '../../../gen/funk/v1/WatchRequest.ts';
import type { WatchResponse } from '../../../gen/funk/v1/WatchResponse.ts';
import type { NodeView } from '../../../model/node-view.ts';
import { StoppedError } from '../../../runtime/handle-errors.ts';
import { StreamLimitError } from '../../errors.ts';
import type { OpenStreams } from '../../open-streams.ts';
import { type HandlerContext, reportUnforeseen } from '../../rpc.ts';
import { statusResponse } from '../../status.ts';
import { WatchPicture, type WatchWish } from '../../watch-picture.ts';

const METHOD = 'funk.v1.Node/Watch';
/** Some changes of a view come without an event; this often it is looked at anyhow. */
const LOOK_EVERY_MS = 1_000;
/** Events come in bursts, and each picture costs a look at every member: at most one in this time. */
const PICTURE_EVERY_MS = 50;
/** A watcher that reads nothing for so long is cut. */
export const STALLED_MS_MAX = 30_000;

type WatchCall = ServerWritableStream<WatchRequest__Output, WatchResponse>;

export interface WatchLimits {
  /** {@link STALLED_MS_MAX} unless given. */
  readonly stalledMsMax?: number;
}

export function watch(
  context: HandlerContext,
  streams: OpenStreams,
  limits: WatchLimits = {},
): handleServerStreamingCall<WatchRequest__Output, WatchResponse> {
  return (call) => {
    const watcher = new Watcher(context, call, limits.stalledMsMax ?? STALLED_MS_MAX);
    const leave = streams.enter({ end: () => watcher.end(new StoppedError('the node is stopping')) });
    if (leave === undefined) {
      const error = new StreamLimitError('this node serves as many watchers as it can; ask another');
      context.counts.add(METHOD, 'RESOURCE_EXHAUSTED');
      call.emit('error', statusResponse(error));
      return;
    }
    watcher.run(leave);
  };
}

/** A version is of one cluster: of another one it names another map. */
function wishOf(context: HandlerContext, request: WatchRequest__Output): WatchWish {
  const { deltas, packed, sinceVersion, clusterId } = request;
  const isOurs = sinceVersion > 0 && clusterId === context.handle.view().clusterId;
  return { deltas, packed, since: isOurs && deltas ? context.maps.ofVersion(sinceVersion) : undefined };
}

class Watcher {
  readonly #context: HandlerContext;
  readonly #call: WatchCall;
  readonly #stalledMsMax: number;
  readonly #picture: WatchPicture;
  #shown: NodeView | undefined;
  #scheduled: NodeJS.Timeout | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #hasEnded = false;
  /** Set while the client has more to read than the stream may hold; monotonic milliseconds. */
  #blockedSince: number | undefined;
  #cleanUp: () => void = () => undefined;

  constructor(context: HandlerContext, call: WatchCall, stalledMsMax: number) {
    this.#context = context;
    this.#call = call;
    this.#stalledMsMax = stalledMsMax;
    this.#picture = new WatchPicture(wishOf(context, call.request));
  }

  run(leave: () => void): void {
    const unsubscribe = this.#context.handle.subscribe((event) => {
      this.#picture.note(event);
      this.#schedule();
      if (event.kind === 'stopped') this.#endWith(event.reason);
    });
    const timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    timer.unref();
    this.#cleanUp = () => {
      unsubscribe();
      clearInterval(timer);
      clearTimeout(this.#scheduled);
      leave();
    };
    this.#call.on('drain', () => {
      this.#blockedSince = undefined;
      this.#schedule();
    });
    this.#call.on('cancelled', () => this.#finish('CANCELLED'));
    this.#call.on('close', () => this.#finish('CANCELLED'));
    this.#flush();
  }

  /** Tells the client why and lets go of everything. */
  end(error: Error): void {
    if (this.#hasEnded) return;
    const response = statusResponse(error);
    this.#finish(error instanceof StoppedError ? 'UNAVAILABLE' : 'RESOURCE_EXHAUSTED');
    this.#call.emit('error', response);
  }

  /** The last words of a node reach those who read in time. */
  #endWith(reason: string): void {
    this.#flush();
    this.end(new StoppedError(reason));
  }

  #finish(code: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cleanUp();
    this.#context.counts.add(METHOD, code);
  }

  #look(): void {
    const now = performance.now();
    if (this.#blockedSince !== undefined) {
      if (now - this.#blockedSince > this.#stalledMsMax)
        this.end(new StreamLimitError('the client does not read what it watches'));
      return;
    }
    if (this.#context.handle.view() !== this.#shown) this.#flush();
  }

  #schedule(): void {
    if (this.#scheduled !== undefined || this.#hasEnded) return;
    const wait = Math.max(0, this.#flushedAt + PICTURE_EVERY_MS - performance.now());
    this.#scheduled = setTimeout(() => {
      this.#scheduled = undefined;
      this.#flush();
    }, wait);
  }

  #flush(): void {
    if (this.#hasEnded || this.#blockedSince !== undefined) return;
    this.#flushedAt = performance.now();
    try {
      const { handle } = this.#context;
      const view = handle.view();
      this.#shown = view;
      let isOpen = true;
      for (const message of this.#picture.bringUpTo(view, handle.now())) isOpen = this.#call.write(message);
      if (!isOpen) this.#blockedSince = performance.now();
    } catch (error) {
      reportUnforeseen(this.#context, METHOD, error);
      this.#finish('INTERNAL');
      this.#call.emit('error', statusResponse(error));
    }
  }
}
