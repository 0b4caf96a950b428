/** The cases of docs/ownership.md section 7 that this room decides, in the order of their ids. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LeaseRenew } from '../../src/sharding/messages.ts';
import { leaderWaitMs, shardingConfig, validateShardingConfig, warnShardingConfig } from '../../src/sharding/config.ts';
import { boot, index, node, ownersOf, proposal, Rig } from './rig.ts';

const W = leaderWaitMs(shardingConfig());
const ABC = [
  ['a', 1],
  ['b', 1],
  ['c', 1],
] as const;

function leader(options: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig(options);
  rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
  return rig.lead().hear('b').hear('c');
}

function last(rig: Rig): LeaseRenew {
  const renewal = rig.renewals().at(-1);
  assert.ok(renewal !== undefined);
  return renewal;
}

describe('sharding: cases', () => {
  it('C-1: a follower dies: its shards move when its lease has run out, everybody else’s stay', () => {
    const rig = leader();
    const diedAt = rig.now;
    while (rig.unapplied === undefined && rig.now < diedAt + 2_000) rig.pass(50).hear('c');
    assert.ok(rig.now - diedAt >= W && rig.now - diedAt <= W + 51);
    const plan = ownersOf(rig.applyAppended());
    assert.equal(plan.slice(0, 2) + plan.slice(4), 'aacc');
    assert.equal(rig.appended()[0]?.kind, 'shardCommit', 'nobody has to be asked');
  });

  it('C-2: the leader dies: 150 ms after the election its shards move, without a wait', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    const electedAt = rig.now;
    rig
      .lead({ restedOnLease: node('c'), predecessor: node('c') })
      .hear('b')
      .pass(200);
    assert.ok(!ownersOf(rig.applyAppended()).includes('c'));
    assert.equal(rig.appended()[0]?.kind, 'shardCommit');
    assert.ok(rig.now - electedAt <= 200);
  });

  it('C-3: leader and follower die together: the leader’s shards move first, the follower’s after the wait', () => {
    const rig = new Rig();
    rig.propose([...ABC, ['d', 1]], [0, 0, 1, 2, 3, 3]).commit();
    const electedAt = rig.now;
    rig
      .lead({ restedOnLease: node('c'), predecessor: node('c') })
      .hear('b')
      .pass(160);
    const first = ownersOf(rig.applyAppended());
    assert.ok(!first.includes('c') && first.endsWith('dd'), first);
    rig.applyAppended();
    while (rig.unapplied === undefined && rig.now < electedAt + 2_000) rig.pass(20).hear('b');
    assert.ok(rig.now - electedAt > W);
    assert.ok(!ownersOf(rig.unapplied).includes('d'));
  });

  it('C-4: the leader dies just after its election: its successor cannot know, and waits', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    const electedAt = rig.now;
    rig.lead({ predecessor: node('c') }).hear('b');
    while (rig.unapplied === undefined && rig.now < electedAt + 2_000) rig.pass(20).hear('b');
    assert.ok(rig.now - electedAt > W);
  });

  it('C-5: the leader changes while a map is pending: losers stay stopped on those shards alone, and its successor commits', () => {
    const rig = new Rig().follow('l');
    rig.grantFor(last(rig)).propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    rig.apply(proposal(ABC, [0, 1, 1, 2, 2, 0]));
    const version = rig.lastIndex;
    assert.deepEqual(rig.served(), [0]);
    rig.step({ kind: 'released', version }).lead();
    assert.deepEqual(rig.served(), [0]);
    rig.hear('b', { releasedVersion: version }).hear('c', { releasedVersion: version });
    assert.deepEqual(rig.appended(), [{ kind: 'shardCommit', term: rig.term, version }]);
    rig.applyAppended();
    assert.deepEqual(rig.served(), [0, 5]);
  });

  it('C-6: a late node is below the floor and gets no grant until it has caught up', () => {
    const rig = leader();
    rig.receive({ kind: 'release', node: node('b'), boot: boot(1) });
    rig.applyAppended();
    rig.applyAppended();
    rig.hear('c', { appliedIndex: index(2) });
    assert.equal(rig.answers()[0]?.kind, 'refusal');
    rig.hear('c');
    assert.equal(rig.answers()[0]?.kind, 'grant');
  });

  it('C-7: a loser renews and never acknowledges: the others’ shards move, its own when its lease has run out, and it wins some again', () => {
    const rig = new Rig({ config: { shardCount: 8 } });
    rig.propose(ABC.slice(0, 2), [0, 0, 0, 0, 1, 1, 1, 1]).commit();
    rig.lead().hear('b').hear('c');
    const renewAll = (): void => {
      rig.step({ kind: 'released', version: rig.lastIndex }).pass(90).hear('b');
      if (rig.unapplied === undefined) rig.hear('c');
    };
    /** Until a map is active that gives `b` so many shards. */
    const untilHas = (count: number): string => {
      for (const end = rig.now + 3_000; rig.now < end; renewAll()) {
        while (rig.unapplied !== undefined) rig.applyAppended();
        const owners = rig.owners();
        if (owners.split('b').length - 1 === count && owners.includes('c')) return owners;
      }
      throw new Error(`b has ${rig.owners()}`);
    };
    assert.ok(untilHas(4).endsWith('bbbb'), 'a lets go of its share at once');
    const leftOutAt = rig.now;
    untilHas(0);
    assert.ok(rig.now - leftOutAt >= W - 600 && rig.now - leftOutAt <= W + 200);
    // A winner of the next plan.
    untilHas(2);
  });

  it('C-8: a winner that dies before the commit loses what it won when it is gone', () => {
    const rig = leader().hear('d');
    const plan = ownersOf(rig.applyAppended());
    assert.ok(plan.includes('d'));
    for (const name of ['b', 'c']) rig.hear(name, { releasedVersion: rig.lastIndex });
    rig.applyAppended();
    const servedAt = rig.now;
    while (rig.unapplied === undefined && rig.now < servedAt + 2_000) rig.pass(50).hear('b').hear('c');
    assert.ok(!ownersOf(rig.unapplied).includes('d'));
  });

  it('C-9: a grant that lay in the buffers of a paused process counts from its old request', () => {
    const rig = new Rig().follow('l');
    const asked = last(rig);
    rig.now += 2_000;
    rig.grantFor(asked);
    assert.equal(rig.holdsLease(), false);
  });

  it('C-10: a guest that was suspended serves nothing on a grant from before', () => {
    const rig = new Rig().follow('l');
    rig.grantFor(last(rig));
    assert.equal(rig.holdsLease(), true);
    rig.step({ kind: 'clockJumped', byMs: 5_000 });
    assert.equal(rig.holdsLease(), false);
    rig.grantFor(last(rig));
    assert.equal(rig.holdsLease(), true, 'one round trip later it does');
  });

  it('C-11: a wall clock that steps forward costs one round trip, one that steps back nothing', () => {
    const rig = new Rig().follow('l');
    rig.grantFor(last(rig)).step({ kind: 'clockJumped', byMs: -3_600_000 });
    assert.equal(rig.holdsLease(), true);
    rig.step({ kind: 'clockJumped', byMs: 3_600_000 });
    assert.equal(rig.holdsLease(), false);
    rig.grantFor(last(rig));
    assert.equal(rig.holdsLease(), true);
  });

  it('C-12: a voter that restarts within its old lease owns its shards again two rounds later, with a new epoch', () => {
    const rig = leader().step({ kind: 'votersChanged', nodes: [node('a'), node('b'), node('c')] });
    rig.hear('b', { dirLocked: true });
    const claim = rig.renewal('b', { boot: boot(2), dirLocked: true });
    rig.receive(claim).receive({ ...claim, seq: claim.seq + 1, answeredTerm: rig.term, answeredSeq: claim.seq });
    const before = rig.machine.activeMap();
    assert.equal(ownersOf(rig.applyAppended()), 'aabbcc');
    rig.applyAppended();
    const after = rig.machine.activeMap();
    assert.equal(after?.owners[1]?.boot, 2);
    assert.deepEqual([...(after?.epochs ?? [])], [2, 2, after?.committedAt, after?.committedAt, 2, 2]);
    assert.notEqual(after?.owners[1]?.workerId, before?.owners[1]?.workerId);
  });

  it('C-13: a non-voter that restarts waits until its older boot is gone, and then owns its shards again', () => {
    const rig = leader();
    const diedAt = rig.now;
    const reborn = { boot: boot(2), seq: 0 };
    while (rig.unapplied === undefined && rig.now < diedAt + 2_000) {
      reborn.seq += 1;
      rig.pass(50).hear('c').hear('b', reborn);
      assert.ok(rig.unapplied !== undefined || rig.answers()[0]?.kind === 'refusal');
    }
    assert.ok(rig.now - diedAt > W && rig.now - diedAt <= W + 51);
    assert.equal(ownersOf(rig.unapplied), 'aabbcc', 'no shard changes its node');
  });

  it('C-13: under a new leader, a second boot that is heard first gets a lease, and nothing to serve with it', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    const electedAt = rig.now;
    rig
      .lead()
      .hear('c')
      .hear('b', { boot: boot(2) });
    assert.equal(rig.answers()[0]?.kind, 'grant');
    while (rig.now < electedAt + W) {
      assert.equal(rig.unapplied, undefined, 'its older boot may still serve');
      rig
        .pass(50)
        .hear('c')
        .hear('b', { boot: boot(2) });
    }
    assert.equal(ownersOf(rig.unapplied), 'aabbcc');
  });

  it('C-14: a map that is replayed serves nothing before the first grant', () => {
    const rig = new Rig({ boot: 2 });
    rig.propose([['a', 2]], [0, 0, 0, 0, 0, 0]).commit();
    assert.equal(rig.served().length, 6);
    assert.equal(rig.holdsLease(), false);
  });

  it('C-15: a lone voter that restarts owns everything again within two rounds of its readiness', () => {
    const rig = new Rig({ boot: 2 });
    rig.propose([['a', 1]], [0, 0, 0, 0, 0, 0]).commit();
    assert.deepEqual(rig.served(), []);
    rig.lead();
    assert.equal(ownersOf(rig.applyAppended()), 'aaaaaa');
    rig.applyAppended();
    assert.equal(rig.served().length, 6);
  });

  it('C-17: a transfer: the old leader serves again with its first grant as a follower', () => {
    const rig = leader();
    rig.step({ kind: 'transferring', active: true });
    assert.equal(rig.holdsLease(), false);
    rig.follow('b');
    const [renewal] = rig.renewals();
    assert.ok(renewal !== undefined, 'asked for at once');
    rig.grantFor(renewal);
    assert.equal(rig.holdsLease(), true);
    assert.deepEqual(rig.served(), [0, 1]);
  });

  it('C-20: a snapshot that takes shards away stops them in that step; their release is acknowledged after the drain', () => {
    const rig = new Rig().follow('l');
    rig.grantFor(last(rig)).propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    const other = new Rig();
    other.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    other
      .apply(proposal(ABC, [1, 0, 1, 1, 2, 2]))
      .commit()
      .apply(proposal(ABC, [1, 1, 1, 1, 2, 2]));
    rig.step({ kind: 'imageInstalled', index: index(5), image: other.machine.image() });
    assert.deepEqual(rig.served(), []);
    assert.deepEqual(
      rig.of('release').map(({ shards, version }) => [shards, version]),
      [[[0, 1], 5]],
    );
    rig.pass(100);
    assert.ok(last(rig).releasedVersion < 5);
    rig.step({ kind: 'released', version: index(5) });
    assert.equal(last(rig).releasedVersion, 5);
  });

  it('C-20: the image carries the active map, the pending one and the worker ids', () => {
    const rig = leader().hear('d');
    rig.applyAppended();
    const copy = new Rig({ node: 'z' });
    copy.step({ kind: 'imageInstalled', index: rig.lastIndex, image: rig.machine.image() });
    assert.deepEqual(copy.machine.activeMap(), rig.machine.activeMap());
    assert.equal(copy.machine.pendingVersion, rig.machine.pendingVersion);
    assert.deepEqual(copy.machine.image(), rig.machine.image());
  });

  it('C-21: a forced cluster waits for the lease of every owner but its own earlier boot, which its lock proves dead', () => {
    const rig = new Rig({ boot: 2 });
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    const electedAt = rig.now;
    rig.lead();
    while (rig.unapplied === undefined && rig.now < electedAt + 2_000) rig.pass(10);
    assert.equal(ownersOf(rig.unapplied), 'aabbcc', 'whoever is not known to be dead keeps its shards');
    rig.applyAppended();
    rig.applyAppended();
    assert.deepEqual(rig.served(), [0, 1]);
    while (rig.unapplied === undefined && rig.now < electedAt + 2_000) rig.pass(10);
    assert.equal(ownersOf(rig.unapplied), 'aaaaaa');
    assert.ok(rig.now - electedAt > W && rig.now - electedAt <= W + 11);
  });

  it('a second map that names the same owners moves nothing and keeps every epoch', () => {
    const rig = leader().propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    assert.deepEqual([...(rig.machine.activeMap()?.epochs ?? [])], [2, 2, 2, 2, 2, 2]);
  });
});

