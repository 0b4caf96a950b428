/**
 * What the leader writes: entries in order, a batch at a time, and images. All of it under the guard of this leadership; to write an entry
 * twice changes nothing, so what got no answer is sent again.
 */
import { utf8 } from '../base/bytes.ts';
import { crc32c } from '../base/crc32c.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { ClusterId, LogIndex, RequestId, Term } from '../model/ids.ts';
import type { Entry, SnapshotMeta } from '../model/log.ts';
import { entrySize } from '../wire/raft/entry.ts';
import {
  encodeEntry,
  encodeImageHeader,
  encodeIndex,
  IMAGE_PIECE_BYTES,
  type ImageHeader,
  type Layout,
} from './layout.ts';
import type { EtcdAnswer, EtcdLogEffect, EtcdPut, EtcdQuestion, KeyRange } from './messages.ts';
import type { Questions } from './questions.ts';

/** etcd takes 128 operations and 1.5 MiB at once. */
const BATCH_ENTRIES = 100;
const BATCH_BYTES = 1024 * 1024;
const RETRY_MS = 100;
/** After etcd has said no: there may be no room, or no leave. */
const REFUSED_MS = 1_000;
const PENDING_MAX = 5_000;

/** A command that is longer is refused: etcd would not take it. */
export const ETCD_COMMAND_BYTES_MAX: number = BATCH_BYTES;

interface Pending {
  readonly entry: Entry;
  readonly requestId: RequestId | undefined;
}

interface ImageUnderWay {
  readonly meta: SnapshotMeta;
  readonly header: ImageHeader;
  readonly pieces: readonly Uint8Array[];
  written: number;
}

/** What became of a request when its entry was agreed on, or when leadership ended. */
export interface Fate {
  readonly requestId: RequestId;
  /** It may be in the log, or come into it. */
  readonly mayBeWritten: boolean;
}

export class LogWriter {
  readonly #term: Term;
  readonly #layout: Layout;
  readonly #questions: Questions;
  /** etcd refused: this leadership is over. */
  readonly #onDeposed: (now: MonotonicMs, effects: EtcdLogEffect[]) => void;
  #pending: Pending[] = [];
  #lastIndex: LogIndex;
  /** What is beyond this index has never been on its way. */
  #sentThrough: LogIndex;
  /** etcd has said so; the log may not have told of it yet. */
  #writtenThrough: LogIndex;
  #isAsking = false;
  #sendAt: MonotonicMs = Number.POSITIVE_INFINITY;
  #image: ImageUnderWay | undefined;
  #imageAt: MonotonicMs = Number.POSITIVE_INFINITY;
  /** What the first entry takes with it. */
  #founds: ClusterId | undefined;
  #isOver = false;

  constructor(
    { term, lastIndex, founds }: { term: Term; lastIndex: LogIndex; founds: ClusterId | undefined },
    parts: {
      readonly layout: Layout;
      readonly questions: Questions;
      readonly onDeposed: (now: MonotonicMs, effects: EtcdLogEffect[]) => void;
    },
  ) {
    this.#term = term;
    this.#lastIndex = lastIndex;
    this.#sentThrough = lastIndex;
    this.#writtenThrough = lastIndex;
    this.#founds = founds;
    this.#layout = parts.layout;
    this.#questions = parts.questions;
    this.#onDeposed = parts.onDeposed;
  }

  /** Of the last entry that was taken in. */
  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  get isFull(): boolean {
    return this.#pending.length >= PENDING_MAX;
  }

  get keepsImage(): boolean {
    return this.#image !== undefined;
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#sendAt, this.#imageAt);
  }

