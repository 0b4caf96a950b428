/** Following a cluster from outside, against management servers of fake nodes on loopback. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../src/base/random.ts';
import { ClusterWatch } from '../../src/management/cluster-watch.ts';
import { shardMapOf } from '../../src/management/client-picture.ts';
import { shardMapMessage } from '../../src/management/node-reading.ts';
import type { ClusterPicture } from '../../src/model/cluster-source.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import type { NodeId } from '../../src/model/ids.ts';
import { FakeNodeHandle, fakeShardMap, fakeView } from '../fake-node-handle.ts';
import { clusterOfTwo, type ServedNode, serve } from './cluster-of-two.ts';

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  while (open.length > 0) await open.pop()?.();
});

function watchOf(contacts: readonly string[], clusterName?: string): ClusterWatch {
  const watch = new ClusterWatch({ contacts: () => contacts, random: new SeededRandom(7), clusterName });
  open.push(() => watch.close());
  watch.start();
  return watch;
}

/** The first picture that `fits`. */
async function seen(watch: ClusterWatch, fits: (picture: ClusterPicture) => boolean): Promise<ClusterPicture> {
  let end: () => void = () => undefined;
  try {
    return await new Promise<ClusterPicture>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`never seen: ${watch.stats().lastError?.message}`)), 8_000);
      const look = (): void => {
        const picture = watch.picture();
        if (picture === undefined || !fits(picture)) return;
        clearTimeout(late);
        resolve(picture);
      };
      end = watch.subscribe(look);
      look();
    });
  } finally {
    end();
  }
}

async function twoNodes(): Promise<{ readonly leader: ServedNode; readonly follower: ServedNode }> {
  const cluster = await clusterOfTwo();
  open.push(async () => await cluster[Symbol.asyncDispose]());
  return cluster;
}

