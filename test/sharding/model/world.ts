/**
 * True time, clocks that err, processes that pause or are suspended, and a network that loses, delays and doubles. Knows nothing of
 * leases: what runs on it is given as thunks.
 */
import { randomBetween, SeededRandom } from '../../../src/base/random.ts';

interface Happening {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A priority queue of happenings in true milliseconds; equal instants in a drawn order. */
export class Timeline {
  readonly random: SeededRandom;
  now = 0;
  #heap: Happening[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  at(at: number, run: () => void): void {
    const heap = this.#heap;
    const item = { at: Math.max(at, this.now), order: this.random.next(), run };
    let i = heap.length;
    heap.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(item, heap[parent] as Happening)) break;
      heap[i] = heap[parent] as Happening;
      i = parent;
    }
    heap[i] = item;
  }

  after(ms: number, run: () => void): void {
    this.at(this.now + ms, run);
  }

  runUntil(end: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.at <= end; first = this.#heap[0]) {
      this.#pop();
      this.now = first.at;
      first.run();
    }
    this.now = end;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Happening;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Happening, heap[child] as Happening)) child += 1;
      if (!before(heap[child] as Happening, last)) break;
      heap[i] = heap[child] as Happening;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A process with a monotonic clock of its own rate. Nothing runs in it while it is stopped; what arrives waits. */
export class Host {
  readonly #timeline: Timeline;
  readonly rate: number;
  readonly #origin: number;
  isAlive = true;
  #stoppedUntil = Number.NEGATIVE_INFINITY;
  #suspendedSince: number | undefined;
  #frozen = 0;
  #unreported = 0;
  #waiting: (() => void)[] = [];

  constructor(timeline: Timeline, rate: number) {
    this.#timeline = timeline;
    this.rate = rate;
    this.#origin = timeline.now - 10_000;
  }

  /** The monotonic clock, which stands still while the guest is suspended. */
  mono(): number {
    const until = this.#suspendedSince ?? this.#timeline.now;
    return (until - this.#origin - this.#frozen) * this.rate;
  }

  /** What the wall clock has gained on the monotonic one and no turn has been told of yet. */
  jump(): number {
    const running = this.#suspendedSince === undefined ? 0 : this.#timeline.now - this.#suspendedSince;
    return (this.#unreported + running) * this.rate;
  }

  takeJump(): number {
    const jump = this.jump();
    if (jump >= 5) this.#unreported = 0;
    return jump;
  }

  isStopped(): boolean {
    return this.#timeline.now < this.#stoppedUntil;
  }

  /** Runs when the process does. */
  run(thunk: () => void): void {
    if (!this.isAlive) return;
    if (this.isStopped()) this.#waiting.push(thunk);
    else thunk();
  }

  /** SIGSTOP, a long collection, a host that stalls: the clock goes on. `first` runs ahead of what waits. */
  pause(ms: number, first?: () => void): void {
    if (first !== undefined) this.#waiting.unshift(first);
    this.#stop(ms);
  }

  /** The guest is suspended: its monotonic clock stands still. */
  suspend(ms: number): void {
    if (this.isStopped()) return;
    this.#suspendedSince = this.#timeline.now;
    this.#stop(ms);
  }

  #stop(ms: number): void {
    this.#stoppedUntil = Math.max(this.#stoppedUntil, this.#timeline.now + ms);
    this.#timeline.at(this.#stoppedUntil, () => this.#resume());
  }

  #resume(): void {
    if (this.isStopped() || !this.isAlive) return;
    if (this.#suspendedSince !== undefined) {
      const ms = this.#timeline.now - this.#suspendedSince;
      this.#frozen += ms;
      this.#unreported += ms;
      this.#suspendedSince = undefined;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const thunk of waiting) this.run(thunk);
  }
}

export interface Weather {
  loss: number;
  duplicates: number;
  /** Chance that a message takes up to `slowMs`. */
  slow: number;
  slowMs: number;
}

export const CALM: Weather = { loss: 0, duplicates: 0, slow: 0, slowMs: 0 };

/** Links between names, each direction on its own. */
export class Network {
  readonly #timeline: Timeline;
  readonly #cuts: Set<string> = new Set();
  weather: Weather = CALM;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  isCut(from: string, to: string): boolean {
    return from !== to && this.#cuts.has(`${from}>${to}`);
  }

  send(from: string, to: string, arrive: () => void): void {
    const { random } = this.#timeline;
    if (this.isCut(from, to)) return;
    const copies = random.next() < this.weather.duplicates ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (random.next() < this.weather.loss) continue;
      const isSlow = random.next() < this.weather.slow;
      this.#timeline.after(
        isSlow ? randomBetween(random, 1, this.weather.slowMs) : randomBetween(random, 0.2, 2),
        arrive,
      );
    }
  }
}
