/**
 * What is agreed, as this node hears of it: everything there is, and then every change, in the order of etcd's revisions. When the watch
 * breaks it goes on where it was; when etcd has forgotten that place, everything is read anew. What was heard once must still be so.
 */
import { concatBytes, fromUtf8 } from '../base/bytes.ts';
import { crc32c } from '../base/crc32c.ts';
import { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { isClusterId, NO_INDEX, NO_TERM, type ClusterId, type LogIndex, type Term } from '../model/ids.ts';
import type { Entry, LogId } from '../model/log.ts';
import { decodeEntry, decodeImageHeader, decodeIndex, type ImageHeader, type Layout } from './layout.ts';
import type { EtcdAnswer, EtcdEvent, EtcdInput, EtcdKeyValue, EtcdLogEffect } from './messages.ts';
import type { Questions } from './questions.ts';

const RETRY_MS = 500;
/** Halved after a page that did not come in time. */
const KEYS_AT_ONCE = 64;
const PIECES_AT_ONCE = 2;
/** A node asks by itself how far the log is and who leads: a watch that died in silence shows by that, and so does an etcd that is gone. */
const POLL_MS = 1_000;
/** More than there ever are. */
const HEAD_KEYS = 16;

export interface TailHost {
  onCluster(clusterId: ClusterId, effects: EtcdLogEffect[]): void;
  onImage(lastLog: LogId, bytes: Uint8Array, effects: EtcdLogEffect[]): void;
  /** In order, without gaps. */
  onEntries(entries: readonly Entry[], now: MonotonicMs, effects: EtcdLogEffect[]): void;
  onLeader(leader: EtcdKeyValue | undefined, now: MonotonicMs, effects: EtcdLogEffect[]): void;
  /** What lies in etcd cannot be gone on from. */
  onBroken(reason: string, effects: EtcdLogEffect[]): void;
}

/** What a poll has found: by the next one the watch must have told of it. */
interface Polled {
  readonly end: LogIndex;
  readonly leaderRevision: number | undefined;
  readonly revision: number;
}

interface Reading {
  readonly revision: number;
  readonly kvs: readonly EtcdKeyValue[];
}

export class LogTail {
  readonly #layout: Layout;
  readonly #questions: Questions;
  readonly #host: TailHost;
  #lastIndex: LogIndex = NO_INDEX;
  #lastTerm: Term = NO_TERM;
  #imageIndex: LogIndex = NO_INDEX;
  #hasCluster = false;
  #leader: EtcdKeyValue | undefined;
  /** When the seat was last taken or left, as far as was heard. */
  #seatRevision = 0;
  /** All through here has been heard; 0: nothing yet. */
  #revision = 0;
  #watch = 0;
  #isWatching = false;
  #keysAtOnce = KEYS_AT_ONCE;
  /** Everything is to be read: at first, and when etcd has forgotten what comes after `#revision`. */
  #mustRead = true;
  #resumeAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #pollAt: MonotonicMs = Number.POSITIVE_INFINITY;
  #polled: Polled | undefined;

  constructor(layout: Layout, questions: Questions, host: TailHost) {
    this.#layout = layout;
    this.#questions = questions;
    this.#host = host;
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#resumeAt, this.#pollAt);
  }

  tick(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (now >= this.#resumeAt) {
      this.#resumeAt = Number.POSITIVE_INFINITY;
      if (this.#mustRead) this.#read(undefined, [], effects);
      else this.#follow(now, effects);
    }
    if (now >= this.#pollAt) {
      this.#pollAt = now + POLL_MS;
      this.#poll(effects);
    }
  }

  onEvents(
    { watch, events, revision }: Extract<EtcdInput, { kind: 'etcdEvents' }>,
    now: MonotonicMs,
    effects: EtcdLogEffect[],
  ): void {
    if (watch !== this.#watch || !this.#isWatching) return;
    this.#questions.onEvents(revision, now);
    this.#revision = Math.max(this.#revision, revision);
    const entries: Entry[] = [];
    for (const event of events) {
      const key = keyOf(event);
      if (key === this.#layout.leader) {
        // What was agreed before a change of leaders is told before it.
        this.#tell(entries.splice(0), now, effects);
        this.#seatRevision = event.kind === 'put' ? event.kv.modRevision : event.modRevision;
        this.#setLeader(event.kind === 'put' ? event.kv : undefined, now, effects);
      } else if (key === this.#layout.cluster) this.#onCluster(event, effects);
      else if (event.kind === 'put') this.#onPut(event.kv, entries, effects);
      else if ((this.#layout.indexOf(key) ?? Number.NEGATIVE_INFINITY) >= this.#imageIndex)
        this.#host.onBroken(`somebody has deleted ${key}`, effects);
    }
    this.#tell(entries, now, effects);
  }

  onWatchEnded({ watch, isCompacted }: Extract<EtcdInput, { kind: 'etcdWatchEnded' }>, now: MonotonicMs): void {
    if (watch !== this.#watch || !this.#isWatching) return;
    this.#resume(isCompacted, now);
  }

  #resume(mustRead: boolean, now: MonotonicMs): void {
    this.#isWatching = false;
    this.#mustRead ||= mustRead;
    this.#pollAt = Number.POSITIVE_INFINITY;
    this.#resumeAt = now + RETRY_MS;
  }

  // Everything there is, as of one revision.

  #read(revision: number | undefined, before: readonly EtcdKeyValue[], effects: EtcdLogEffect[]): void {
    const last = before.at(-1)?.key;
    const { from, to } = this.#layout.agreed;
    const range = { from: last === undefined ? from : `${last}\0`, to };
    const limit = this.#keysAtOnce;
    const question = { kind: 'range', range, limit, ...(revision !== undefined && { revision }) } as const;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (answer.kind !== 'range') {
        this.#keysAtOnce = Math.max(1, this.#keysAtOnce >> 1);
        this.#resume(true, now);
        return;
      }
      this.#keysAtOnce = Math.min(KEYS_AT_ONCE, this.#keysAtOnce * 2);
      const kvs = [...before, ...answer.kvs];
      const as = revision ?? answer.revision;
      if (answer.more) this.#read(as, kvs, out);
      else this.#onRead({ revision: as, kvs }, now, out);
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  #onRead(reading: Reading, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const valueOf = (key: string): Uint8Array | undefined => reading.kvs.find((kv) => kv.key === key)?.value;
    const cluster = valueOf(this.#layout.cluster);
    if (cluster !== undefined) this.#adopt(cluster, effects);
    const endBytes = valueOf(this.#layout.end);
    const end = endBytes === undefined ? NO_INDEX : this.#decoded(() => decodeIndex(endBytes), effects);
    if (end === undefined) return;
    if (end < this.#lastIndex || (this.#hasCluster && cluster === undefined)) {
      this.#host.onBroken(`the log ends at ${end}, and this node has heard ${this.#lastIndex} entries`, effects);
      return;
    }
    const image = reading.kvs.findLast(({ key }) => this.#layout.imageIndexOf(key) !== undefined);
    const header = image === undefined ? undefined : this.#decoded(() => decodeImageHeader(image.value), effects);
    if (header !== undefined && header.lastLog.index > this.#lastIndex) this.#readImage(header, [], reading, effects);
    else this.#goOn(reading, now, effects);
  }

  #readImage(header: ImageHeader, pieces: readonly Uint8Array[], reading: Reading, effects: EtcdLogEffect[]): void {
    const { index } = header.lastLog;
    const range = { from: this.#layout.piece(index, pieces.length), to: this.#layout.piecesOf(index).to };
    const question = { kind: 'range', range, limit: PIECES_AT_ONCE, revision: reading.revision } as const;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (answer.kind !== 'range') {
        this.#resume(true, now);
        return;
      }
      const all = [...pieces, ...answer.kvs.map((kv) => kv.value)];
      if (answer.kvs.length > 0 && all.length < header.pieces) return this.#readImage(header, all, reading, out);
      const bytes = concatBytes(all);
      if (crc32c(bytes) !== header.crc) return this.#host.onBroken(`the image at ${index} is damaged`, out);
      this.#lastIndex = index;
      this.#lastTerm = header.lastLog.term;
      this.#host.onImage(header.lastLog, bytes, out);
      this.#goOn(reading, now, out);
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  #goOn({ revision, kvs }: Reading, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const entries: Entry[] = [];
    for (const kv of kvs) this.#onPut(kv, entries, effects);
    this.#tell(entries, now, effects);
    this.#revision = revision;
    this.#seatRevision = revision;
    this.#mustRead = false;
    this.#follow(now, effects);
    const leader = kvs.find((kv) => kv.key === this.#layout.leader);
    this.#setLeader(leader, now, effects);
  }

  /** Every change after what has been heard. */
  #follow(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#watch += 1;
    this.#isWatching = true;
    this.#polled = undefined;
    this.#pollAt = now + POLL_MS;
    const range = this.#layout.agreed;
    effects.push({ kind: 'watchEtcd', watch: this.#watch, range, fromRevision: this.#revision + 1 });
  }

  #onPut(kv: EtcdKeyValue, entries: Entry[], effects: EtcdLogEffect[]): void {
    const image = this.#layout.imageIndexOf(kv.key);
    if (image !== undefined && image > this.#imageIndex) {
      this.#imageIndex = image;
      effects.push({ kind: 'imageKept', index: image });
    }
    const index = this.#layout.indexOf(kv.key);
    if (index === undefined) return;
    const entry = this.#decoded(() => decodeEntry(kv.value), effects);
    if (entry === undefined) return;
    const before = entries.at(-1)?.index ?? this.#lastIndex;
    if (entry.index !== index) this.#host.onBroken(`${kv.key} holds entry ${entry.index}`, effects);
    else if (index === this.#lastIndex && entry.term !== this.#lastTerm)
      this.#host.onBroken(`entry ${index} is of term ${entry.term}, and was of term ${this.#lastTerm}`, effects);
    else if (index > before + 1)
      this.#host.onBroken(`the log has no entry ${before + 1}, and one at ${index}`, effects);
    // Else it was written twice, or an image stands for it.
    else if (index === before + 1) entries.push(entry);
  }

  #tell(entries: readonly Entry[], now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#lastIndex = last.index;
    this.#lastTerm = last.term;
    this.#host.onEntries(entries, now, effects);
  }

  #setLeader(leader: EtcdKeyValue | undefined, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#leader = leader;
    this.#host.onLeader(leader, now, effects);
  }

  #onCluster(event: EtcdEvent, effects: EtcdLogEffect[]): void {
    if (event.kind === 'put') this.#adopt(event.kv.value, effects);
    else this.#host.onBroken('somebody has deleted what was agreed', effects);
  }

  #adopt(value: Uint8Array, effects: EtcdLogEffect[]): void {
    const id = this.#decoded(() => fromUtf8(value), effects);
    if (id === undefined) return;
    this.#hasCluster = true;
    if (isClusterId(id)) this.#host.onCluster(id, effects);
    else this.#host.onBroken(`${this.#layout.cluster} holds no cluster id`, effects);
  }

  #poll(effects: EtcdLogEffect[]): void {
    const question = { kind: 'range', range: this.#layout.head, limit: HEAD_KEYS } as const;
    const watch = this.#watch;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (watch !== this.#watch || !this.#isWatching) return;
      // A watch tells nothing while nothing happens: whether it lives shows by what else etcd answers.
      if (answer.kind !== 'range' || this.#lacks(this.#polled)) {
        out.push({ kind: 'unwatchEtcd', watch });
        this.#resume(false, now);
        return;
      }
      const end = answer.kvs.find(({ key }) => key === this.#layout.end);
      const leader = answer.kvs.find(({ key }) => key === this.#layout.leader);
      const index = end === undefined ? NO_INDEX : this.#decoded(() => decodeIndex(end.value), out);
      if (index === undefined) return;
      this.#polled = { end: index, leaderRevision: leader?.modRevision, revision: answer.revision };
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  /** What was there a poll ago has not been told of yet. */
  #lacks(polled: Polled | undefined): boolean {
    if (polled === undefined) return false;
    const { end, leaderRevision, revision } = polled;
    if (end > this.#lastIndex || this.#seatRevision < (leaderRevision ?? 0)) return true;
    return leaderRevision === undefined && this.#leader !== undefined && this.#leader.modRevision <= revision;
  }

  #decoded<T>(decode: () => T, effects: EtcdLogEffect[]): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#host.onBroken(`what lies in etcd cannot be read: ${error.message}`, effects);
      return undefined;
    }
  }
}

function keyOf(event: EtcdEvent): string {
  return event.kind === 'put' ? event.kv.key : event.key;
}
