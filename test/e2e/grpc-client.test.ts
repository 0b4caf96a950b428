/** A plain gRPC client that knows clusterfunk's description alone asks every call of real leaders and followers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Client, credentials, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTRACT } from '../management/clusterfunk-contract.ts';
import { until } from '../peers/peer.ts';
import { freshClusterName, type NodeProcess, Scratch, settled } from './node-process.ts';

interface Fault {
  readonly error_code: string;
  readonly message: string;
}

/** The fields of all answers; which of them are there depends on the call. */
interface Answer {
  readonly error: Fault | null;
  readonly node_id: string;
  readonly leader_id: string;
  readonly nodes: readonly {
    readonly node_id: string;
    readonly raft_state: string;
    readonly serf_state: string;
    readonly leader: boolean;
  }[];
  readonly shards: readonly { readonly node_id: string; readonly shard_count: number }[];
  readonly total_shards: number;
  readonly endpoints: readonly { readonly node_id: string; readonly name: string; readonly host_port: string }[];
  readonly local_node_id: string;
  readonly leader_node_id: string;
  readonly raft_node_count: number;
  readonly serf_node_count: number;
  readonly local_role: string;
  readonly local_state: string;
  readonly cluster_name: string;
  readonly shard_count: number;
  readonly created: string;
  readonly your_ip: string;
}

const PATIENCE_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'funknode-contract-'));
writeFileSync(join(folder, 'management.proto'), CONTRACT);
const loaded = loadSync('management.proto', {
  includeDirs: [folder],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});
const service = loaded['managepb.ClusterManagement'] as ServiceDefinition;
after(() => rmSync(folder, { recursive: true }));

async function ask(node: NodeProcess, rpc: string, request: object = {}): Promise<Answer> {
  const method = service[rpc];
  assert.ok(method !== undefined, rpc);
  const client = new Client(await node.endpoint('ep.clusterfunk.management'), credentials.createInsecure());
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      const deadline = Date.now() + 60_000;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, (error, answer) => {
        if (error === null) resolve(answer as Answer);
        else reject(error);
      });
    });
  } finally {
    client.close();
  }
}

/**
 * Asks and expects success: no error at all, since clusterfunk's tools take any for a failure. On a busy machine a lease may
 * lapse: who is not Operational is asked again.
 */
async function get(node: NodeProcess, rpc: string, request: object = {}): Promise<Answer> {
  for (const end = performance.now() + PATIENCE_MS; ; await sleep(100)) {
    const answer = await ask(node, rpc, request);
    const code = answer.error?.error_code;
    const isPassing = code === 'NO_LEADER' || (code === 'INVALID' && rpc === 'GetStatus');
    if (isPassing && performance.now() < end) continue;
    assert.equal(answer.error, null, `${rpc} of ${node.id}`);
    return answer;
  }
}

/** Does it again when leadership has changed meanwhile. */
async function underOneLeader(nodes: readonly NodeProcess[], work: (leader: string) => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { leader } = await settled(nodes, { voters: 3 });
    try {
      await work(leader);
      return;
    } catch (error) {
      const { leader: now } = await settled(nodes, { voters: 3 });
      if (now === leader || tries === 5) throw error;
    }
  }
}

/** Expects this refusal, with words to it; what is not Operational for a moment may say that first. */
async function isRefused(node: NodeProcess, rpc: string, code: string, request: object = {}): Promise<void> {
  await until(
    `${rpc} of ${node.id} is refused`,
    async () => {
      const { error } = await ask(node, rpc, request);
      return (error?.error_code === code && error.message !== '') || JSON.stringify(error);
    },
    PATIENCE_MS,
  );
}

function raftStates({ nodes }: Answer): string {
  return nodes.map(({ node_id, raft_state }) => `${node_id}:${raft_state}`).join(' ');
}

/** Any node may be asked; the answer names the leader that did it, then or now. */
async function steer(node: NodeProcess, rpc: string, request: object = {}): Promise<void> {
  const before = await get(node, 'GetStatus');
  const { node_id } = await get(node, rpc, request);
  const after = await get(node, 'GetStatus');
  assert.ok([before.leader_node_id, after.leader_node_id].includes(node_id), `${rpc}: ${node_id}`);
}

