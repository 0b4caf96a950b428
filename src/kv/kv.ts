/**
 * The replicated key-value store: a pure function of the log. Batches come in log order, each request in one of them ends in one reply,
 * and two replicas that have applied the same entries are the same, replies included. raft.md 6.4 and 13; the semantics of keys,
 * revisions and transactions are etcd's.
 *
 *   log entry ── batch ──► sessions: seen before? ──► transaction ──► keyspace (revision + 1)
 *                                   └── the reply that was given ◄───────┘
 *
 * Invariants: a request of a session takes effect at most once (I-23); a refused request has changed nothing; log time does not run
 * backwards; what is kept is bounded.
 */
import { assert } from '../base/assert.ts';
import { ByteWriter } from '../base/bytes.ts';
import { DecodeError } from '../base/errors.ts';
import { crc32c } from '../base/crc32c.ts';
import type { LogIndex, Term } from '../model/ids.ts';
import type { KvMutation, KvStats, RangeQuery, Revision, SessionMark } from '../model/kv.ts';
import { KV_BATCH_ITEMS_MAX } from '../wire/kv/limits.ts';
import { readKvImage, writeKvImage } from './image.ts';
import { FIRST_REVISION, Keyspace } from './keyspace.ts';
import type { KvBatch, KvItem, KvReply } from './messages.ts';
import { Sessions } from './sessions.ts';
import { mutate } from './transaction.ts';

/** Throws {@link DecodeError} unless a state can be restored from it. */
export function checkKvImage(bytes: Uint8Array): void {
  new Kv().restore(bytes);
}

/** Keys and values, with what they weigh besides: snapshots of it are made in one go (raft.md 15). */
export const KV_BYTES_MAX: number = 64 * 1024 * 1024;

export class Kv {
  #keys: Keyspace = new Keyspace();
  readonly #sessions: Sessions = new Sessions();
  readonly #bytesMax: number;
  #timeMs = 0;

  constructor(bytesMax: number = KV_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get revision(): Revision {
    return this.#keys.revision;
  }

  get stats(): KvStats {
    const { revision, size, bytes } = this.#keys;
    return { revision, keys: size, bytes, sessions: this.#sessions.size };
  }

  /** Nothing has ever been done here. */
  get isUntouched(): boolean {
    return this.#timeMs === 0 && this.#keys.revision === FIRST_REVISION;
  }

  /** How long the longest silent session has been idle, by `nowMs`; 0 when there is none. */
  idleMs(nowMs: number): number {
    const oldest = this.#sessions.oldestActiveMs;
    return oldest === undefined ? 0 : Math.max(0, nowMs - oldest);
  }

  /** One reply for each request, in their order. */
  apply(index: LogIndex, term: Term, { timeMs, items }: KvBatch): KvReply[] {
    this.#timeMs = Math.max(this.#timeMs, timeMs);
    return items.map((item, at) => this.#applyOne(item, sessionIdOf(index, at), term));
  }

  range(query: RangeQuery): KvReply {
    return this.#done(this.#keys.range(query));
  }

  /** Equal in replicas that have applied the same; what it costs does not grow with what is stored. */
  digest(): number {
    const { revision, size, bytes, sum } = this.#keys;
    const { trace, size: sessions } = this.#sessions;
    const out = new ByteWriter(64).varint(revision).varint(size).varint(bytes).u32(sum);
    return crc32c(out.varint(this.#timeMs).u32(trace).varint(sessions).finish());
  }

  writeImage(out: ByteWriter): void {
    writeKvImage(out, this.#keys, this.#sessions, this.#timeMs);
  }

  /** Replaces everything. Throws {@link DecodeError}, and then nothing has changed. */
  restore(bytes: Uint8Array): void {
    const { revision, timeMs, sum, kvs, sessions, trace } = readKvImage(bytes);
    const probe = new Keyspace(revision, kvs);
    if (probe.sum !== sum || probe.size !== kvs.length)
      throw new DecodeError('the keys of an image are not those that it was made of');
    this.#keys = probe;
    this.#sessions.reset(sessions, trace);
    this.#timeMs = timeMs;
  }

  clear(): void {
    this.#keys = new Keyspace();
    this.#sessions.reset([], 0);
    this.#timeMs = 0;
  }

  /**
   * The state goes on as that of another cluster: revisions that the old one may have handed out since stay in the past, and its sessions
   * end, since what they knew of may never have happened (raft.md 14, R-4 and R-5).
   */
  jump(by: number): void {
    if (this.isUntouched) return;
    this.#keys.advanceTo(this.#keys.revision + by);
    this.#sessions.reset([], 0);
  }

  #applyOne(item: KvItem, sessionId: number, term: Term): KvReply {
    switch (item.kind) {
      case 'mutate':
        return item.session === undefined ? this.#mutate(item.mutation) : this.#mutateOnce(item.session, item.mutation);
      case 'openSession':
        return this.#sessions.open(sessionId, this.#timeMs) ?? this.#done({ kind: 'session', session: sessionId });
      case 'closeSession':
        this.#sessions.close(item.session);
        return this.#done({ kind: 'session', session: item.session });
      case 'expireSessions':
        // Of a leader of the past: what it knew of time is worth nothing now (raft.md 6.5).
        if (item.term === term) this.#sessions.expire(this.#timeMs, item.idleMs);
        return this.#done({ kind: 'session', session: 0 });
    }
  }

  #mutateOnce(mark: SessionMark, mutation: KvMutation): KvReply {
    const answered = this.#sessions.begin(mark, this.#timeMs);
    if (answered !== undefined) return answered;
    const reply = this.#mutate(mutation);
    this.#sessions.keep(mark, reply);
    return reply;
  }

  #mutate(mutation: KvMutation): KvReply {
    const result = mutate(this.#keys, mutation, this.#bytesMax);
    return result.kind === 'refused' ? result : this.#done(result);
  }

  #done(result: Extract<KvReply, { kind: 'done' }>['result']): KvReply {
    return { kind: 'done', revision: this.#keys.revision, result };
  }
}

/** No two requests of a log have the same: the index of the entry, and the place in it. */
function sessionIdOf(index: LogIndex, at: number): number {
  assert(at < KV_BATCH_ITEMS_MAX, 'a batch is within its limit');
  return index * KV_BATCH_ITEMS_MAX + at;
}
