/**
 * The recovery procedures as docs/operating.md has them, by its own commands. have files of their own: recovery, backup
 * and disk-full. raft.md 14; reliability.md N-4, N-11, N-12, N-17.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { StorageError, walDump } from '../../src/offline.ts';
import { batchSize } from '../../src/wire/raft/batch.ts';
import { distribution, freshClusterName, IS_LONG, type NodeProcess, Scratch, settled } from './node-process.ts';
import { funkctl, funknode, kill } from './program-runs.ts';

/** Of a cluster cut off from power. */
const CUTS: number = IS_LONG ? 30 : 1;

function newestSegment(folder: string): string {
  const names = readdirSync(join(folder, 'wal')).filter((name) => name.endsWith('.wal'));
  return join(folder, 'wal', names.sort().at(-1) ?? '');
}

/** What a bad disk makes of some bytes. */
function damage(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.from('damage'), 0, 6, at);
  closeSync(fd);
}

async function mapVersion(node: NodeProcess): Promise<number> {
  const { map } = await (await node.client()).shardMap();
  return Number(map?.version ?? 0);
}

describe('a voter whose data is lost or damaged', () => {
  it('R-1, R-2: refuses to start as long as a part is there, and returns as a new member of its name when none is', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess => scratch.start({ id, cluster });
    const [n1, n2, n3] = ['n1', 'n2', 'n3'].map(start) as [NodeProcess, NodeProcess, NodeProcess];
    const { clusterId } = await settled([n1, n2, n3], { voters: 3 });
    const folder = join(scratch.folder, 'n3');
    const refusals = async (words: RegExp): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        const refused = start('n3');
        assert.equal((await refused.ended).code, 65);
        assert.match(refused.output, words);
      }
    };
    const returns = async (): Promise<NodeProcess> => {
      const again = start('n3');
      assert.equal((await settled([n1, n2, again], { voters: 3 })).clusterId, clusterId);
      return again;
    };

    await kill(n3);
    rmSync(folder, { recursive: true });
    const wiped = await returns();

    await kill(wiped);
    const log = join(folder, 'wal');
    renameSync(log, join(folder, 'gone'));
    await refusals(/holds neither log nor snapshot.*funknode recover rejoin/);
    renameSync(join(folder, 'gone'), log);

    damage(newestSegment(folder), 4096 + 64);
    await refusals(/is damaged at byte 4096: .*The data was left where it is/);
    const verified = await funknode('wal', 'verify', folder);
    assert.deepEqual([verified.code, /damaged at byte 4096/.test(verified.stderr)], [65, true]);
    assert.match((await funkctl(n1, 'status')).stdout, /State: +Operational/);
    assert.equal((await funknode('recover', 'rejoin', folder, '--yes')).code, 0);
    await returns();
    assert.equal(readdirSync(join(folder, 'quarantine')).length, 1, 'nothing was deleted');
  });
});

describe('a machine that never comes back', () => {
  it('R-3: is replaced by one of another name as soon as it is removed', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess => scratch.start({ id, cluster });
    const [n1, n2, n3] = ['n1', 'n2', 'n3'].map(start) as [NodeProcess, NodeProcess, NodeProcess];
    const { clusterId } = await settled([n1, n2, n3], { voters: 3 });
    await kill(n3);
    rmSync(join(scratch.folder, 'n3'), { recursive: true });
    const n4 = start('n4');
    const removed = await funkctl(n1, 'node', 'rm', 'n3');
    assert.equal(removed.code, 0, removed.stderr);
    assert.equal((await settled([n1, n2, n4], { voters: 3 })).clusterId, clusterId);
    assert.match((await funkctl(n1, 'status')).stdout, /Voters: +3: the loss of 1 can be survived/);
  });
});

describe('a group of two voters', () => {
  it('R-6: survives no loss and says so; the one that is left waits for the other, and goes on with it', async () => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    // Else one of the two would give its vote back at once.
    const args = ['--zeroconf', '--auto-join=false'];
    const start = (id: string): NodeProcess => scratch.start({ id, cluster, args });
    const founder = scratch.start({ id: 'n1', cluster, args: ['--bootstrap', '--auto-join=false'] });
    await settled([founder], { voters: 1 });
    const file = join(scratch.folder, 'one.backup');
    assert.equal((await funkctl(founder, 'backup', file)).code, 0);
    await kill(founder);
    rmSync(join(scratch.folder, 'n1'), { recursive: true });
    const peers = join(scratch.folder, 'peers.json');
    writeFileSync(peers, '["n1", "n2"]');
    for (const id of ['n1', 'n2']) {
      const folder = join(scratch.folder, id);
      const made = await funknode('restore', file, '--data-dir', folder, '--node-id', id, '--peers', peers);
      assert.equal(made.code, 0, made.stderr);
    }
    const [n1, n2] = ['n1', 'n2'].map(start) as [NodeProcess, NodeProcess];
    const { clusterId } = await settled([n1, n2], { voters: 2 });
    assert.match((await funkctl(n1, 'status')).stdout, /Voters: +2: no loss can be survived/);
    await kill(n2);
    await n1.waitFor(
      'a quorum of two',
      ({ event, fields }) => event === 'waiting' && /2 of 2 voters are needed/.test(String(fields['msg'])),
    );
    assert.equal((await settled([n1, start('n2')], { voters: 2 })).clusterId, clusterId);
  });
});

describe('a power cut that takes all nodes at once', () => {
  it('R-8: costs nothing that was agreed, also when the last write of one is torn, and nobody has to do anything', async (t: TestContext) => {
    await using scratch = new Scratch();
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess => scratch.start({ id, cluster });
    const ids = ['n1', 'n2', 'n3'];
    let nodes = ids.map(start);
    const { clusterId } = await settled(nodes, { voters: 3 });
    const readyMs: number[] = [];
    for (let cut = 0; cut < CUTS; cut++) {
      // Something is on its way to the disks all the time.
      const client = await (nodes[0] as NodeProcess).client();
      for (let i = 0; i < 3; i++) await client.stepDown().catch(() => undefined);
      const version = await mapVersion(nodes[0] as NodeProcess);
      await Promise.all(nodes.map(kill));
      tearLastWrite(join(scratch.folder, ids[cut % 3] as string));
      const at = performance.now();
      nodes = ids.map(start);
      assert.equal((await settled(nodes, { voters: 3 })).clusterId, clusterId);
      readyMs.push(performance.now() - at);
      assert.ok((await mapVersion(nodes[1] as NodeProcess)) >= version, 'what was agreed is there');
    }
    t.diagnostic(`R-8: from the start of three processes to one settled cluster: ${distribution(readyMs)}`);
  });
});

/** A part of what was being written when the power went, and had been acknowledged to nobody: its header never came to the platter. */
function tearLastWrite(folder: string): void {
  const segment = walDump(folder).segments.at(-1);
  const last = segment?.batches.at(-1);
  assert.ok(segment !== undefined && last !== undefined);
  const fd = openSync(segment.file, 'r+');
  const end = last.offset + batchSize(last.header.payloadSize);
  writeSync(fd, Buffer.alloc(512, 0xa5), 0, 512, end + 512);
  closeSync(fd);
  assert.ok(!(walDump(folder).verdict instanceof StorageError), 'it is no damage');
}
