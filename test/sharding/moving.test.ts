import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Term } from '../../src/model/ids.ts';
import { leaderWaitMs, shardingConfig } from '../../src/sharding/config.ts';
import { boot, index, node, ownersOf, proposal, Rig } from './rig.ts';

const W = leaderWaitMs(shardingConfig());
const AB = [
  ['a', 1],
  ['b', 1],
] as const;
const ABC = [...AB, ['c', 1]] as const;

/** Leads; the map gives `a` and `b` three shards each. */
function leaderOfTwo(options: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig(options);
  rig.propose(AB, [0, 0, 0, 1, 1, 1]).commit();
  return rig.lead().hear('b');
}

/** The same with `c` waiting for a share: a proposal that `a` and `b` lose one shard each by is applied. */
function withNewcomer(): Rig {
  const rig = leaderOfTwo().hear('c');
  rig.applyAppended();
  return rig;
}

describe('sharding: forming', () => {
  it('a lone voter has its map 150 ms after it is ready, in one round', () => {
    const rig = new Rig().lead();
    rig.pass(149);
    assert.equal(rig.unapplied, undefined);
    rig.pass(2);
    assert.equal(ownersOf(rig.applyAppended()), 'aaaaaa');
    rig.applyAppended();
    assert.deepEqual(rig.served(), [0, 1, 2, 3, 4, 5]);
  });

  it('a first map waits until the cluster has gathered, and then gives everyone a share', () => {
    const rig = new Rig().lead();
    rig.pass(100).hear('c').pass(100).hear('b').pass(100).hear('c').pass(49);
    assert.equal(rig.unapplied, undefined);
    rig.pass(2);
    assert.equal(ownersOf(rig.applyAppended()), 'aabbcc');
  });

  it('and does not wait for ever: 500 ms after the first of them', () => {
    const rig = new Rig({ config: { shardCount: 60 } }).lead();
    const names = ['b', 'c', 'd', 'e', 'f', 'g'];
    for (const name of names) {
      rig.pass(90);
      if (rig.unapplied === undefined) rig.hear(name);
    }
    assert.ok(rig.unapplied?.kind === 'shardPropose');
  });

  it('a leader with --no-shards waits for somebody to give shards to', () => {
    const rig = new Rig({ config: { wantsShards: false } }).lead();
    rig.pass(2_000).hear('b').pass(149);
    assert.equal(rig.unapplied, undefined);
    rig.pass(2);
    assert.equal(ownersOf(rig.applyAppended()), 'bbbbbb');
  });

  it('worker ids begin at 2 and rise in the order of node ids', () => {
    const rig = new Rig().lead().hear('c').hear('b');
    rig.pass(151);
    const command = rig.applyAppended();
    assert.deepEqual(command.kind === 'shardPropose' && command.owners.map((owner) => [owner.node, owner.workerId]), [
      ['a', 2],
      ['b', 3],
      ['c', 4],
    ]);
  });
});

