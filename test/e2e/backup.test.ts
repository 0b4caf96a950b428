/** Backups of a running cluster by the programs, and what becomes of them. raft.md 14, R-4, R-5. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freshClusterName, type NodeProcess, Scratch, settled } from './node-process.ts';
import { funkctl, funknode, kill } from './program-runs.ts';

async function mapVersion(node: NodeProcess): Promise<number> {
  const { map } = await (await node.client()).shardMap();
  return Number(map?.version);
}

describe('a backup of a running cluster', () => {
  it('R-5: is taken of any node, verifies itself, overwrites nothing, and a new cluster begins from it above the old', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string, dataDir = join(scratch.folder, id)): NodeProcess =>
      scratch.start({ id, cluster, dataDir });
    const three = ['n1', 'n2', 'n3'].map((id) => start(id));
    const watcher = scratch.start({ id: 'w1', cluster, dataDir: null, args: ['--zeroconf', '--role', 'non-voter'] });
    const before = await settled([...three, watcher], { voters: 3 });
    const version = await mapVersion(three[0] as NodeProcess);

    const fileOf = (node: NodeProcess): string => join(scratch.folder, `${node.id}.backup`);
    for (const node of [...three, watcher]) {
      const taken = await funkctl(node, 'backup', fileOf(node));
      assert.equal(taken.code, 0, taken.stderr);
      assert.match(taken.stdout, new RegExp(`of node ${node.id}, through index \\d+ of term \\d+`));
      const verified = await funknode('backup', 'verify', fileOf(node));
      assert.equal(verified.code, 0, verified.stderr);
      assert.match(verified.stdout, new RegExp(`cluster +${cluster} ${before.clusterId}`));
      assert.match(verified.stdout, new RegExp(`led by ${before.leader}`));
    }
    const file = fileOf(three[1] as NodeProcess);
    const again = await funkctl(three[1] as NodeProcess, 'backup', file);
    assert.deepEqual([again.code, /is there already/.test(again.stderr)], [1, true]);

    await Promise.all([...three, watcher].map(kill));
    const harmed = join(scratch.folder, 'harmed.backup');
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(harmed, bytes);
    assert.equal((await funknode('backup', 'verify', harmed)).code, 65);
    const fresh = join(scratch.folder, 'fresh');
    assert.equal((await funknode('restore', harmed, '--data-dir', fresh)).code, 65);
    const refused = await funknode('restore', file, '--data-dir', join(scratch.folder, 'n1'));
    assert.deepEqual([refused.code, /overwrites nothing/.test(refused.stderr)], [78, true]);

    const restored = await funknode('restore', file, '--data-dir', fresh, '--node-id', 'n1');
    assert.equal(restored.code, 0, restored.stderr);
    const first = start('n1', fresh);
    const after = await settled([first], { voters: 1 });
    assert.notEqual(after.clusterId, before.clusterId);
    assert.ok((await mapVersion(first)) > version + 1_000_000, 'tokens of the old cluster stay in the past');
    const all = [first, start('n4'), start('n5')];
    assert.equal((await settled(all, { voters: 3 })).clusterId, after.clusterId);
  });
});

describe('survivors of a lost quorum that begin together', () => {
  it('R-4: with one list and one copy they are one cluster, and the rest joins it', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess => scratch.start({ id, cluster });
    const three = ['n1', 'n2', 'n3'].map(start);
    const before = await settled(three, { voters: 3 });
    await Promise.all(three.map(kill));
    rmSync(join(scratch.folder, 'n3'), { recursive: true });

    const file = join(scratch.folder, 'furthest.backup');
    const saved = await funknode('backup', 'save', join(scratch.folder, 'n1'), file);
    assert.equal(saved.code, 0, saved.stderr);
    const peers = join(scratch.folder, 'peers.json');
    writeFileSync(peers, '["n1", "n2"]');
    const force = (id: string, ...more: string[]): ReturnType<typeof funknode> =>
      funknode('recover', 'force-new-cluster', join(scratch.folder, id), '--peers', peers, '--from', file, ...more);
    const asked = await force('n1');
    assert.deepEqual([asked.code, /begin a NEW cluster with n1, n2/.test(asked.stderr)], [2, true]);
    for (const id of ['n1', 'n2']) {
      const forced = await force(id, '--yes');
      assert.equal(forced.code, 0, forced.stderr);
      assert.match(forced.stdout, /one of the voters \(n1, n2\)/);
    }
    const second = await force('n1', '--yes');
    assert.deepEqual([second.code, /belongs to the new cluster/.test(second.stderr)], [1, true]);
    const both = ['n1', 'n2'].map(start);
    const after = await settled(both);
    assert.notEqual(after.clusterId, before.clusterId);
    assert.equal((await settled([...both, start('n3')], { voters: 3 })).clusterId, after.clusterId);
  });
});
