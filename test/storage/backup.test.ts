/** Backups: files that prove themselves, never overwrite, and are restored where nothing is. raft.md 14, R-4, R-5. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { concatBytes } from '../../src/base/bytes.ts';
import { foundingLog } from '../../src/cluster/founding-log.ts';
import { copyOfLog, FORCED_INDEX_GAP } from '../../src/cluster/recovered-state.ts';
import type { Backup } from '../../src/model/backup.ts';
import { type ClusterId, memberId, type NodeId, type Stamp } from '../../src/model/ids.ts';
import { BackupExistsError, BadBackupError, storeBackup, verifyBackup } from '../../src/runtime/backup-store.ts';
import { DirectoryUnusableError } from '../../src/runtime/disk-errors.ts';
import { NotAPeerError } from '../../src/runtime/offline-beginning.ts';
import {
  copyDirectory,
  forceNewCluster,
  inspectDirectory,
  NothingToRecoverError,
  restoreBackup,
  setAside,
} from '../../src/runtime/offline-recovery.ts';
import { type BackupFile, decodeBackup, encodeBackup } from '../../src/wire/raft/backup-file.ts';
import { FormatFault } from '../../src/wire/raft/format-fault.ts';

const root: string = mkdtempSync(join(tmpdir(), 'funknode-backup-'));
after(() => rmSync(root, { recursive: true, force: true }));
let files = 0;

function newPath(): string {
  files += 1;
  return join(root, String(files));
}

const N1 = 'n1' as NodeId;
const CLUSTER = 'OOOOOOOOOOOOOOOOOOOOOA' as ClusterId;

function sample(): Backup {
  const founding = { clusterName: 'demo', createdMs: 1_700_000_000_000, shardCount: 64 };
  const copy = copyOfLog(foundingLog(memberId(N1, '0123456789abcdef' as Stamp), founding), CLUSTER);
  assert.ok(copy !== undefined);
  return { ...copy, uncertain: 0, takenBy: N1, takenAt: 1_750_000_000_000, ledBy: 'n2' as NodeId };
}

function bytesOf(backup: Backup): Uint8Array {
  return concatBytes([...encodeBackup(backup)]);
}

async function stored(): Promise<{ path: string; backup: BackupFile }> {
  const path = newPath();
  return { path, backup: await storeBackup(path, encodeBackup(sample())) };
}

describe('a backup file', () => {
  it('says again what it was made of', () => {
    const { sha256, ...read } = decodeBackup(bytesOf(sample())) as BackupFile;
    assert.deepEqual(read, sample());
    assert.equal(sha256.length, 32);
  });

  it('notices any flipped bit, any cut and anything added', () => {
    const whole = bytesOf(sample());
    for (let at = 0; at < whole.length; at++) {
      const harmed = whole.slice();
      harmed[at] = (harmed[at] as number) ^ (1 << (at % 8));
      const read = decodeBackup(harmed);
      assert.ok(read instanceof FormatFault || read === 'newer', `byte ${at}`);
      assert.ok(decodeBackup(whole.subarray(0, at)) instanceof FormatFault, `cut at ${at}`);
    }
    assert.ok(decodeBackup(concatBytes([whole, new Uint8Array(1)])) instanceof FormatFault);
  });

  it('is stored whole or not at all, and over nothing', async () => {
    const { path } = await stored();
    const before = readFileSync(path);
    await assert.rejects(storeBackup(path, encodeBackup(sample())), BackupExistsError);
    assert.deepEqual(readFileSync(path), before);
    const cut = newPath();
    await assert.rejects(storeBackup(cut, [...encodeBackup(sample())].slice(0, -1)), BadBackupError);
    const broken = (function* (): Generator<Uint8Array> {
      yield new Uint8Array(10);
      throw new Error('the connection was lost');
    })();
    await assert.rejects(storeBackup(cut, broken), /the connection was lost/);
    assert.deepEqual(
      readdirSync(root).filter((name) => name.includes('.part') || join(root, name) === cut),
      [],
    );
  });

  it('is refused when its state cannot be read, though its checksums are right', async () => {
    const path = newPath();
    writeFileSync(path, bytesOf({ ...sample(), image: new Uint8Array([9, 9]) }));
    await assert.rejects(verifyBackup(path), BadBackupError);
    writeFileSync(path, 'no backup');
    await assert.rejects(verifyBackup(path), /not a backup/);
  });
});

describe('a restore', () => {
  it('R-5: begins a new cluster above the old, with one voter of a new stamp', async () => {
    const { backup } = await stored();
    const folder = newPath();
    const outcome = await restoreBackup(folder, backup);
    assert.ok(outcome.kind === 'begun');
    const found = inspectDirectory(folder);
    assert.notEqual(found.clusterId, CLUSTER);
    assert.equal(found.clusterId, outcome.clusterId);
    assert.equal(found.last.index, backup.meta.lastLog.index + FORCED_INDEX_GAP);
    assert.deepEqual(found.configuration.voters, [memberId(N1, found.stamp)]);
    assert.notEqual(found.stamp, '0123456789abcdef');
    assert.deepEqual(found.founding, { clusterName: 'demo', createdMs: 1_700_000_000_000, shardCount: 64 });
    assert.equal(found.uncertain, 0);
  });

  it('refuses a directory that holds anything, and makes nothing in it', async () => {
    const { backup } = await stored();
    const folder = newPath();
    await restoreBackup(folder, backup);
    const before = inspectDirectory(folder);
    await assert.rejects(restoreBackup(folder, backup), DirectoryUnusableError);
    assert.deepEqual(inspectDirectory(folder), before);
    const foreign = newPath();
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'notes.txt'), 'mine');
    await assert.rejects(restoreBackup(foreign, backup), /holds notes\.txt, and a restore overwrites nothing/);
    assert.deepEqual(readdirSync(foreign), ['notes.txt']);
    await setAside(folder);
    assert.equal((await restoreBackup(folder, backup)).kind, 'begun', 'what was set aside is no data');
  });

  it('of several together makes one cluster of them, from the same list in any order', async () => {
    const { backup } = await stored();
    const begun = await Promise.all(
      [
        ['n1', 'n3', 'n2'],
        ['n2', 'n1', 'n3'],
        ['n3', 'n2', 'n1'],
      ].map(async (peers) => {
        const folder = newPath();
        const nodeId = peers[0] as NodeId;
        await restoreBackup(folder, backup, { nodeId, peers: peers as NodeId[] });
        return inspectDirectory(folder);
      }),
    );
    assert.equal(new Set(begun.map(({ clusterId }) => clusterId)).size, 1);
    assert.equal(new Set(begun.map(({ configuration }) => configuration.voters.join())).size, 1);
    for (const { configuration, nodeId, stamp } of begun)
      assert.ok(configuration.voters.includes(memberId(nodeId, stamp)));
    const other = await restoreBackup(newPath(), backup, { nodeId: N1, peers: ['n1', 'n2'] as NodeId[] });
    assert.ok(other.kind === 'begun' && other.clusterId !== begun[0]?.clusterId, 'another list is another cluster');
    const stranger = restoreBackup(newPath(), backup, { nodeId: 'n9' as NodeId, peers: [N1] });
    await assert.rejects(stranger, NotAPeerError);
  });
});

describe('a forced cluster', () => {
  it('R-4: says how many of its entries the old cluster may never have committed', async () => {
    const { backup } = await stored();
    const folder = newPath();
    await restoreBackup(folder, { ...backup, uncertain: 1 });
    const doubtful = await restoreBackup(newPath(), { ...backup, uncertain: 1 });
    assert.ok(doubtful.kind === 'begun' && doubtful.uncertain === 1);
    const sure = await forceNewCluster(folder);
    assert.ok(sure.kind === 'begun' && sure.uncertain === 0, 'what was restored is certain from then on');
  });

  it('R-4: of several survivors begins on each from the same copy, once', async () => {
    const { backup } = await stored();
    const folders = await Promise.all(
      ['n1', 'n2'].map(async (id) => {
        const folder = newPath();
        await restoreBackup(folder, backup, { nodeId: id as NodeId });
        return folder;
      }),
    );
    const path = newPath();
    const furthest = await storeBackup(path, encodeBackup(await copyDirectory(folders[0] as string)));
    const shared = { peers: ['n1', 'n2'] as NodeId[], backup: furthest };
    for (const folder of folders) assert.equal((await forceNewCluster(folder, shared)).kind, 'begun');
    const [one, two] = folders.map(inspectDirectory);
    assert.equal(one?.clusterId, two?.clusterId);
    assert.deepEqual(one?.configuration, two?.configuration);
    assert.equal(one?.configuration.voters.length, 2);
    assert.equal(one?.last.index, furthest.meta.lastLog.index + FORCED_INDEX_GAP);
    await assert.rejects(forceNewCluster(folders[0] as string, shared), NothingToRecoverError);
  });

  it('whose command was interrupted after its decision is finished by giving it again', async () => {
    const { backup } = await stored();
    const folder = newPath();
    await restoreBackup(folder, backup);
    // The note of the decision is the last thing that the crash let through: new data is prepared, and the old still in its place.
    const other = newPath();
    await restoreBackup(other, backup, { nodeId: N1 });
    const wanted = inspectDirectory(other).clusterId;
    mkdirSync(join(folder, 'incoming'));
    for (const name of ['IDENTITY', 'CLUSTER', 'wal', 'snap'])
      renameSync(join(other, name), join(folder, 'incoming', name));
    writeFileSync(join(folder, 'ASIDE'), 'replace then\n');
    assert.throws(() => inspectDirectory(folder), /was interrupted: give it again/);
    const outcome = await forceNewCluster(folder);
    assert.ok(outcome.kind === 'finished');
    assert.equal(outcome.now.clusterId, wanted);
    assert.deepEqual(readdirSync(join(folder, 'quarantine', 'then')).sort(), ['CLUSTER', 'IDENTITY', 'snap', 'wal']);
  });
});
