/** Requests that have nobody to go to for a moment: a shard moves, its owner has just died. Bounded; each leaves at the next change, or after its time. */
import type { ClusterSource } from '../../model/cluster-source.ts';

export class WaitingRoom {
  readonly #source: ClusterSource;
  readonly #seats: number;
  readonly #waiting: Set<() => void> = new Set();
  #unsubscribe: (() => void) | undefined;

  constructor(source: ClusterSource, seats: number) {
    this.#source = source;
    this.#seats = seats;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Calls `go` once, in a turn of its own: after the next change of the source, or after `ms`. Returns the function that gives the seat back before;
   * undefined when all seats are taken.
   */
  enter(ms: number, go: () => void): (() => void) | undefined {
    if (this.#waiting.size >= this.#seats) return undefined;
    const leave = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(wake);
      if (this.#waiting.size > 0) return;
      // Whoever waits for nothing listens to nothing.
      this.#unsubscribe?.();
      this.#unsubscribe = undefined;
    };
    const wake = (): void => {
      leave();
      go();
    };
    const timer = setTimeout(wake, ms);
    this.#waiting.add(wake);
    this.#unsubscribe ??= this.#source.subscribe(() => this.wakeAll());
    return leave;
  }

  wakeAll(): void {
    // Not within the source's own turn: it may be in the middle of telling others.
    const woken = [...this.#waiting];
    setImmediate(() => {
      for (const wake of woken) if (this.#waiting.has(wake)) wake();
    });
  }
}
