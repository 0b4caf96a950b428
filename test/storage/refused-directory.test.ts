/** Directories in which a part is gone, or that are another cluster's: refused, and what then. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { LogIndex, NodeId, Term } from '../../src/model/ids.ts';
import { type DataDirectory, openDataDirectory } from '../../src/runtime/data-directory.ts';
import { DamagedLogError, IdentityMismatchError } from '../../src/runtime/disk-errors.ts';
import { inspectDirectory, refuseWithoutNode, setAside } from '../../src/runtime/offline-recovery.ts';
import { OpenedStorage } from '../../src/runtime/opened-storage.ts';
import { encodeCommand } from '../../src/wire/command/command.ts';
import { encodeConfiguration } from '../../src/wire/raft/entry.ts';
import { CLUSTER, CONFIGURATION } from './log-model.ts';
import { refusal } from './refusal.ts';

const root: string = mkdtempSync(join(tmpdir(), 'funknode-refused-'));
const term = 1 as Term;
let folders = 0;

function newPath(): string {
  folders += 1;
  return join(root, String(folders));
}

/** A member of a cluster that was founded under that name. */
async function writeMember(path: string, clusterName: string): Promise<void> {
  const directory: DataDirectory = await openDataDirectory(path, { nodeId: 'n1' as NodeId, segmentBytes: 64 * 1024 });
  await directory.log.identify(CLUSTER);
  const voters = encodeConfiguration({ ...CONFIGURATION, voters: [directory.memberId] });
  const founding = encodeCommand({ kind: 'found', clusterName, createdMs: 1, shardCount: 10 });
  await directory.log.persist({
    batchSeq: 1,
    underTerm: term,
    hardState: { term, vote: directory.memberId },
    entries: [
      { index: 1 as LogIndex, term, kind: 'config', data: voters },
      { index: 2 as LogIndex, term, kind: 'command', data: founding },
    ],
  });
  await directory.release();
}

describe('a data directory', () => {
  after(() => rmSync(root, { recursive: true }));

  for (const [part, damage] of [
    ['IDENTITY', 'gone'],
    ['IDENTITY', 'garbage'],
    ['CLUSTER', 'gone'],
  ] as const) {
    it(`R-1: whose ${part} is ${damage} is refused with 65 each time, changes nothing, and is a new member once set aside`, async () => {
      const path = newPath();
      await writeMember(path, 'a');
      if (damage === 'gone') rmSync(join(path, part));
      else writeFileSync(join(path, part), 'garbage');
      const before = readdirSync(join(path, 'wal')).map((name) => statSync(join(path, 'wal', name)).size);
      for (let i = 0; i < 2; i++) {
        const error = await refusal(openDataDirectory(path), DamagedLogError);
        assert.match(error.message, new RegExp(`${part} is damaged.*set the data aside`));
      }
      const after = readdirSync(join(path, 'wal')).map((name) => statSync(join(path, 'wal', name)).size);
      assert.deepEqual(after, before);
      assert.throws(() => inspectDirectory(path), DamagedLogError);
      refuseWithoutNode(path);
      const wal = readdirSync(join(path, 'wal')).map((name) => readFileSync(join(path, 'wal', name)));
      const aside = await setAside(path);
      assert.equal(aside.nodeId, part === 'IDENTITY' ? undefined : 'n1');
      const moved = readdirSync(join(aside.path, 'wal')).map((name) => readFileSync(join(aside.path, 'wal', name)));
      assert.deepEqual(moved, wal);
      const named = part === 'IDENTITY' ? { nodeId: 'n1' as NodeId } : {};
      const again = await openDataDirectory(path, named);
      assert.ok(again.isNew && again.nodeId === 'n1', 'under the name that was readable, or is told');
      await again.release();
      await assert.rejects(setAside(newPath()));
    });
  }

  it('of a cluster of another name is refused with 78, and stays as it was', async () => {
    const path = newPath();
    await writeMember(path, 'a');
    const settings = { inMemory: false, dataDir: path, dataRoot: root, nodeId: undefined, idPrefix: '' };
    const error = await refusal(OpenedStorage.open({ ...settings, clusterName: 'b' }), IdentityMismatchError);
    assert.match(error.message, /belongs to cluster "a", not to "b": start the node with --cluster-name a/);
    await (await OpenedStorage.open({ ...settings, clusterName: 'a' })).release();
  });
});
