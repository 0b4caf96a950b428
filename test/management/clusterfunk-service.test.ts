/** clusterfunk's services, asked by a client that was built from their description alone: no file of `proto/` is read here. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client, credentials, Metadata, type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { NotLeaderError, RefusedError } from '../../src/runtime/handle-errors.ts';
import { FakeNodeHandle, fakeMemberId, fakeView } from '../fake-node-handle.ts';
import { CONTRACT } from './clusterfunk-contract.ts';
import { type ClusterOfTwo, clusterOfTwo, serve, type ServedNode } from './cluster-of-two.ts';

const LEADER_CONTRACT = `
syntax = "proto3";
package clusterpb;
message ConfirmShardMapRequest { int64 log_index = 1; string node_id = 2; }
message ConfirmShardMapResponse { bool success = 1; int64 current_index = 2; }
service ClusterLeaderService { rpc ConfirmShardMap(ConfirmShardMapRequest) returns (ConfirmShardMapResponse); }`;

type Answer = Record<string, unknown>;

const folder = mkdtempSync(join(tmpdir(), 'funk-contract-'));
writeFileSync(join(folder, 'm.proto'), CONTRACT);
writeFileSync(join(folder, 'l.proto'), LEADER_CONTRACT);
const loaded = loadSync(['m.proto', 'l.proto'], {
  includeDirs: [folder],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});
const management = loaded['managepb.ClusterManagement'] as ServiceDefinition;
const leaderService = loaded['clusterpb.ClusterLeaderService'] as ServiceDefinition;
after(() => rmSync(folder, { recursive: true }));

/** One call over a connection of its own. */
function ask(to: ServedNode, rpc: string, request: object = {}, service = management): Promise<Answer> {
  return send<Answer>(to, rpc, request, {
    service,
    read: service[rpc]?.responseDeserialize as (bytes: Buffer) => Answer,
  });
}

function send<T>(
  to: ServedNode,
  rpc: string,
  request: object,
  {
    service = management,
    read,
    metadata = new Metadata(),
  }: { service?: ServiceDefinition; read: (bytes: Buffer) => T; metadata?: Metadata },
): Promise<T> {
  const method = service[rpc];
  assert(method !== undefined);
  const client = new Client(to.address, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
  return new Promise<T>((resolve, reject) => {
    const deadline = new Date(Date.now() + 5_000);
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      read,
      request,
      metadata,
      { deadline },
      (error, answer) => {
        client.close();
        if (error) reject(error);
        else resolve(answer as T);
      },
    );
  });
}

function codeOf(answer: Answer): string | undefined {
  const error = answer['error'] as { error_code: string } | null;
  return error?.error_code;
}

/** Numbers of the fields at the top of a message. */
function fieldNumbers(bytes: Buffer): number[] {
  const numbers: number[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    numbers.push(Math.floor(tag / 8));
    const value = varint();
    if (tag % 8 === 2) at += value;
  }
  return numbers;
}