/** All that can be read of a node in a settled cluster of three. */
async function tellsAll(node: NodeProcess, leader: string, cluster: string): Promise<void> {
  const isLeader = node.id === leader;
  const status = await get(node, 'GetStatus');
  assert.deepEqual(
    [status.local_node_id, status.leader_node_id, status.local_role, status.local_state, status.cluster_name],
    [node.id, leader, isLeader ? 'Leader' : 'Follower', 'Operational', cluster],
  );
  assert.deepEqual([status.raft_node_count, status.serf_node_count, status.shard_count], [3, 3, 10_000]);
  assert.match(status.your_ip, /^127\.0\.0\.1:\d+$/);
  const ageMs = Date.now() - Number(BigInt(status.created) / 1_000_000n);
  assert.ok(ageMs > 0 && ageMs < 120_000, status.created);

  const list = await get(node, 'ListNodes');
  assert.deepEqual([list.node_id, list.leader_id], [node.id, leader]);
  assert.deepEqual(
    list.nodes.map((one) => [one.node_id, one.raft_state, one.serf_state, one.leader]).sort(),
    ['n1', 'n2', 'n3'].map((id) => [id, 'Voter', 'alive', id === leader]),
  );

  const shards = await get(node, 'ListShards');
  assert.equal(shards.node_id, node.id);
  assert.equal(shards.total_shards, 10_000);
  assert.deepEqual(shards.shards.map(({ shard_count }) => shard_count).sort(), [3_333, 3_333, 3_334]);

  const everything = await get(node, 'ListEndpoints');
  assert.ok(everything.endpoints.length >= 15, String(everything.endpoints.length));
  for (const name of ['liveness', 'ep.liveness']) {
    const { endpoints } = await get(node, 'FindEndpoint', { endpoint_name: name });
    assert.deepEqual(endpoints.map((endpoint) => `${endpoint.node_id} ${endpoint.name}`).sort(), [
      'n1 ep.liveness',
      'n2 ep.liveness',
      'n3 ep.liveness',
    ]);
    assert.ok(endpoints.every(({ host_port }) => /^127\.0\.0\.1:\d+$/.test(host_port)));
  }

  await isRefused(node, 'AddNode', 'INVALID', { node_id: 'n2' });
  await isRefused(node, 'AddNode', 'UNKNOWN_ID', { node_id: 'nobody' });
  await isRefused(node, 'RemoveNode', 'UNKNOWN_ID', { node_id: 'nobody' });
}

describe("a plain client of clusterfunk's management service", () => {
  it('reads and steers a cluster through its leader and through a follower', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess =>
      scratch.start({ id, cluster, args: ['--zeroconf', '--auto-join=false', '--tag', `zone=z-${id}`] });
    const nodes = [start('n1'), start('n2'), start('n3')];
    const { leader: founder } = await settled(nodes, { voters: 1 });
    const [lead, second, third] = [founder, ...['n1', 'n2', 'n3'].filter((id) => id !== founder)].map((id) =>
      nodes.find((node) => node.id === id),
    ) as [NodeProcess, NodeProcess, NodeProcess];

    // Votes are given by the operator alone here: one through the leader, one through a node that does not even vote.
    await steer(lead, 'AddNode', { node_id: second.id });
    await steer(third, 'AddNode', { node_id: third.id });
    await settled(nodes, { voters: 3 });
    await underOneLeader(nodes, async (leader) => {
      for (const node of nodes) await tellsAll(node, leader, cluster);
    });

    await steer(second, 'RemoveNode', { node_id: third.id });
    const without = await get(second, 'ListNodes');
    assert.match(raftStates(without), new RegExp(`${second.id}:Voter`));
    assert.doesNotMatch(raftStates(without), new RegExp(`${third.id}:Voter`));
    await steer(lead, 'AddNode', { node_id: third.id });
    await settled(nodes, { voters: 3 });

    for (const node of [lead, second]) {
      const { leader } = await settled(nodes, { voters: 3 });
      await steer(node, 'StepDown');
      await until('another leads', async () => (await settled(nodes)).leader !== leader || leader, PATIENCE_MS);
    }

    for (const node of [second, third]) {
      node.signal('SIGKILL');
      await node.ended;
    }
    await until(
      'no quorum',
      async () => {
        const { local_state } = await ask(lead, 'GetStatus');
        return local_state === 'Voting' || local_state;
      },
      60_000,
    );
    const voting = await get(lead, 'GetStatus');
    assert.deepEqual([voting.leader_node_id, voting.raft_node_count, voting.serf_node_count], ['', 0, 0]);
    for (const rpc of ['ListNodes', 'ListShards', 'StepDown']) await isRefused(lead, rpc, 'NO_LEADER');
    for (const rpc of ['AddNode', 'RemoveNode']) await isRefused(lead, rpc, 'NO_LEADER', { node_id: 'n2' });
    const { error } = await ask(lead, 'ListNodes');
    assert.equal(error?.message, 'Cluster is not in operational state');
  });
});
