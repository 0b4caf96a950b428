/** The key-value state machine: etcd's revisions, transactions, sessions (raft.md 6.4), images, and digests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, EMPTY_BYTES, fromUtf8, utf8 } from '../../src/base/bytes.ts';
import { DecodeError } from '../../src/base/errors.ts';
import { Kv } from '../../src/kv/kv.ts';
import type { LogIndex, Term } from '../../src/model/ids.ts';
import type { KvMutation, KvOperation, KvReply, KvResult, RangeQuery, SessionMark } from '../../src/model/kv.ts';
import { decodeKvBatch, encodeKvItem, type KvItem, writeKvBatch } from '../../src/wire/kv/batch.ts';
import { readReply, writeReply } from '../../src/wire/kv/reply.ts';
import { ByteReader } from '../../src/base/bytes.ts';

const TERM = 3 as Term;

/** Applies by way of the bytes of the log, as replicas do. */
class Log {
  readonly kv: Kv;
  index = 0;

  constructor(kv: Kv = new Kv()) {
    this.kv = kv;
  }

  apply(items: readonly KvItem[], timeMs = 1_000, term: Term = TERM): KvReply[] {
    const out = new ByteWriter();
    writeKvBatch(out, timeMs, items.map(encodeKvItem));
    this.index += 1;
    return this.kv.apply(this.index as LogIndex, term, decodeKvBatch(out.finish()));
  }

  mutate(mutation: KvMutation, session?: SessionMark, timeMs?: number): KvReply {
    return this.apply([{ kind: 'mutate', mutation, session }], timeMs)[0] as KvReply;
  }

  open(timeMs?: number): number {
    const reply = this.apply([{ kind: 'openSession' }], timeMs)[0];
    assert(reply?.kind === 'done' && reply.result.kind === 'session');
    return reply.result.session;
  }
}

const put = (key: string, value: string, prevKv = false): Extract<KvOperation, { kind: 'put' }> => ({
  kind: 'put',
  key: utf8(key),
  value: utf8(value),
  prevKv,
});
const remove = (key: string, rangeEnd = '', prevKv = false): Extract<KvOperation, { kind: 'delete' }> => ({
  kind: 'delete',
  key: utf8(key),
  rangeEnd: utf8(rangeEnd),
  prevKv,
});
const query = (key: string, rangeEnd = '', more: Partial<RangeQuery> = {}): RangeQuery => ({
  key: utf8(key),
  rangeEnd: utf8(rangeEnd),
  limit: 0,
  keysOnly: false,
  countOnly: false,
  ...more,
});

/** `key=value create/mod/version` of what is listed. */
function listed(kv: Kv, asked: RangeQuery): string[] {
  const reply = kv.range(asked);
  assert(reply.kind === 'done' && reply.result.kind === 'range');
  return reply.result.kvs.map(
    (one) => `${fromUtf8(one.key)}=${fromUtf8(one.value)} ${one.createRevision}/${one.modRevision}/${one.version}`,
  );
}

function resultOf<Kind extends KvResult['kind']>(reply: KvReply, kind: Kind): Extract<KvResult, { kind: Kind }> {
  assert(reply.kind === 'done' && reply.result.kind === kind, JSON.stringify(reply));
  return reply.result as Extract<KvResult, { kind: Kind }>;
}

function codeOf(reply: KvReply): string {
  return reply.kind === 'refused' ? reply.code : 'done';
}

function copyOf(kv: Kv): Kv {
  const out = new ByteWriter();
  kv.writeImage(out);
  const copy = new Kv();
  copy.restore(out.finish());
  return copy;
}

test('revisions are those of etcd: the store, and create, mod and version of each key', () => {
  const log = new Log();
  assert.equal(log.kv.revision, 1);
  assert.equal(log.mutate(put('a', '1')).kind, 'done');
  assert.equal(log.kv.revision, 2);
  log.mutate(put('a', '2'));
  log.mutate(put('b', '3'));
  assert.deepEqual(listed(log.kv, query('a', 'c')), ['a=2 2/3/2', 'b=3 4/4/1']);
  assert.equal(resultOf(log.mutate(remove('a')), 'delete').deleted, 1);
  assert.equal(log.kv.revision, 5);
  assert.equal(resultOf(log.mutate(remove('a')), 'delete').deleted, 0);
  assert.equal(log.kv.revision, 5, 'a delete that finds nothing is no write');
  log.mutate(put('a', '4'));
  assert.deepEqual(listed(log.kv, query('a')), ['a=4 6/6/1'], 'a key that was deleted begins anew');
});