describe('managepb.ClusterManagement', () => {
  let cluster: ClusterOfTwo;
  const both = (): ServedNode[] => [cluster.leader, cluster.follower];
  before(async () => {
    cluster = await clusterOfTwo();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('tells the status on leader and follower, with the caller’s own address', async () => {
    for (const node of both()) {
      const answer = await ask(node, 'GetStatus');
      const isLeader = node === cluster.leader;
      assert.match(String(answer['your_ip']), /^127\.0\.0\.1:\d+$/);
      assert.deepEqual(
        { ...answer, your_ip: '' },
        {
          local_node_id: isLeader ? 'n1' : 'n2',
          leader_node_id: 'n1',
          raft_node_count: 3,
          serf_node_count: 2,
          local_role: isLeader ? 'Leader' : 'Follower',
          local_state: 'Operational',
          cluster_name: 'demo',
          shard_count: 100,
          shard_weight: 100,
          error: null,
          created: '1700000000000000000',
          your_ip: '',
        },
      );
    }
  });

  it('fetches the counts from the leader, who may know better', async () => {
    await using other = await clusterOfTwo();
    other.follower.handle.change({
      members: [],
      configuration: { ...other.leader.handle.view().configuration, voters: [] },
    });
    other.follower.handle.change({ members: other.leader.handle.view().members.slice(0, 1) });
    const answer = await ask(other.follower, 'GetStatus');
    assert.equal(answer['raft_node_count'], 3);
    assert.equal(answer['serf_node_count'], 2);
    assert.equal(other.follower.server.stats().forwarded, 1);
  });

  it('tells what it knows itself when the leader is silent', async () => {
    await using other = await clusterOfTwo();
    await other.leader.server.close();
    const answer = await ask(other.follower, 'GetStatus');
    assert.equal(answer['raft_node_count'], 3);
    assert.equal(answer['leader_node_id'], 'n1');
    assert.equal(answer['error'], null);
  });

  it('lists the nodes of gossip and Raft, in the name of the one asked', async () => {
    for (const node of both()) {
      const answer = await ask(node, 'ListNodes');
      assert.equal(answer['node_id'], node === cluster.leader ? 'n1' : 'n2');
      assert.equal(answer['leader_id'], 'n1');
      assert.equal(answer['error'], null);
      assert.deepEqual(answer['nodes'], [
        { node_id: 'n1', raft_state: 'Voter', serf_state: 'alive', leader: true },
        { node_id: 'n2', raft_state: 'Voter', serf_state: 'alive', leader: false },
        { node_id: 'n3', raft_state: 'Voter', serf_state: 'failed', leader: false },
      ]);
    }
  });

  it('lists learners as Staging, and voters that gossip has forgotten', async () => {
    await using other = await clusterOfTwo([{ name: 'n3', raft: 'Staging' }]);
    const { configuration } = other.leader.handle.view();
    other.leader.handle.change({
      configuration: { ...configuration, voters: [...configuration.voters, fakeMemberId('gone')] },
    });
    const nodes = (await ask(other.follower, 'ListNodes'))['nodes'] as Answer[];
    assert.deepEqual(
      nodes.map((node) => [node['node_id'], node['raft_state'], node['serf_state']]),
      [
        ['gone', 'Voter', ''],
        ['n1', 'Voter', 'alive'],
        ['n2', 'Voter', 'alive'],
        ['n3', 'Staging', 'alive'],
      ],
    );
  });

  it('lists shards from the map of the one asked, weights included', async () => {
    for (const node of both()) {
      const answer = await ask(node, 'ListShards');
      assert.equal(answer['node_id'], node === cluster.leader ? 'n1' : 'n2');
      assert.equal(answer['total_shards'], 100);
      assert.equal(answer['total_weight'], 100);
      assert.deepEqual(answer['shards'], [
        { node_id: 'n1', shard_count: 34, shard_weight: 34 },
        { node_id: 'n2', shard_count: 33, shard_weight: 33 },
        { node_id: 'n3', shard_count: 33, shard_weight: 33 },
      ]);
    }
  });

  it('lists the endpoints of alive members, and finds them by a fragment with or without ep.', async () => {
    for (const node of both()) {
      const all = (await ask(node, 'ListEndpoints'))['endpoints'] as Answer[];
      assert.deepEqual([...new Set(all.map((one) => one['node_id']))], ['n1', 'n2']);
      for (const name of ['raft', 'ep.raft', 'ra']) {
        const found = (await ask(node, 'FindEndpoint', { endpoint_name: name }))['endpoints'];
        assert.deepEqual(found, [
          { node_id: 'n1', name: 'ep.raft', host_port: '10.0.0.1:7947' },
          { node_id: 'n2', name: 'ep.raft', host_port: '10.0.0.2:7947' },
        ]);
      }
      const none = await ask(node, 'FindEndpoint', { endpoint_name: 'nosuch' });
      assert.deepEqual([none['endpoints'], none['error']], [[], null]);
    }
  });

  it('answers the older name of the management endpoint from the newer one', async () => {
    const found = (await ask(cluster.leader, 'FindEndpoint', { endpoint_name: 'ep.management' }))[
      'endpoints'
    ] as Answer[];
    assert.deepEqual(
      found.map((one) => one['host_port']),
      [cluster.leader.address, cluster.follower.address],
    );
  });

  it('adds a node wherever it is asked, in the leader’s name', async () => {
    for (const pick of ['leader', 'follower'] as const) {
      await using other = await clusterOfTwo([{ name: 'n4', raft: '', tags: { 'ep.raft': '10.0.0.4:7947' } }]);
      const answer = await ask(other[pick], 'AddNode', { node_id: 'n4' });
      assert.deepEqual(answer, { node_id: 'n1', error: null });
      assert.deepEqual(other.leader.handle.calls, [{ name: 'addNode', argument: 'n4' }]);
      assert.deepEqual(other.follower.handle.calls, []);
    }
  });

  it('refuses to add a member (INVALID), a node without ep.raft and a stranger (UNKNOWN_ID)', async () => {
    await using other = await clusterOfTwo([{ name: 'plain', raft: '' }]);
    for (const node of [other.leader, other.follower]) {
      const member = await ask(node, 'AddNode', { node_id: 'n2' });
      assert.deepEqual([member['node_id'], codeOf(member)], ['n1', 'INVALID']);
      assert.equal(codeOf(await ask(node, 'AddNode', { node_id: 'plain' })), 'UNKNOWN_ID');
      assert.equal(codeOf(await ask(node, 'AddNode', { node_id: 'stranger' })), 'UNKNOWN_ID');
      assert.equal(codeOf(await ask(node, 'AddNode', {})), 'INVALID');
      assert.equal(codeOf(await ask(node, 'AddNode', { node_id: 'a b' })), 'INVALID');
    }
  });

  it('removes a node that gossip has forgotten; an unknown one is UNKNOWN_ID', async () => {
    await using other = await clusterOfTwo();
    const { configuration } = other.leader.handle.view();
    other.leader.handle.change({
      configuration: { ...configuration, voters: [...configuration.voters, fakeMemberId('gone')] },
    });
    const removed = await ask(other.follower, 'RemoveNode', { node_id: 'gone' });
    assert.deepEqual(removed, { node_id: 'n1', error: null });
    const again = await ask(other.follower, 'RemoveNode', { node_id: 'gone' });
    assert.deepEqual([again['node_id'], codeOf(again)], ['n1', 'UNKNOWN_ID']);
  });

  it('makes the leader step down wherever it is asked, in the name of the one that led', async () => {
    for (const pick of ['leader', 'follower'] as const) {
      await using other = await clusterOfTwo();
      assert.deepEqual(await ask(other[pick], 'StepDown'), { node_id: 'n1', error: null });
      assert.equal(other.leader.handle.view().role, 'Follower');
    }
  });

  it('carries a refusal of the leader back through the follower', async () => {
    await using other = await clusterOfTwo();
    other.leader.handle.answers.stepDown = () => Promise.reject(new RefusedError('no voter has caught up'));
    const answer = await ask(other.follower, 'StepDown');
    assert.deepEqual(answer, { node_id: 'n1', error: { error_code: 'GENERIC', message: 'no voter has caught up' } });
  });

  it('has no Error on the wire when a call succeeds, and one when it does not', async () => {
    const raw = (rpc: string, request: object = {}): Promise<number[]> =>
      send(cluster.follower, rpc, request, { read: (bytes) => fieldNumbers(bytes) });
    assert(!(await raw('GetStatus')).includes(10));
    assert(!(await raw('ListNodes')).includes(4));
    for (const rpc of ['ListShards', 'ListEndpoints', 'FindEndpoint', 'RemoveNode']) {
      assert(!(await raw(rpc, { node_id: 'n3' })).includes(2), rpc);
    }
    assert((await raw('AddNode', { node_id: 'n1' })).includes(2));
  });
});

describe('managepb.ClusterManagement outside of Operational', () => {
  it('refuses all but status and endpoints with NO_LEADER', async () => {
    for (const state of ['Joining', 'Voting', 'Resharding', 'Draining', 'Stopping'] as const) {
      const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1', state })));
      for (const rpc of ['ListNodes', 'AddNode', 'RemoveNode', 'ListShards', 'StepDown']) {
        const answer = await ask(node, rpc, { node_id: 'n2' });
        assert.deepEqual(answer['error'], {
          error_code: 'NO_LEADER',
          message: 'Cluster is not in operational state',
        });
        assert.equal(answer['node_id'], 'n1');
      }
      assert.equal(codeOf(await ask(node, 'ListEndpoints')), undefined);
      assert.deepEqual(node.handle.calls, []);
      await node.server.close();
    }
  });

  it('answers GetStatus with INVALID until it takes part and after', async () => {
    for (const state of ['Invalid', 'Joining', 'Starting', 'Stopping'] as const) {
      const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', state })));
      const answer = await ask(node, 'GetStatus');
      assert.equal(codeOf(answer), 'INVALID');
      assert.equal(answer['local_state'], state);
      await node.server.close();
    }
  });

  it('names no leader and counts nothing while Voting', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1', state: 'Voting' })));
    const answer = await ask(node, 'GetStatus');
    assert.equal(answer['error'], null);
    assert.equal(answer['leader_node_id'], '');
    for (const count of ['raft_node_count', 'serf_node_count', 'shard_count']) assert.equal(answer[count], 0);
    await node.server.close();
  });
});

describe('forwarding to the leader', () => {
  it('never forwards what was forwarded already', async () => {
    await using cluster = await clusterOfTwo();
    const metadata = new Metadata();
    for (const hops of ['1', '7', 'x']) {
      metadata.set('funk-hops', hops);
      const read = management['StepDown']?.responseDeserialize as (bytes: Buffer) => Answer;
      const answer = await send(cluster.follower, 'StepDown', {}, { read, metadata });
      assert.equal(codeOf(answer), 'NO_LEADER');
    }
    assert.deepEqual(cluster.leader.handle.calls, []);
  });

  it('ends in NO_LEADER when two nodes take each other for the leader', async () => {
    await using cluster = await clusterOfTwo();
    cluster.leader.handle.change({ role: 'Follower', leader: cluster.follower.handle.view().id });
    assert.equal(codeOf(await ask(cluster.follower, 'AddNode', { node_id: 'n3' })), 'NO_LEADER');
  });

  it('follows the hint of a leader that was deposed on the way in', async () => {
    await using cluster = await clusterOfTwo();
    const { follower, leader } = cluster;
    follower.handle.change({ role: 'Leader' });
    follower.handle.answers.removeNode = () => Promise.reject(new NotLeaderError(leader.handle.view().id));
    assert.deepEqual(await ask(follower, 'RemoveNode', { node_id: 'n3' }), { node_id: 'n1', error: null });
  });

  it('says NO_LEADER, with the reason, when the leader publishes no endpoint or is silent', async () => {
    await using cluster = await clusterOfTwo();
    await cluster.leader.server.close();
    const silent = await ask(cluster.follower, 'StepDown');
    assert.equal(codeOf(silent), 'NO_LEADER');
    assert.match(String((silent['error'] as Answer)['message']), /n1.*does not answer/);
    cluster.follower.handle.change(fakeView({ id: 'n2', leader: 'n1' }));
    const unpublished = await ask(cluster.follower, 'StepDown');
    assert.equal(codeOf(unpublished), 'NO_LEADER');
    assert.match(String((unpublished['error'] as Answer)['message']), /no management endpoint/);
  });

  it('finds the new leader after a change', async () => {
    await using cluster = await clusterOfTwo();
    const { leader, follower } = cluster;
    await ask(follower, 'GetStatus');
    const third = await serve(new FakeNodeHandle(fakeView({ id: 'n3', leader: 'n3' })));
    const members = [
      { name: 'n1', management: leader.server.endpoint },
      { name: 'n2', management: follower.server.endpoint },
      { name: 'n3', management: third.server.endpoint },
    ];
    third.handle.change(fakeView({ id: 'n3', leader: 'n3', members }));
    const view = fakeView({ id: 'n2', leader: 'n3', members });
    follower.handle.change(view);
    follower.handle.emit({ kind: 'leaderChanged', leader: view.id, term: view.term });
    assert.deepEqual(await ask(follower, 'RemoveNode', { node_id: 'n1' }), { node_id: 'n3', error: null });
    assert.deepEqual(leader.handle.calls, []);
    await third.server.close();
  });

  it('counts requests by method and code, and what it forwarded', async () => {
    await using cluster = await clusterOfTwo();
    await ask(cluster.follower, 'AddNode', { node_id: 'n1' });
    await ask(cluster.follower, 'ListShards');
    assert.deepEqual(cluster.follower.server.stats().requests, [
      { method: 'managepb.ClusterManagement/AddNode', code: 'INVALID', count: 1 },
      { method: 'managepb.ClusterManagement/ListShards', code: 'OK', count: 1 },
    ]);
    assert.equal(cluster.follower.server.stats().forwarded, 1);
    assert.equal(cluster.leader.server.stats().forwarded, 0);
  });
});

describe('clusterpb.ClusterLeaderService', () => {
  const confirm = (node: ServedNode, index: number): Promise<Answer> =>
    ask(node, 'ConfirmShardMap', { log_index: index, node_id: 'n2' }, leaderService);

  it('takes the acknowledgement of the map that is proposed, and tells its index for any other', async () => {
    await using cluster = await clusterOfTwo();
    cluster.leader.handle.change({ pendingVersion: cluster.leader.handle.view().commitIndex });
    assert.deepEqual(await confirm(cluster.leader, 42), { success: true, current_index: '42' });
    assert.deepEqual(await confirm(cluster.leader, 41), { success: false, current_index: '42' });
  });

  it('fails when the node does not lead, and when no map is proposed', async () => {
    await using cluster = await clusterOfTwo();
    const refused = (words: string) => (error: ServiceError) =>
      error.details === words && error.code === status.FAILED_PRECONDITION;
    await assert.rejects(confirm(cluster.follower, 42), refused('not a leader'));
    await assert.rejects(confirm(cluster.leader, 42), refused('not in resharding mode'));
  });
});
