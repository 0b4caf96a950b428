/**
 * Sessions: what each client was answered, until it says that it knows, so that a request which is tried again takes effect once. raft.md
 * 6.4; Ongaro's dissertation 6.3. They live and die by log time, which all replicas share.
 */
import type { KeyValue, KvReply, KvResult, SessionMark } from '../model/kv.ts';

export const SESSIONS_MAX = 10_000;
export const REPLIES_MAX = 64;
/** A longer answer is not kept; only that it was given. */
const REPLY_BYTES_MAX = 4_096;
/** Of all sessions together. */
const ALL_REPLIES_BYTES_MAX = 16 * 1024 * 1024;
const REPLY_OVERHEAD_BYTES = 64;
/** When there are too many, whoever was silent for so long makes room. */
const SPARE_AFTER_MS = 60_000;

type Refused = Extract<KvReply, { kind: 'refused' }>;

export interface Session {
  readonly id: number;
  ackedBelow: number;
  lastActiveMs: number;
  readonly replies: Map<number, KvReply>;
}

export class Sessions {
  /** Whoever was active last comes last. */
  readonly #sessions: Map<number, Session> = new Map();
  #replyBytes = 0;
  /** Of everything that ever happened to them: replicas that differ in it have gone different ways. */
  #trace = 0;

  get size(): number {
    return this.#sessions.size;
  }

  get trace(): number {
    return this.#trace;
  }

  /** When the one that was silent longest was active, in log time; undefined when there is none. */
  get oldestActiveMs(): number | undefined {
    for (const session of this.#sessions.values()) return session.lastActiveMs;
    return undefined;
  }

  all(): Iterable<Session> {
    return this.#sessions.values();
  }

  open(id: number, timeMs: number): Refused | undefined {
    if (this.#sessions.size >= SESSIONS_MAX) this.expire(timeMs, SPARE_AFTER_MS);
    if (this.#sessions.size >= SESSIONS_MAX)
      return { kind: 'refused', code: 'SESSIONS_FULL', reason: `there are ${SESSIONS_MAX} sessions` };
    this.#sessions.set(id, { id, ackedBelow: 0, lastActiveMs: timeMs, replies: new Map() });
    this.#mix(id, 1);
    return undefined;
  }

  close(id: number): boolean {
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    this.#drop(session);
    return true;
  }

  /** Those that were idle for longer than `idleMs`. */
  expire(timeMs: number, idleMs: number): number {
    let count = 0;
    for (const session of this.#sessions.values()) {
      if (timeMs - session.lastActiveMs <= idleMs) break;
      this.#drop(session);
      count += 1;
    }
    return count;
  }

  /** The answer that is to be given without doing anything; undefined when the request is new. */
  begin({ session: id, seq, ackedBelow }: SessionMark, timeMs: number): KvReply | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined)
      return { kind: 'refused', code: 'SESSION_EXPIRED', reason: `session ${id} is not known` };
    this.#touch(session, timeMs);
    this.#acknowledge(session, ackedBelow);
    if (seq < session.ackedBelow)
      return { kind: 'refused', code: 'SESSION_STALE', reason: `request ${seq} was acknowledged already` };
    const held = session.replies.get(seq);
    if (held !== undefined) return held;
    if (session.replies.size < REPLIES_MAX) return undefined;
    return { kind: 'refused', code: 'SESSION_WINDOW', reason: `${REPLIES_MAX} answers are not acknowledged` };
  }

  /** The request that `begin` found new has been done. */
  keep({ session: id, seq }: SessionMark, reply: KvReply): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    const kept = this.#kept(reply);
    session.replies.set(seq, kept);
    this.#replyBytes += sizeOf(kept);
    this.#mix(id, seq);
  }

  /** Replaces everything; in the order of activity. */
  reset(sessions: readonly Session[], trace: number): void {
    this.#sessions.clear();
    this.#replyBytes = 0;
    this.#trace = trace;
    for (const session of sessions) {
      this.#sessions.set(session.id, session);
      for (const reply of session.replies.values()) this.#replyBytes += sizeOf(reply);
    }
  }

  #kept(reply: KvReply): KvReply {
    const size = sizeOf(reply);
    if (reply.kind === 'refused' || (size <= REPLY_BYTES_MAX && this.#replyBytes + size <= ALL_REPLIES_BYTES_MAX))
      return reply;
    const reason = `the request took effect by revision ${reply.revision}; its answer was too large to be kept`;
    return { kind: 'refused', code: 'REPLY_GONE', reason };
  }

  #touch(session: Session, timeMs: number): void {
    session.lastActiveMs = timeMs;
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
  }

  #acknowledge(session: Session, ackedBelow: number): void {
    if (ackedBelow <= session.ackedBelow) return;
    session.ackedBelow = ackedBelow;
    for (const [seq, reply] of session.replies) {
      if (seq >= ackedBelow) continue;
      session.replies.delete(seq);
      this.#replyBytes -= sizeOf(reply);
    }
  }

  #drop(session: Session): void {
    this.#sessions.delete(session.id);
    for (const reply of session.replies.values()) this.#replyBytes -= sizeOf(reply);
    this.#mix(session.id, 2);
  }

  #mix(id: number, what: number): void {
    this.#trace = Math.imul(this.#trace ^ (id >>> 0), 0x01000193) >>> 0;
    this.#trace = Math.imul(this.#trace ^ (what >>> 0), 0x01000193) >>> 0;
  }
}

function sizeOf(reply: KvReply): number {
  return REPLY_OVERHEAD_BYTES + (reply.kind === 'refused' ? reply.reason.length : sizeOfResult(reply.result));
}

function sizeOfResult(result: KvResult): number {
  switch (result.kind) {
    case 'put':
      return result.prev === undefined ? 0 : sizeOfKv(result.prev);
    case 'delete':
      return result.prevs.reduce((sum, kv) => sum + sizeOfKv(kv), 0);
    case 'range':
      return result.kvs.reduce((sum, kv) => sum + sizeOfKv(kv), 0);
    case 'txn':
      return result.results.reduce((sum, part) => sum + 16 + sizeOfResult(part), 0);
    case 'session':
      return 0;
  }
}

function sizeOfKv({ key, value }: KeyValue): number {
  return key.length + value.length + 32;
}
