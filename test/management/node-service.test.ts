/** funk.v1.Node through the management client: readings, changes, the watch, and how calls fail. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect as connectHttp2 } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import {
  CallRefusedError,
  connectManagement,
  InvalidEndpointError,
  type ManagementClient,
  TimedOutError,
  UnreachableError,
  type WatchChange,
} from '../../src/client.ts';
import { loadProtos } from '../../src/management/protos.ts';
import type { LogIndex, NodeId } from '../../src/model/ids.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import { JoinFailedError, OutcomeUnknownError, RefusedError } from '../../src/runtime/handle-errors.ts';
import { FakeNodeHandle, fakeMember, fakeMemberId, fakeShardMap, fakeView } from '../fake-node-handle.ts';
import { type ClusterOfTwo, clusterOfTwo, type ServedNode, serve } from './cluster-of-two.ts';

async function connected<T>(node: ServedNode, work: (client: ManagementClient) => Promise<T>): Promise<T> {
  const client = await connectManagement(node.address);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

const refusedAs = (reason: string, status: string) => (error: unknown) => {
  assert(error instanceof CallRefusedError, String(error));
  assert.deepEqual([error.reason, error.status], [reason, status]);
  return true;
};

describe('funk.v1.Node: what a node says of itself', () => {
  let cluster: ClusterOfTwo;
  before(async () => {
    cluster = await clusterOfTwo();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('tells its status in any state, the reason it waits and the advice included', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n9', state: 'Voting' })));
    const waiting = { reason: 'quorum', nodes: ['n1' as NodeId], since: 58_000, advice: 'start n1' } as const;
    node.handle.change({ waiting, shardMap: undefined, clusterId: undefined, clusterCreatedMs: undefined });
    const { status } = await connected(node, (client) => client.status());
    assert.equal(status.state, 'Voting');
    assert.equal(status.stateForMs, 10_000);
    assert.deepEqual(status.waiting, { reason: 'quorum', nodes: ['n1'], forMs: 2_000, advice: 'start n1' });
    assert.deepEqual([status.clusterId, status.createdMs, status.mapVersion, status.leaderId], ['', 0, 0, '']);
    await node.server.close();
  });

  it('tells term, commit, map, lease and endpoints', async () => {
    const { status, yourAddress } = await connected(cluster.follower, (client) => client.status());
    assert.match(yourAddress, /^127\.0\.0\.1:\d+$/);
    const { nodeId, kind, role, term, leaderId, commitIndex, voterCount, memberCount, shardCount, shardsOwned } =
      status;
    assert.deepEqual(
      { nodeId, kind, role, term, leaderId, commitIndex, voterCount, memberCount, shardCount, shardsOwned },
      {
        nodeId: 'n2',
        kind: 'voter',
        role: 'Follower',
        term: 3,
        leaderId: 'n1',
        commitIndex: 42,
        voterCount: 3,
        memberCount: 2,
        shardCount: 100,
        shardsOwned: 33,
      },
    );
    assert.equal(status.endpoints['ep.clusterfunk.management'], cluster.follower.address);
  });

  it('lists members with role, age and last sign of life; forgotten voters too', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n2', leader: 'n1', members: [] })));
    const { configuration } = fakeView({ id: 'n2' });
    const members = [
      fakeMember({ name: 'n1' }),
      fakeMember({ name: 'n2' }),
      fakeMember({ name: 'new', raft: 'Staging' }),
      fakeMember({ name: 'nv', raft: '', tags: { 'fn.role': 'non-voter' } }),
      fakeMember({ name: 'ob', raft: '', tags: { 'fn.role': 'non-member', 'ep.raft': '10.0.0.5:7947' } }),
      { ...fakeMember({ name: 'plain', raft: '', status: 'left' }), lastHeard: undefined },
    ];
    const voters = [fakeMemberId('gone'), ...configuration.voters.slice(0, 2)];
    node.handle.change({ members, configuration: { ...configuration, voters } });
    const answer = await connected(node, (client) => client.members());
    assert.deepEqual([answer.nodeId, answer.leaderId], ['n2', 'n1']);
    const rows = answer.members.map((one) => [one.name, one.role, one.serfState, one.raftState, one.heardMsAgo]);
    assert.deepEqual(rows, [
      ['gone', 'Follower', '', 'Voter', -1],
      ['n1', 'Leader', 'alive', 'Voter', 500],
      ['n2', 'Follower', 'alive', 'Voter', 0],
      ['new', 'NonVoter', 'alive', 'Staging', 500],
      ['nv', 'NonVoter', 'alive', '', 500],
      ['ob', 'NonMember', 'alive', '', 500],
      ['plain', 'NonMember', 'left', '', -1],
    ]);
    assert.equal(answer.members[1]?.ageMs, 50_000);
    assert.equal(answer.members[1]?.tags['ep.raft'], '10.0.0.1:7947');
    await node.server.close();
  });

  it('lists endpoints with their service; those of the dead when asked; second names marked', async () => {
    await connected(cluster.leader, async (client) => {
      const found = (await client.endpoints({ filter: 'management' })).endpoints;
      assert.deepEqual(
        found.map((one) => [one.nodeId, one.name, one.aliasOf]),
        [
          ['n1', 'ep.clusterfunk.management', ''],
          ['n1', 'ep.management', 'ep.clusterfunk.management'],
          ['n2', 'ep.clusterfunk.management', ''],
          ['n2', 'ep.management', 'ep.clusterfunk.management'],
        ],
      );
      assert.deepEqual(new Set((await client.endpoints()).endpoints.map((one) => one.nodeId)), new Set(['n1', 'n2']));
      const all = (await client.endpoints({ includeInactive: true })).endpoints;
      assert(all.some((one) => one.nodeId === 'n3' && one.serfState === 'failed' && one.service === 'demo'));
    });
  });

  it('answers a second name by its own tag when a node publishes one', async () => {
    const tags = { 'ep.http': '10.0.0.1:80', 'ep.metrics': '10.0.0.1:99' };
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', members: [{ name: 'n1', tags }] })));
    const found = (await connected(node, (client) => client.endpoints({ filter: 'ep.metrics' }))).endpoints;
    assert.deepEqual(
      found.map((one) => [one.address, one.aliasOf]),
      [['10.0.0.1:99', '']],
    );
    await node.server.close();
  });

  it('gives the whole shard map, or its owners alone', async () => {
    await connected(cluster.leader, async (client) => {
      const { map } = await client.shardMap();
      assert.equal(map?.ownerOf.length, 100);
      assert.equal(map.owners[map.ownerOf[4] as number]?.nodeId, 'n2');
      assert.equal(map.epochs[4], 41);
      assert.deepEqual(
        map.owners.map((owner) => owner.shardCount),
        [34, 33, 33],
      );
      const short = (await client.shardMap({ ownersOnly: true })).map;
      assert.deepEqual([short?.ownerOf.length, short?.owners.length], [0, 3]);
    });
  });

  it('carries a map of a hundred thousand shards with epochs beyond 32 bits', async () => {
    const view = fakeView({ id: 'n1', leader: 'n1', shardCount: 100_000 });
    const map = fakeShardMap(['n1', 'n2'], 100_000, 2 ** 40);
    const node = await serve(new FakeNodeHandle({ ...view, shardMap: map }));
    const answer = await connected(node, (client) => client.shardMap());
    assert.equal(answer.map?.ownerOf.length, 100_000);
    assert.equal(answer.map.epochs[99_999], 2 ** 40 + 1);
    await node.server.close();
  });
});

describe('funk.v1.Node: Owns', () => {
  it('O-1: is answered by the lease at that instant, with the fencing token', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' })));
    await connected(node, async (client) => {
      assert.deepEqual(await client.owns(3), { nodeId: 'n1', owned: true, epoch: 41, valid: true });
      assert.deepEqual(await client.owns(4), { nodeId: 'n1', owned: false, epoch: 0, valid: true });
      node.handle.change({ holdsLease: false });
      assert.deepEqual(await client.owns(3), { nodeId: 'n1', owned: false, epoch: 0, valid: false });
      await assert.rejects(client.owns(100), refusedAs('FUNK_INVALID_REQUEST', 'INVALID_ARGUMENT'));
      node.handle.change({ shardMap: undefined });
      assert.deepEqual(await client.owns(100), { nodeId: 'n1', owned: false, epoch: 0, valid: false });
    });
    await node.server.close();
  });
});

describe('funk.v1.Node: changes', () => {
  it('adds, removes and steps down wherever it is asked, and says who did it', async () => {
    for (const pick of ['leader', 'follower'] as const) {
      const joiner = { name: 'n4', raft: '', tags: { 'ep.raft': '10.0.0.4:7947' } } as const;
      await using cluster = await clusterOfTwo([{ name: 'n3', status: 'failed' }, joiner]);
      await connected(cluster[pick], async (client) => {
        assert.equal(await client.addNode('n4'), 'n1');
        assert.equal(await client.removeNode('n3'), 'n1');
        assert.deepEqual(await client.stepDown(), { formerLeaderId: 'n1', leaderId: 'n2' });
      });
      const done = cluster.leader.handle.calls.map((call) => [call.name, call.argument]);
      assert.deepEqual(done, [
        ['addNode', 'n4'],
        ['removeNode', 'n3'],
        ['stepDown', undefined],
      ]);
    }
  });

  it('works in any state in which somebody leads: that is when dead nodes must go', async () => {
    await using cluster = await clusterOfTwo();
    for (const node of [cluster.leader, cluster.follower]) node.handle.enter('Resharding');
    assert.equal(await connected(cluster.follower, (client) => client.removeNode('n3')), 'n1');
  });

  it('refuses with a status and the stable code, through the follower as well', async () => {
    await using cluster = await clusterOfTwo();
    for (const node of [cluster.leader, cluster.follower]) {
      await connected(node, async (client) => {
        await assert.rejects(client.addNode('n2'), refusedAs('FUNK_ALREADY_MEMBER', 'ALREADY_EXISTS'));
        await assert.rejects(client.addNode('nobody'), refusedAs('FUNK_UNKNOWN_NODE', 'NOT_FOUND'));
        await assert.rejects(client.removeNode(''), refusedAs('FUNK_INVALID_REQUEST', 'INVALID_ARGUMENT'));
        cluster.leader.handle.answers.stepDown = () => Promise.reject(new RefusedError('nobody to hand over to'));
        await assert.rejects(client.stepDown(), refusedAs('FUNK_REFUSED', 'FAILED_PRECONDITION'));
      });
    }
    cluster.follower.handle.change({ leader: undefined });
    await connected(cluster.follower, (client) =>
      assert.rejects(client.stepDown(), refusedAs('FUNK_NOT_LEADER', 'FAILED_PRECONDITION')),
    );
  });

  it('says that the outcome is unknown when the leader does', async () => {
    await using cluster = await clusterOfTwo();
    cluster.leader.handle.answers.removeNode = () => Promise.reject(new OutcomeUnknownError('lost the leadership'));
    for (const node of [cluster.leader, cluster.follower]) {
      await connected(node, (client) =>
        assert.rejects(
          client.removeNode('n3'),
          (error) => error instanceof TimedOutError && error.message === 'lost the leadership',
        ),
      );
    }
  });

  it('tells the leader when the caller hangs up, so that it need not go on', async () => {
    await using cluster = await clusterOfTwo();
    let seen: AbortSignal | undefined;
    cluster.leader.handle.answers.addNode = (_node, options) => {
      seen = options?.signal;
      return new Promise(() => undefined);
    };
    const aborter = new AbortController();
    const client = await connectManagement(cluster.follower.address);
    const call = client.addNode('n9', { signal: aborter.signal });
    while (seen === undefined) await new Promise((resolve) => setImmediate(resolve));
    const told = new Promise((resolve) => seen?.addEventListener('abort', resolve));
    aborter.abort(new Error('changed my mind'));
    await assert.rejects(call, { message: 'changed my mind' });
    await told;
    client.close();
  });

  it('joins addresses with and without a port, and refuses what is none', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1' })));
    await connected(node, async (client) => {
      assert.equal(await client.join(['10.1.2.3:70', 'host.example', '[fe80::1]:9']), 3);
      assert.deepEqual(node.handle.calls[0]?.argument, [
        { host: '10.1.2.3', port: 70 },
        { host: 'host.example', port: 7946 },
        { host: 'fe80::1', port: 9 },
      ]);
      for (const bad of [[], ['a b'], ['x:99999'], ['x:0'], new Array(65).fill('x')]) {
        await assert.rejects(client.join(bad), refusedAs('FUNK_INVALID_REQUEST', 'INVALID_ARGUMENT'));
      }
      node.handle.answers.join = () => Promise.reject(new JoinFailedError('nobody answered'));
      await assert.rejects(client.join(['x']), refusedAs('FUNK_JOIN_FAILED', 'UNAVAILABLE'));
    });
    await node.server.close();
  });
});

describe('funk.v1.Node: Watch', () => {
  /** Takes the next change that `wanted` holds for. */
  async function next(changes: AsyncIterator<WatchChange>, wanted: WatchChange['kind']): Promise<WatchChange> {
    for (;;) {
      const { value, done } = await changes.next();
      assert(done !== true && value !== undefined, `the watch ended before ${wanted}`);
      if (value.kind === wanted) return value;
    }
  }

  async function watching(
    work: (changes: AsyncIterator<WatchChange>, node: ServedNode) => Promise<void>,
  ): Promise<void> {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' })));
    const client = await connectManagement(node.address);
    const aborter = new AbortController();
    const changes = client.watch({ signal: aborter.signal });
    try {
      await work(changes, node);
    } finally {
      aborter.abort(new Error('the test is over'));
      client.close();
      await node.server.close();
    }
    assert.equal(node.handle.listenerCount, 0);
  }

  it('begins with the whole picture', async () => {
    await watching(async (changes) => {
      const kinds: string[] = [];
      while (kinds.at(-1) !== 'synced') kinds.push((await changes.next()).value?.kind ?? 'ended');
      assert.deepEqual(kinds, ['status', 'members', 'shardMap', 'synced']);
    });
  });

  it('then tells each change of status, member and map, and what no view shows', async () => {
    await watching(async (changes, { handle }) => {
      await next(changes, 'synced');
      handle.enter('Resharding');
      const status = await next(changes, 'status');
      assert(status.kind === 'status' && status.status.state === 'Resharding');
      const failed = fakeMember({ name: 'n3', status: 'failed' }, 3);
      handle.change({ members: [...handle.view().members.slice(0, 2), failed] });
      handle.emit({ kind: 'memberFailed', member: failed });
      const member = await next(changes, 'member');
      assert(member.kind === 'member' && member.member.serfState === 'failed' && member.member.name === 'n3');
      const map = fakeShardMap(['n1', 'n2'], 100, 50);
      handle.change({ shardMap: map });
      handle.emit({ kind: 'shardMapChanged', map });
      const change = await next(changes, 'shardMap');
      assert(change.kind === 'shardMap' && change.shardMap.version === 50 && change.shardMap.ownerOf.length === 100);
      handle.change({
        members: handle.view().members.slice(0, 2),
        configuration: { ...handle.view().configuration, voters: [] },
      });
      handle.emit({ kind: 'warning', text: 'a clock stepped' });
      const gone = await next(changes, 'memberRemoved');
      assert(gone.kind === 'memberRemoved' && gone.name === 'n3');
      const notice = await next(changes, 'notice');
      assert(notice.kind === 'notice');
      assert.deepEqual(notice.notice, { kind: 'warning', text: 'a clock stepped' });
    });
  });

  it('is silent about what changes nothing to see', async () => {
    await watching(async (changes, { handle }) => {
      await next(changes, 'synced');
      handle.change({ commitIndex: 99 as LogIndex, appliedIndex: 99 as LogIndex });
      handle.emit({ kind: 'leaseGained' });
      handle.monotonicMs += 5_000;
      handle.emit({ kind: 'dropped', where: 'udp', reason: 'garbled' });
      handle.enter('Draining');
      const first = (await changes.next()).value;
      assert(first?.kind === 'status' && first.status.state === 'Draining');
    });
  });

  it('tells of a change that came without an event', async () => {
    await watching(async (changes, { handle }) => {
      await next(changes, 'synced');
      handle.change({ holdsLease: false });
      const status = await next(changes, 'status');
      assert(status.kind === 'status' && !status.status.holdsLease);
    });
  });

  it('ends with the node, after its last words', async () => {
    await watching(async (changes, { handle }) => {
      await next(changes, 'synced');
      handle.emit({ kind: 'stopped', reason: 'the disk failed', exitCode: 74 });
      const notice = await next(changes, 'notice');
      assert(notice.kind === 'notice' && notice.notice.text === 'the disk failed');
      await assert.rejects(changes.next(), UnreachableError);
    });
  });

  it('lets go of everything when the loop is left', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1' })));
    const client = await connectManagement(node.address);
    for await (const change of client.watch()) if (change.kind === 'synced') break;
    while (node.server.stats().streams > 0) await new Promise((resolve) => setImmediate(resolve));
    // The health service and the history of maps still listen, the watcher does not.
    assert.equal(node.handle.listenerCount, 2);
    client.close();
    await node.server.close();
  });

  /**
   * A watcher that reads nothing while the map changes 38 times. By bare HTTP/2, since a gRPC client would hoard for its reader;
   * `resume` reads on and counts the maps that arrive.
   */
  async function stalled(
    stalledMsMax: number,
    work: (node: ServedNode, resume: () => { maps: number; newest: number }) => Promise<void>,
  ): Promise<void> {
    const map = (version: number): ShardMap => fakeShardMap(['n1', 'n2'], 50_000, version);
    const handle = new FakeNodeHandle({ ...fakeView({ id: 'n1', leader: 'n1' }), shardMap: map(1) });
    const node = await serve(handle, { watch: { stalledMsMax }, stopGraceMs: 10 });
    const session = connectHttp2(`http://${node.address}`);
    const headers = {
      ':method': 'POST',
      ':path': '/funk.v1.Node/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const stream = session.request(headers);
    stream.on('error', () => undefined);
    // An empty message: uncompressed, of length 0.
    stream.end(Buffer.alloc(5));
    try {
      while (node.server.stats().streams === 0) await new Promise((resolve) => setImmediate(resolve));
      for (let version = 2; version < 40; version++) {
        handle.change({ shardMap: map(version) });
        handle.emit({ kind: 'shardMapProposed', version: version as LogIndex });
        await new Promise((resolve) => setTimeout(resolve, 55));
      }
      await work(node, () => {
        const read = { maps: 0, newest: 0 };
        let rest: Buffer = Buffer.alloc(0);
        stream.on('data', (chunk: Buffer) => {
          rest = Buffer.concat([rest, chunk]);
          while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
            const message = loadProtos().node.Watch.responseDeserialize(rest.subarray(5, 5 + rest.readUInt32BE(1)));
            rest = rest.subarray(5 + rest.readUInt32BE(1));
            if (!message.shardMap) continue;
            read.maps += 1;
            read.newest = message.shardMap.version;
          }
        });
        return read;
      });
    } finally {
      session.destroy();
      await node.server.close();
    }
  }

  it('folds what a slow client has not read into the newest picture', async () => {
    await stalled(60_000, async (_node, resume) => {
      const read = resume();
      while (read.newest < 39) await new Promise((resolve) => setTimeout(resolve, 10));
      assert(read.maps < 30, `${read.maps} maps were kept for a client that did not read`);
    });
  });

  it('cuts a client that reads nothing for long', async () => {
    await stalled(200, async (node) => {
      while (node.server.stats().streams > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      const cut = node.server.stats().requests.find((row) => row.method.endsWith('/Watch'));
      assert.equal(cut?.code, 'RESOURCE_EXHAUSTED');
    });
  });
});

