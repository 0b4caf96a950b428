/**
 * What is agreed, as this node hears of it: everything there is, and then every change, in the order of etcd's revisions. When the watch
 * breaks it goes on where it was; when etcd has forgotten that place, everything is read anew.
 */
import { concatBytes, fromUtf8 } from '../base/bytes.ts';
import { crc32c } from '../base/crc32c.ts';
import { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { isClusterId, NO_INDEX, type ClusterId, type LogIndex } from '../model/ids.ts';
import type { Entry, LogId } from '../model/log.ts';
import { decodeEntry, decodeImageHeader, type ImageHeader, type Layout } from './layout.ts';
import type { EtcdAnswer, EtcdEvent, EtcdInput, EtcdKeyValue, EtcdLogEffect } from './messages.ts';
import type { Questions } from './questions.ts';

const RETRY_MS = 500;
/** Also the answers of a page of large entries stay below what a gRPC peer takes at once. */
const KEYS_AT_ONCE = 64;
const PIECES_AT_ONCE = 2;
/** A follower asks by itself who leads: a watch that died in silence shows by that, and so does an etcd that is gone. */
const POLL_MS = 1_000;

export interface TailHost {
  onCluster(clusterId: ClusterId, effects: EtcdLogEffect[]): void;
  onImage(lastLog: LogId, bytes: Uint8Array, effects: EtcdLogEffect[]): void;
  /** In order, without gaps. */
  onEntries(entries: readonly Entry[], now: MonotonicMs, effects: EtcdLogEffect[]): void;
  onLeader(leader: EtcdKeyValue | undefined, now: MonotonicMs, effects: EtcdLogEffect[]): void;
  /** What lies in etcd cannot be gone on from. */
  onBroken(reason: string, effects: EtcdLogEffect[]): void;
}

export class LogTail {
  readonly #layout: Layout;
  readonly #questions: Questions;
  readonly #host: TailHost;
  #lastIndex: LogIndex = NO_INDEX;
  #leader: EtcdKeyValue | undefined;
  /** All through here has been heard. */
  #revision = 0;
  #watch = 0;
  #isWatching = false;
  #readAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #pollAt: MonotonicMs = Number.POSITIVE_INFINITY;
  /** The watch lags behind what was asked, as of the last poll. */
  #isBehind = false;

  constructor(layout: Layout, questions: Questions, host: TailHost) {
    this.#layout = layout;
    this.#questions = questions;
    this.#host = host;
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex;
  }

  get leader(): EtcdKeyValue | undefined {
    return this.#leader;
  }

  /** Everything was read, and changes are told. */
  get isFollowing(): boolean {
    return this.#isWatching;
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#readAt, this.#pollAt);
  }

  tick(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (now >= this.#readAt) {
      this.#readAt = Number.POSITIVE_INFINITY;
      this.#read(undefined, [], effects);
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
      if (keyOf(event) === this.#layout.leader) {
        // What was agreed before a change of leaders is told before it.
        this.#tell(entries.splice(0), now, effects);
        this.#setLeader(event.kind === 'put' ? event.kv : undefined, now, effects);
      } else if (keyOf(event) === this.#layout.cluster) this.#onCluster(event, effects);
      else if (event.kind === 'put') this.#collect(event.kv, entries, effects);
    }
    this.#tell(entries, now, effects);
  }

  onWatchEnded({ watch }: Extract<EtcdInput, { kind: 'etcdWatchEnded' }>, now: MonotonicMs): void {
    if (watch !== this.#watch || !this.#isWatching) return;
    this.#readAgain(now);
  }

  /** What has been missed is in the log still, or in an image: to read it all anew is always right. */
  #readAgain(now: MonotonicMs): void {
    this.#isWatching = false;
    this.#pollAt = Number.POSITIVE_INFINITY;
    this.#readAt = now + RETRY_MS;
  }

  #read(revision: number | undefined, before: readonly EtcdKeyValue[], effects: EtcdLogEffect[]): void {
    const last = before.at(-1)?.key;
    const { from, to } = this.#layout.agreed;
    const range = { from: last === undefined ? from : `${last}\0`, to };
    const question = {
      kind: 'range',
      range,
      limit: KEYS_AT_ONCE,
      ...(revision !== undefined && { revision }),
    } as const;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (answer.kind !== 'range') return this.#readAgain(now);
      const kvs = [...before, ...answer.kvs];
      const as = revision ?? answer.revision;
      if (answer.more) this.#read(as, kvs, out);
      else this.#onRead(as, kvs, now, out);
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  #onRead(revision: number, kvs: readonly EtcdKeyValue[], now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const valueOf = (key: string): Uint8Array | undefined => kvs.find((kv) => kv.key === key)?.value;
    const cluster = valueOf(this.#layout.cluster);
    if (cluster !== undefined) this.#adopt(cluster, effects);
    const image = valueOf(this.#layout.image);
    const header = image === undefined ? undefined : this.#decoded(() => decodeImageHeader(image), effects);
    if (header === undefined || header.lastLog.index <= this.#lastIndex) this.#follow(revision, kvs, now, effects);
    else this.#readImage(header, [], { revision, kvs }, effects);
  }

  #readImage(
    header: ImageHeader,
    pieces: readonly Uint8Array[],
    read: { readonly revision: number; readonly kvs: readonly EtcdKeyValue[] },
    effects: EtcdLogEffect[],
  ): void {
    const { index } = header.lastLog;
    const range = { from: this.#layout.piece(index, pieces.length), to: this.#layout.piecesOf(index).to };
    const question = { kind: 'range', range, limit: PIECES_AT_ONCE, revision: read.revision } as const;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (answer.kind !== 'range' || answer.kvs.length === 0) return this.#readAgain(now);
      const all = [...pieces, ...answer.kvs.map((kv) => kv.value)];
      if (all.length < header.pieces) return this.#readImage(header, all, read, out);
      const bytes = concatBytes(all);
      if (crc32c(bytes) !== header.crc) return this.#host.onBroken(`the image at ${index} is damaged`, out);
      this.#lastIndex = index;
      this.#host.onImage(header.lastLog, bytes, out);
      this.#follow(read.revision, read.kvs, now, out);
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  #follow(revision: number, kvs: readonly EtcdKeyValue[], now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const entries: Entry[] = [];
    for (const kv of kvs) if (this.#layout.indexOf(kv.key) !== undefined) this.#collect(kv, entries, effects);
    this.#tell(entries, now, effects);
    this.#revision = revision;
    this.#watch += 1;
    this.#isWatching = true;
    this.#isBehind = false;
    this.#pollAt = now + POLL_MS;
    const range = this.#layout.agreed;
    effects.push({ kind: 'watchEtcd', watch: this.#watch, range, fromRevision: revision + 1 });
    const leader = kvs.find((kv) => kv.key === this.#layout.leader);
    this.#setLeader(leader, now, effects);
  }

  #collect(kv: EtcdKeyValue, entries: Entry[], effects: EtcdLogEffect[]): void {
    const index = this.#layout.indexOf(kv.key);
    const before = entries.at(-1)?.index ?? this.#lastIndex;
    // A write that was sent twice, or one that an image stands for.
    if (index === undefined || index <= before) return;
    if (index !== before + 1) {
      this.#host.onBroken(`the log has no entry ${before + 1}, and one at ${index}`, effects);
      return;
    }
    const entry = this.#decoded(() => decodeEntry(kv.value), effects);
    if (entry !== undefined) entries.push(entry);
  }

  #tell(entries: readonly Entry[], now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (entries.length === 0) return;
    this.#lastIndex = (entries.at(-1) as Entry).index;
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
    const id = fromUtf8(value);
    if (isClusterId(id)) this.#host.onCluster(id, effects);
    else this.#host.onBroken(`${this.#layout.cluster} holds no cluster id`, effects);
  }

  #poll(effects: EtcdLogEffect[]): void {
    // The seat is the last key, and the end of the log is before it.
    const range = this.#layout.agreed;
    const question = { kind: 'range', range, limit: 2, isBackwards: true, keysOnly: true } as const;
    const watch = this.#watch;
    const onAnswer = (answer: EtcdAnswer, now: MonotonicMs, out: EtcdLogEffect[]): void => {
      if (answer.kind !== 'range' || watch !== this.#watch || !this.#isWatching) return;
      const isNews = answer.revision > this.#revision && this.#knowsLess(answer.kvs);
      // Twice in a row: the first time, word of it may be on its way.
      if (isNews && this.#isBehind) {
        out.push({ kind: 'unwatchEtcd', watch });
        this.#readAgain(now);
      }
      this.#isBehind = isNews;
    };
    this.#questions.ask(question, onAnswer, effects);
  }

  /** Than that these are the last keys. */
  #knowsLess(last: readonly EtcdKeyValue[]): boolean {
    const leader = last.find(({ key }) => key === this.#layout.leader);
    if (leader?.modRevision !== this.#leader?.modRevision) return true;
    return last.some(({ key }) => (this.#layout.indexOf(key) ?? 0) > this.#lastIndex);
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
