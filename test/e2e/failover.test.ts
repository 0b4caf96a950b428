/** Deaths of real processes: the others go on, and the dead one comes back as itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { distribution, freshClusterName, IS_LONG, type NodeProcess, Scratch, settled } from './node-process.ts';

const ROUNDS = IS_LONG ? 10 : 3;

describe('a cluster of three processes', () => {
  it('has a new leader and a committed map after each kill of the leader, and takes the killed one back', async (t) => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const nodes = new Map<string, NodeProcess>();
    for (const id of ['n1', 'n2', 'n3']) nodes.set(id, scratch.start({ id, cluster }));
    const first = await settled([...nodes.values()]);
    const took: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = await settled([...nodes.values()], { voters: 3 });
      const leader = nodes.get(before.leader) as NodeProcess;
      const survivors = [...nodes.values()].filter((node) => node !== leader);
      const killedAt = performance.now();
      const marks = survivors.map((node) => node.lines.length);
      leader.signal('SIGKILL');
      const lines = await Promise.all(
        survivors.map((node, i) => node.operationalUnder({ owners: survivors.length, from: marks[i] as number })),
      );
      took.push(Math.max(...lines.map((line) => line.at)) - killedAt);
      const after = await settled(survivors);
      assert.notEqual(after.leader, before.leader);
      await leader.ended;
      nodes.set(leader.id, scratch.start({ id: leader.id, cluster }));
    }
    const last = await settled([...nodes.values()]);
    assert.equal(last.clusterId, first.clusterId);
    assert.deepEqual(Object.values(last.shares).sort(), [3333, 3333, 3334]);
    t.diagnostic(`leader killed to Operational on both survivors: ${distribution(took)}`);
  });
});