  /** The next entry of the log. Goes out with the turn. */
  append(kind: Entry['kind'], data: Uint8Array, requestId: RequestId | undefined, now: MonotonicMs): void {
    const index = (this.#lastIndex + 1) as LogIndex;
    this.#lastIndex = index;
    this.#pending.push({ entry: { index, term: this.#term, kind, data }, requestId });
    if (!this.#isAsking) this.#sendAt = now;
  }

  tick(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (now >= this.#sendAt && !this.#isAsking) this.#send(effects);
    if (now >= this.#imageAt) this.#writeImage(effects);
  }

  /** The request that is done with this entry, if one is. */
  onAgreed({ index }: Entry): RequestId | undefined {
    const first = this.#pending[0];
    if (first === undefined || first.entry.index !== index) return undefined;
    this.#pending.shift();
    // A request of several items is done with its last one.
    return this.#pending[0]?.requestId === first.requestId ? undefined : first.requestId;
  }

  /** This leadership is over: what becomes of the requests. */
  end(): Fate[] {
    this.#isOver = true;
    const fates = new Map<RequestId, Fate>();
    for (const { entry, requestId } of this.#pending) {
      if (requestId === undefined || fates.has(requestId)) continue;
      fates.set(requestId, { requestId, mayBeWritten: entry.index <= this.#sentThrough });
    }
    return [...fates.values()];
  }

  /** Puts an image in the place of the entries that it stands for. One at a time. */
  keepImage(meta: SnapshotMeta, bytes: Uint8Array, now: MonotonicMs): void {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += IMAGE_PIECE_BYTES)
      pieces.push(bytes.subarray(at, at + IMAGE_PIECE_BYTES));
    const header = { lastLog: meta.lastLog, pieces: pieces.length, crc: crc32c(bytes) };
    this.#image = { meta, header, pieces, written: 0 };
    this.#imageAt = now;
  }

  #txn(
    { puts, deletes = [] }: { puts: readonly EtcdPut[]; deletes?: readonly KeyRange[] },
    onAnswer: (answer: EtcdAnswer, now: MonotonicMs, effects: EtcdLogEffect[]) => void,
    effects: EtcdLogEffect[],
  ): void {
    const guards = [{ key: this.#layout.leader, createRevision: this.#term }];
    const question: EtcdQuestion = { kind: 'txn', guards, puts, deletes };
    this.#questions.ask(
      question,
      (answer, now, out) => {
        if (this.#isOver) return;
        if (answer.kind === 'txn' && !answer.succeeded) this.#onDeposed(now, out);
        else onAnswer(answer, now, out);
      },
      effects,
    );
  }

  #send(effects: EtcdLogEffect[]): void {
    this.#sendAt = Number.POSITIVE_INFINITY;
    const puts: EtcdPut[] = [];
    let bytes = 0;
    let through = this.#writtenThrough;
    for (const { entry } of this.#pending) {
      if (entry.index <= this.#writtenThrough) continue;
      bytes += entrySize(entry);
      if (puts.length > 0 && (puts.length >= BATCH_ENTRIES || bytes > BATCH_BYTES)) break;
      puts.push({ key: this.#layout.entry(entry.index), value: encodeEntry(entry) });
      through = entry.index;
    }
    if (puts.length === 0) return;
    // Before the entries: what one transaction writes is told in its order.
    if (this.#founds !== undefined) puts.unshift({ key: this.#layout.cluster, value: utf8(this.#founds) });
    puts.push({ key: this.#layout.end, value: encodeIndex(through) });
    if (through > this.#sentThrough) this.#sentThrough = through;
    this.#isAsking = true;
    this.#txn({ puts }, (answer, now) => this.#onSent(answer, through, now), effects);
  }

  #onSent(answer: EtcdAnswer, through: LogIndex, now: MonotonicMs): void {
    this.#isAsking = false;
    if (answer.kind !== 'txn') {
      this.#sendAt = now + retryMs(answer);
      return;
    }
    this.#founds = undefined;
    this.#writtenThrough = through;
    if (this.#lastIndex > through) this.#sendAt = now;
  }

  #writeImage(effects: EtcdLogEffect[]): void {
    this.#imageAt = Number.POSITIVE_INFINITY;
    const image = this.#image;
    if (image === undefined) return;
    const { meta, pieces, written } = image;
    const { index } = meta.lastLog;
    const value = pieces[written];
    if (value !== undefined) {
      this.#txn(
        { puts: [{ key: this.#layout.piece(index, written), value }] },
        (answer, now) => {
          if (answer.kind === 'txn') image.written += 1;
          this.#imageAt = answer.kind === 'txn' ? now : now + retryMs(answer);
        },
        effects,
      );
      return;
    }
    const header = { key: this.#layout.image(index), value: encodeImageHeader(image.header) };
    const deletes = [this.#layout.entriesBelow(index), ...this.#layout.imagesBelow(index)];
    this.#txn(
      { puts: [header], deletes },
      (answer, now) => {
        if (answer.kind === 'txn') this.#image = undefined;
        else this.#imageAt = now + retryMs(answer);
      },
      effects,
    );
  }
}

function retryMs(answer: EtcdAnswer): number {
  return answer.kind === 'failed' && answer.isRefused ? REFUSED_MS : RETRY_MS;
}
