/** funk.v1.Kv and `funkctl kv`, by real connections to servers with a store of their own behind them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { utf8 } from '../../src/base/bytes.ts';
import { CallRefusedError, connectKv, type KvClient } from '../../src/client.ts';
import { loadProtos } from '../../src/management/protos.ts';
import { FUNK_CODE_KEY } from '../../src/management/status.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';
import { serve, type ServedNode } from './cluster-of-two.ts';
import { again, run } from './funkctl-program.ts';
import type { Ended } from '../tools/hosted-program.ts';

const NOTHING = new Uint8Array();

describe('funk.v1.Kv', () => {
  let node: ServedNode;
  let kv: KvClient;
  before(async () => {
    node = await serve(new FakeNodeHandle(fakeView({ id: 'n1' })));
    kv = connectKv(node.address);
  });
  after(async () => {
    await kv.close();
    await node.server.close();
  });

  it('writes, reads, compares and deletes over a stream', async () => {
    assert.equal((await kv.put('a', '1')).prev, undefined);
    assert.equal(Buffer.from((await kv.put('a', '2')).prev?.value ?? NOTHING).toString(), '1');
    const held = await kv.get('a');
    assert.deepEqual([held?.version, held?.createRevision, held?.modRevision], [2, 2, 3]);
    assert.equal((await kv.compareAndSet('a', '1', '3')).succeeded, false);
    assert.equal((await kv.compareAndSet('a', '2', '3')).succeeded, true);
    const bytes = Uint8Array.of(0, 255, 128);
    await kv.put(bytes, bytes);
    assert.deepEqual([...((await kv.get(bytes))?.value ?? NOTHING)], [0, 255, 128]);
    assert.equal((await kv.get('a', { consistency: 'stale' }))?.version, 3);
    assert.equal((await kv.delete({ key: '\0', end: '\0' })).deleted, 2);
    assert.equal(await kv.get('a'), undefined);
  });

  it('answers every request of a stream, hundreds at once, each its own', async () => {
    const keys = Array.from({ length: 500 }, (_, i) => `many/${i}`);
    await Promise.all(keys.map((key) => kv.put(key, key)));
    const values = await Promise.all(keys.map(async (key) => Buffer.from((await kv.get(key))?.value ?? NOTHING)));
    assert.deepEqual(
      values.map((value) => value.toString()),
      keys,
    );
    const some = await kv.range({ prefix: 'many/' }, { limit: 3, keysOnly: true });
    assert.deepEqual([some.kvs.length, some.more, some.count, some.kvs[0]?.value.length], [3, true, 500, 0]);
  });

  it('says what was refused, by the code of its error', async () => {
    await assert.rejects(kv.put('', '1'), { code: 'FUNK_INVALID_KV_REQUEST' });
    await assert.rejects(kv.get(''), (error) => error instanceof CallRefusedError && /empty/.test(error.message));
    node.handle.answers.kv = () => ({ kind: 'refused', code: 'BUSY', reason: 'too much waits' });
    await assert.rejects(kv.put('a', '1', { timeoutMs: 100 }), { code: 'FUNK_BUSY' });
    node.handle.answers.kv = () => ({ kind: 'unknown', reason: 'leadership was lost' });
    await assert.rejects(kv.get('a', { timeoutMs: 100 }), { code: 'FUNK_OUTCOME_UNKNOWN' });
    delete node.handle.answers.kv;
  });

  it('takes a value of a megabyte', async () => {
    const value = new Uint8Array(1_000_000).fill(7);
    await kv.put('large', value);
    assert.equal((await kv.get('large'))?.value.length, value.length);
  });

  it('has the calls one by one as well, refusals with status and code', async () => {
    const { put, range } = await unary(node.address);
    const answer = await put({ key: Buffer.from('u'), value: Buffer.from('1'), prevKv: true });
    assert.equal(answer.prevKv, null);
    const listed = await range({ key: Buffer.from('u') });
    assert.equal(listed.kvs[0]?.value.toString(), '1');
    await assert.rejects(put({ key: Buffer.alloc(0) }), (error: ServiceError) => {
      assert.equal(error.code, status.INVALID_ARGUMENT);
      return error.metadata.get(FUNK_CODE_KEY)[0] === 'FUNK_INVALID_KV_REQUEST';
    });
  });

  it('goes on at another node when one is gone, and does nothing twice', async () => {
    const one = await serve(node.handle);
    const client = connectKv([one.address, node.address]);
    await client.put('moved', '1');
    await one.server.close();
    await client.put('moved', '2');
    assert.equal((await kv.get('moved'))?.version, 2);
    await client.close();
  });

  describe('funkctl kv', () => {
    const ask = (...args: string[]): Promise<Ended> => run(['-e', node.address, ...args]);
    const askAgain = (...args: string[]): Promise<Ended> => again(['-e', node.address, ...args]);

    it('puts, gets, deletes and exchanges', async () => {
      const put = await ask('kv', 'put', 'cfg/a', 'x y');
      assert.match(put.out, /^Revision \d+\n$/);
      assert.deepEqual(await ask('kv', 'get', 'cfg/a'), { code: 0, out: 'x y\n', err: '' });
      assert.equal((await askAgain('kv', 'cas', 'cfg/b', '1', '--expect-absent')).code, 0);
      const cas = await ask('kv', 'cas', 'cfg/b', '2', '--expect', '7');
      assert.equal(cas.code, 1);
      assert.match(cas.err, /cfg\/b is not as expected: it was last written by revision \d+/);
      assert.equal((await askAgain('kv', 'get', 'cfg/', '--prefix')).out, 'cfg/a x y\ncfg/b 1\n');
      const json = JSON.parse((await askAgain('--json', 'kv', 'get', 'cfg/b')).out) as {
        kvs: { valueBase64: string }[];
      };
      assert.equal(json.kvs[0]?.valueBase64, Buffer.from(utf8('1')).toString('base64'));
      assert.equal((await ask('kv', 'del', 'cfg/', '--prefix')).out, '2 deleted\n');
      const gone = await askAgain('kv', 'get', 'cfg/a');
      assert.deepEqual([gone.code, gone.out], [1, '']);
      assert.equal((await askAgain('kv', 'cas', 'cfg/b', '2')).code, 2);
    });
  });
});

interface Pair {
  readonly value: Buffer;
}

async function unary(address: string): Promise<{
  put: (request: object) => Promise<{ readonly prevKv: Pair | null }>;
  range: (request: object) => Promise<{ readonly kvs: readonly Pair[] }>;
}> {
  const { Put, Range } = loadProtos().kv;
  const client = new Client(address, credentials.createInsecure());
  after(() => client.close());
  const call =
    <Answer>({ path, requestSerialize, responseDeserialize }: typeof Put | typeof Range) =>
    (request: object): Promise<Answer> =>
      new Promise((resolve, reject) =>
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize as never, request, (error, answer) =>
          error === null ? resolve(answer as Answer) : reject(error),
        ),
      );
  return { put: call(Put), range: call(Range) };
}
