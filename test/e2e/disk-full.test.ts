/** A disk that really is full, under a node that really runs. raft.md 11.6, R-7; reliability.md N-8. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freshClusterName, type LogLine, type NodeProcess, Scratch, settled } from './node-process.ts';
import { funkctl, funknode, kill } from './program-runs.ts';
import { skipWithoutMounts, SmallDisk } from './small-disk.ts';

/** Less than a whole file of the log: smaller ones are made on a small disk. */
const DISK_MIB = 12;

function says(room: string): (line: LogLine) => boolean {
  return ({ event, fields }) => event === 'storageRoomChanged' && fields['room'] === room;
}

/** Every change of leader is an entry or two, and terms and votes: until the node has no room left for entries. */
async function leadToAndFro(through: NodeProcess, until: () => boolean): Promise<void> {
  const client = await through.client();
  const deadline = performance.now() + 60_000;
  while (!until()) {
    assert.ok(performance.now() < deadline, 'the log does not grow');
    await client.stepDown().catch(() => sleep(20));
  }
}

async function statusOf(node: NodeProcess): Promise<{ readonly room: string; commitIndex: number; leaderId: string }> {
  return (await (await node.client()).status()).status;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, what);
    await sleep(50);
  }
}

describe('R-7: a disk that is full under one of three voters', { skip: skipWithoutMounts() }, () => {
  it('degrades it, stops nothing, and it recovers by itself when there is room', async () => {
    await using scratch = new Scratch();
    await using disk = await SmallDisk.mount(join(scratch.folder, 'n1'), DISK_MIB);
    const cluster = freshClusterName();
    const first = scratch.start({ id: 'n1', cluster, wrap: disk.wrap });
    const others = ['n2', 'n3'].map((id) => scratch.start({ id, cluster })) as [NodeProcess, NodeProcess];
    const before = await settled([first, ...others], { voters: 3 });

    disk.fill();
    await leadToAndFro(others[0], () => first.lines.some(says('full')));
    await first.waitFor('low room', says('low'));
    const leads = async (): Promise<boolean> => ['n2', 'n3'].includes((await statusOf(others[0])).leaderId);
    await until('somebody with room leads', leads);

    // The others go on agreeing; it stays with them, says what ails it, and acknowledges nothing.
    const held = (await statusOf(first)).commitIndex;
    await until('the others agree on more', async () => {
      await (await others[0].client()).stepDown().catch(() => undefined);
      return (await statusOf(others[0])).commitIndex > held + 4;
    });
    const ill = await statusOf(first);
    assert.equal(ill.room, 'full');
    assert.ok(ill.commitIndex < (await statusOf(others[0])).commitIndex);
    assert.match((await funkctl(first, 'status')).stdout, /Disk: +full: no entries are taken/);
    const { members } = await (await others[0].client()).members({ tags: { 'fn.storage': 'full' } });
    assert.deepEqual(
      members.map(({ name, serfState }) => [name, serfState]),
      [['n1', 'alive']],
    );
    const metrics = await (await fetch(`http://${await first.endpoint('ep.http')}/metrics`)).text();
    assert.match(metrics, /^funknode_storage_room(\{[^}]*\})? 0$/m);

    disk.free();
    const from = first.lines.findLastIndex(says('full'));
    await first.waitFor('room again', says('enough'), 60_000, from);
    const after = await settled([first, ...others], { voters: 3 });
    assert.equal(after.clusterId, before.clusterId);
    assert.ok(first.isRunning && others.every(({ isRunning }) => isRunning));
    await until('it has all that was agreed', async () => {
      const [own, theirs] = await Promise.all([statusOf(first), statusOf(others[0])]);
      return own.commitIndex >= theirs.commitIndex;
    });
  });

  it('lets no node start on it, which says why with 74 and takes no more of it; with room it starts', async () => {
    await using scratch = new Scratch();
    await using disk = await SmallDisk.mount(join(scratch.folder, 'n1'), DISK_MIB);
    const options = { id: 'n1', cluster: freshClusterName(), wrap: disk.wrap, args: ['--bootstrap'] };
    const node = scratch.start(options);
    const { clusterId } = await settled([node], { voters: 1 });
    await kill(node);
    disk.fill();
    for (let i = 0; i < 2; i++) {
      const refused = scratch.start(options);
      assert.equal((await refused.ended).code, 74);
      assert.match(refused.output, /ENOSPC: there is no room left; free some/);
    }
    disk.free();
    assert.equal((await settled([scratch.start(options)], { voters: 1 })).clusterId, clusterId);
    assert.equal((await funknode('backup', 'verify', join(scratch.folder, 'nothing'))).code, 74);
  });
});
