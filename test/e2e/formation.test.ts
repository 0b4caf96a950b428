/** A cluster from nothing: nodes that start in the same instant, or by a list of addresses, become one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { freePort } from '../peers/peer.ts';
import {
  distribution,
  freshClusterName,
  IS_LONG,
  type NodeProcess,
  Scratch,
  settled,
  type StartOptions,
} from './node-process.ts';

interface Formed {
  /** From the first start to the last node that is Operational under the map of all. */
  readonly tookMs: number;
  readonly shares: readonly number[];
}

/** Starts them all in one instant, and waits until they are one cluster with so many voters. */
async function form(starts: readonly Omit<StartOptions, 'cluster'>[], voters: number): Promise<Formed> {
  await using scratch = new Scratch();
  const cluster = freshClusterName();
  const begunAt = performance.now();
  const nodes = starts.map((start) => scratch.start({ ...start, cluster }));
  const operational = await Promise.all(nodes.map((node) => node.operationalUnder({ owners: nodes.length })));
  const { shares } = await settled(nodes, { voters });
  const founded = nodes.flatMap((node) => node.lines.filter(({ event }) => event === 'clusterFounded'));
  assert.equal(founded.length, 1, 'one node founds the cluster');
  return {
    tookMs: Math.max(...operational.map((line) => line.at)) - begunAt,
    shares: Object.values(shares).sort((a, b) => b - a),
  };
}

function zeroconf(count: number): Omit<StartOptions, 'cluster'>[] {
  return Array.from({ length: count }, (_, at) => ({ id: `n${at + 1}` }));
}

describe('a cluster from nothing', () => {
  it('forms of one', async (t) => {
    const took: number[] = [];
    for (let round = 0; round < (IS_LONG ? 20 : 1); round++) took.push((await form(zeroconf(1), 1)).tookMs);
    t.diagnostic(`1 node started to Operational: ${distribution(took)}`);
  });

  it('forms of three that start in the same instant, every time, with even shares and three voters', async (t) => {
    const took: number[] = [];
    for (let round = 0; round < (IS_LONG ? 20 : 2); round++) {
      const { tookMs, shares } = await form(zeroconf(3), 3);
      assert.deepEqual(shares, [3334, 3333, 3333]);
      took.push(tookMs);
    }
    t.diagnostic(`3 nodes started at once to all Operational: ${distribution(took)}`);
  });

  it('forms of five that start in the same instant', async (t) => {
    const took: number[] = [];
    for (let round = 0; round < (IS_LONG ? 10 : 1); round++) {
      const { tookMs, shares } = await form(zeroconf(5), 5);
      assert.deepEqual(shares, [2000, 2000, 2000, 2000, 2000]);
      took.push(tookMs);
    }
    t.diagnostic(`5 nodes started at once to all Operational: ${distribution(took)}`);
  });

  it('forms without multicast of three that expect each other', async (t) => {
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const all = ports.map((port) => `127.0.0.1:${port}`);
    const starts = all.map((endpoint, at) => ({
      id: `n${at + 1}`,
      args: [`--serf-endpoint=${endpoint}`, '--bootstrap-expect', '3', '--join', all.join()],
    }));
    const { tookMs, shares } = await form(starts, 3);
    assert.deepEqual(shares, [3334, 3333, 3333]);
    t.diagnostic(`3 nodes with --bootstrap-expect 3 to all Operational: ${Math.round(tookMs)} ms`);
  });

  it('waits for all that it expects, and says so', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const ports = await Promise.all([freePort(), freePort()]);
    const all = ports.map((port) => `127.0.0.1:${port}`);
    const start = (at: number): NodeProcess =>
      scratch.start({
        id: `n${at + 1}`,
        cluster,
        args: [`--serf-endpoint=${all[at]}`, '--bootstrap-expect', '2', '--join', all.join()],
      });
    const first = start(0);
    const waiting = await first.waitFor('waiting for members', ({ event }) => event === 'waiting', 60_000);
    assert.match(String(waiting.fields['msg']), /member/);
    assert.ok(!first.lines.some(({ event }) => event === 'clusterFounded'));
    await settled([first, start(1)], { ms: 60_000 });
  });

  it('forms of one that is told to bootstrap and two that join it', async () => {
    const port = await freePort();
    const join = ['--join', `127.0.0.1:${port}`];
    const { shares } = await form(
      [
        { id: 'n1', args: [`--serf-endpoint=127.0.0.1:${port}`, '--bootstrap'] },
        { id: 'n2', args: join },
        { id: 'n3', args: join },
      ],
      3,
    );
    assert.deepEqual(shares, [3334, 3333, 3333]);
  });
});
