/**
 * What this process may serve, shown by the thread of the node to the thread of the application. The end of the lease goes across as a
 * value, and the asker compares it with both clocks when he asks (docs/ownership.md 1): what was written before a stall says no after it.
 *
 * One writer, one reader, and a sequence lock: odd while something is written. Every word is read and written atomically, so what was
 * read between two equal even numbers was all there at one instant.
 */
import type { LogIndex, ShardId } from '../model/ids.ts';
import type { Ownership, ServingEdition } from '../model/shard-map.ts';
import type { Clock } from '../ports/clock.ts';
import { jumpBeyond } from './system-clock.ts';

/** `--shards` goes no higher. */
const SHARDS_MAX = 65_535;
/** Places of 32-bit words. A number takes two. */
const SEQUENCE = 0;
/** 1 from before a question until the turn of the application's event loop that asked it is over. */
const ASKING = 1;
const UNTIL = 2;
const AHEAD = 4;
const EPOCHS = 6;
/** A writer that was suspended half-way is waited for, a millisecond at a time; then the answer is no, which is never wrong. */
const TRIES_MAX = 20;

/** What is shown: a `NodeLoop`, as far as it matters here. */
export interface Shown {
  readonly isStopped: boolean;
  readonly watch: { readonly ahead: number };
  readonly cluster: {
    readonly servingEdition: ServingEdition | undefined;
    readonly leaseUntil: number;
    serving(shard: ShardId): LogIndex | undefined;
  };
}

export function ownershipMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * (EPOCHS + 2 * SHARDS_MAX));
}

export class OwnershipWriter {
  readonly #words: Int32Array;
  readonly #number: NumberInWords = new NumberInWords();
  /** What was written last, per shard; 0: not served. */
  readonly #epochs: Float64Array = new Float64Array(SHARDS_MAX);
  #edition: ServingEdition | undefined;
  #shardCount = 0;
  #until = 0;
  #ahead = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  /** To be called before anything leaves the node that rests on what changed (O-5), and when the node has stopped. */
  publish(shown: Shown): void {
    const { isStopped, cluster, watch } = shown;
    const edition = isStopped ? undefined : cluster.servingEdition;
    const until = isStopped ? Number.NEGATIVE_INFINITY : cluster.leaseUntil;
    if (edition === this.#edition && until === this.#until && watch.ahead === this.#ahead) return;
    Atomics.add(this.#words, SEQUENCE, 1);
    if (edition !== this.#edition) this.#writeEpochs(edition, cluster);
    this.#number.write(this.#words, UNTIL, until);
    this.#number.write(this.#words, AHEAD, watch.ahead);
    Atomics.add(this.#words, SEQUENCE, 1);
    this.#until = until;
    this.#ahead = watch.ahead;
  }

  /**
   * Whether the application may be at work under a yes that is not true any more. To be asked after `publish`: a question that this does not
   * see finds what was published.
   */
  get isAsking(): boolean {
    return Atomics.load(this.#words, ASKING) === 1;
  }

  #writeEpochs(edition: ServingEdition | undefined, cluster: Shown['cluster']): void {
    const shardCount = edition?.shardCount ?? 0;
    for (let shard = 0; shard < Math.max(shardCount, this.#shardCount); shard++) {
      const epoch = shard < shardCount ? (cluster.serving(shard as ShardId) ?? 0) : 0;
      if (this.#epochs[shard] === epoch) continue;
      this.#epochs[shard] = epoch;
      this.#number.write(this.#words, EPOCHS + 2 * shard, epoch);
    }
    this.#edition = edition;
    this.#shardCount = shardCount;
  }
}

export class OwnershipReader {
  readonly #words: Int32Array;
  readonly #clock: Clock;
  readonly #number: NumberInWords = new NumberInWords();
  #isAsking = false;

  constructor(memory: SharedArrayBuffer, clock: Clock) {
    this.#words = new Int32Array(memory);
    this.#clock = clock;
  }

  /** Whether the node serves `shard` at this very instant (O-1, O-2). */
  owns(shard: ShardId): Ownership | undefined {
    if (!Number.isInteger(shard) || shard < 0 || shard >= SHARDS_MAX) return undefined;
    if (!this.#isAsking) this.#beginAsking();
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const sequence = Atomics.load(this.#words, SEQUENCE);
      if (sequence % 2 !== 0) {
        Atomics.wait(this.#words, SEQUENCE, sequence, 1);
        continue;
      }
      const epoch = this.#number.read(this.#words, EPOCHS + 2 * shard);
      const until = this.#number.read(this.#words, UNTIL);
      const ahead = this.#number.read(this.#words, AHEAD);
      if (Atomics.load(this.#words, SEQUENCE) !== sequence) continue;
      if (epoch === 0) return undefined;
      // The clocks are read last: time that passed while we read counts, too.
      const isHeld = this.#clock.monotonic() + jumpBeyond(this.#clock, ahead) < until;
      return isHeld ? { shard, epoch: epoch as LogIndex } : undefined;
    }
    return undefined;
  }

  /** What is done synchronously after a question is done when the loop comes to its immediates. */
  #beginAsking(): void {
    this.#isAsking = true;
    Atomics.store(this.#words, ASKING, 1);
    setImmediate(() => {
      this.#isAsking = false;
      Atomics.store(this.#words, ASKING, 0);
    }).unref();
  }
}

/** Atomics know no floating point: the bits go across as two words. */
class NumberInWords {
  readonly #value: Float64Array = new Float64Array(1);
  readonly #halves: Int32Array = new Int32Array(this.#value.buffer);

  write(words: Int32Array, at: number, value: number): void {
    this.#value[0] = value;
    Atomics.store(words, at, this.#halves[0] as number);
    Atomics.store(words, at + 1, this.#halves[1] as number);
  }

  read(words: Int32Array, at: number): number {
    this.#halves[0] = Atomics.load(words, at);
    this.#halves[1] = Atomics.load(words, at + 1);
    return this.#value[0] as number;
  }
}
