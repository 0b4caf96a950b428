/**
 * Whether the node's loop still turns. Gossip wakes it several times a second, so a count that stands still over many
 * looks is a loop that hangs. Looks are counted, not seconds: after a pause of the whole process the loop gets its chance.
 */
import type { NodeHandle } from '../runtime/node-handle.ts';

const LOOK_EVERY_MS = 2_500;
const LOOKS_WITHOUT_A_TURN_MAX = 4;

export class LoopWatch {
  readonly #handle: NodeHandle;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #turns: number;
  #still = 0;
  #stopped = false;

  constructor(handle: NodeHandle) {
    this.#handle = handle;
    this.#turns = handle.stats().loop.turns;
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
    this.#unsubscribe = handle.subscribe((event) => {
      if (event.kind === 'stopped') this.#stopped = true;
    });
  }

  get turns(): boolean {
    return !this.#stopped && this.#still < LOOKS_WITHOUT_A_TURN_MAX;
  }

  /** Takes one look; the timer does so every 2.5 seconds. */
  look(): void {
    const { turns } = this.#handle.stats().loop;
    this.#still = turns === this.#turns ? this.#still + 1 : 0;
    this.#turns = turns;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
  }
}
