/**
 * Gathers what happens within a short time, so that a burst is told once. The first event opens a window; each restarts a shorter timer;
 * whichever ends first lets everything out. wire-gossip.md 19.2.
 */
export interface CoalescerTiming {
  readonly windowMs: number;
  readonly quietMs: number;
}

export class Coalescer {
  readonly #timing: CoalescerTiming;
  readonly #flush: () => void;
  #window: NodeJS.Timeout | undefined;
  #quiet: NodeJS.Timeout | undefined;

  constructor(timing: CoalescerTiming, flush: () => void) {
    this.#timing = timing;
    this.#flush = flush;
  }

  /** Something has been gathered. */
  note(): void {
    this.#window ??= setTimeout(() => this.flush(), this.#timing.windowMs).unref();
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.flush(), this.#timing.quietMs).unref();
  }

  /** Lets out what waits, if anything does. */
  flush(): void {
    if (this.#window === undefined) return;
    this.close();
    this.#flush();
  }

  /** What was gathered is not let out. */
  close(): void {
    clearTimeout(this.#window);
    clearTimeout(this.#quiet);
    this.#window = undefined;
    this.#quiet = undefined;
  }
}
