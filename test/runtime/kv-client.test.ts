/** The client that tries again and does nothing twice, against a store whose answers get lost. raft.md 6.4. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8, utf8 } from '../../src/base/bytes.ts';
import type { FunkError } from '../../src/base/errors.ts';
import { Kv } from '../../src/kv/kv.ts';
import type { LogIndex, Term } from '../../src/model/ids.ts';
import type { KvReply, KvRequest } from '../../src/model/kv.ts';
import { OutcomeUnknownError } from '../../src/runtime/handle-errors.ts';
import { KvClient, rangeOf } from '../../src/runtime/kv-client.ts';
import {
  BusyError,
  doneOrError,
  InvalidKvRequestError,
  type KvDone,
  NoLeaderError,
} from '../../src/runtime/kv-errors.ts';

type Fate = 'done' | 'answer lost' | 'request lost' | 'no leader' | 'busy';

class Store {
  kv: Kv = new Kv();
  readonly requests: KvRequest[] = [];
  /** Of the next writes, in order; what follows is done. */
  fates: Fate[] = [];
  #index = 0;

  readonly ask = async (request: KvRequest): Promise<KvDone> => {
    this.requests.push(request);
    const fate = (request.kind === 'mutate' ? this.fates.shift() : undefined) ?? 'done';
    await new Promise((resolve) => setImmediate(resolve));
    if (fate === 'no leader') throw new NoLeaderError('nobody leads');
    if (fate === 'busy') throw new BusyError('too much waits');
    if (fate === 'request lost') throw new OutcomeUnknownError('no answer');
    this.#index += 1;
    const replies =
      request.kind === 'read'
        ? [this.kv.range(request.query)]
        : this.kv.apply(this.#index as LogIndex, 1 as Term, { timeMs: 1, items: [request] });
    if (fate === 'answer lost') throw new OutcomeUnknownError('no answer');
    const done = doneOrError({ kind: 'reply', reply: replies[0] as KvReply });
    if (done instanceof Error) throw done;
    return done;
  };
}

test('a write whose answer was lost is tried again and takes effect once', async () => {
  const store = new Store();
  const client = new KvClient(store.ask);
  store.fates = ['answer lost', 'request lost', 'no leader', 'busy', 'answer lost'];
  const { revision, prev } = await client.put('a', '1');
  assert.deepEqual([revision, prev], [2, undefined]);
  assert.equal((await client.get('a'))?.version, 1);
  const marks = store.requests.flatMap((request) => (request.kind === 'mutate' ? [request.session] : []));
  assert.equal(new Set(marks.map((mark) => `${mark?.session}/${mark?.seq}`)).size, 1);
});

test('answers are acknowledged, and hundreds of writes at once get along with what is kept', async () => {
  const store = new Store();
  const client = new KvClient(store.ask);
  await Promise.all(Array.from({ length: 3_000 }, (_, i) => client.put(`k${i % 50}`, `${i}`)));
  assert.equal(store.kv.revision, 3_001);
  assert.equal(store.kv.stats.sessions, 32);
  await client.close();
  assert.equal(store.kv.stats.sessions, 0);
});

test('a session that is gone is opened anew, unless the write may have taken effect', async () => {
  const store = new Store();
  const client = new KvClient(store.ask);
  await client.put('a', '1');
  store.kv = new Kv();
  await client.put('a', '2');
  assert.equal(store.kv.revision, 2);
  store.fates = ['request lost'];
  const lost = client.put('a', '3');
  store.kv = new Kv();
  await assert.rejects(lost, OutcomeUnknownError);
});

test('what is refused for good rejects at once; what may yet be done, when its time is over', async () => {
  const store = new Store();
  const client = new KvClient(store.ask);
  await assert.rejects(client.put('', '1'), InvalidKvRequestError);
  store.fates = Array.from({ length: 100 }, () => 'no leader');
  await assert.rejects(client.put('a', '1', { timeoutMs: 60 }), NoLeaderError);
  store.fates = Array.from({ length: 100 }, () => 'answer lost');
  await assert.rejects(
    client.put('a', '1', { timeoutMs: 60 }),
    (error: FunkError) => error.code === 'FUNK_OUTCOME_UNKNOWN',
  );
  const controller = new AbortController();
  store.fates = Array.from({ length: 100 }, () => 'busy');
  const aborted = client.put('a', '1', { signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(aborted, /enough|aborted/);
});

test('compare-and-set, deletes, prefixes', async () => {
  const store = new Store();
  const client = new KvClient(store.ask);
  assert.equal((await client.compareAndSet('a', undefined, '1')).succeeded, true);
  const second = await client.compareAndSet('a', undefined, '2');
  assert.equal(second.succeeded, false);
  assert.equal(fromUtf8(second.current?.value ?? utf8('')), '1');
  assert.equal((await client.compareAndSet('a', '1', '2')).succeeded, true);
  const modRevision = (await client.get('a'))?.modRevision ?? 0;
  assert.equal((await client.compareAndSet('a', { modRevision }, '3')).succeeded, true);
  for (const key of ['b/1', 'b/2', 'c']) await client.put(key, key);
  assert.equal((await client.range({ prefix: 'b/' })).count, 2);
  assert.equal((await client.delete({ prefix: 'b/' })).deleted, 2);
  assert.deepEqual(
    (await client.range({ prefix: '' })).kvs.map(({ key }) => fromUtf8(key)),
    ['a', 'c'],
  );
  assert.deepEqual([...rangeOf({ prefix: Uint8Array.of(1, 255) }).rangeEnd], [2]);
  assert.deepEqual([...rangeOf({ prefix: Uint8Array.of(255, 255) }).rangeEnd], [0]);
});
