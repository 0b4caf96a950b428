/** A quorum that is lost for good: what the program says of it, and the way on from the one node that is left. raft.md 14, R-1, R-4. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freshClusterName, type NodeProcess, Scratch, settled } from './node-process.ts';
import { funknode, kill } from './program-runs.ts';

describe('a cluster that has lost two of three disks', () => {
  it('goes on as a new one from the third, with its state and above its epochs, and takes the others in as new members', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess => scratch.start({ id, cluster });
    const three = ['n1', 'n2', 'n3'].map(start);
    const before = await settled(three, { voters: 3 });
    const folder = join(scratch.folder, 'n3');

    const running = await funknode('recover', 'force-new-cluster', folder, '--yes');
    assert.equal(running.code, 78, 'not while the node runs');
    assert.match(running.stderr, /in use|locked|holds/);
    await Promise.all(three.map(kill));
    for (const id of ['n1', 'n2']) rmSync(join(scratch.folder, id), { recursive: true });

    const alone = start('n3');
    const waiting = await alone.waitFor('a quorum', ({ event }) => event === 'waiting');
    assert.match(JSON.stringify(waiting.fields), /n1.*n2/);
    await kill(alone);

    const inspected = JSON.parse((await funknode('recover', 'inspect', folder, '--json')).stdout) as {
      readonly clusterId: string;
      readonly configuration: { readonly voters: readonly string[] };
      readonly last: { readonly index: number };
    };
    assert.equal(inspected.clusterId, before.clusterId);
    assert.equal(inspected.configuration.voters.length, 3);
    const asked = await funknode('recover', 'force-new-cluster', folder);
    assert.deepEqual([asked.code, /Nothing was changed/.test(asked.stderr)], [2, true]);
    const forced = await funknode('recover', 'force-new-cluster', folder, '--yes');
    assert.equal(forced.code, 0, forced.stderr);
    assert.equal(readdirSync(join(folder, 'quarantine')).length, 1, 'the old data is kept');
    assert.equal((await funknode('wal', 'verify', folder)).code, 0);
    assert.match((await funknode('snap', 'verify', folder)).stdout, /whole, through index 1\d{6} /);

    const first = start('n3');
    const after = await settled([first], { voters: 1 });
    assert.notEqual(after.clusterId, before.clusterId);
    const { map } = await (await first.client()).shardMap();
    assert.ok(Number(map?.version) > inspected.last.index + 1_000_000, 'tokens of the old cluster stay in the past');
    const all = [first, start('n1'), start('n2')];
    assert.equal((await settled(all, { voters: 3 })).clusterId, after.clusterId);
  });
});

describe('a node whose data an operator sets aside', () => {
  it('comes back as a new member under its name, and its old data is kept', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess => scratch.start({ id, cluster });
    const three = ['n1', 'n2', 'n3'].map(start);
    const { clusterId } = await settled(three, { voters: 3 });
    await kill(three[2] as NodeProcess);
    const folder = join(scratch.folder, 'n3');
    assert.equal((await funknode('recover', 'rejoin', folder)).code, 2, 'not without --yes');
    assert.ok(existsSync(join(folder, 'wal')));
    const done = await funknode('recover', 'rejoin', folder, '--yes');
    assert.equal(done.code, 0, done.stderr);
    assert.ok(!existsSync(join(folder, 'wal')) && existsSync(join(folder, 'quarantine')));
    const again = [...three.slice(0, 2), start('n3')];
    assert.equal((await settled(again, { voters: 3 })).clusterId, clusterId);
    const empty = await funknode('recover', 'inspect', join(scratch.folder, 'nobody'));
    assert.deepEqual([empty.code, /holds no node/.test(empty.stderr)], [1, true]);
  });
});