test('ranges are half open, without end by a zero byte, limited, counted', () => {
  const log = new Log();
  for (const key of ['b', 'a', 'ab', 'c', 'aa']) log.mutate(put(key, key));
  const keys = (asked: RangeQuery): string[] => listed(log.kv, asked).map((line) => line.split('=')[0] as string);
  assert.deepEqual(keys(query('a', 'b')), ['a', 'aa', 'ab']);
  assert.deepEqual(keys(query('ab', '\0')), ['ab', 'b', 'c']);
  assert.deepEqual(keys(query('b', 'a')), []);
  const some = resultOf(log.kv.range(query('a', '\0', { limit: 2 })), 'range');
  assert.deepEqual([some.kvs.length, some.more, some.count], [2, true, 5]);
  const counted = resultOf(log.kv.range(query('a', 'b', { countOnly: true })), 'range');
  assert.deepEqual([counted.kvs.length, counted.count], [0, 3]);
  const bare = resultOf(log.kv.range(query('a', '', { keysOnly: true })), 'range');
  assert.equal(bare.kvs[0]?.value.length, 0);
  assert.equal(resultOf(log.mutate(remove('a', 'b', true)), 'delete').prevs.length, 3);
  assert.deepEqual(keys(query('\0', '\0')), ['b', 'c']);
});

test('a transaction is one write, and its reads see what it wrote', () => {
  const log = new Log();
  log.mutate(put('a', '1'));
  const before = log.kv.revision;
  const done = resultOf(
    log.mutate({
      kind: 'txn',
      compares: [
        { key: utf8('a'), target: 'value', relation: 'equal', operand: utf8('1') },
        { key: utf8('none'), target: 'createRevision', relation: 'equal', operand: 0 },
        { key: utf8('a'), target: 'version', relation: 'less', operand: 2 },
      ],
      success: [put('a', '2', true), put('b', '2'), { kind: 'range', ...query('a', '\0') }],
      failure: [put('lost', '1')],
    }),
    'txn',
  );
  assert.equal(done.succeeded, true);
  assert.equal(log.kv.revision, before + 1);
  assert.deepEqual(listed(log.kv, query('a', '\0')), ['a=2 2/3/2', 'b=2 3/3/1']);
  assert.equal(resultOf({ kind: 'done', revision: 0, result: done.results[2] as KvResult }, 'range').count, 2);
  const failed = log.mutate({
    kind: 'txn',
    compares: [{ key: utf8('a'), target: 'modRevision', relation: 'greater', operand: 3 }],
    success: [],
    failure: [{ kind: 'range', ...query('a') }],
  });
  assert.equal(resultOf(failed, 'txn').succeeded, false);
  assert.equal(log.kv.revision, before + 1, 'what only reads is no write');
});

test('a value that is not there is compared as false, in both ways', () => {
  const log = new Log();
  for (const relation of ['equal', 'notEqual'] as const) {
    const compares = [{ key: utf8('a'), target: 'value', relation, operand: EMPTY_BYTES } as const];
    assert.equal(resultOf(log.mutate({ kind: 'txn', compares, success: [], failure: [] }), 'txn').succeeded, false);
  }
});

test('what cannot be done changes nothing', () => {
  const log = new Log(new Kv(1_000));
  log.mutate(put('a', '1'));
  const digest = log.kv.digest();
  const twice: KvMutation = { kind: 'txn', compares: [], success: [put('b', '1'), put('b', '2')], failure: [] };
  const covered: KvMutation = { kind: 'txn', compares: [], success: [put('b', '1'), remove('a', 'c')], failure: [] };
  assert.equal(codeOf(log.mutate(twice)), 'INVALID');
  assert.equal(codeOf(log.mutate(covered)), 'INVALID');
  assert.equal(codeOf(log.mutate(put('', '1'))), 'INVALID');
  assert.equal(codeOf(log.mutate(put('b', 'x'.repeat(1_000)))), 'NO_SPACE');
  const half: KvMutation = {
    kind: 'txn',
    compares: [],
    success: [put('b', '1'), put('c', 'x'.repeat(999))],
    failure: [],
  };
  assert.equal(codeOf(log.mutate(half)), 'NO_SPACE');
  assert.equal(log.kv.digest(), digest);
  assert.equal(codeOf(log.mutate(put('a', 'x'.repeat(800)))), 'done', 'what takes the place of something needs less');
});

test('I-23: a request of a session takes effect once, and every try has the same reply', () => {
  const log = new Log();
  const session = log.open();
  const mark = { session, seq: 1, ackedBelow: 1 };
  const first = log.mutate(put('a', '1', true), mark);
  log.mutate(put('a', '2'));
  const again = log.mutate(put('a', '1', true), mark);
  assert.deepEqual(again, first);
  assert.deepEqual(listed(log.kv, query('a')), ['a=2 2/3/2']);
  // In one and the same batch as well.
  const item: KvItem = { kind: 'mutate', mutation: put('b', '1'), session: { session, seq: 2, ackedBelow: 1 } };
  const [one, two] = log.apply([item, item]);
  assert.deepEqual(one, two);
  assert.deepEqual(listed(log.kv, query('b')), ['b=1 4/4/1']);
});