describe('watching a cluster from outside', () => {
  it('shows members, leader and map, whole from the first picture on', async () => {
    const { leader } = await twoNodes();
    const watch = watchOf([leader.address]);
    assert.equal(watch.picture(), undefined);
    const { clusterName, clusterId, members, leader: led, shardMap } = await seen(watch, () => true);
    assert.deepEqual([clusterName, clusterId, led], ['demo', 'AAAAAAAAAAAAAAAAAAAAAA', 'n1']);
    assert.deepEqual(
      members.map(({ name, status }) => `${name} ${status}`),
      ['n1 alive', 'n2 alive', 'n3 failed'],
    );
    assert.deepEqual(members[0]?.address, { host: '10.0.0.1', port: 7946 });
    assert.equal(members[0]?.tags.get('ep.raft'), '10.0.0.1:7947');
    assert.deepEqual(shardMap, leader.handle.view().shardMap);
    assert.equal(watch.stats().watched, leader.address);
  });

  it('shows what changes, and the same object while nothing does', async () => {
    const { leader } = await twoNodes();
    const watch = watchOf([leader.address]);
    const first = await seen(watch, () => true);
    assert.equal(watch.picture(), first);
    const map = fakeShardMap(['n1'], 100, 80);
    leader.handle.change({ shardMap: map, leader: 'n2' as NodeId });
    leader.handle.emit({ kind: 'shardMapChanged', map });
    const next = await seen(watch, (picture) => picture.shardMap?.version === 80);
    assert.deepEqual([next.leader, next.shardMap], ['n2', map]);
    assert.notEqual(first.shardMap?.version, 80, 'a picture that was shown never changes');
  });

  it('goes to another node when the one it watches dies, and shows no gap meanwhile', async () => {
    const { leader, follower } = await twoNodes();
    const watch = watchOf([leader.address]);
    await seen(watch, () => true);
    const counts: number[] = [];
    watch.subscribe(() => counts.push(watch.picture()?.members.length ?? 0));
    const began = performance.now();
    await leader.server.close();
    follower.handle.change({ leader: 'n2' as NodeId });
    follower.handle.emit({ kind: 'leaseGained' });
    assert.equal(watch.picture()?.members.length, 3);
    await seen(watch, (picture) => picture.leader === 'n2');
    assert.equal(watch.stats().watched, follower.address);
    assert.ok(performance.now() - began < 2_000, 'it took its time');
    assert.deepEqual([...new Set(counts)], [3]);
  });

  it('comes back to its contacts when everyone it knew is gone', async () => {
    const { leader, follower } = await twoNodes();
    const contacts = [leader.address];
    const watch = watchOf(contacts);
    await seen(watch, () => true);
    await Promise.all([leader.server.close(), follower.server.close()]);
    await sleep(300);
    assert.equal(watch.stats().watched, undefined);
    assert.equal(watch.picture()?.members.length, 3, 'the last picture stays');
    const reborn = await serve(new FakeNodeHandle(fakeView({ id: 'n9', leader: 'n9', members: [{ name: 'n9' }] })));
    open.push(() => reborn.server.close());
    contacts[0] = reborn.address;
    const picture = await seen(watch, ({ members }) => members.length === 1);
    assert.equal(picture.leader, 'n9');
  });

  it('leaves nodes of a cluster of another name alone', async () => {
    const { leader } = await twoNodes();
    const stranger = await serve(new FakeNodeHandle({ ...fakeView({ id: 's1', leader: 's1' }), clusterName: 'other' }));
    open.push(() => stranger.server.close());
    const watch = watchOf([stranger.address, leader.address], 'demo');
    assert.equal((await seen(watch, () => true)).clusterName, 'demo');
    assert.equal(watch.stats().watched, leader.address);
  });

  it('does not forget a newer map for a node that lags behind', async () => {
    const { leader, follower } = await twoNodes();
    const map = fakeShardMap(['n1'], 100, 80);
    leader.handle.change({ shardMap: map });
    const watch = watchOf([leader.address]);
    await seen(watch, (picture) => picture.shardMap?.version === 80);
    await leader.server.close();
    follower.handle.change({ leader: 'n2' as NodeId });
    await seen(watch, (picture) => picture.leader === 'n2');
    assert.equal(watch.picture()?.shardMap?.version, 80);
    // Another cluster under this name begins anew, and so do its versions.
    follower.handle.change({ clusterId: 'BBBBBBBBBBBBBBBBBBBBBA' as never });
    follower.handle.emit({ kind: 'leaseGained' });
    const other = await seen(watch, (picture) => picture.clusterId === 'BBBBBBBBBBBBBBBBBBBBBA');
    assert.equal(other.shardMap?.version, 40);
  });

  it('does not stay with a node that keeps no map when there are others', async () => {
    const { leader, follower } = await twoNodes();
    const members = [
      { name: 'n1', management: leader.server.endpoint },
      { name: 'n2', management: follower.server.endpoint },
      { name: 'seed', raft: '' as const, tags: { 'fn.role': 'non-member' } },
    ];
    const view = fakeView({ id: 'seed', members });
    const seed = await serve(
      new FakeNodeHandle({ ...view, kind: 'non-member', shardMap: undefined, leader: undefined }),
    );
    open.push(() => seed.server.close());
    const watch = watchOf([seed.address]);
    const first = await seen(watch, () => true);
    assert.deepEqual([first.leader, first.shardMap], [undefined, undefined]);
    const whole = await seen(watch, (picture) => picture.shardMap !== undefined);
    assert.equal(whole.leader, 'n1');
    assert.ok(
      [formatEndpoint(leader.server.endpoint), formatEndpoint(follower.server.endpoint)].includes(
        watch.stats().watched ?? '',
      ),
    );
  });

  it('close ends a watch, an attempt and a pause, and leaves nothing behind', async () => {
    const { leader } = await twoNodes();
    const before = leader.handle.listenerCount;
    const watching = watchOf([leader.address]);
    await seen(watching, () => true);
    assert.equal(leader.handle.listenerCount, before + 1);
    await watching.close();
    const nobody = watchOf(['127.0.0.1:9']);
    await sleep(150);
    await nobody.close();
    for (let turns = 0; leader.handle.listenerCount > before && turns < 100; turns++) await sleep(10);
    assert.equal(leader.handle.listenerCount, before);
  });
});

describe('a map from a message', () => {
  it('comes out as it went in', () => {
    const map = fakeShardMap(['a', 'b', 'c'], 1_000, 70);
    assert.deepEqual(shardMapOf(shardMapMessage(map, { parts: 'all' }) as never), map);
  });

  it('is none when its parts do not fit', () => {
    const whole = shardMapMessage(fakeShardMap(['a', 'b'], 10), { parts: 'all' });
    assert.equal(shardMapOf({ ...whole, ownerOf: [] } as never), undefined);
    assert.equal(shardMapOf({ ...whole, epochs: [1] } as never), undefined);
    assert.equal(shardMapOf({ ...whole, ownerOf: Array.from({ length: 10 }, () => 2) } as never), undefined);
  });
});
