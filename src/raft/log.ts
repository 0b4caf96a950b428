/**
 * The log since the last compaction, in memory, and the history of configurations in it. Configurations count from the moment they are
 * in the log, so truncating entries takes theirs back. raft.md sections 3.4, 5 and 9.1.
 */
import { assert, present } from '../base/assert.ts';
import { NO_INDEX, NO_TERM } from '../model/ids.ts';
import type { LogIndex, Term } from '../model/ids.ts';
import { EMPTY_CONFIGURATION } from '../model/log.ts';
import type { Configuration, Entry, LogId, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import { decodeConfiguration, entrySize } from '../wire/raft/entry.ts';

export interface ConfigurationRecord {
  readonly index: LogIndex;
  readonly configuration: Configuration;
}

export class Log {
  /** Just before the first entry we hold. Its term is known. */
  #base: LogId = { term: NO_TERM, index: NO_INDEX };
  #entries: Entry[] = [];
  /** Bytes of all entries ever appended here, through the entry at the same position; `#baseBytes` for those before. */
  #bytesThrough: number[] = [];
  #baseBytes = 0;
  #snapshot: SnapshotMeta | undefined;
  /** Ascending by index. The first one governs everything that we can still be asked about. */
  #configurations: ConfigurationRecord[] = [{ index: NO_INDEX, configuration: EMPTY_CONFIGURATION }];

  constructor(recovered: RecoveredLog) {
    const meta = recovered.snapshot?.meta;
    let entries = recovered.entries;
    if (meta !== undefined) {
      this.#startAt(meta);
      const first = entries[0];
      if (first !== undefined && first.index <= meta.lastLog.index) {
        // The term before the first kept entry is not recorded, so that entry itself becomes the base.
        this.#base = { term: first.term, index: first.index };
        entries = entries.slice(1);
      }
    }
    for (const entry of entries) this.append(entry);
    assert(meta === undefined || this.lastIndex >= meta.lastLog.index, 'a recovered log reaches its snapshot');
  }

  get firstIndex(): LogIndex {
    return (this.#base.index + 1) as LogIndex;
  }

  get baseIndex(): LogIndex {
    return this.#base.index;
  }

  get lastIndex(): LogIndex {
    return (this.#base.index + this.#entries.length) as LogIndex;
  }

  get lastLog(): LogId {
    const last = this.#entries.at(-1);
    return last === undefined ? this.#base : { term: last.term, index: last.index };
  }

  get snapshot(): SnapshotMeta | undefined {
    return this.#snapshot;
  }

  get snapshotIndex(): LogIndex {
    return this.#snapshot?.lastLog.index ?? NO_INDEX;
  }

  get bytes(): number {
    return this.#bytesAt(this.lastIndex) - this.#baseBytes;
  }

  /** The newest configuration, committed or not: everything that counts members counts by this one. */
  get latest(): ConfigurationRecord {
    return present(this.#configurations.at(-1), 'there is always a configuration');
  }

  /** The newest configuration at or below `index`. */
  configurationAt(index: LogIndex): ConfigurationRecord {
    const record = this.#configurations.findLast((candidate) => candidate.index <= index);
    return record ?? present(this.#configurations[0], 'there is always a configuration');
  }

  /** Configurations in (`after`, `through`], ascending. */
  configurationsBetween(after: LogIndex, through: LogIndex): ConfigurationRecord[] {
    return this.#configurations.filter((record) => record.index > after && record.index <= through);
  }

  /** Undefined when the index is compacted away or not written yet. */
  termAt(index: number): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  has(id: LogId): boolean {
    return this.termAt(id.index) === id.term;
  }

  entryAt(index: number): Entry {
    return present(this.#entries[index - this.#base.index - 1], `entry ${index} is in the log`);
  }

  /** Entries of [`from`, `to`]. */
  slice(from: number, to: number): Entry[] {
    assert(from > this.#base.index && to <= this.lastIndex, 'a slice is inside the log');
    return this.#entries.slice(from - this.#base.index - 1, to - this.#base.index);
  }

  /** From `from` on, as many as fit the limits, but at least one. */
  sliceWithin(from: number, limits: { readonly bytesMax: number; readonly entriesMax: number }): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= this.lastIndex && taken.length < limits.entriesMax; index++) {
      const entry = this.entryAt(index);
      bytes += entrySize(entry);
      if (taken.length > 0 && bytes > limits.bytesMax) break;
      taken.push(entry);
    }
    return taken;
  }

  /** Bytes of the entries in (`after`, `through`]. */
  bytesBetween(after: LogIndex, through: LogIndex): number {
    return this.#bytesAt(through) - this.#bytesAt(after);
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'I-10: entries are contiguous');
    assert(entry.term >= this.lastLog.term, 'I-10: terms in a log do not fall');
    assert(Number.isSafeInteger(entry.index), 'an index is a safe integer');
    this.#bytesThrough.push(this.#bytesAt(this.lastIndex) + entrySize(entry));
    this.#entries.push(entry);
    // Entries that a snapshot covers as well say nothing new about members.
    if (entry.kind === 'config' && entry.index > this.latest.index) {
      this.#configurations.push({ index: entry.index, configuration: decodeConfiguration(entry.data) });
    }
  }

  /** Drops `index` and all after it. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#base.index, 'I-21: the compacted prefix is never truncated');
    this.#entries.length = index - this.#base.index - 1;
    this.#bytesThrough.length = this.#entries.length;
    while (this.#configurations.length > 1 && this.latest.index >= index) this.#configurations.pop();
  }

  /** A snapshot through `meta.lastLog` is durable; entries before `firstIndex` are dropped. */
  compact(meta: SnapshotMeta, firstIndex: LogIndex): void {
    assert(meta.lastLog.index <= this.lastIndex, 'a snapshot is taken of what is in the log');
    assert(meta.lastLog.index >= this.snapshotIndex, 'a snapshot is no older than the one before it');
    this.#snapshot = meta;
    // Without a snapshot that covers them, entries stay: a follower could be served by nothing else.
    const first = Math.min(firstIndex, this.snapshotIndex + 1);
    if (first <= this.firstIndex) return;
    const base = {
      term: present(this.termAt(first - 1), 'the new base is in the log'),
      index: (first - 1) as LogIndex,
    };
    const count = base.index - this.#base.index;
    this.#baseBytes = this.#bytesAt(base.index);
    this.#entries.splice(0, count);
    this.#bytesThrough.splice(0, count);
    this.#base = base;
    const governing = this.configurationAt(base.index);
    this.#configurations = this.#configurations.filter((record) => record.index >= governing.index);
  }

  /** The log becomes exactly this snapshot. */
  resetTo(meta: SnapshotMeta): void {
    this.#entries = [];
    this.#bytesThrough = [];
    this.#startAt(meta);
  }

  /** The largest index at or below `limit` whose term is at most `term`; never below the base. raft.md 5.3. */
  lastWithTermAtMost(limit: number, term: Term): LogIndex {
    let low = this.#base.index as number;
    let high = Math.min(limit, this.lastIndex);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (present(this.termAt(middle), 'the search stays inside the log') <= term) low = middle;
      else high = middle - 1;
    }
    return low as LogIndex;
  }

  /** The first index we know to be of `term`; undefined when there is none. */
  firstOfTerm(term: Term): LogIndex | undefined {
    if (this.#base.term === term && this.#base.index > 0) return this.#base.index;
    const candidate = this.lastWithTermAtMost(this.lastIndex, (term - 1) as Term) + 1;
    return this.termAt(candidate) === term ? (candidate as LogIndex) : undefined;
  }

  /** Whether `other` is at least as up to date as this log: by term first, then by index. Raft §5.4.1. */
  isMatchedBy(other: LogId): boolean {
    const own = this.lastLog;
    return other.term > own.term || (other.term === own.term && other.index >= own.index);
  }

  #startAt(meta: SnapshotMeta): void {
    this.#snapshot = meta;
    this.#base = meta.lastLog;
    this.#configurations = [{ index: meta.configurationIndex, configuration: meta.configuration }];
  }

  #bytesAt(index: number): number {
    return index <= this.#base.index
      ? this.#baseBytes
      : present(this.#bytesThrough[index - this.#base.index - 1], 'bytes of an entry');
  }
}
