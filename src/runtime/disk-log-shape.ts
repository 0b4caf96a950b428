/** What the log holds, without its contents: the range of indexes and the term of each, as runs. Kept by the writer and by recovery. */
import { assert, present } from '../base/assert.ts';
import type { LogIndex, Term } from '../model/ids.ts';
import type { LogId } from '../model/log.ts';

interface TermRun {
  readonly term: Term;
  readonly first: number;
}

export class LogShape {
  #first: number;
  #next: number;
  /** The entry before the first one: what a snapshot ends in, or nothing. */
  #base: LogId;
  readonly #runs: TermRun[] = [];

  /** An empty log whose next entry has index `first`. */
  constructor(first: number, base: LogId = { term: 0 as Term, index: (first - 1) as LogIndex }) {
    this.#first = first;
    this.#next = first;
    this.#base = base;
  }

  /** One above the last entry. */
  get next(): LogIndex {
    return this.#next as LogIndex;
  }

  get tail(): LogId {
    const run = this.#runs[this.#runs.length - 1];
    return run === undefined ? this.#base : { term: run.term, index: (this.#next - 1) as LogIndex };
  }

  /** Why an entry cannot follow; undefined when it can. */
  refusalOf(index: number, term: number): string | undefined {
    if (index !== this.#next) return `entry ${index} follows entry ${this.#next - 1}`;
    if (term < this.tail.term) return `entry ${index} of term ${term} follows one of term ${this.tail.term}`;
    return undefined;
  }

  append(index: number, term: Term): void {
    const refusal = this.refusalOf(index, term);
    assert(refusal === undefined, refusal ?? 'an entry follows the one before it');
    const run = this.#runs[this.#runs.length - 1];
    if (run === undefined || run.term !== term) this.#runs.push({ term, first: index });
    this.#next = index + 1;
  }

  /** Drops `from` and all after it. Below the first entry, the log begins anew there. */
  truncate(from: number): void {
    if (from >= this.#next) return;
    if (from <= this.#first) {
      if (from < this.#first) this.#base = { term: 0 as Term, index: (from - 1) as LogIndex };
      this.#first = from;
      this.#runs.length = 0;
    }
    while (this.#runs.length > 0 && present(this.#runs[this.#runs.length - 1], 'a run is there').first >= from)
      this.#runs.pop();
    this.#next = from;
  }

  /** The entries before `keepFrom` are gone: runs that lie wholly before the one of `keepFrom - 1` need not be known any more. */
  forgetBefore(keepFrom: number): void {
    while ((this.#runs[1]?.first ?? Number.POSITIVE_INFINITY) < keepFrom) this.#runs.shift();
  }
}
