import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Term } from '../../src/model/ids.ts';
import type { LeaseRenew } from '../../src/sharding/messages.ts';
import { Sharding } from '../../src/sharding/sharding.ts';
import { boot, index, node, proposal, Rig, shard } from './rig.ts';

const TWO = [
  ['a', 1],
  ['b', 1],
] as const;

/** A follower of `l` with its first renewal sent and nothing granted. */
function follower(): { readonly rig: Rig; readonly renewal: LeaseRenew } {
  const rig = new Rig().follow('l');
  return { rig, renewal: onlyRenewal(rig) };
}

function onlyRenewal(rig: Rig): LeaseRenew {
  const [renewal, ...more] = rig.renewals();
  assert.ok(renewal !== undefined && more.length === 0, 'one renewal left');
  return renewal;
}

/** Owns shards 0, 1, 2 of an active map of two owners. */
function owner(): Rig {
  const { rig, renewal } = follower();
  return rig.grantFor(renewal).propose(TWO, [0, 0, 0, 1, 1, 1]).commit();
}

/** What started in the last step: shards and their epoch. */
function starts(rig: Rig): unknown[] {
  return rig.of('start').map(({ shards, epoch }) => [shards, epoch]);
}

describe('sharding: the holder', () => {
  it('O-8: renews along with its answers to the leader: every second heartbeat of 51 ms, and by itself when they end', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal);
    const sentAt: number[] = [];
    const beat = (afterMs: number): void => {
      assert.equal(rig.pass(afterMs).renewals().length, 0, 'no timer of its own fired');
      if (rig.step({ kind: 'leaderHeard' }).renewals().length > 0) sentAt.push(rig.now);
    };
    beat(20);
    for (let i = 0; i < 10; i++) beat(51);
    // The first finds its place among the heartbeats; the others are two heartbeats apart.
    assert.deepEqual(
      sentAt.map((at, i) => at - (sentAt[i - 1] ?? at)),
      [0, 102, 102, 102, 102],
    );
    const last = sentAt.at(-1) as number;
    rig.pass(200);
    assert.equal(rig.renewals().length, 2);
    rig.pass(0);
    assert.ok(rig.now - last <= 300);
  });

  it('O-8: heartbeats that come late do not hold a renewal back for longer than a twentieth of the interval', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal).step({ kind: 'leaderHeard' }).pass(51).step({ kind: 'leaderHeard' });
    rig.pass(53.9);
    assert.equal(rig.renewals().length, 0);
    rig.pass(0.2);
    assert.equal(rig.renewals().length, 1);
    rig.step({ kind: 'leaderHeard' });
    assert.equal(rig.renewals().length, 0, 'one has just gone');
  });

  it('O-1: serves what the active map names it for, and nothing without a lease', () => {
    const rig = new Rig().follow('l');
    const renewal = onlyRenewal(rig);
    rig.propose(TWO, [0, 0, 0, 1, 1, 1]).commit();
    assert.deepEqual(rig.served(), [0, 1, 2]);
    assert.equal(rig.holdsLease(), false);
    rig.grantFor(renewal);
    assert.equal(rig.holdsLease(), true);
    assert.equal(rig.machine.serving(shard(0)), 2, 'the epoch is the index of the commit');
    assert.equal(rig.machine.ownedCount, 3);
  });

  it('O-1: an owner of the same name and another boot is somebody else', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal);
    rig.propose([['a', 99]], [0, 0, 0, 0, 0, 0]).commit();
    assert.deepEqual(rig.served(), []);
  });

  it('O-2: a grant counts from the sending of its request, and ends 5 ms early', () => {
    const { rig, renewal } = follower();
    const sentAt = rig.now;
    rig.pass(70).grantFor(renewal);
    assert.equal(rig.machine.leaseUntil, sentAt + 895);
    assert.deepEqual(rig.of('publishLease'), [{ kind: 'publishLease', until: sentAt + 895 }]);
    assert.equal(rig.events('leaseGained').length, 1);
  });

  it('O-2: the lease ends by itself, in a tick, and says so', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal).pass(894);
    assert.equal(rig.holdsLease(), true);
    rig.pass(2);
    assert.equal(rig.holdsLease(), false);
    assert.equal(rig.events('leaseLost').length, 1);
    assert.equal(rig.machine.stats.leaseLosses, 1);
  });

  it('O-2: a grant of an unknown seq, of another boot or of an older request adds nothing', () => {
    const { rig, renewal } = follower();
    rig.grantFor({ ...renewal, seq: 77 });
    rig.grantFor({ ...renewal, boot: boot(99) });
    rig.grantFor({ ...renewal, node: node('b') });
    assert.equal(rig.machine.leaseUntil, Number.NEGATIVE_INFINITY);
    rig.pass(100);
    const second = onlyRenewal(rig);
    rig.grantFor(second);
    const { leaseUntil } = rig.machine;
    rig.grantFor(renewal);
    assert.equal(rig.machine.leaseUntil, leaseUntil);
  });

  it('O-2: at most 32 requests stay open; the oldest is forgotten', () => {
    const { rig, renewal } = follower();
    rig.pass(3_500);
    rig.grantFor(renewal);
    assert.equal(rig.machine.leaseUntil, Number.NEGATIVE_INFINITY);
  });

  it('O-3: readiness drops the grant and every open request in one step; until then the grant carries', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal).pass(100);
    const open = onlyRenewal(rig);
    rig.lead({ isReady: false, leaseUntil: rig.now + 50 });
    assert.ok(rig.machine.leaseUntil > rig.now + 700, 'the predecessor’s grant still runs');
    rig.becomeReady(rig.now);
    assert.equal(rig.machine.leaseUntil, rig.now + 50, 'nothing but the leader lease');
    rig.grantFor(open);
    assert.equal(rig.machine.leaseUntil, rig.now + 50, 'a late answer of the predecessor finds nothing open');
  });

  it('O-4: the leader lease ends in the step that leaves the role', () => {
    const rig = new Rig().lead();
    assert.equal(rig.holdsLease(), true);
    rig.follow('l');
    assert.equal(rig.holdsLease(), false);
    assert.equal(rig.machine.leaseUntil, Number.NEGATIVE_INFINITY);
  });

  it('O-4: and when TimeoutNow leaves; a transfer that is given up brings it back with the next leader lease', () => {
    const rig = new Rig().lead();
    rig.step({ kind: 'transferring', active: true });
    assert.equal(rig.holdsLease(), false);
    rig.step({ kind: 'leaderLease', until: rig.now + 100 });
    assert.equal(rig.holdsLease(), false);
    rig.step({ kind: 'transferring', active: false });
    assert.equal(rig.machine.leaseUntil, rig.now + 100);
  });

  it('O-5: a proposal stops new work at once and asks for the release; the acknowledgement leaves when it is done', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]);
    assert.deepEqual(rig.served(), [0]);
    assert.deepEqual(
      rig.of('release').map(({ shards, version, deadline }) => [shards, version, deadline]),
      [[[1, 2], 3, rig.now + 400]],
    );
    assert.equal(rig.renewals().length, 0);
    rig.step({ kind: 'released', version: index(3) });
    assert.equal(onlyRenewal(rig).releasedVersion, 3);
    rig.pass(100);
    assert.equal(onlyRenewal(rig).releasedVersion, 3, 'repeated, so a lost one heals');
  });

  it('O-5: what is released after the deadline is not acknowledged', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]).pass(401);
    rig.step({ kind: 'released', version: index(3) });
    assert.equal(rig.renewals().length, 0);
    rig.pass(100);
    assert.ok(rig.renewals().every((renewal) => renewal.releasedVersion < 3));
  });

  it('O-5: a release of a version that nobody asked for counts for nothing', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]);
    rig.step({ kind: 'released', version: index(2) }).step({ kind: 'released', version: index(4) });
    rig.pass(100);
    assert.ok(rig.renewals().every((renewal) => renewal.releasedVersion < 3));
  });

  it('O-6: a newer proposal voids the older, and what it leaves alone is served again at once', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]).propose(TWO, [0, 0, 1, 1, 1, 1]);
    assert.deepEqual(rig.served(), [0, 1]);
    assert.deepEqual(starts(rig), [[[1], 2]], 'under its old epoch');
    assert.equal(rig.events('proposalVoided')[0]?.version, 3);
    rig.step({ kind: 'released', version: index(3) });
    assert.equal(rig.renewals().length, 0, 'the older version is not acknowledged any more');
    rig.step({ kind: 'released', version: index(4) });
    assert.equal(onlyRenewal(rig).releasedVersion, 4);
  });

  it('O-6: what was released for the older map is not asked for again, and acknowledged at once', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]);
    rig.step({ kind: 'released', version: index(3) }).propose(TWO, [0, 0, 1, 1, 1, 1]);
    assert.equal(rig.of('release').length, 0);
    assert.equal(onlyRenewal(rig).releasedVersion, 4);
  });

  it('O-5: a release says under which epoch each shard was served, and who is to have it', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]);
    const [release] = rig.of('release');
    assert.deepEqual(release?.shards, [1, 2]);
    assert.deepEqual(release?.epochs, [2, 2]);
    assert.deepEqual(
      release?.to.map((pair) => [pair?.node, pair?.boot]),
      [
        ['b', 1],
        ['b', 1],
      ],
    );
  });

  it('O-6: a release that need not go on is said to be over, and why', () => {
    const reasons = (rig: Rig): unknown[] => rig.of('releaseOver').map(({ version, reason }) => [version, reason]);
    assert.deepEqual(reasons(owner().propose(TWO, [1, 0, 0, 1, 1, 1]).propose(TWO, [0, 0, 0, 1, 1, 1])), [
      [3, 'resumed'],
    ]);
    assert.deepEqual(reasons(owner().propose(TWO, [1, 0, 0, 1, 1, 1]).propose(TWO, [1, 1, 0, 1, 1, 1])), [
      [3, 'superseded'],
    ]);
    assert.deepEqual(reasons(owner().propose(TWO, [1, 0, 0, 1, 1, 1]).commit()), [[3, 'lost']]);
    const done = owner()
      .propose(TWO, [1, 0, 0, 1, 1, 1])
      .step({ kind: 'released', version: index(3) })
      .commit();
    assert.deepEqual(reasons(done), [], 'what has ended by itself is over');
  });

  it('O-6: what resumes is said to resume, under the epoch it had; what is won is of whom it was before', () => {
    const rig = owner().propose(TWO, [1, 0, 0, 1, 1, 1]).propose(TWO, [0, 0, 0, 0, 1, 1]);
    const [resumed] = rig.of('start');
    assert.deepEqual([resumed?.isResumed, resumed?.shards, resumed?.epoch], [true, [0], 2]);
    const [won] = rig.commit().of('start');
    assert.deepEqual([won?.isResumed, won?.shards, won?.epoch], [false, [3], 5]);
    assert.deepEqual(won?.from, [{ node: 'b', boot: 1, epoch: 2 }]);
  });

  it('O-1: an application that loads first is served by when it is ready, under the epoch it was told', () => {
    const rig = new Rig({ config: { startsLoading: true } }).follow('l');
    rig.grantFor(onlyRenewal(rig)).propose(TWO, [0, 0, 0, 1, 1, 1]).commit();
    assert.deepEqual([rig.served(), rig.machine.ownedCount], [[], 3]);
    rig.step({ kind: 'acquired', shards: [shard(0), shard(3)], epoch: index(2) });
    rig.step({ kind: 'acquired', shards: [shard(1)], epoch: index(1) });
    assert.deepEqual(rig.served(), [0], 'not another’s, and not under another epoch');
    // Taken away while it loads: released like any other, and not served by a late word.
    rig.propose(TWO, [0, 0, 1, 1, 1, 1]).step({ kind: 'acquired', shards: [shard(1), shard(2)], epoch: index(2) });
    assert.deepEqual(rig.served(), [0, 1]);
    rig.step({ kind: 'released', version: index(3) }).commit();
    assert.deepEqual([rig.served(), rig.machine.ownedCount], [[0, 1], 2]);
  });

  it('O-6: and what resumes is loaded again before it is served', () => {
    const rig = new Rig({ config: { startsLoading: true } }).follow('l');
    rig.grantFor(onlyRenewal(rig)).propose(TWO, [0, 0, 0, 1, 1, 1]).commit();
    rig.step({ kind: 'acquired', shards: [shard(0), shard(1), shard(2)], epoch: index(2) });
    rig.propose(TWO, [1, 0, 0, 1, 1, 1]).propose(TWO, [0, 0, 0, 1, 1, 1]);
    assert.deepEqual([rig.of('start').length, rig.served()], [1, [1, 2]]);
    rig.step({ kind: 'acquired', shards: [shard(0)], epoch: index(2) });
    assert.deepEqual(rig.served(), [0, 1, 2]);
  });

  it('O-7: a winner starts when it has applied the commit, never on the proposal', () => {
    const rig = new Rig().follow('l').propose([['a', 1]], [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(rig.served(), []);
    rig.commit();
    assert.deepEqual(starts(rig), [[[0, 1, 2, 3, 4, 5], 2]]);
  });

  it('O-7: an unmoved shard keeps its epoch, a moved one takes that of the commit', () => {
    const rig = owner().propose(TWO, [0, 0, 0, 0, 1, 1]).commit();
    assert.equal(rig.machine.serving(shard(0)), 2);
    assert.equal(rig.machine.serving(shard(3)), 4);
    assert.deepEqual(Array.from(rig.machine.activeMap()?.epochs ?? []), [2, 2, 2, 4, 2, 2]);
  });

  it('O-7: a snapshot in which a shard was lost and won back starts it anew, by its epoch', () => {
    const rig = owner();
    const other = new Rig().propose(TWO, [0, 0, 0, 1, 1, 1]).commit();
    other.propose(TWO, [1, 0, 0, 1, 1, 1]).commit().propose(TWO, [0, 0, 0, 1, 1, 1]).commit();
    rig.step({ kind: 'imageInstalled', index: index(6), image: other.machine.image() });
    assert.deepEqual(starts(rig), [[[0], 6]]);
    assert.equal(rig.machine.serving(shard(0)), 6);
    assert.equal(rig.machine.serving(shard(1)), 2);
  });

  it('O-8: renews every 100 ms or a little sooner, and at once when a leader becomes known', () => {
    const { rig } = follower();
    rig.pass(1_000);
    assert.ok(rig.renewals().length >= 10 && rig.renewals().length <= 11);
    rig.step({ kind: 'leaderKnown', leader: undefined, term: 2 as Term });
    rig.pass(300);
    assert.equal(rig.renewals().length, 0);
    rig.step({ kind: 'leaderKnown', leader: node('m'), term: 3 as Term });
    assert.equal(rig.renewals().length, 1);
  });

  it('O-8: renews at once when the noop of a new leader is applied, and when it was refused for being behind', () => {
    const { rig, renewal } = follower();
    rig.step({ kind: 'appliedTo', index: index(1) });
    assert.equal(onlyRenewal(rig).appliedIndex, 1);
    rig.step({ kind: 'appliedTo', index: index(2) });
    assert.equal(rig.renewals().length, 0);
    const { node: holder, boot: itsBoot, seq } = renewal;
    const refusal = { kind: 'refusal', node: holder, boot: itsBoot, seq, term: 1 as Term, reason: 'behind' } as const;
    rig.receive(refusal);
    assert.equal(rig.events('refused')[0]?.reason, 'behind');
    rig.pass(1).step({ kind: 'appliedTo', index: index(3) });
    assert.equal(onlyRenewal(rig).appliedIndex, 3);
  });

  it('O-8: a jump that takes the lease is answered by a renewal; a smaller one shortens what is held', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal);
    const { leaseUntil } = rig.machine;
    rig.step({ kind: 'clockJumped', byMs: 100 });
    assert.equal(rig.machine.leaseUntil, leaseUntil - 100);
    assert.equal(rig.renewals().length, 0);
    rig.step({ kind: 'clockJumped', byMs: 900 });
    assert.equal(rig.holdsLease(), false);
    assert.equal(rig.renewals().length, 1);
    assert.equal(rig.events('leaseLost').length, 1);
  });

  it('section 1: a jump shortens what open requests can still bring, and the leader lease', () => {
    const { rig, renewal } = follower();
    const sentAt = rig.now;
    rig.step({ kind: 'clockJumped', byMs: 300 }).grantFor(renewal);
    assert.equal(rig.machine.leaseUntil, sentAt - 300 + 895);
    const leader = new Rig().lead({ leaseUntil: 1_240 });
    leader.step({ kind: 'clockJumped', byMs: 300 });
    assert.equal(leader.machine.leaseUntil, 940);
  });

  it('section 1: a jump backward changes nothing', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal);
    const { leaseUntil } = rig.machine;
    rig.step({ kind: 'clockJumped', byMs: -500 });
    assert.equal(rig.machine.leaseUntil, leaseUntil);
  });

  it('O-13: the first answer of a term is echoed at once, so that the leader knows which boot lives', () => {
    const { rig, renewal } = follower();
    rig.grantFor(renewal);
    const echo = onlyRenewal(rig);
    assert.equal(echo.answeredSeq, renewal.seq);
    assert.equal(echo.answeredTerm, rig.term);
    rig.grantFor(echo);
    assert.equal(rig.renewals().length, 0);
  });

  it('O-23: a drain is told by the next renewal, and is over when no map names this process', () => {
    const rig = owner().step({ kind: 'drain' });
    const renewal = onlyRenewal(rig);
    assert.equal(renewal.wantsShards, false);
    rig.grantFor(renewal);
    assert.equal(rig.events('drained').length, 0);
    rig.propose([['b', 1]], [0, 0, 0, 0, 0, 0]);
    rig.step({ kind: 'released', version: index(3) });
    assert.equal(rig.events('drained').length, 0);
    rig.commit(3);
    assert.equal(rig.events('drained').length, 1);
    rig.pass(200);
    assert.equal(rig.events('drained').length, 0, 'said once');
  });

  it('O-23: an orderly stop serves nothing from then on, and its release is the last word', () => {
    const rig = owner().step({ kind: 'stopping' });
    assert.deepEqual(rig.served(), []);
    assert.equal(rig.machine.leaseUntil, Number.NEGATIVE_INFINITY);
    assert.deepEqual(
      rig.of('sendToLeader').map(({ message }) => message.kind),
      ['release'],
    );
    rig.propose(TWO, [0, 0, 0, 0, 0, 0]).commit();
    assert.deepEqual(rig.served(), []);
    rig.pass(1_000);
    assert.deepEqual(rig.effects, []);
  });

  it('a command whose author led another term changes nothing, nor does another number of shards', () => {
    const rig = owner();
    const stray = proposal(TWO, [1, 1, 1, 1, 1, 1]);
    rig.step({ kind: 'applied', index: index(9), term: 5 as Term, command: stray });
    assert.equal(rig.machine.pendingVersion, undefined);
    rig.apply(proposal(TWO, [0, 1]));
    assert.equal(rig.machine.pendingVersion, undefined);
  });

  it('a commit of what is not pending changes nothing', () => {
    const rig = owner().propose(TWO, [0, 1, 1, 1, 1, 1]).propose(TWO, [0, 0, 1, 1, 1, 1]).commit(3);
    assert.equal(rig.machine.activeMap()?.version, 1);
    rig.commit(4);
    assert.equal(rig.machine.activeMap()?.version, 4);
  });

  it('a node that never leads and never hears of a leader waits without waking', () => {
    const rig = new Rig();
    assert.ok(rig.machine instanceof Sharding);
    assert.equal(rig.machine.nextDeadline(), Number.POSITIVE_INFINITY);
  });
});
