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
  const { shares, founded } = await formed(nodes, voters);
  assert.equal(founded, 1, 'one node founds the cluster');
  return { tookMs: Math.max(...operational.map((line) => line.at)) - begunAt, shares };
}

/** Waits until they are one cluster: how many of them founded it, and how many shards each has, the most first. */
async function formed(
  nodes: readonly NodeProcess[],
  voters: number,
): Promise<{ readonly shares: readonly number[]; readonly founded: number }> {
  const { shares } = await settled(nodes, { voters });
  const founded = nodes.flatMap(({ lines }) => lines.filter(({ event }) => event === 'clusterFounded'));
  return { shares: Object.values(shares).sort((a, b) => b - a), founded: founded.length };
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
    for (let round = 0; round < (IS_LONG ? 20 : 1); round++) {
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

  it('forms without multicast of three that expect each other, waits for the last of them, and says so', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const all = ports.map((port) => `127.0.0.1:${port}`);
    const start = (at: number): NodeProcess =>
      scratch.start({
        id: `n${at + 1}`,
        cluster,
        args: [`--serf-endpoint=${all[at]}`, '--bootstrap-expect', '3', '--join', all.join()],
      });
    const early = [start(0), start(1)];
    for (const node of early) {
      const waiting = await node.waitFor('waiting for members', ({ event }) => event === 'waiting', 60_000);
      assert.match(String(waiting.fields['msg']), /member/);
    }
    assert.ok(!early.some(({ lines }) => lines.some(({ event }) => event === 'clusterFounded')));
    const { shares, founded } = await formed([...early, start(2)], 3);
    assert.equal(founded, 1, 'one node founds the cluster');
    assert.deepEqual(shares, [3334, 3333, 3333]);
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
