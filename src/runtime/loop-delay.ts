/** How late this process's event loop runs: while it is late, the core suspects itself before others (raft.md 12.3). */
import { monitorEventLoopDelay } from 'node:perf_hooks';

const WINDOW_MS = 10_000;
const RESOLUTION_MS = 20;

export class LoopDelay implements Disposable {
  readonly #histogram: ReturnType<typeof monitorEventLoopDelay> = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;

  /** `tell` hears the 99th percentile of every window, in milliseconds beyond what the measuring itself takes. */
  constructor(tell: (p99Ms: number) => void) {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      tell(Math.max(0, this.#histogram.percentile(99) / 1e6 - RESOLUTION_MS));
      this.#histogram.reset();
    }, WINDOW_MS);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }
}