test('a refusal is remembered too: a copy that comes late does not do what was refused', () => {
  const log = new Log(new Kv(200));
  const session = log.open();
  log.mutate(put('a', 'x'.repeat(100)));
  const mark = { session, seq: 1, ackedBelow: 1 };
  assert.equal(codeOf(log.mutate(put('b', 'x'.repeat(100)), mark)), 'NO_SPACE');
  log.mutate(remove('a'));
  assert.equal(codeOf(log.mutate(put('b', 'x'.repeat(100)), mark)), 'NO_SPACE');
});

test('what was acknowledged is forgotten, and never done again', () => {
  const log = new Log();
  const session = log.open();
  log.mutate(put('a', '1'), { session, seq: 1, ackedBelow: 1 });
  log.mutate(put('a', '2'), { session, seq: 2, ackedBelow: 2 });
  assert.equal(codeOf(log.mutate(put('a', '1'), { session, seq: 1, ackedBelow: 1 })), 'SESSION_STALE');
  assert.deepEqual(listed(log.kv, query('a')), ['a=2 2/3/2']);
});

test('64 replies wait for a session, and one more is refused until some are acknowledged', () => {
  const log = new Log();
  const session = log.open();
  for (let seq = 1; seq <= 64; seq++) log.mutate(put('a', `${seq}`), { session, seq, ackedBelow: 1 });
  assert.equal(codeOf(log.mutate(put('b', '1'), { session, seq: 65, ackedBelow: 1 })), 'SESSION_WINDOW');
  assert.equal(codeOf(log.mutate(put('b', '1'), { session, seq: 65, ackedBelow: 2 })), 'done');
});

test('a reply that is too large is not kept, but that it was given is', () => {
  const log = new Log();
  const session = log.open();
  log.mutate(put('a', 'x'.repeat(5_000)));
  const mark = { session, seq: 1, ackedBelow: 1 };
  assert.equal(resultOf(log.mutate(put('a', '1', true), mark), 'put').prev?.value.length, 5_000);
  assert.equal(codeOf(log.mutate(put('a', '1', true), mark)), 'REPLY_GONE');
  assert.deepEqual(listed(log.kv, query('a')), ['a=1 2/3/2']);
});

test('sessions expire by log time, which does not run backwards, and by a leader of that term alone', () => {
  const log = new Log();
  const idle = log.open(1_000);
  const busy = log.open(1_000);
  log.mutate(put('a', '1'), { session: busy, seq: 1, ackedBelow: 1 }, 5_000);
  log.mutate(put('a', '2'), { session: busy, seq: 2, ackedBelow: 1 }, 2_000);
  log.apply([{ kind: 'expireSessions', term: TERM - 1, idleMs: 3_000 }], 5_001);
  assert.equal(log.kv.stats.sessions, 2);
  assert.equal(log.kv.idleMs(6_000), 5_000);
  log.apply([{ kind: 'expireSessions', term: TERM, idleMs: 3_000 }], 5_001);
  assert.equal(log.kv.stats.sessions, 1);
  assert.equal(codeOf(log.mutate(put('a', '3'), { session: idle, seq: 1, ackedBelow: 1 })), 'SESSION_EXPIRED');
  assert.equal(codeOf(log.mutate(put('a', '3'), { session: busy, seq: 3, ackedBelow: 1 })), 'done');
  log.apply([{ kind: 'closeSession', session: busy }]);
  assert.equal(codeOf(log.mutate(put('a', '4'), { session: busy, seq: 4, ackedBelow: 1 })), 'SESSION_EXPIRED');
});

test('there are at most 10,000 sessions; who was silent for a minute makes room', () => {
  const log = new Log();
  for (let i = 0; i < 10; i++)
    log.apply(
      Array.from({ length: 1_000 }, () => ({ kind: 'openSession' as const })),
      1_000,
    );
  assert.equal(log.kv.stats.sessions, 10_000);
  assert.equal(codeOf(log.apply([{ kind: 'openSession' }], 61_000)[0] as KvReply), 'SESSIONS_FULL');
  assert.equal(codeOf(log.apply([{ kind: 'openSession' }], 61_001)[0] as KvReply), 'done');
});

