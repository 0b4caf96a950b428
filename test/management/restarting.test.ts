/** funk.v1.Node: drains and restart permits, asked of any node. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CallRefusedError, connectManagement, type ManagementClient } from '../../src/client.ts';
import { RefusedError } from '../../src/runtime/handle-errors.ts';
import { clusterOfTwo, type ServedNode } from './cluster-of-two.ts';

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

describe('funk.v1.Node: Drain and Undrain', () => {
  it('drain the node that is asked, never another, unless it is named', async () => {
    await using cluster = await clusterOfTwo();
    const { leader, follower } = cluster;
    assert.equal(await connected(follower, (client) => client.drain()), 'n2');
    assert.equal(follower.handle.view().state, 'Draining');
    assert.equal(leader.handle.view().state, 'Operational');
    assert.equal(await connected(follower, (client) => client.drain({ node: 'n1' })), 'n1');
    assert.equal(leader.handle.view().state, 'Draining');
    assert.equal(await connected(leader, (client) => client.undrain({ node: 'n2' })), 'n2');
    assert.equal(await connected(leader, (client) => client.undrain()), 'n1');
    assert.deepEqual([leader.handle.view().state, follower.handle.view().state], ['Operational', 'Operational']);
  });

  it('say whom they cannot reach, and pass on what the other says', async () => {
    await using cluster = await clusterOfTwo([
      { name: 'n3', status: 'alive' },
      { name: 'n4', management: { host: '127.0.0.1', port: 9 } },
    ]);
    const { leader, follower } = cluster;
    await connected(leader, async (client) => {
      await assert.rejects(client.drain({ node: 'nobody' }), refusedAs('FUNK_UNKNOWN_NODE', 'NOT_FOUND'));
      await assert.rejects(client.drain({ node: 'no/name' }), refusedAs('FUNK_INVALID_REQUEST', 'INVALID_ARGUMENT'));
      await assert.rejects(client.drain({ node: 'n3' }), refusedAs('FUNK_NODE_UNREACHABLE', 'UNAVAILABLE'));
      await assert.rejects(client.drain({ node: 'n4' }), refusedAs('FUNK_NODE_UNREACHABLE', 'UNAVAILABLE'));
      follower.handle.answers.drain = () => Promise.reject(new RefusedError('nobody takes the shards'));
      await assert.rejects(client.drain({ node: 'n2' }), refusedAs('FUNK_REFUSED', 'FAILED_PRECONDITION'));
    });
  });
});

describe('funk.v1.Node: the restart permit', () => {
  it('is the leader’s to give, for the node that was asked unless another is named', async () => {
    await using cluster = await clusterOfTwo();
    const { leader, follower } = cluster;
    const taken = await connected(follower, (client) => client.takeRestartPermit());
    assert.deepEqual({ ...taken }, { leaderId: 'n1', holder: 'n2', nodeId: 'n2' });
    const permit = { holder: 'n2', node: 'n2', leaseMs: 300_000 };
    assert.deepEqual(leader.handle.calls.at(-1), { name: 'takeRestartPermit', argument: { ...permit, nodeId: 'n2' } });
    const { status } = await connected(leader, (client) => client.status());
    assert.deepEqual([status.restartPermit?.holder, status.restartPermit?.nodeId], ['n2', 'n2']);
    await connected(follower, async (client) => {
      const another = client.takeRestartPermit({ holder: 'me', node: 'n1', leaseMs: 5_000 });
      await assert.rejects(another, refusedAs('FUNK_REFUSED', 'FAILED_PRECONDITION'));
      await assert.rejects(client.giveRestartPermit('me'), refusedAs('FUNK_REFUSED', 'FAILED_PRECONDITION'));
      assert.equal(await client.giveRestartPermit(), 'n1');
      assert.equal((await client.status()).status.restartPermit, null);
    });
  });
});
