/** What is asked of a cluster that is well and stays so: each case leaves it as the next one needs it, of three voters, and then of a non-voter too. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { obeysEveryVerb } from './funkctl-verbs.ts';
import { isBorne } from './garbage.ts';
import { freshClusterName, type NodeProcess, Scratch, settled } from './node-process.ts';
import { scrapes } from './prometheus.ts';

describe('a settled cluster', () => {
  const cluster = freshClusterName();
  let scratch: Scratch;
  let voters: readonly NodeProcess[];
  let nonVoter: NodeProcess;

  const startNonVoter = (): NodeProcess =>
    scratch.start({ id: 'nv', cluster, dataDir: null, args: ['--zeroconf', '--role', 'non-voter'] });

  before(async () => {
    scratch = new Scratch();
    voters = ['n1', 'n2', 'n3'].map((id) => scratch.start({ id, cluster, args: ['--zeroconf'] }));
    await settled(voters, { voters: 3 });
  });

  after(() => scratch[Symbol.asyncDispose]());

  it('is found by Prometheus through /sd of one, and scraped', (t) => scrapes(t, cluster, voters));

  it('keeps a name for the node that has it: a second process under it stops with 78, and says why', async () => {
    const old = await settled(voters, { voters: 3 });
    const peer = await (voters[0] as NodeProcess).endpoint('ep.serf');
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
    const { clusterId, leader } = await settled(voters, { voters: 3 });
    assert.deepEqual([clusterId, leader], [old.clusterId, old.leader]);
    for (const node of voters) assert.ok(node.isRunning);
  });

  it('bears garbage on every port: it is counted, told with restraint, and changes nothing', (t) => isBorne(t, voters));

  it('gives its name back to a non-voter that was killed and started again at once', async (t) => {
    const first = startNonVoter();
    await settled([...voters, first], { voters: 3 });
    first.signal('SIGKILL');
    await first.ended;
    const startedAt = performance.now();
    nonVoter = startNonVoter();
    await settled([...voters, nonVoter], { voters: 3 });
    t.diagnostic(`started again to all settled: ${Math.round(performance.now() - startedAt)} ms`);
  });

  it('is shown and steered by every verb of funkctl', () => obeysEveryVerb(cluster, [...voters, nonVoter]));
});