describe('sharding: moving shards', () => {
  it('O-17: commits when every loser has acknowledged this version with its boot, the leader itself included', () => {
    const rig = withNewcomer();
    const version = rig.lastIndex;
    assert.equal(rig.machine.pendingVersion, version);
    rig.hear('b', { releasedVersion: index(version - 1) });
    rig.hear('b', { releasedVersion: version });
    assert.equal(rig.unapplied, undefined, 'the leader has not released yet');
    rig.step({ kind: 'released', version });
    assert.deepEqual(rig.appended(), [{ kind: 'shardCommit', term: rig.term, version }]);
  });

  it('O-17: an acknowledgement of another boot counts for nothing', () => {
    const rig = withNewcomer();
    const version = rig.lastIndex;
    rig.step({ kind: 'released', version });
    rig.hear('b', { boot: boot(9), releasedVersion: version });
    assert.equal(rig.unapplied, undefined);
  });

  it('O-17: nor does it under a new leader that hears the other boot first', () => {
    const rig = withNewcomer();
    const version = rig.lastIndex;
    rig.follow('z').lead().hear('c');
    rig.step({ kind: 'released', version });
    rig.hear('b', { boot: boot(9), releasedVersion: version });
    assert.equal(rig.unapplied, undefined);
  });

  it('O-17: a loser that is gone need not acknowledge', () => {
    const rig = withNewcomer();
    rig.step({ kind: 'released', version: rig.lastIndex });
    rig.receive({ kind: 'release', node: node('b'), boot: boot(1) });
    assert.equal(rig.appended()[0]?.kind, 'shardCommit');
  });

  it('O-17: ConfirmShardMap is the same acknowledgement, and says which version is wanted', () => {
    const rig = withNewcomer();
    const version = rig.lastIndex;
    rig.step({ kind: 'released', version });
    const wrong = rig.machine.confirm({ node: node('b'), version: index(1) }, rig.now, rig.effects);
    assert.deepEqual(wrong, { success: false, currentIndex: version });
    rig.effects = [];
    const right = rig.machine.confirm({ node: node('b'), version }, rig.now, rig.effects);
    assert.deepEqual(right, { success: true, currentIndex: version });
    assert.equal(rig.appended()[0]?.kind, 'shardCommit');
  });

  it('O-18: a silent owner keeps its shards until it is gone, and the proposal goes out that very moment', () => {
    const rig = leaderOfTwo();
    const grantedAt = rig.now;
    rig.pass(grantedAt + W - rig.now - 0.1);
    assert.equal(rig.machine.stats.proposals, 0);
    rig.pass(0.2);
    assert.equal(ownersOf(rig.unapplied), 'aaaaaa');
    rig.applyAppended();
    assert.equal(rig.appended()[0]?.kind, 'shardCommit', 'nobody is left to be waited for');
  });

  it('O-18: what others lose is planned around a silent owner', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    rig.lead({ isReady: false }).pass(400);
    rig
      .becomeReady(rig.now - 400)
      .hear('d')
      .hear('b');
    rig.pass(30);
    const plan = ownersOf(rig.applyAppended());
    assert.equal(plan.slice(4), 'cc');
    assert.ok(plan.includes('d'));
  });

  it('O-19: a new leader gives its predecessor 150 ms, or until liveness calls it dead', () => {
    const start = (): Rig => {
      const rig = new Rig();
      rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
      return rig.lead({ restedOnLease: node('c'), predecessor: node('c') }).hear('b');
    };
    const patient = start().pass(149);
    assert.equal(patient.unapplied, undefined);
    patient.pass(2);
    assert.ok(ownersOf(patient.unapplied).length > 0);
    const told = start()
      .pass(20)
      .step({ kind: 'livenessChanged', node: node('c'), alive: false });
    assert.ok(ownersOf(told.unapplied).length > 0 && !ownersOf(told.unapplied).includes('c'));
  });

  it('O-20: after 500 ms the overdue loser keeps its shards and the others’ move at once', () => {
    const rig = new Rig({ config: { shardCount: 8 } });
    rig.propose(AB, [0, 0, 0, 0, 1, 1, 1, 1]).commit();
    rig.lead().hear('b').hear('c');
    const appendedAt = rig.now;
    rig.applyAppended();
    const first = rig.lastIndex;
    rig.step({ kind: 'released', version: first });
    for (let i = 0; i < 4; i++) rig.pass(100).hear('b').hear('c');
    rig.pass(appendedAt + 499 - rig.now);
    assert.equal(rig.unapplied, undefined);
    rig.pass(2);
    const second = ownersOf(rig.unapplied);
    assert.ok(second.endsWith('bbbb') && second.includes('c'), second);
    rig.applyAppended();
    rig.step({ kind: 'released', version: rig.lastIndex });
    assert.equal(rig.appended()[0]?.kind, 'shardCommit');
  });

  it('O-20: a leader whose own application is late keeps its shards, and tries again later', () => {
    const rig = leaderOfTwo();
    rig.hear('c').applyAppended();
    const first = rig.lastIndex;
    for (let i = 0; i < 6; i++) rig.pass(90).hear('b', { releasedVersion: first }).hear('c');
    const second = ownersOf(rig.unapplied);
    assert.equal(second.replaceAll(/[^a]/g, ''), 'aaa');
    rig.applyAppended();
    assert.deepEqual(rig.served().length, 3, 'O-6: served again at once');
  });

  it('O-21: an inherited proposal that still fits is resumed, its time to acknowledge counted from readiness', () => {
    const rig = new Rig();
    rig.propose(AB, [0, 0, 0, 1, 1, 1]).commit();
    const plan = proposal(ABC, [2, 0, 0, 2, 1, 1]);
    rig.apply(plan);
    const version = rig.lastIndex;
    rig.lead({ isReady: false }).pass(100);
    rig
      .becomeReady(rig.now - 100)
      .hear('b', { releasedVersion: version })
      .hear('c');
    assert.equal(rig.unapplied, undefined);
    assert.equal(rig.machine.stats.proposals, 0);
    rig.pass(90).hear('b', { releasedVersion: version }).hear('c');
    rig.step({ kind: 'released', version });
    assert.deepEqual(rig.unapplied, { kind: 'shardCommit', term: rig.term, version });
  });

  it('O-21: an inherited proposal that no longer fits is superseded', () => {
    const rig = new Rig();
    rig.propose(AB, [0, 0, 0, 1, 1, 1]).commit();
    rig.apply(proposal(ABC, [2, 0, 0, 2, 1, 1]));
    rig.lead({ isReady: false }).pass(400);
    rig.becomeReady(rig.now - 400).hear('b');
    assert.equal(ownersOf(rig.unapplied), 'aaabbb', 'c is not there');
  });

  it('O-21: acknowledgements are per leadership: a new one begins with none', () => {
    const rig = withNewcomer();
    const version = rig.lastIndex;
    rig.hear('b', { releasedVersion: version }).step({ kind: 'released', version });
    assert.equal(rig.unapplied?.kind, 'shardCommit');
    rig.follow('c').lead().hear('c');
    assert.notEqual(rig.appended()[0]?.kind, 'shardCommit');
    rig.hear('b', { releasedVersion: version });
    const commit = { kind: 'shardCommit', term: rig.term, version };
    assert.deepEqual(rig.appended(), [commit]);
  });

  it('O-22: nothing is appended before the log is applied', () => {
    const rig = leaderOfTwo().step({ kind: 'logSettled', settled: false });
    rig.hear('c').pass(1_000);
    assert.equal(rig.machine.stats.proposals, 0);
    rig.hear('b').hear('c').step({ kind: 'logSettled', settled: true });
    assert.equal(rig.machine.stats.proposals, 1);
  });

  it('O-22: one map entry is on its way at most; an append that is refused is asked for again after 50 ms', () => {
    const rig = leaderOfTwo().hear('c');
    assert.equal(rig.appended().length, 1);
    rig.hear('d').pass(49);
    assert.equal(rig.appended().length, 0);
    rig.pass(2);
    assert.equal(rig.appended().length, 1);
    rig.step({ kind: 'logSettled', settled: false }).pass(500);
    assert.equal(rig.appended().length, 0, 'this one is in the log');
  });

  it('O-22: newcomers cost at most 5 maps in a burst and 5 a second', () => {
    const rig = new Rig({ config: { shardCount: 400 } });
    rig.propose([['a', 1]], new Array(400).fill(0)).commit();
    rig.lead();
    const start = rig.now;
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
    let known = 0;
    while (rig.now < start + 2_000) {
      known = Math.min(names.length, Math.ceil((rig.now - start + 1) / 50));
      const releasedVersion = rig.machine.pendingVersion ?? index(0);
      for (const name of names.slice(0, known)) rig.hear(name, { releasedVersion, boot: boot(1) });
      if (rig.machine.pendingVersion !== undefined) rig.step({ kind: 'released', version: rig.machine.pendingVersion });
      for (let i = 0; i < 2 && rig.unapplied !== undefined; i++) rig.applyAppended();
      rig.pass(10);
    }
    assert.ok(rig.machine.stats.proposals >= 12 && rig.machine.stats.proposals <= 15, `${rig.machine.stats.proposals}`);
  });

  it('O-22: plans are 20 ms apart, deaths included', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    rig.lead().hear('b').hear('c');
    rig.receive({ kind: 'release', node: node('b'), boot: boot(1) });
    rig.applyAppended();
    rig.applyAppended();
    rig.receive({ kind: 'release', node: node('c'), boot: boot(1) });
    assert.equal(rig.unapplied, undefined);
    rig.pass(21);
    assert.equal(ownersOf(rig.unapplied), 'aaaaaa');
  });

  it('O-23: a node that drains loses everything by acknowledging, and is a member all the while', () => {
    const rig = leaderOfTwo().hear('b', { wantsShards: false });
    assert.equal(ownersOf(rig.applyAppended()), 'aaaaaa');
    const version = rig.lastIndex;
    rig.hear('b', { wantsShards: false, releasedVersion: version });
    assert.equal(rig.answers()[0]?.kind, 'grant');
    assert.equal(rig.unapplied?.kind, 'shardCommit');
  });

  it('O-23: a leader that drains gives its own shards away first', () => {
    const rig = leaderOfTwo().step({ kind: 'drain' });
    assert.equal(ownersOf(rig.applyAppended()), 'bbbbbb');
    rig.step({ kind: 'released', version: rig.lastIndex });
    rig.applyAppended();
    assert.equal(rig.events('drained').length, 1);
  });

  it('O-23: a leader that is alone is as drained as it can be', () => {
    const rig = new Rig().lead();
    rig.pass(151);
    rig.applyAppended();
    rig.applyAppended();
    rig.step({ kind: 'drain' }).pass(30);
    assert.ok(rig.told.some((event) => event.kind === 'drained'));
  });

  it('SO-7: deposed leaders write nothing: a command of another term is dropped', () => {
    const rig = leaderOfTwo();
    const late = proposal(AB, [1, 1, 1, 1, 1, 1], 1 as Term);
    rig.step({ kind: 'applied', index: index(50), term: rig.term, command: late });
    assert.equal(rig.machine.pendingVersion, undefined);
  });
});
