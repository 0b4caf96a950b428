/** One direction of a connection: what is sent arrives in the order of sending, or not at all; a cut holds it up until it is tried again. */
import type { NetworkHost } from './network.ts';

/** A stalled connection tries again so often. */
const RETRY_MS = 200;

export interface WayEnds {
  isCut(): boolean;
  /** The way is held up for longer than anybody waits: everything on it is lost. */
  onStuck(): void;
  readonly patienceMs: number;
}

export class OrderedWay {
  readonly #host: NetworkHost;
  readonly #ends: WayEnds;
  readonly #waiting: { readonly at: number; readonly act: () => void }[] = [];
  #lastArrival = 0;
  #stalledUntil = 0;
  #stalledSince: number | undefined;

  constructor(host: NetworkHost, ends: WayEnds, readyAt = 0) {
    this.#host = host;
    this.#ends = ends;
    this.#lastArrival = readyAt;
  }

  carry(delayMs: number, act: () => void): void {
    this.#lastArrival = Math.max(this.#lastArrival, this.#host.now + delayMs);
    this.#waiting.push({ at: this.#lastArrival, act });
    this.#host.at(this.#lastArrival, () => this.#pump());
  }

  #pump(): void {
    for (;;) {
      const { now } = this.#host;
      const first = this.#waiting[0];
      if (first === undefined || first.at > now || now < this.#stalledUntil) return;
      if (this.#ends.isCut()) {
        this.#stall(now);
        return;
      }
      this.#stalledSince = undefined;
      this.#waiting.shift();
      first.act();
    }
  }

  #stall(now: number): void {
    this.#stalledSince ??= now;
    if (now - this.#stalledSince > this.#ends.patienceMs) {
      this.#waiting.length = 0;
      this.#ends.onStuck();
      return;
    }
    this.#stalledUntil = now + RETRY_MS;
    this.#host.at(this.#stalledUntil, () => this.#pump());
  }
}
