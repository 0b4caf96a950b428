/**
 * What is on its way to the disk, and what must not leave before it is there. Writes made while `batchesInFlightMax` batches are
 * under way are merged into the next one. Messages that make a promise wait for the batch that holds everything written before them.
 * raft.md 3.3.
 */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { LogIndex, MemberId, Term } from '../model/ids.ts';
import type { HardState, PersistBatch } from '../model/log.ts';
import type { RaftMessage } from './messages.ts';
import type { Log } from './log.ts';

export type Held =
  | { readonly kind: 'send'; readonly to: MemberId; readonly message: RaftMessage }
  /** The candidate's vote for itself. */
  | { readonly kind: 'selfVote'; readonly term: Term };

interface Batch {
  readonly batchSeq: number;
  readonly underTerm: Term;
  /** The log is durable through here once the batch is. Lowered when a truncation takes entries of the batch back (P-9). */
  lastIndex: LogIndex;
  readonly held: Held[];
  /** When storage was given it. */
  readonly since: MonotonicMs;
}

export interface BatchInput {
  readonly hardState: HardState;
  readonly commitHint: LogIndex;
  readonly now: MonotonicMs;
}

export class Outbox {
  readonly #log: Log;
  #nextSeq = 1;
  #inFlight: Batch[] = [];
  #held: Held[] = [];
  #hardStateChanged = false;
  #truncateFrom: LogIndex | undefined;
  /** The last index that storage was given. */
  #handed: LogIndex;
  #durable: LogIndex;

  constructor(log: Log) {
    this.#log = log;
    this.#handed = log.lastIndex;
    this.#durable = log.lastIndex;
  }

  /** The log through here, as it is now, is on this node's disk. */
  get durableIndex(): LogIndex {
    return this.#durable;
  }

  get batchesInFlight(): number {
    return this.#inFlight.length;
  }

  /** When the oldest batch that is not durable yet was given to storage; undefined when all are. */
  get waitsSince(): MonotonicMs | undefined {
    return this.#inFlight[0]?.since;
  }

  get hasUnwritten(): boolean {
    return this.#hardStateChanged || this.#truncateFrom !== undefined || this.#handed < this.#log.lastIndex;
  }

  markHardState(): void {
    this.#hardStateChanged = true;
  }

  /** The log is about to lose `from` and all after it. */
  markTruncated(from: LogIndex): void {
    const before = (from - 1) as LogIndex;
    if (this.#handed >= from) {
      this.#handed = before;
      if (this.#truncateFrom === undefined || from < this.#truncateFrom) this.#truncateFrom = from;
    }
    this.#durable = Math.min(this.#durable, before) as LogIndex;
    for (const batch of this.#inFlight) batch.lastIndex = Math.min(batch.lastIndex, before) as LogIndex;
  }

  /** Keeps `item` until everything written so far is durable; false when it already is, and the item may leave at once. */
  hold(item: Held): boolean {
    const queue = this.hasUnwritten ? this.#held : this.#inFlight.at(-1)?.held;
    if (queue === undefined) return false;
    if (!mergeAcknowledgement(queue, item)) queue.push(item);
    return true;
  }

  takeBatch(input: BatchInput, batchesInFlightMax: number): PersistBatch | undefined {
    if (!this.hasUnwritten || this.#inFlight.length >= batchesInFlightMax) return undefined;
    const lastIndex = this.#log.lastIndex;
    const batch: PersistBatch = {
      batchSeq: this.#nextSeq,
      underTerm: input.hardState.term,
      ...(this.#hardStateChanged ? { hardState: input.hardState } : {}),
      ...(this.#truncateFrom === undefined ? {} : { truncateFrom: this.#truncateFrom }),
      ...(this.#handed < lastIndex ? { entries: this.#log.slice(this.#handed + 1, lastIndex) } : {}),
      commitHint: input.commitHint,
    };
    this.#inFlight.push({
      batchSeq: this.#nextSeq,
      underTerm: input.hardState.term,
      lastIndex,
      held: this.#held,
      since: input.now,
    });
    this.#nextSeq += 1;
    this.#held = [];
    this.#hardStateChanged = false;
    this.#truncateFrom = undefined;
    this.#handed = lastIndex;
    return batch;
  }

  /** The oldest batch is durable: what waited for it, and the term in which it was written. */
  persisted(batchSeq: number): { readonly underTerm: Term; readonly held: readonly Held[] } {
    const batch = this.#inFlight.shift();
    assert(batch !== undefined && batch.batchSeq === batchSeq, 'batches become durable in the order they were given');
    this.#durable = Math.max(this.#durable, batch.lastIndex) as LogIndex;
    return { underTerm: batch.underTerm, held: batch.held };
  }

  /** A snapshot has replaced the log, durably. */
  resetTo(index: LogIndex): void {
    assert(this.#truncateFrom === undefined, 'an install waits for pending writes');
    this.#handed = index;
    this.#durable = index;
    for (const batch of this.#inFlight) batch.lastIndex = Math.min(batch.lastIndex, index) as LogIndex;
  }

  check(): void {
    assert(this.#durable <= this.#handed, 'only what storage was given is durable');
    assert(this.#handed <= this.#log.lastIndex, 'storage was given nothing beyond the log');
    // A truncation takes no write back, for it comes with a newer term.
    assert(this.#held.length === 0 || this.hasUnwritten, 'what waits for a write has one to wait for');
    const seqs = this.#inFlight.map((batch) => batch.batchSeq);
    assert(
      seqs.every((seq, i) => seq === this.#nextSeq - seqs.length + i),
      'batch numbers have no gap',
    );
  }
}

/** Two acknowledgements to one leader are as good as the later one. */
function mergeAcknowledgement(queue: Held[], item: Held): boolean {
  const last = queue.at(-1);
  if (item.kind !== 'send' || last?.kind !== 'send' || item.to !== last.to) return false;
  const older = last.message;
  const newer = item.message;
  if (newer.kind !== 'appendOk' || older.kind !== 'appendOk' || newer.term !== older.term) return false;
  const match = Math.max(older.match, newer.match) as LogIndex;
  queue[queue.length - 1] = { ...item, message: { ...newer, match, readSeq: Math.max(older.readSeq, newer.readSeq) } };
  return true;
}
