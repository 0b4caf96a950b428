/**
 * The coordination state as its description has it (raft.md 6.4, 13), written a second time and as plainly as can be: every revision is a
 * map of its own, and answers are worked out the long way. What nodes answer is compared with it.
 */
import { fromUtf8 } from '../../../src/base/bytes.ts';
import type { KeyValue, KvCompare, KvMutation, KvOperation, KvReply, KvResult } from '../../../src/model/kv.ts';
import type { RangeQuery, SessionMark } from '../../../src/model/kv.ts';
import type { KvBatch, KvItem } from '../../../src/wire/kv/batch.ts';
import { KV_BATCH_ITEMS_MAX } from '../../../src/wire/kv/limits.ts';

type Cells = ReadonlyMap<string, KeyValue>;

interface Session {
  activeMs: number;
  ackedBelow: number;
  readonly replies: Map<number, KvReply>;
}

export interface Applied {
  readonly item: KvItem;
  readonly reply: KvReply;
  /** It took effect here; an earlier try of it, in an earlier entry, otherwise. */
  readonly isFirst: boolean;
  readonly hasChanged: boolean;
}

const FIRST_REVISION = 1;

export class KvStoreModel {
  readonly #cells: Map<number, Cells> = new Map([[FIRST_REVISION, new Map()]]);
  readonly #sessions: Map<number, Session> = new Map();
  #revision = FIRST_REVISION;
  #timeMs = 0;

  get revision(): number {
    return this.#revision;
  }

  /** One entry of the log. */
  apply(index: number, term: number, { timeMs, items }: KvBatch): Applied[] {
    this.#timeMs = Math.max(this.#timeMs, timeMs);
    return items.map((item, at) => {
      const before = this.#revision;
      const known = item.kind === 'mutate' ? this.#answered(item.session) : undefined;
      const reply = known ?? this.#do(item, index * KV_BATCH_ITEMS_MAX + at, term);
      if (item.kind === 'mutate' && known === undefined && item.session !== undefined)
        this.#sessions.get(item.session.session)?.replies.set(item.session.seq, reply);
      return { item, reply, isFirst: known === undefined, hasChanged: this.#revision > before };
    });
  }

  /** What a read at that revision is answered; undefined when there was none. */
  readAt(revision: number, query: RangeQuery): KvReply | undefined {
    const cells = this.#cells.get(revision);
    return cells === undefined ? undefined : { kind: 'done', revision, result: rangeOf(cells, query) };
  }

  #answered(mark: SessionMark | undefined): KvReply | undefined {
    if (mark === undefined) return undefined;
    const session = this.#sessions.get(mark.session);
    if (session === undefined) return { kind: 'refused', code: 'SESSION_EXPIRED', reason: '' };
    session.activeMs = this.#timeMs;
    session.ackedBelow = Math.max(session.ackedBelow, mark.ackedBelow);
    // The client has gone on without it: it must not take effect now.
    if (mark.seq < session.ackedBelow) return { kind: 'refused', code: 'SESSION_STALE', reason: '' };
    return session.replies.get(mark.seq);
  }

  #do(item: KvItem, sessionId: number, term: number): KvReply {
    if (item.kind === 'mutate') return this.#mutate(item.mutation);
    if (item.kind === 'openSession')
      this.#sessions.set(sessionId, { activeMs: this.#timeMs, ackedBelow: 0, replies: new Map() });
    if (item.kind === 'closeSession') this.#sessions.delete(item.session);
    if (item.kind === 'expireSessions' && item.term === term)
      for (const [id, { activeMs }] of this.#sessions)
        if (this.#timeMs - activeMs > item.idleMs) this.#sessions.delete(id);
    const session = item.kind === 'openSession' ? sessionId : item.kind === 'closeSession' ? item.session : 0;
    return this.#done({ kind: 'session', session });
  }

  #mutate(mutation: KvMutation): KvReply {
    const before = this.#cells.get(this.#revision) as Cells;
    const cells = new Map(before);
    const revision = this.#revision + 1;
    let result: KvResult;
    if (mutation.kind === 'txn') {
      const succeeded = mutation.compares.every((compare) => holds(before.get(fromUtf8(compare.key)), compare));
      const branch = succeeded ? mutation.success : mutation.failure;
      result = { kind: 'txn', succeeded, results: branch.map((operation) => perform(cells, operation, revision)) };
    } else result = perform(cells, mutation, revision);
    const isSame = cells.size === before.size && [...cells].every(([key, cell]) => before.get(key) === cell);
    if (!isSame) {
      this.#revision = revision;
      this.#cells.set(revision, cells);
    }
    return this.#done(result);
  }

  #done(result: KvResult): KvReply {
    return { kind: 'done', revision: this.#revision, result };
  }
}

/** Equal for equal answers; why something is refused may be said in any words. */
export function replyText(reply: KvReply): string {
  if (reply.kind === 'refused') return `refused ${reply.code}`;
  return JSON.stringify([reply.revision, reply.result], (_, value: unknown) => {
    if (value instanceof Uint8Array) return fromUtf8(value);
    if (value === undefined) return 'none';
    const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isPlain ? Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1))) : value;
  });
}

function perform(cells: Map<string, KeyValue>, operation: KvOperation, revision: number): KvResult {
  if (operation.kind === 'range') return rangeOf(cells, operation);
  const { key, prevKv } = operation;
  if (operation.kind === 'put') {
    const prev = cells.get(fromUtf8(key));
    const createRevision = prev?.createRevision ?? revision;
    const version = (prev?.version ?? 0) + 1;
    cells.set(fromUtf8(key), { key, value: operation.value, createRevision, modRevision: revision, version });
    return { kind: 'put', prev: prevKv ? prev : undefined };
  }
  const prevs = within(cells, operation.key, operation.rangeEnd);
  for (const prev of prevs) cells.delete(fromUtf8(prev.key));
  return { kind: 'delete', deleted: prevs.length, prevs: prevKv ? prevs : [] };
}

function rangeOf(cells: Cells, query: RangeQuery): Extract<KvResult, { kind: 'range' }> {
  const all = within(cells, query.key, query.rangeEnd);
  const count = all.length;
  if (query.countOnly) return { kind: 'range', kvs: [], more: false, count };
  const listed = query.limit === 0 ? all : all.slice(0, query.limit);
  const kvs = query.keysOnly ? listed.map((kv) => ({ ...kv, value: new Uint8Array() })) : listed;
  return { kind: 'range', kvs, more: kvs.length < count, count };
}

/** In the order of the keys, which are plain text here. */
function within(cells: Cells, key: Uint8Array, rangeEnd: Uint8Array): KeyValue[] {
  const [from, end] = [fromUtf8(key), fromUtf8(rangeEnd)];
  const isIn = (name: string): boolean => (end === '' ? name === from : name >= from && (end === '\0' || name < end));
  return [...cells]
    .filter(([name]) => isIn(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, cell]) => cell);
}

function holds(kv: KeyValue | undefined, compare: KvCompare): boolean {
  if (compare.target === 'value' && kv === undefined) return false;
  const [found, wanted] =
    compare.target === 'value'
      ? [fromUtf8((kv as KeyValue).value), fromUtf8(compare.operand)]
      : [kv?.[compare.target] ?? 0, compare.operand];
  if (compare.relation === 'equal') return found === wanted;
  if (compare.relation === 'notEqual') return found !== wanted;
  return compare.relation === 'less' ? found < wanted : found > wanted;
}
