/** docs/ownership.md section 10: the number of shards changes with both numberings live. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex } from '../../src/model/ids.ts';
import { slotCount } from '../../src/model/shard-map.ts';
import type { ShardSettings } from '../../src/model/shard-settings.ts';
import { leaderWaitMs, shardingConfig } from '../../src/sharding/config.ts';
import type { ShardCommand } from '../../src/sharding/messages.ts';
import { index, Rig, shard } from './rig.ts';

const W = leaderWaitMs(shardingConfig());

/** Leads; the map gives `a` and `b` three of six shards each. */
function leaderOfTwo(): Rig {
  const rig = new Rig();
  rig
    .propose(
      [
        ['a', 1],
        ['b', 1],
      ],
      [0, 0, 0, 1, 1, 1],
    )
    .commit();
  return rig.lead().hear('b');
}

function configure(rig: Rig, fields: Partial<ShardSettings>): void {
  const { settings } = rig.machine;
  rig.apply({
    kind: 'shardConfigure',
    term: rig.term,
    expects: settings.version,
    settings: { ...settings, ...fields },
  });
  // Plans keep their distance (O-22).
  rig.pass(25);
}

/** Places in the columns of the map that are served here, with their epochs. */
function servedSlots(rig: Rig): [slot: number, epoch: LogIndex][] {
  const map = rig.machine.activeMap();
  return Array.from({ length: map === undefined ? 0 : slotCount(map) }, (_, slot) => slot).flatMap((slot) => {
    const epoch = rig.machine.serving(shard(slot));
    return epoch === undefined ? [] : [[slot, epoch]];
  });
}

function slots(rig: Rig): number[] {
  return servedSlots(rig).map(([slot]) => slot);
}

/** Both numberings live: six shards and four. */
function begun(): Rig {
  const rig = leaderOfTwo();
  configure(rig, { shardCount: 6, nextShardCount: 4 });
  rig.applyAppended();
  rig.hear('b', { releasedVersion: rig.lastIndex });
  rig.applyAppended();
  return rig.hear('b', { appliedIndex: rig.lastIndex });
}