describe('the management client', () => {
  it('says at once that nobody answers', async () => {
    const free = createServer();
    const port: number = await new Promise((resolve) => {
      free.listen(0, '127.0.0.1', () => resolve((free.address() as { port: number }).port));
    });
    await new Promise((resolve) => free.close(resolve));
    await assert.rejects(connectManagement({ host: '127.0.0.1', port }), (error) => error instanceof UnreachableError);
    await assert.rejects(connectManagement('no port:'), (error) => error instanceof InvalidEndpointError);
  });

  it('gives up on a port where something else listens', async () => {
    const sockets: Socket[] = [];
    const mute = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    const port: number = await new Promise((resolve) => {
      mute.listen(0, '127.0.0.1', () => resolve((mute.address() as { port: number }).port));
    });
    const started = performance.now();
    await assert.rejects(connectManagement({ host: '127.0.0.1', port }, { connectTimeoutMs: 200 }), UnreachableError);
    assert(performance.now() - started < 2_000);
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  it('tells a call that takes too long from one that is refused', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1' })));
    node.handle.answers.drain = () => new Promise(() => undefined);
    const client = await connectManagement(node.address, { timeoutMs: 100 });
    await assert.rejects(client.drain(), (error) => error instanceof TimedOutError);
    const aborted = AbortSignal.abort(new Error('never mind'));
    await assert.rejects(client.status({ signal: aborted }), { message: 'never mind' });
    await assert.rejects(connectManagement(node.address, { signal: aborted }), { message: 'never mind' });
    client.close();
    await node.server.close();
  });

  it('says that the connection was lost when the node dies under a call', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1' })), { stopGraceMs: 1 });
    node.handle.answers.drain = () => new Promise(() => undefined);
    const client = await connectManagement(node.address);
    const call = client.drain();
    while (node.handle.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([node.server.close(), assert.rejects(call)]);
    await assert.rejects(client.status(), (error) => error instanceof UnreachableError);
    client.close();
  });
});
