/**
 * Backups of a running cluster by the programs, and what becomes of them and of the disks that a cluster leaves behind: as
 * docs/operating.md has them. raft.md 14.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freshClusterName, type NodeProcess, Scratch, type Settled, settled } from './node-process.ts';
import { funkctl, funkctlAgain, funknode, funknodeAgain, kill } from './program-runs.ts';

async function mapVersion(node: NodeProcess): Promise<number> {
  const { map } = await (await node.client()).shardMap();
  return Number(map?.version);
}

/** The first case ends with the death of all four; what is left of them begins anew in each of the others, which ends what it has started. */
describe('three voters and a non-voter', () => {
  const cluster = freshClusterName();
  let scratch: Scratch;
  let old: Settled;
  let oldVersion = 0;
  const voters: NodeProcess[] = [];

  const place = (name: string): string => join(scratch.folder, name);
  const fileOf = (id: string): string => place(`${id}.backup`);
  const start = (id: string, dataDir = place(id), args = ['--zeroconf']): NodeProcess =>
    scratch.start({ id, cluster, dataDir, args });

  before(() => {
    scratch = new Scratch();
  });

  after(() => scratch[Symbol.asyncDispose]());

  it('R-5: give a backup, any of them, which verifies itself and overwrites nothing', async () => {
    voters.push(...['n1', 'n2', 'n3'].map((id) => start(id)));
    const watcher = scratch.start({ id: 'w1', cluster, dataDir: null, args: ['--zeroconf', '--role', 'non-voter'] });
    const all = [...voters, watcher];
    old = await settled(all, { voters: 3 });
    oldVersion = await mapVersion(watcher);
    for (const [at, node] of all.entries()) {
      const [take, verify] = at === 0 ? [funkctl, funknode] : [funkctlAgain, funknodeAgain];
      const taken = await take(node, 'backup', fileOf(node.id));
      assert.equal(taken.code, 0, taken.stderr);
      assert.match(taken.stdout, new RegExp(`of node ${node.id}, through index \\d+ of term \\d+`));
      const verified = await verify('backup', 'verify', fileOf(node.id));
      assert.equal(verified.code, 0, verified.stderr);
      assert.match(verified.stdout, new RegExp(`cluster +${cluster} ${old.clusterId}`));
      assert.match(verified.stdout, new RegExp(`led by ${old.leader}`));
    }
    const again = await funkctl(voters[1] as NodeProcess, 'backup', fileOf('n2'));
    assert.deepEqual([again.code, /is there already/.test(again.stderr)], [1, true]);
    const running = await funknodeAgain('recover', 'force-new-cluster', place('n3'), '--yes');
    assert.equal(running.code, 78, 'not while the node runs');
    assert.match(running.stderr, /in use|locked|holds/);
    await Promise.all(all.map(kill));
  });

  it('R-5: a new cluster begins from a backup, above the old, and from none that is harmed', async () => {
    const file = fileOf('n2');
    const harmed = place('harmed.backup');
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(harmed, bytes);
    assert.equal((await funknode('backup', 'verify', harmed)).code, 65);
    const fresh = place('fresh');
    assert.equal((await funknodeAgain('restore', harmed, '--data-dir', fresh)).code, 65);
    const refused = await funknodeAgain('restore', file, '--data-dir', place('n1'));
    assert.deepEqual([refused.code, /overwrites nothing/.test(refused.stderr)], [78, true]);
    const restored = await funknode('restore', file, '--data-dir', fresh, '--node-id', 'n1');
    assert.equal(restored.code, 0, restored.stderr);
    const first = start('n1', fresh);
    const begun = await settled([first], { voters: 1 });
    assert.notEqual(begun.clusterId, old.clusterId);
    assert.ok((await mapVersion(first)) > oldVersion + 1_000_000, 'tokens of the old cluster stay in the past');
    const all = [first, start('n4'), start('n5')];
    assert.equal((await settled(all, { voters: 3 })).clusterId, begun.clusterId);
    await Promise.all(all.map(kill));
  });

  it('R-4: go on as a new cluster from one disk of three, with its state and above its epochs, and the others are new members', async () => {
    const folder = place('n3');
    const alone = start('n3');
    const waiting = await alone.waitFor('a quorum', ({ event }) => event === 'waiting');
    assert.match(JSON.stringify(waiting.fields), /n1.*n2/);
    await kill(alone);

    const inspected = JSON.parse((await funknode('recover', 'inspect', folder, '--json')).stdout) as {
      readonly clusterId: string;
      readonly configuration: { readonly voters: readonly string[] };
      readonly last: { readonly index: number };
    };
    assert.equal(inspected.clusterId, old.clusterId);
    assert.equal(inspected.configuration.voters.length, 3);
    const asked = await funknodeAgain('recover', 'force-new-cluster', folder);
    assert.deepEqual([asked.code, /Nothing was changed/.test(asked.stderr)], [2, true]);
    const forced = await funknode('recover', 'force-new-cluster', folder, '--yes');
    assert.equal(forced.code, 0, forced.stderr);
    assert.equal(readdirSync(join(folder, 'quarantine')).length, 1, 'the old data is kept');
    assert.equal((await funknodeAgain('wal', 'verify', folder)).code, 0);
    assert.match((await funknode('snap', 'verify', folder)).stdout, /whole, through index 1\d{6} /);

    const first = start('n3');
    const begun = await settled([first], { voters: 1 });
    assert.notEqual(begun.clusterId, old.clusterId);
    assert.ok(
      (await mapVersion(first)) > inspected.last.index + 1_000_000,
      'tokens of the old cluster stay in the past',
    );
    const all = [first, start('n1', place('n1-new')), start('n2', place('n2-new'))];
    assert.equal((await settled(all, { voters: 3 })).clusterId, begun.clusterId);
    await Promise.all(all.map(kill));
  });

  it('R-4: go on from two disks of three with one list and one copy, as one cluster that the rest joins', async () => {
    const file = place('furthest.backup');
    const saved = await funknode('backup', 'save', place('n1'), file);
    assert.equal(saved.code, 0, saved.stderr);
    const peers = place('peers.json');
    writeFileSync(peers, '["n1", "n2"]');
    const force = (id: string, ...more: string[]): ReturnType<typeof funknode> =>
      funknodeAgain('recover', 'force-new-cluster', place(id), '--peers', peers, '--from', file, ...more);
    const asked = await force('n1');
    assert.deepEqual([asked.code, /begin a NEW cluster with n1, n2/.test(asked.stderr)], [2, true]);
    for (const id of ['n1', 'n2']) {
      const forced = await force(id, '--yes');
      assert.equal(forced.code, 0, forced.stderr);
      assert.match(forced.stdout, /one of the voters \(n1, n2\)/);
    }
    const second = await force('n1', '--yes');
    assert.deepEqual([second.code, /belongs to the new cluster/.test(second.stderr)], [1, true]);
    const both = ['n1', 'n2'].map((id) => start(id));
    const begun = await settled(both);
    assert.notEqual(begun.clusterId, old.clusterId);
    const all = [...both, start('n3', place('n3-new'))];
    assert.equal((await settled(all, { voters: 3 })).clusterId, begun.clusterId);
    await Promise.all(all.map(kill));
  });

  it('R-6: as two survive no loss and say so; the one that is left waits for the other, and goes on with it', async () => {
    const peers = place('peers.json');
    writeFileSync(peers, '["n1", "n2"]');
    const folders = ['n1', 'n2'].map((id) => place(`${id}-of-two`)) as [string, string];
    for (const [at, folder] of folders.entries()) {
      const words = ['--data-dir', folder, '--node-id', `n${at + 1}`, '--peers', peers];
      const made = await funknodeAgain('restore', fileOf('n3'), ...words);
      assert.equal(made.code, 0, made.stderr);
    }
    // Else one of the two would give its vote back at once.
    const ofTwo = (at: 0 | 1): NodeProcess => start(`n${at + 1}`, folders[at], ['--zeroconf', '--auto-join=false']);
    const [n1, n2] = [ofTwo(0), ofTwo(1)];
    const { clusterId } = await settled([n1, n2], { voters: 2 });
    assert.match((await funkctlAgain(n1, 'status')).stdout, /Voters: +2: no loss can be survived/);
    await kill(n2);
    await n1.waitFor(
      'a quorum of two',
      ({ event, fields }) => event === 'waiting' && /2 of 2 voters are needed/.test(String(fields['msg'])),
    );
    assert.equal((await settled([n1, ofTwo(1)], { voters: 2 })).clusterId, clusterId);
  });
});