describe('sharding: another number of shards', () => {
  it('gives the next shards owners without taking any of the older ones', () => {
    const rig = begun();
    const map = rig.machine.activeMap();
    assert.deepEqual([map?.shardCount, map?.nextShardCount], [6, 4]);
    assert.deepEqual(slots(rig), [0, 1, 2, 6, 7]);
    assert.deepEqual(
      servedSlots(rig).map(([, epoch]) => epoch),
      [2, 2, 2, 5, 5],
      'each numbering has its epochs',
    );
  });

  it('done: the older end by proposal, release and commit, and the next ones are served throughout, under their epochs', () => {
    const rig = begun();
    configure(rig, { shardCount: 4, nextShardCount: 0 });
    rig.applyAppended();
    const version = rig.lastIndex;
    assert.deepEqual(slots(rig), [6, 7], 'the older ones are served no more, at once');
    assert.deepEqual(
      rig.of('release').map((effect) => [effect.shards, effect.version]),
      [[[0, 1, 2], version]],
    );
    rig.hear('b', { releasedVersion: version });
    assert.equal(rig.unapplied, undefined, 'the leader itself has not let go');
    rig.step({ kind: 'released', version });
    rig.applyAppended();
    assert.equal(rig.machine.activeMap()?.shardCount, 4);
    assert.equal(rig.machine.activeMap()?.nextShardCount, undefined);
    assert.deepEqual(servedSlots(rig), [
      [0, 5],
      [1, 5],
    ]);
    assert.deepEqual(rig.of('start'), [], 'nothing begins anew');
  });

  it('taken back: the next ones end, and the older ones go on as they were', () => {
    const rig = begun();
    configure(rig, { nextShardCount: 0 });
    rig.applyAppended();
    assert.deepEqual(slots(rig), [0, 1, 2]);
    const version = rig.lastIndex;
    rig.hear('b', { releasedVersion: version }).step({ kind: 'released', version });
    rig.applyAppended();
    assert.deepEqual(servedSlots(rig), [
      [0, 2],
      [1, 2],
      [2, 2],
    ]);
  });

  it('begun anew after it was taken back, the epochs are new ones: a token of the first time is stale', () => {
    const rig = begun();
    configure(rig, { nextShardCount: 0 });
    rig.applyAppended();
    const version = rig.lastIndex;
    rig.hear('b', { releasedVersion: version }).step({ kind: 'released', version });
    rig.applyAppended();
    configure(rig, { nextShardCount: 4 });
    rig.applyAppended();
    rig.hear('b', { releasedVersion: rig.lastIndex });
    rig.applyAppended();
    const epochs = servedSlots(rig).flatMap(([slot, epoch]) => (slot >= 6 ? [epoch] : []));
    assert.ok(epochs.length === 2 && epochs.every((epoch) => epoch > 5));
  });

  it('O-18: a numbering does not end while an owner is silent, and does when that is gone', () => {
    const rig = begun();
    rig.pass(350);
    configure(rig, { shardCount: 4, nextShardCount: 0 });
    assert.equal(rig.unapplied, undefined);
    assert.deepEqual(slots(rig), [0, 1, 2, 6, 7]);
    rig.pass(W);
    assert.equal((rig.unapplied as ShardCommand | undefined)?.kind, 'shardPropose');
  });

  it('the state machine admits no number of shards that was not agreed on', () => {
    const rig = leaderOfTwo();
    const version = rig.machine.activeMap()?.version;
    rig.propose(
      [
        ['a', 1],
        ['b', 1],
      ],
      [0, 0, 1, 1],
    );
    assert.equal(rig.machine.pendingVersion, undefined);
    configure(rig, { shardCount: 6, nextShardCount: 4 });
    rig.propose(
      [
        ['a', 1],
        ['b', 1],
      ],
      [0, 0, 1, 1],
    );
    assert.equal(rig.machine.pendingVersion, undefined, 'not from six to four in one step');
    assert.equal(rig.machine.activeMap()?.version, version);
  });
});

describe('sharding: settings', () => {
  it('of two changes made from the same settings the first counts', () => {
    const rig = leaderOfTwo();
    const { settings } = rig.machine;
    const change = { kind: 'shardConfigure', term: rig.term, expects: settings.version } as const;
    rig.apply({ ...change, settings: { ...settings, moveCap: 7 } });
    const first = rig.lastIndex;
    rig.apply({ ...change, settings: { ...settings, moveCap: 9 } });
    assert.deepEqual([rig.machine.settings.moveCap, rig.machine.settings.version], [7, first]);
  });

  it('a worker id rests for its quarantine by the time of the log, which never goes back, and through a snapshot', () => {
    const rig = new Rig();
    const both = [
      { node: 'a', workerId: 2 },
      { node: 'b', workerId: 3 },
    ];
    const propose = (owners: typeof both, atMs: number): boolean => {
      rig.apply({
        kind: 'shardPropose',
        term: rig.term,
        atMs,
        shardCount: 2,
        owners: owners.map(({ node, workerId }) => ({ node: node as never, boot: workerId as never, workerId })),
        ownerOf: Uint16Array.from([0, owners.length - 1]),
      });
      const isTaken = rig.machine.pendingVersion === rig.lastIndex;
      if (isTaken) rig.commit();
      return isTaken;
    };
    const hour = 3_600_000;
    assert.ok(propose(both, 10 * hour));
    assert.ok(propose([both[0] as (typeof both)[0]], 11 * hour), 'b is out, and its id rests');
    const again = [both[0] as (typeof both)[0], { node: 'c', workerId: 3 }];
    assert.ok(!propose(again, 11 * hour + hour - 1));
    // A leader whose clock is behind does not turn the time back, and neither does a restart from a snapshot.
    rig.step({ kind: 'imageInstalled', index: index(rig.lastIndex), image: rig.machine.image() });
    assert.ok(!propose(again, 5 * hour));
    assert.ok(propose(again, 12 * hour));
  });
});
