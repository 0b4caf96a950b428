/** HTTP requests that go straight to the owner of their key's shard, by the platform's `fetch`. */
import { FunkError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { ClusterSource } from '../../model/cluster-source.ts';
import { HEADER_MAP, HEADER_REDIRECT, HEADER_SHARD, readRouteAnswer, type RouteAnswer } from '../route-headers.ts';
import { OwnerBook, type ShardOf, type Target } from './owner-book.ts';
import { isUnseen, pauseMs, REDIRECTS_AT_ONCE_MAX } from './retry-rules.ts';
import { WaitingRoom } from './waiting-room.ts';

/** Nobody could be asked in time, or too many waited. The request was never sent, or only to nodes that refused it unseen. */
export class NoOwnerError extends FunkError {
  readonly code = 'FUNK_NO_OWNER';
}

export interface ShardFetchOptions {
  readonly source: ClusterSource;
  /** The name that the service is published under; `ep.` may be left out. */
  readonly endpoint: string;
  /** Of the addresses that are asked. Default `http`. */
  readonly protocol?: 'http' | 'https';
  /** Ask nodes not to pass requests on but to say who owns the shard. Default false: a request by a stale map is passed on to the owner. */
  readonly redirect?: boolean;
  /** Requests that may wait for an owner at one time. Default 1,000. */
  readonly queuedMax?: number;
  /** How long a request waits for an owner that can be reached, in milliseconds. Default 10,000. */
  readonly patienceMs?: number;
  /** In place of the global one. */
  readonly fetch?: typeof fetch;
  readonly random: Random;
}

export interface ShardRequest extends Omit<RequestInit, 'redirect'> {
  /** Finds the shard, as the service does: `(count) => shardOfString(user, count)`. Without it any node is asked, in turn. */
  readonly shardOf?: ShardOf;
  /** Whether it may be sent again after a connection broke in the middle, though it may have taken effect. Default: for GET, HEAD, OPTIONS, PUT and DELETE. */
  readonly isIdempotent?: boolean;
}

interface Failure {
  readonly why: string;
  /** The answer names another owner: asking it makes sense at once. */
  readonly isNews: boolean;
}

const QUEUED_MAX = 1_000;
const PATIENCE_MS = 10_000;
/** RFC 9110 §9.2.2. */
const IDEMPOTENT: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];
/** What the system and undici say when no connection came to be. */
const NEVER_SENT: readonly string[] = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
];

export class ShardFetch {
  readonly #options: ShardFetchOptions;
  readonly #book: OwnerBook;
  readonly #room: WaitingRoom;

  constructor(options: ShardFetchOptions) {
    this.#options = options;
    this.#book = new OwnerBook(options.source, options.endpoint);
    this.#room = new WaitingRoom(options.source, options.queuedMax ?? QUEUED_MAX);
  }

  /** Requests that wait for an owner now. */
  get waiting(): number {
    return this.#room.size;
  }

  /**
   * As `fetch`, of `path` at the owner of the shard. Resolves with whatever the application answers. Rejects with {@link NoOwnerError}, the reason of
   * the signal, what `shardOf` throws, or what `fetch` rejects with: then the request may have taken effect. A body that is a stream is sent
   * once and never again.
   */
  async fetch(path: string, request: ShardRequest = {}): Promise<Response> {
    const { shardOf, isIdempotent, signal } = request;
    const canRepeat = !(request.body instanceof ReadableStream);
    const giveUpAt = performance.now() + (this.#options.patienceMs ?? PATIENCE_MS);
    let redirects = 0;
    for (let failures = 1; ; failures++) {
      signal?.throwIfAborted();
      const target = this.#book.choose(shardOf);
      const outcome: Response | Failure =
        'why' in target
          ? { why: target.why, isNews: false }
          : await this.#ask(target, path, { request, canRepeat, isIdempotent: isIdempotent ?? isSafeMethod(request) });
      if (outcome instanceof Response) return outcome;
      redirects = outcome.isNews ? redirects + 1 : 0;
      if (outcome.isNews && redirects <= REDIRECTS_AT_ONCE_MAX) continue;
      redirects = 0;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0) throw new NoOwnerError(`never answered: ${outcome.why}`);
      await this.#wait(Math.min(leftMs, pauseMs(failures, this.#options.random.next())), outcome.why, signal);
    }
  }

  async #ask(
    target: Target,
    path: string,
    how: { readonly request: ShardRequest; readonly canRepeat: boolean; readonly isIdempotent: boolean },
  ): Promise<Response | Failure> {
    const { shardOf: _shardOf, isIdempotent: _isIdempotent, ...init } = how.request;
    const url = new URL(path, `${this.#options.protocol ?? 'http'}://${target.address}`);
    let response: Response;
    try {
      response = await (this.#options.fetch ?? fetch)(url, {
        ...init,
        headers: this.#headersFor(target, init.headers),
      });
    } catch (error) {
      init.signal?.throwIfAborted();
      const isUnsent = NEVER_SENT.includes(codeOf(error));
      if (!how.canRepeat || !(isUnsent || how.isIdempotent)) throw error;
      this.#book.forget(target);
      return { why: `${target.node} does not answer at ${target.address}`, isNews: false };
    }
    const answer = answerOf(response);
    const isNews = this.#book.learn(target, answer);
    const isLost = answer.reason === 'broken' && how.isIdempotent;
    if (!how.canRepeat || !(isUnseen(answer.reason) || isLost)) return response;
    // Unread, it would hold its connection.
    await response.body?.cancel();
    return { why: `the node that was asked refused: ${answer.reason ?? ''}`, isNews };
  }

  #headersFor(target: Target, given: RequestInit['headers']): Headers {
    const headers = new Headers(given);
    if (target.shard === undefined) return headers;
    headers.set(HEADER_SHARD, String(target.shard));
    if (target.map !== undefined) headers.set(HEADER_MAP, String(target.map));
    if (this.#options.redirect === true) headers.set(HEADER_REDIRECT, '1');
    return headers;
  }

  #wait(ms: number, why: string, signal: AbortSignal | null | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = this.#room.enter(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      if (leave === undefined) {
        reject(new NoOwnerError(`too many requests wait for an owner; this one since ${why}`));
        return;
      }
      const onAbort = (): void => {
        leave();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function isSafeMethod({ method = 'GET' }: ShardRequest): boolean {
  return IDEMPOTENT.includes(method.toUpperCase());
}

/** `fetch` wraps what the system said. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const first = cause instanceof AggregateError ? cause.errors[0] : cause;
  return String((first as { readonly code?: unknown } | undefined)?.code ?? '');
}

function answerOf(response: Response): RouteAnswer {
  return readRouteAnswer((name) => response.headers.get(name) ?? undefined);
}