describe('sharding: settings', () => {
  it('the defaults are valid, and cover a worst first election with one redraw', () => {
    assert.deepEqual(validateShardingConfig(shardingConfig()), []);
    assert.deepEqual(warnShardingConfig(shardingConfig(), 250), []);
    assert.ok(Math.abs(W - 936.7) < 0.1);
  });

  it('section 6: a lease that an election outlives is warned of by name, with the one that would do', () => {
    const [warning] = warnShardingConfig(shardingConfig(), 1_000);
    assert.match(warning ?? '', /lease 900 ms .* 1000 ms.*; 32\d\d ms/);
    assert.deepEqual(warnShardingConfig(shardingConfig({ leaseMs: 3_230 }), 1_000), []);
    assert.equal(warnShardingConfig(shardingConfig({ leaseMs: 892 }), 250).length, 1);
  });

  it('every problem is told at once', () => {
    const bad = shardingConfig({ shardCount: 0, leaseMs: 5, clockDrift: Number.NaN, formationQuietMs: 900 });
    const problems = validateShardingConfig(bad);
    for (const name of ['shardCount', 'leaseMs', 'clockDrift', 'renewIntervalMs', 'formationQuietMs']) {
      assert.ok(
        problems.some((problem) => problem.includes(name)),
        name,
      );
    }
  });
});
