/** New data in the place of old: whatever the power does, a directory holds the one or the other, whole. raft.md 14, R-1, R-4, R-5. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { foundingLog } from '../../src/cluster/founding-log.ts';
import { copyOfLog } from '../../src/cluster/recovered-state.ts';
import type { AgreedCopy } from '../../src/model/backup.ts';
import { type ClusterId, memberId, type NodeId, type Stamp } from '../../src/model/ids.ts';
import { finishMovingAside, moveDataAside } from '../../src/runtime/data-aside.ts';
import { readDirectory } from '../../src/runtime/data-directory.ts';
import { beginAnew } from '../../src/runtime/offline-beginning.ts';
import { explore, KEEP_ALL, LOSE_ALL, PowerCut, SimulatedDisk } from './simulated-disk.ts';

const CRASHES_PER_POINT = process.env['FUNKNODE_LONG'] === '1' ? 256 : 10;
const FOLDER = '/data';
const NODE = 'n1' as NodeId;
const OLD = 'OOOOOOOOOOOOOOOOOOOOOA' as ClusterId;
const NEW = 'NNNNNNNNNNNNNNNNNNNNNA' as ClusterId;
const OLD_STAMP = '0000000000000001' as Stamp;
const NEW_STAMP = '0000000000000002' as Stamp;

const founded = copyOfLog(
  foundingLog(memberId(NODE, OLD_STAMP), { clusterName: 'demo', createdMs: 7, shardCount: 12 }),
  OLD,
) as AgreedCopy;

function begin(disk: SimulatedDisk, clusterId: ClusterId, stamp: Stamp, aside: string | undefined): void {
  const names = { clusterId, voters: new Map([[NODE, stamp]]) };
  beginAnew(disk, FOLDER, { nodeId: NODE, copy: founded, names, now: 1, segmentBytes: 16 * 1024 }, aside);
}

function emptyDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.makeFolder(FOLDER);
  disk.syncFolder('');
  return disk;
}

function oldDisk(): SimulatedDisk {
  const disk = emptyDisk();
  begin(disk, OLD, OLD_STAMP, undefined);
  return disk.afterCrash(LOSE_ALL);
}

/** The cluster that the folder's whole data is of; undefined when there is none. Throws when it is damaged. */
function clusterIn(disk: SimulatedDisk, folder = FOLDER): ClusterId | undefined {
  const { identity, clusterId, log } = readDirectory(folder, disk);
  if (identity === undefined) {
    assert.equal(clusterId, undefined);
    return undefined;
  }
  assert.equal(identity.stamp, clusterId === OLD ? OLD_STAMP : NEW_STAMP);
  assert.equal(log.snapshot?.meta.clusterId, clusterId);
  assert.deepEqual(log.snapshot?.meta.configuration.voters, [memberId(NODE, identity.stamp)]);
  assert.equal(log.hardState.vote, null);
  return clusterId;
}

interface Change {
  readonly before: () => SimulatedDisk;
  readonly make: (disk: SimulatedDisk) => void;
  readonly from: ClusterId | undefined;
  readonly to: ClusterId | undefined;
}

/** Cuts the power before every operation of the change, and again before every one of the start that follows. */
function cutEverywhere({ before, make, from, to }: Change): number {
  const random = new SeededRandom(5);
  let recoveries = 0;
  for (let cut = 0; ; cut++) {
    const disk = before();
    disk.cutPowerAfter(cut);
    const isDone = survives(() => make(disk));
    const look = (found: SimulatedDisk, where: string): void => {
      const wasUnderWay = finishMovingAside(found, FOLDER);
      const cluster = clusterIn(found);
      assert.ok(cluster === from || cluster === to, `${where}: ${cluster}`);
      if (isDone || wasUnderWay) assert.equal(cluster, to, `${where}: what was done stays done`);
      if (from !== undefined && cluster === to) assert.equal(clusterIn(found, `${FOLDER}/quarantine/then`), from);
      assert.deepEqual(
        found.list(FOLDER).filter((name) => name === 'incoming' || name === 'ASIDE' || name.endsWith('.tmp')),
        [],
        `${where}: nothing is left over`,
      );
      // Whoever gives the command again gets what was asked for.
      if (cluster !== to) {
        make(found);
        assert.equal(clusterIn(found), to, where);
      }
    };
    recoveries += explore(
      CRASHES_PER_POINT,
      () => random.next(),
      (chooser) => {
        look(disk.afterCrash(chooser), `cut ${cut}`);
      },
    );
    for (let second = 0; ; second++) {
      const again = disk.afterCrash(KEEP_ALL);
      again.cutPowerAfter(second);
      const isFinished = survives(() => finishMovingAside(again, FOLDER));
      for (const chooser of [LOSE_ALL, KEEP_ALL]) look(again.afterCrash(chooser), `cuts ${cut} and ${second}`);
      recoveries += 2;
      if (isFinished) break;
    }
    if (isDone) return recoveries;
  }
}

function survives(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof PowerCut) return false;
    throw error;
  }
}

describe('a data directory that a command changes as a whole', () => {
  it('R-4: a forced cluster is there or the old one is, and the old data is never lost', () => {
    const make = (disk: SimulatedDisk): void => begin(disk, NEW, NEW_STAMP, 'then');
    assert.ok(cutEverywhere({ before: oldDisk, make, from: OLD, to: NEW }) > 500);
  });

  it('R-5: a restored cluster is there whole, or nothing is', () => {
    const make = (disk: SimulatedDisk): void => begin(disk, NEW, NEW_STAMP, undefined);
    assert.ok(cutEverywhere({ before: emptyDisk, make, from: undefined, to: NEW }) > 300);
  });

  it('R-1: data that is set aside is in quarantine/ whole, or where it was', () => {
    const make = (disk: SimulatedDisk): void => {
      moveDataAside(disk, FOLDER, 'then');
    };
    assert.ok(cutEverywhere({ before: oldDisk, make, from: OLD, to: undefined }) > 100);
  });
});