test('an image goes on where it was made: keys, sessions and their replies, log time, digest', () => {
  const log = new Log();
  const session = log.open();
  const mark = { session, seq: 1, ackedBelow: 1 };
  log.mutate(put('a', '1', true), mark, 9_000);
  log.mutate(put('b', '2'));
  const copy = new Log(copyOf(log.kv));
  copy.index = log.index;
  assert.equal(copy.kv.digest(), log.kv.digest());
  for (const one of [log, copy]) {
    assert.equal(resultOf(one.mutate(put('a', '1', true), mark), 'put').prev, undefined);
    assert.deepEqual(listed(one.kv, query('a', '\0')), ['a=1 2/2/1', 'b=2 3/3/1']);
    one.mutate(put('c', '3'));
  }
  assert.equal(copy.kv.digest(), log.kv.digest());
});

test('an image that was changed is refused, and then nothing has changed', () => {
  const log = new Log();
  log.mutate(put('a', 'value'));
  const out = new ByteWriter();
  log.kv.writeImage(out);
  const bytes = out.finish();
  const digest = log.kv.digest();
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] as number) ^ 0x40;
    try {
      const other = new Kv();
      other.restore(damaged);
      assert.notEqual(other.digest(), digest, `byte ${at}`);
    } catch (error) {
      assert(error instanceof DecodeError);
      log.kv.range(query('a'));
    }
  }
  assert.equal(log.kv.digest(), digest);
});

test('R-5: a state that begins anew jumps ahead in revision, and its sessions are over', () => {
  const log = new Log();
  const session = log.open();
  log.mutate(put('a', '1'));
  log.kv.jump(1_000_000);
  assert.equal(log.kv.revision, 1_000_002);
  assert.equal(codeOf(log.mutate(put('a', '2'), { session, seq: 1, ackedBelow: 1 })), 'SESSION_EXPIRED');
  log.mutate(put('a', '2'));
  assert.deepEqual(listed(log.kv, query('a')), ['a=2 2/1000003/2']);
});

// Properties.

const keyOf = fc.constantFrom('', 'a', 'aa', 'ab', 'b', 'b\u{ff}', 'c', 'd'.repeat(300));
const operations: fc.Arbitrary<KvOperation> = fc.oneof(
  fc
    .record({ key: keyOf, value: fc.string({ maxLength: 8 }), prevKv: fc.boolean() })
    .map(({ key, value, prevKv }) => put(key, value, prevKv)),
  fc
    .record({ key: keyOf, end: fc.oneof(keyOf, fc.constant('\0')), prevKv: fc.boolean() })
    .map(({ key, end, prevKv }) => remove(key, end, prevKv)),
);
const mutations: fc.Arbitrary<KvMutation> = fc.oneof(
  operations as fc.Arbitrary<Exclude<KvOperation, { kind: 'range' }>>,
  fc.record({
    kind: fc.constant('txn' as const),
    compares: fc.array(
      fc.record({
        key: keyOf.map(utf8),
        relation: fc.constantFrom('equal' as const, 'notEqual' as const, 'less' as const, 'greater' as const),
        target: fc.constantFrom('version' as const, 'createRevision' as const, 'modRevision' as const),
        operand: fc.nat(5),
      }),
      { maxLength: 2 },
    ),
    success: fc.array(operations, { maxLength: 3 }),
    failure: fc.array(operations, { maxLength: 3 }),
  }),
);

test('any history: replicas agree, an image at any point makes no difference, and the sum is that of what is there', () => {
  fc.assert(
    fc.property(fc.array(mutations, { maxLength: 30 }), fc.nat(30), (history, cut) => {
      const left = new Log();
      let right = new Log();
      for (const [at, mutation] of history.entries()) {
        if (at === cut) {
          const resumed = new Log(copyOf(right.kv));
          resumed.index = right.index;
          right = resumed;
        }
        const reply = left.mutate(mutation);
        assert.deepEqual(right.mutate(mutation), reply);
        const out = new ByteWriter();
        writeReply(out, reply);
        assert.deepEqual(readReply(new ByteReader(out.finish())), reply);
        assert.equal(right.kv.digest(), left.kv.digest());
      }
      assert.equal(copyOf(left.kv).digest(), left.kv.digest());
    }),
  );
});

test('many keys stay in order as they come and go', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3_000), { minLength: 1_200, maxLength: 2_000 }), (numbers) => {
      const log = new Log();
      const there = new Set<string>();
      for (const number of numbers) {
        const key = `k${String(number).padStart(4, '0')}`;
        if (there.delete(key)) log.mutate(remove(key));
        else {
          there.add(key);
          log.mutate(put(key, ''));
        }
      }
      const expected = [...there].sort();
      const found = resultOf(log.kv.range(query('k', '\0')), 'range');
      assert.deepEqual(
        found.kvs.map((one) => fromUtf8(one.key)),
        expected,
      );
      const middle = expected[expected.length >> 1] ?? '';
      const count = resultOf(log.kv.range(query('k', middle, { countOnly: true })), 'range').count;
      assert.equal(count, expected.filter((key) => key < middle).length);
    }),
    { numRuns: 10 },
  );
});
