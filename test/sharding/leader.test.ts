import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LeaseRenew } from '../../src/sharding/messages.ts';
import { leaderWaitMs, shardingConfig } from '../../src/sharding/config.ts';
import { boot, index, node, Rig } from './rig.ts';

const W = leaderWaitMs(shardingConfig());
const ABC = [
  ['a', 1],
  ['b', 1],
  ['c', 1],
] as const;

/** Follows `a`, `b` and `c` with two shards each, and leads. */
function leader(options: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig(options);
  rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
  return rig.lead();
}

/** What was answered in the last step, by kind or reason. */
function answers(rig: Rig): string[] {
  return rig.answers().map((answer) => (answer.kind === 'refusal' ? answer.reason : answer.kind));
}

/** The renewal with which a holder shows that it has seen the answer to `answered`. */
function echo(rig: Rig, answered: LeaseRenew, fields: Partial<LeaseRenew> = {}): LeaseRenew {
  const { node: from, boot: itsBoot, dirLocked } = answered;
  const seen = { answeredTerm: rig.term, answeredSeq: answered.seq };
  return rig.renewal(from, { boot: itsBoot, dirLocked, ...seen, ...fields });
}

describe('sharding: the leader’s grants', () => {
  it('O-9: grants while ready and while its own lease runs, not after', () => {
    const rig = leader();
    rig.step({ kind: 'leaderLease', until: rig.now + 100 }).hear('b');
    assert.deepEqual(answers(rig), ['grant']);
    rig.pass(100).hear('b');
    assert.deepEqual(answers(rig), []);
  });

  it('O-9: a renewal that comes before readiness is kept, the newest of each holder, and answered at readiness', () => {
    const rig = new Rig();
    rig.lead({ isReady: false }).hear('b').hear('b').hear('c');
    assert.deepEqual(rig.answers(), []);
    rig.becomeReady(rig.now);
    assert.deepEqual(
      rig.answers().map((answer) => [answer.kind, answer.node, 'seq' in answer ? answer.seq : 0]),
      [
        ['grant', 'b', 2],
        ['grant', 'c', 3],
      ],
    );
  });

  it('O-9: a renewal that comes while the lease is out is answered when it is back', () => {
    const rig = leader();
    rig.step({ kind: 'leaderLease', until: Number.NEGATIVE_INFINITY }).hear('b');
    assert.deepEqual(answers(rig), []);
    rig.step({ kind: 'leaderLease', until: rig.now + 100 });
    assert.deepEqual(answers(rig), ['grant']);
  });

  it('O-9: no grant while a transfer is under way; they are given when it is given up', () => {
    const rig = leader().step({ kind: 'transferring', active: true });
    rig.hear('b');
    assert.deepEqual(answers(rig), []);
    rig.step({ kind: 'transferring', active: false });
    assert.deepEqual(answers(rig), ['grant']);
  });

  it('O-9: who does not lead grants nothing', () => {
    const rig = leader().follow('b').hear('c');
    assert.deepEqual(rig.answers(), []);
  });

  it('O-10: an old copy of a renewal is not answered and does not prolong the wait', () => {
    const rig = leader({ config: { mapsPerSecond: 100 } }).hear('c');
    const old = rig.renewal('b');
    const electedAt = rig.now;
    rig.receive(old).pass(500).receive(old);
    assert.deepEqual(answers(rig), []);
    rig.pass(electedAt + W - rig.now - 1);
    assert.equal(rig.events('holderGone').length, 0);
    rig.pass(2);
    assert.ok(rig.events('holderGone').some((event) => event.node === 'b'));
  });

  it('O-11: refuses who has not applied the active map', () => {
    const rig = leader().hear('b', { appliedIndex: index(0) });
    assert.deepEqual(answers(rig), ['behind']);
    rig.hear('b', { appliedIndex: index(1) });
    assert.deepEqual(answers(rig), ['grant'], 'the version is the index of the proposal');
  });

  it('O-11: the floor rises in the step that appends a commit, not when the commit is applied', () => {
    const rig = leader();
    rig.hear('b').hear('c').hear('d');
    rig.pass(30);
    rig.applyAppended();
    const version = rig.lastIndex;
    rig.hear('c', { releasedVersion: version });
    assert.equal(rig.appended()[0]?.kind, 'shardCommit');
    rig.hear('c', { appliedIndex: index(version - 1) });
    assert.deepEqual(answers(rig), ['behind']);
    rig.hear('c', { appliedIndex: version });
    assert.deepEqual(answers(rig), ['grant']);
  });

  it('O-12: a loser whose acknowledgement is overdue is refused until a map without it is active', () => {
    const rig = leader();
    rig.hear('b').hear('c').hear('d').pass(30);
    rig.applyAppended();
    for (let i = 0; i < 6; i++) rig.pass(90).hear('c').hear('b').hear('d');
    assert.equal(rig.machine.stats.acknowledgementsOverdue, 1);
    rig.applyAppended();
    rig.hear('c');
    assert.deepEqual(answers(rig), ['leftOut']);
    const second = rig.lastIndex;
    rig.step({ kind: 'released', version: second }).hear('b', { releasedVersion: second });
    rig.applyAppended();
    rig.hear('c');
    assert.deepEqual(answers(rig), ['leftOut'], 'the active map still names it');
    for (let i = 0; i < 12 && rig.unapplied === undefined; i++) rig.pass(90).hear('b').hear('d').hear('c');
    const third = rig.applyAppended();
    assert.ok(third.kind === 'shardPropose' && third.owners.every((owner) => owner.node !== 'c'));
    rig.hear('b', { releasedVersion: rig.lastIndex });
    rig.applyAppended();
    rig.hear('c');
    assert.deepEqual(answers(rig), ['grant']);
  });

  it('O-13: the first boot of a name is its holder; a second process is refused until the first is gone', () => {
    const rig = leader().hear('b');
    rig.hear('b', { boot: boot(2) });
    assert.deepEqual(answers(rig), ['idInUse']);
    rig.pass(W + 1).hear('b', { boot: boot(2) });
    assert.deepEqual(answers(rig), ['grant']);
  });

  it('O-13: the lock of a voter proves its older boot dead, once the new one has shown that it lives', () => {
    const rig = leader().step({ kind: 'votersChanged', nodes: [node('a'), node('b')] });
    rig.hear('b', { dirLocked: true });
    const claim = rig.renewal('b', { boot: boot(2), dirLocked: true });
    rig.receive(claim);
    assert.deepEqual(answers(rig), ['idInUse']);
    rig.receive(echo(rig, claim));
    assert.deepEqual(answers(rig), ['grant']);
    assert.ok(rig.events('holderGone').some((event) => event.node === 'b' && event.boot === 1));
    rig.hear('b', { boot: boot(1), dirLocked: true });
    assert.deepEqual(answers(rig), [], 'what is left of the older boot in the network is nobody');
  });

  it('O-13: a delayed renewal of the older boot does not replace the one that lives', () => {
    const rig = leader().step({ kind: 'votersChanged', nodes: [node('a'), node('b')] });
    rig.hear('b', { boot: boot(2), dirLocked: true });
    for (let i = 0; i < 3; i++) rig.hear('b', { boot: boot(1), dirLocked: true });
    assert.deepEqual(answers(rig), ['idInUse']);
    rig.hear('b', { boot: boot(2), dirLocked: true });
    assert.deepEqual(answers(rig), ['grant']);
  });

  it('O-13: an echo from before the older boot was last heard proves nothing', () => {
    const rig = leader().step({ kind: 'votersChanged', nodes: [node('a'), node('b')] });
    rig.hear('b', { dirLocked: true });
    const claim = rig.renewal('b', { boot: boot(2), dirLocked: true });
    rig.receive(claim).pass(10).hear('b', { dirLocked: true });
    rig.receive(echo(rig, claim));
    assert.deepEqual(answers(rig), ['idInUse']);
  });

  it('O-13: a lock proves nothing for a node outside the Raft configuration', () => {
    const rig = leader().hear('b', { dirLocked: true });
    const claim = rig.renewal('b', { boot: boot(2), dirLocked: true });
    rig.receive(claim).receive(echo(rig, claim));
    assert.deepEqual(answers(rig), ['idInUse']);
  });

  it('O-13: another process with the leader’s own id is refused', () => {
    const rig = leader().hear('a', { boot: boot(2) });
    assert.deepEqual(answers(rig), ['idInUse']);
  });

  it('O-14: gone when the wait after its last grant is over, and not before', () => {
    const rig = leader().hear('c');
    rig.pass(60).hear('b');
    const grantedAt = rig.now;
    for (let i = 0; i < 18; i++) rig.pass(50).hear('c');
    rig.pass(grantedAt + W - rig.now - 0.5);
    assert.equal(rig.machine.stats.holdersGone, 0);
    rig.pass(1);
    assert.deepEqual(rig.gone(), ['b1']);
    const move = rig.appended()[0];
    assert.ok(move?.kind === 'shardPropose' && move.owners.every((owner) => owner.node !== 'b'));
  });

  it('O-14: whoever has no record counts as granted at the election', () => {
    const rig = leader();
    for (let i = 0; i < 18; i++) rig.pass(50).hear('c');
    assert.equal(rig.machine.stats.holdersGone, 0);
    rig.pass(W - 900 + 1);
    assert.equal(rig.machine.stats.holdersGone, 1);
  });

  it('O-14: gone at once when it has said that it will never serve again', () => {
    const rig = leader().hear('b').hear('c');
    rig.receive({ kind: 'release', node: node('b'), boot: boot(1) });
    assert.deepEqual(rig.gone(), ['b1']);
    rig.hear('b');
    assert.deepEqual(rig.answers(), [], 'a late copy of its renewal is nobody');
  });

  it('O-14: this node’s own earlier boot is gone at once, by its lock', () => {
    const rig = leader({ boot: 7 }).hear('b').hear('c');
    assert.deepEqual(rig.gone(), ['a1']);
    const unlocked = leader({ boot: 7, dirLocked: false }).hear('b').hear('c');
    unlocked.pass(500);
    assert.equal(unlocked.machine.stats.holdersGone, 0);
  });

  it('O-15: a predecessor that rested on its leader lease is gone without a wait', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    const electedAt = rig.now;
    rig.lead({ restedOnLease: node('b'), predecessor: node('b') }).hear('c');
    rig.pass(electedAt + 151 - rig.now);
    assert.deepEqual(rig.gone(), ['b1']);
    const move = rig.appended()[0];
    assert.ok(move?.kind === 'shardPropose' && move.owners.every((owner) => owner.node !== 'b'));
  });

  it('O-15: but not once this leader has granted it something', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    rig
      .lead({ restedOnLease: node('b'), predecessor: node('b') })
      .hear('c')
      .hear('b');
    for (let i = 0; i < 8; i++) rig.pass(100).hear('c');
    assert.equal(rig.machine.stats.holdersGone, 0);
  });

  it('O-15: and a predecessor that was only a leader once is waited for', () => {
    const rig = new Rig();
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    rig.lead({ predecessor: node('b') }).hear('c');
    for (let i = 0; i < 9; i++) rig.pass(100).hear('c');
    assert.equal(rig.machine.stats.holdersGone, 0);
    rig.pass(W - 900 + 1);
    assert.equal(rig.machine.stats.holdersGone, 1);
  });

  it('O-16: the last answer is readable, so that a non-voter knows when to try another voter', () => {
    const rig = new Rig().follow('v1');
    assert.equal(rig.machine.answeredAt, Number.NEGATIVE_INFINITY);
    const [renewal] = rig.renewals();
    rig.pass(20).grantFor(renewal as LeaseRenew);
    assert.equal(rig.machine.answeredAt, rig.now);
  });

  it('O-19: silent after 300 ms without a renewal; liveness may say so sooner, and a renewal says otherwise', () => {
    const rig = leader().hear('b').hear('c');
    rig.receive(rig.renewal('b', { wantsShards: true }));
    rig.step({ kind: 'livenessChanged', node: node('b'), alive: false });
    rig.hear('d').pass(30);
    const command = rig.applyAppended();
    assert.ok(command.kind === 'shardPropose');
    const owned = [...command.ownerOf].filter((owner) => command.owners[owner]?.node === 'b').length;
    assert.equal(owned, 2, 'SO-10: it keeps exactly what it has');
    assert.equal(rig.machine.stats.holdersGone, 0, 'liveness makes nobody gone');
  });
});
