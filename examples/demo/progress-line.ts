/** A bar that moves on a terminal, and lines that are told meanwhile. In a pipe or a log only the lines are printed. */
import { SingleBar } from 'cli-progress';

const REDRAWN_EVERY_MS = 100;

export class ProgressLine {
  readonly #startedAt: number = performance.now();
  readonly #bar: SingleBar;
  readonly #timer: NodeJS.Timeout;
  readonly #count: () => { readonly requests: number; readonly retries: number };

  /** `count` is asked for whenever the bar is drawn. */
  constructor(durationMs: number, count: () => { readonly requests: number; readonly retries: number }) {
    this.#count = count;
    const format = '  [{bar}] {requests} requests, {retries} sent again';
    this.#bar = new SingleBar({ format, clearOnComplete: true, hideCursor: true, barsize: 40 });
    this.#bar.start(durationMs, 0, count());
    this.#timer = setInterval(() => this.#draw(), REDRAWN_EVERY_MS);
  }

  say(line: string): void {
    const at = ((performance.now() - this.#startedAt) / 1_000).toFixed(1).padStart(5);
    // What the bar leaves behind is overwritten to the end of the line.
    const text = `${at} s  ${line}`;
    process.stdout.write(process.stdout.isTTY ? `\r${text}\u001B[K\n` : `${text}\n`);
    this.#draw();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#bar.stop();
  }

  #draw(): void {
    this.#bar.update(performance.now() - this.#startedAt, this.#count());
  }
}
