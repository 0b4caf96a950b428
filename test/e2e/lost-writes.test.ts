/** Real nodes that lose what they have not synced, and one whose disk fails to sync once. raft.md 11.5, P-53; reliability.md 10. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectKv } from '../../src/client.ts';
import { isPlantedNow } from '../sim/seeds-for.ts';
import { freshClusterName, IS_LONG, type NodeProcess, Scratch, settled } from './node-process.ts';
import { kill } from './program-runs.ts';
import { skipWithoutPreload, UnsyncedFolder } from './unsynced.ts';

const ROUNDS: number = IS_LONG ? 20 : 1;
const WRITES = 60;
const CALL_MS = 3_000;
/** Later than founding, sooner than the load has ended. */
const FAILING_SYNC = 60;
const IDS = ['n1', 'n2', 'n3'] as const;

/** Writes one key after the other through these until nobody answers any more, or `most` are written; those that were acknowledged. */
async function write(
  nodes: readonly NodeProcess[],
  prefix: string,
  most: number,
  onAcknowledged?: (count: number) => void,
): Promise<string[]> {
  const endpoints = await Promise.all(nodes.map((node) => node.endpoint('ep.clusterfunk.management')));
  const client = connectKv(endpoints);
  const acknowledged: string[] = [];
  for (let i = 0; i < most && nodes.some(({ isRunning }) => isRunning); i++) {
    const key = `${prefix}-${i}`;
    const isDone = await client.put(key, key, { timeoutMs: CALL_MS }).then(
      () => true,
      () => false,
    );
    if (!isDone) continue;
    acknowledged.push(key);
    onAcknowledged?.(acknowledged.length);
  }
  await client.close();
  return acknowledged;
}

async function missing(node: NodeProcess, keys: readonly string[]): Promise<string[]> {
  const client = connectKv([await node.endpoint('ep.clusterfunk.management')]);
  const found = await Promise.all(
    keys.map(async (key) => [key, await client.get(key, { timeoutMs: 20_000 })] as const),
  );
  await client.close();
  return found.filter(([, kv]) => kv === undefined).map(([key]) => key);
}

function killAll(nodes: readonly NodeProcess[]): void {
  for (const node of nodes) node.signal('SIGKILL');
}

const skip = skipWithoutPreload() || (isPlantedNow(0) ? false : 'another commit does');

describe('power cuts that take what was not synced', { skip }, () => {
  it('take nothing acknowledged from three voters; one whose sync fails once ends with 74, does not try again, and the others go on', async (t) => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const args = ['--zeroconf', '--shards', '30'];
    const folders = new Map(IDS.map((id) => [id, new UnsyncedFolder(join(scratch.folder, id), scratch.folder)]));
    const start = (id: (typeof IDS)[number], failAt?: number): NodeProcess =>
      scratch.start({ id, cluster, args, env: folders.get(id)?.env(failAt === undefined ? {} : { failAt }) ?? {} });
    let nodes = IDS.map((id) => start(id, id === 'n2' ? FAILING_SYNC : undefined));
    const { clusterId } = await settled(nodes, { voters: 3 });
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const [first, second, third] = nodes as [NodeProcess, NodeProcess, NodeProcess];
      acknowledged.push(...(await write([first, third], `r${round}`, WRITES)));
      if (round === 0) {
        assert.equal((await second.ended).code, 74, second.output.slice(-2_000));
        assert.match(second.output, /EIO/);
        assert.deepEqual(folders.get('n2')?.failures(), { failed: 1, triedAgain: 0 });
        assert.ok(acknowledged.length > WRITES / 2, `${acknowledged.length} writes were acknowledged`);
      }
      // In the middle of what is under way.
      const cut = (count: number): void => {
        if (count === 20) setImmediate(() => killAll(nodes));
      };
      acknowledged.push(...(await write([first, third], `u${round}`, 1_000, cut)));
      await Promise.all(nodes.map(async (node) => await node.ended));
      for (const [id, folder] of folders) t.diagnostic(`${id}: undone ${JSON.stringify(folder.cutPower())}`);
      nodes = IDS.map((id) => start(id));
      assert.equal((await settled(nodes, { voters: 3 })).clusterId, clusterId);
      assert.deepEqual(await missing(nodes[round % 3] as NodeProcess, acknowledged), []);
    }
    t.diagnostic(`${acknowledged.length} acknowledged writes are there`);
  });

  it('take all from a node whose disk says that it has synced and has not: so the test would notice', {
    skip: !IS_LONG,
  }, async (t) => {
    await using scratch = new Scratch();
    const folder = new UnsyncedFolder(join(scratch.folder, 'n1'), scratch.folder);
    const options = { id: 'n1', cluster: freshClusterName(), args: ['--bootstrap'], env: folder.env() };
    const honest = scratch.start(options);
    const { clusterId } = await settled([honest], { voters: 1 });
    await kill(honest);
    folder.cutPower();
    const lying = scratch.start({ ...options, env: folder.env({ lies: true }) });
    assert.equal((await settled([lying], { voters: 1 })).clusterId, clusterId);
    const acknowledged = await write([lying], 'k', 20);
    await kill(lying);
    t.diagnostic(`undone ${JSON.stringify(folder.cutPower())}`);
    const after = scratch.start({ ...options, env: folder.env() });
    await settled([after], { voters: 1 });
    assert.equal((await missing(after, acknowledged)).length, acknowledged.length);
    assert.equal(acknowledged.length, 20);
  });
});
