/** What a reader hands out, from a painted cluster. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ClusterReader, openClusterReader, ReaderClosedError } from '../../src/cluster-reader.ts';
import type { EndpointChange } from '../../src/model/endpoint-table.ts';
import type { NodeId } from '../../src/model/ids.ts';
import { InvalidEndpointError } from '../../src/management/client-errors.ts';
import { readerOfNode } from '../../src/node-reader.ts';
import { FakeNodeHandle, fakeMember, fakeShardMap, fakeView } from '../fake-node-handle.ts';
import { FakeSource } from '../routing/client/fake-source.ts';

function readerOf(source: FakeSource): ClusterReader {
  return new ClusterReader({ source, close: async () => undefined, watched: () => undefined });
}

function shop(port: number): Record<string, string> {
  return { 'ep.shop': `10.0.0.1:${port}` };
}

const told = ({ change, node, name, endpoint }: EndpointChange): string => `${change} ${node} ${name} ${endpoint.port}`;

async function next<T>(stream: AsyncGenerator<T, void, undefined>): Promise<T> {
  const { value, done } = await stream.next();
  assert.ok(done !== true, 'the stream has ended');
  return value as T;
}

describe('a reader of a cluster', () => {
  it('has empty readings before the first picture, and those of the last one from then on', async () => {
    const source = new FakeSource();
    const reader = readerOf(source);
    assert.deepEqual(
      [reader.members, reader.leader, reader.shardMap, reader.ownerOf(1)],
      [[], undefined, undefined, undefined],
    );
    source.showNodes({ a: shop(1), b: { 'ep.management': '10.0.0.2:5' } });
    source.show({ shardMap: fakeShardMap(['a', 'b'], 10) });
    assert.deepEqual([...reader.endpoints('shop')], [['a', { host: '10.0.0.1', port: 1 }]]);
    assert.deepEqual([...reader.endpoints('ep.management')], [['b', { host: '10.0.0.2', port: 5 }]]);
    assert.deepEqual([reader.ownerOf(0), reader.ownerOf(1), reader.ownerOf(10)], ['a', 'b', undefined]);
    await reader.close();
    assert.equal(reader.members.length, 2, 'readings outlive the reader');
    assert.equal(source.listenerCount, 0);
  });

  it('ready and waitForEndpoint wait, and end by a signal or the close', async () => {
    const source = new FakeSource();
    const reader = readerOf(source);
    const ready = reader.ready();
    const waiting = reader.waitForEndpoint('shop');
    const aborter = new AbortController();
    const aborted = reader.waitForEndpoint('nothing', { signal: aborter.signal });
    source.showNodes({ a: {} });
    assert.equal((await ready).members.length, 1);
    source.showNodes({ a: shop(1) });
    assert.deepEqual(await waiting, { node: 'a', endpoint: { host: '10.0.0.1', port: 1 } });
    aborter.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    const closed = reader.waitForEndpoint('nothing');
    const neverReady = readerOf(new FakeSource());
    const unready = neverReady.ready();
    await Promise.all([reader.close(), neverReady.close()]);
    await assert.rejects(closed, ReaderClosedError);
    await assert.rejects(unready, ReaderClosedError);
  });

  it('waitForEndpoint answers inside an observer that unsubscribes itself: nothing is held meanwhile', async () => {
    const source = new FakeSource();
    const reader = readerOf(source);
    const found = new Promise<string>((resolve, reject) => {
      const end = reader.observeEndpoints(() => {
        end();
        reader.waitForEndpoint('shop').then(({ node }) => resolve(node), reject);
      });
    });
    source.showNodes({ a: shop(1) });
    assert.equal(await found, 'a');
    await reader.close();
  });

  it('streams give the present, then changes, each once', async () => {
    const source = new FakeSource();
    const reader = readerOf(source);
    source.showNodes({ a: shop(1) });
    const leaders = reader.leaders();
    assert.equal(await next(leaders), 'n1');
    const waiting = next(leaders);
    source.show({ leader: 'n1' as NodeId });
    source.show({ leader: 'n2' as NodeId });
    assert.equal(await waiting, 'n2');
    const maps = reader.shardMaps();
    assert.equal(await next(maps), undefined);
    const map = fakeShardMap(['a'], 10);
    source.show({ shardMap: map });
    assert.equal(await next(maps), map);
    await reader.close();
    assert.deepEqual(await leaders.next(), { value: undefined, done: true });
  });

  it('endpoint streams begin with what is there, then tell added, changed and removed', async () => {
    const source = new FakeSource();
    source.showNodes({ a: { ...shop(1), 'ep.other': '10.0.0.1:9' } });
    const reader = readerOf(source);
    const changes = reader.endpointChanges({ name: 'shop' });
    assert.equal(told(await next(changes)), 'added a ep.shop 1');
    source.showNodes({ a: shop(2), b: shop(1) });
    assert.equal(told(await next(changes)), 'changed a ep.shop 2');
    assert.equal(told(await next(changes)), 'added b ep.shop 1');
    source.showNodes({ b: shop(1) });
    assert.equal(told(await next(changes)), 'removed a ep.shop 2');
    // What failed is gone, too.
    source.showNodes({ b: shop(1) }, 'failed');
    assert.equal(told(await next(changes)), 'removed b ep.shop 1');
    await reader.close();
  });

  it('a slow reader finds many changes folded into what is true now', async () => {
    const source = new FakeSource();
    const reader = readerOf(source);
    const changes = reader.endpointChanges({ name: 'shop' });
    source.showNodes({ a: shop(1) });
    assert.equal(told(await next(changes)), 'added a ep.shop 1');
    for (let port = 2; port < 50_000; port++) source.show({ members: [fakeMember({ name: 'a', tags: shop(port) })] });
    assert.equal(told(await next(changes)), 'changed a ep.shop 49999');
    const last = next(changes);
    source.showNodes({});
    assert.equal(told(await last), 'removed a ep.shop 49999');
    await reader.close();
  });

  it('an observer is called in turns of its own, and not once more after it has ended, not even within one round', async () => {
    const source = new FakeSource();
    source.showNodes({ a: shop(1), b: shop(2), c: shop(3) });
    const reader = readerOf(source);
    const heard: string[] = [];
    const end = reader.observeEndpoints(
      (change) => {
        heard.push(told(change));
        if (heard.length === 2) end();
      },
      { name: 'shop' },
    );
    assert.deepEqual(heard, [], 'never from within');
    await turn();
    await turn();
    assert.deepEqual(heard, ['added a ep.shop 1', 'added b ep.shop 2']);
    source.showNodes({});
    await turn();
    assert.equal(heard.length, 2);
    await reader.close();
  });

  it('refuses addresses that are none', () => {
    assert.throws(() => openClusterReader('not an address'), InvalidEndpointError);
    assert.throws(() => openClusterReader([]), InvalidEndpointError);
  });
});

describe('the reader of a node', () => {
  it('shows what the node sees, and ends when the node has stopped', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n2' }));
    const reader = readerOfNode(handle);
    assert.deepEqual([reader.leader, reader.members.length], ['n2', 3]);
    assert.equal(reader.shardMap, handle.view().shardMap);
    const leaders = reader.leaders();
    assert.equal(await next(leaders), 'n2');
    const waiting = next(leaders);
    handle.change({ leader: 'n3' as NodeId });
    handle.emit({ kind: 'leaderChanged', leader: 'n3' as NodeId, term: 9 as never });
    assert.equal(await waiting, 'n3');
    const ended = leaders.next();
    handle.emit({ kind: 'stopped', reason: 'left in order', exitCode: 0 });
    assert.deepEqual(await ended, { value: undefined, done: true });
    assert.equal(handle.listenerCount, 0);
  });
});
