/** Requests that cannot be placed yet. Bounded by number and bytes; each waits until something changes, its time is over, or its caller has gone. */
import { RouteAbandonedError, RouteError } from './route-error.ts';
import type { RouteReason } from './route-headers.ts';

export interface WaitingLimits {
  readonly countMax: number;
  readonly bytesMax: number;
}

/** What the line has to know of a request. */
export interface Waiter {
  /** What it holds in memory, as far as is known. */
  readonly bytes: number;
  /** Monotonic milliseconds. */
  readonly until: number;
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal;
}

export interface WaitOptions {
  /** What is said when the time is over. */
  readonly reason: RouteReason;
  readonly message: string;
  /** Also ends the wait when it settles. */
  readonly attempt?: Promise<unknown>;
  /** Also ends the wait, milliseconds from now. */
  readonly atMostMs?: number;
}

interface Place {
  readonly bytes: number;
  readonly leave: (error: Error | undefined) => void;
}

export class WaitingLine {
  readonly #limits: WaitingLimits;
  readonly #now: () => number;
  readonly #places: Set<Place> = new Set();
  #bytes = 0;
  #closed: RouteError | undefined;

  constructor(limits: WaitingLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  get count(): number {
    return this.#places.size;
  }

  /** Resolves when it is worth looking again. Rejects: RouteError (line full, time over, closed), RouteAbandonedError. */
  wait(waiter: Waiter, options: WaitOptions): Promise<void> {
    const { signal, bytes } = waiter;
    const leftMs = waiter.until - this.#now();
    if (signal.aborted) return Promise.reject(abandoned());
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (leftMs <= 0) return Promise.reject(new RouteError(options.reason, options.message));
    const full = this.#places.size >= this.#limits.countMax || this.#bytes + bytes > this.#limits.bytesMax;
    if (full) return Promise.reject(new RouteError('queue-full', `${this.#places.size} requests wait already`));
    return new Promise((resolve, reject) => {
      const isLast = options.atMostMs === undefined || leftMs <= options.atMostMs;
      const timer = setTimeout(
        () => place.leave(isLast ? new RouteError(options.reason, options.message) : undefined),
        isLast ? leftMs : options.atMostMs,
      );
      const onAbort = (): void => place.leave(abandoned());
      const place: Place = {
        bytes,
        leave: (error) => {
          if (!this.#places.delete(place)) return;
          this.#bytes -= bytes;
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#places.add(place);
      this.#bytes += bytes;
      signal.addEventListener('abort', onAbort, { once: true });
      const settled = (): void => place.leave(undefined);
      options.attempt?.then(settled, settled);
    });
  }

  /** In the order in which they came. */
  wake(): void {
    for (const place of [...this.#places]) place.leave(undefined);
  }

  /** Nobody waits any more, now or later. */
  close(error: RouteError): void {
    this.#closed = error;
    for (const place of [...this.#places]) place.leave(error);
  }
}

function abandoned(): RouteAbandonedError {
  return new RouteAbandonedError('the caller has gone');
}
