/** Who bears a name: a node that is started again at once, and a second process that should never have been started. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freshClusterName, type NodeProcess, Scratch, settled } from './node-process.ts';

describe('the name of a node', () => {
  it('is given back to a non-voter that was killed and started again at once', async (t) => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const voters = ['n1', 'n2', 'n3'].map((id) => scratch.start({ id, cluster }));
    const words = { id: 'nv', cluster, dataDir: null, args: ['--zeroconf', '--role', 'non-voter'] };
    const before = scratch.start(words);
    await settled([...voters, before], { voters: 3 });
    before.signal('SIGKILL');
    await before.ended;
    const startedAt = performance.now();
    const after = scratch.start(words);
    await settled([...voters, after], { voters: 3 });
    t.diagnostic(`started again to all settled: ${Math.round(performance.now() - startedAt)} ms`);
  });

  it('is kept by the node that has it: a second process under it stops with 78, and says why', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const three = ['n1', 'n2', 'n3'].map((id) => scratch.start({ id, cluster }));
    const before = await settled(three, { voters: 3 });
    const peer = await (three[0] as NodeProcess).endpoint('ep.serf');
    const second = scratch.start({
      id: 'n2',
      cluster,
      dataDir: join(scratch.folder, 'second'),
      args: ['--join', peer],
    });
    assert.deepEqual(await second.ended, { code: 78, signal: null }, second.output);
    assert.match(
      second.output,
      /another process bears the name n2 at .* hold it for the bearer: give this node another --node-id/,
    );
    const after = await settled(three, { voters: 3 });
    assert.deepEqual([after.clusterId, after.leader], [before.clusterId, before.leader]);
    for (const node of three) assert.ok(node.isRunning);
  });
});
