/** The orderly stop, step by step, and how a node says that it stands: departure.ts and standing.ts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Departure, type DepartureFacts } from '../../src/cluster/departure.ts';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import { roleOf, type StandingFacts, StandingTracker, stateOf, waitingOf } from '../../src/cluster/standing.ts';
import type { ClusterId, MemberId, NodeId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION } from '../../src/model/log.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';

const BUSY: DepartureFacts = {
  hasCompany: true,
  mustDrain: true,
  mustReleaseFirst: false,
  isDrained: false,
  mustRetire: true,
};
const FREE: DepartureFacts = {
  hasCompany: false,
  mustDrain: true,
  mustReleaseFirst: false,
  isDrained: false,
  mustRetire: false,
};

function departure(): Departure {
  return new Departure(1 as RequestId, 0, 500);
}

describe('an orderly stop', () => {
  it('that keeps its shards for its return stops serving before it gives up its vote, once there is a leader to hear it', () => {
    const facts = { ...BUSY, mustDrain: false };
    const leaving = new Departure(1 as RequestId, 0, 500);
    assert.deepEqual(leaving.evaluate(facts, 0), ['askToRetire'], 'it leads');
    assert.deepEqual(leaving.evaluate({ ...facts, mustReleaseFirst: true }, 100), ['stopServing']);
    assert.deepEqual(leaving.evaluate({ ...facts, mustReleaseFirst: true }, 250), ['askToRetire']);
    assert.deepEqual(leaving.evaluate({ ...facts, mustRetire: false }, 300), ['release', 'leaveGossip']);
  });

  it('gives shards away, then the vote, then the lease, then gossip', () => {
    const leaving = departure();
    assert.deepEqual(leaving.evaluate(BUSY, 0), ['drain']);
    assert.deepEqual(leaving.evaluate(BUSY, 100), []);
    assert.deepEqual(leaving.evaluate({ ...BUSY, isDrained: true }, 200), ['askToRetire']);
    assert.equal(leaving.phase, 'retiring');
    assert.deepEqual(leaving.evaluate({ ...BUSY, isDrained: true, mustRetire: false }, 300), [
      'release',
      'leaveGossip',
    ]);
    assert.equal(leaving.phase, 'leaving');
    leaving.onLeftGossip();
    assert.equal(leaving.phase, 'gone');
  });

  it('asks again every 250 ms until it is heard', () => {
    const leaving = departure();
    leaving.evaluate(BUSY, 0);
    const facts = { ...BUSY, isDrained: true };
    const asked: number[] = [];
    for (let now = 10; now < 1_000; now += 10)
      if (leaving.evaluate(facts, now).includes('askToRetire')) asked.push(now);
    assert.deepEqual(asked, [10, 260, 510, 760]);
    assert.equal(leaving.nextDeadline(), 1_010);
  });

  it('drains nothing and asks nobody when it is alone', () => {
    assert.deepEqual(departure().evaluate(FREE, 0), ['release', 'leaveGossip']);
  });

  it('goes on draining when it has let go of its last shard, until others serve it', () => {
    const leaving = departure();
    leaving.evaluate(BUSY, 0);
    assert.deepEqual(leaving.evaluate({ ...BUSY, mustDrain: false }, 100), []);
    assert.equal(leaving.phase, 'draining');
    assert.deepEqual(leaving.evaluate({ ...BUSY, mustDrain: false, isDrained: true }, 400), ['askToRetire']);
  });

  it('drains nothing when it serves nothing, whatever it is given meanwhile', () => {
    const leaving = departure();
    assert.deepEqual(leaving.evaluate({ ...BUSY, mustDrain: false }, 0), ['askToRetire']);
  });

  it('waits for no step longer than it may, and always ends', () => {
    const leaving = departure();
    const steps: string[] = [];
    for (let now = 0; now < 13_000; now += 10)
      steps.push(...leaving.evaluate(BUSY, now).map((step) => `${step}@${now}`));
    assert.deepEqual(
      steps.filter((step) => !step.startsWith('askToRetire')),
      ['drain@0', 'release@5500', 'leaveGossip@5500', 'done@12500'].concat(
        steps.filter((step) => step.startsWith('done@') && step !== 'done@12500'),
      ),
    );
    assert.ok(steps.includes('askToRetire@1500'));
  });

  it('O-23: waits for shards as long as an application may take to release them, twice', () => {
    const leaving = new Departure(1 as RequestId, 0, 30_000);
    leaving.evaluate(BUSY, 0);
    assert.deepEqual(leaving.evaluate(BUSY, 60_499), []);
    assert.deepEqual(leaving.evaluate(BUSY, 60_500), ['askToRetire']);
  });
});

const SELF = 'a@0000000000000000' as MemberId;
const OTHER = 'b@0000000000000000' as MemberId;
const OURS = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;

/** Everything is as it should be, but for what is given. */
function standing(changes: Partial<StandingFacts> = {}): StandingFacts {
  return {
    now: 10_000,
    self: SELF,
    kind: 'voter',
    isStarted: true,
    departure: undefined,
    isDraining: false,
    clusterId: OURS,
    leader: 'b' as NodeId,
    isLeader: false,
    isInGroup: true,
    configuration: { ...EMPTY_CONFIGURATION, voters: [SELF, OTHER] },
    hasMap: true,
    isMapPending: false,
    isInMap: true,
    ownsShards: true,
    holdsLease: true,
    aliveOthers: () => [{ node: 'b' as NodeId, member: OTHER, clusterId: OURS }],
    isExcluded: false,
    conflict: undefined,
    etcd: undefined,
    leaderLostAt: 0,
    startedAt: 0,
    stateSince: 0,
    expect: 0,
    mayFound: true,
    awaited: undefined,
    ...changes,
  };
}

describe('the state of a node', () => {
  const states: readonly [Partial<StandingFacts>, string][] = [
    [{}, 'Operational'],
    [{ isStarted: false }, 'Starting'],
    [{ clusterId: undefined }, 'Joining'],
    [{ leader: undefined }, 'Voting'],
    [{ leader: undefined, hasMap: false, configuration: EMPTY_CONFIGURATION }, 'Joining'],
    [{ hasMap: false }, 'Resharding'],
    [{ isMapPending: true }, 'Resharding'],
    [{ isInMap: false }, 'Joining'],
    [{ isInMap: false, ownsShards: false }, 'Operational'],
    [{ holdsLease: false }, 'Voting'],
    [{ isDraining: true }, 'Draining'],
    [{ departure: 'draining' }, 'Draining'],
    [{ departure: 'retiring' }, 'Stopping'],
    [{ departure: 'gone' }, 'Stopping'],
    [{ kind: 'non-member' }, 'Operational'],
    [{ kind: 'non-member', aliveOthers: () => [] }, 'Joining'],
  ];
  for (const [changes, state] of states)
    it(`is ${state} with ${JSON.stringify(changes)}`, () => assert.equal(stateOf(standing(changes)), state));

  it('names its role: leader, follower, non-voter, non-member, unknown', () => {
    assert.equal(roleOf(standing({ isLeader: true })), 'Leader');
    assert.equal(roleOf(standing()), 'Follower');
    assert.equal(roleOf(standing({ isInGroup: false })), 'NonVoter');
    assert.equal(roleOf(standing({ configuration: { ...EMPTY_CONFIGURATION, learners: [SELF] } })), 'NonVoter');
    assert.equal(roleOf(standing({ isInGroup: false, clusterId: undefined })), 'Unknown');
    assert.equal(roleOf(standing({ kind: 'non-member' })), 'NonMember');
  });
});

describe('what a node waits for', () => {
  it('is nothing while a leader is known, and nothing before an election had its time', () => {
    assert.equal(waitingOf(standing()), undefined);
    assert.equal(waitingOf(standing({ leader: undefined, leaderLostAt: 9_500 })), undefined);
  });

  it('is the missing voters, by name, and how many are needed', () => {
    const waiting = waitingOf(standing({ leader: undefined, aliveOthers: () => [] }));
    assert.equal(waiting?.reason, 'quorum');
    assert.deepEqual(waiting?.nodes, ['b']);
    assert.equal(waiting?.advice, 'start b again: 2 of 2 voters are needed');
  });

  it('may be its own way to the others, where nothing looks for them and nobody is seen', () => {
    const lost = { leader: undefined, mayFound: false } as const;
    const waiting = waitingOf(standing({ ...lost, aliveOthers: () => [] }));
    assert.match(waiting?.advice ?? '', /are needed; if they run, but at other addresses .*--join or .*--zeroconf$/);
    const one = [{ node: 'c' as NodeId, member: 'c@1' as MemberId, clusterId: OURS }];
    assert.match(waitingOf(standing({ ...lost, aliveOthers: () => one }))?.advice ?? '', /are needed$/);
  });

  it('is an election when all voters are there', () => {
    assert.equal(waitingOf(standing({ leader: undefined }))?.reason, 'leader');
  });

  it('is members while nobody has a cluster', () => {
    const waiting = waitingOf(standing({ clusterId: undefined, leader: undefined, expect: 3 }));
    assert.equal(waiting?.reason, 'members');
    assert.match(waiting?.advice ?? '', /2 of 3 expected nodes are here/);
    assert.equal(waitingOf(standing({ clusterId: undefined, now: 1_000 })), undefined);
  });
});

describe('a tracker of the standing', () => {
  function told(effects: readonly ClusterEffect[]): NodeEvent[] {
    return effects.flatMap((effect) => (effect.kind === 'notify' ? [effect.event] : []));
  }

  it('tells each change once, with what was before', () => {
    const tracker = new StandingTracker(0);
    const effects: ClusterEffect[] = [];
    tracker.onLeader({ leader: 'b' as NodeId, term: 2 as Term }, 10_000, effects);
    assert.equal(tracker.evaluate(standing(), 2 as Term, effects), true);
    assert.equal(tracker.evaluate(standing(), 2 as Term, effects), false);
    tracker.onLeader({ leader: undefined, term: 3 as Term }, 11_000, effects);
    tracker.evaluate(standing({ leader: undefined, leaderLostAt: 11_000, now: 11_000 }), 3 as Term, effects);
    assert.deepEqual(
      told(effects).map((event) => event.kind),
      ['leaderChanged', 'roleChanged', 'stateChanged', 'leaderLost', 'stateChanged'],
    );
  });

  it('takes a node for lost when no leader was known for a second', () => {
    const tracker = new StandingTracker(0);
    const nobody = { leader: undefined, term: 1 as Term };
    tracker.onLeader(nobody, 999, []);
    assert.equal(tracker.isLost, false);
    tracker.onLeader(nobody, 1_000, []);
    assert.equal(tracker.isLost, true);
    tracker.onLeader({ leader: 'b' as NodeId, term: 1 as Term }, 1_010, []);
    assert.equal(tracker.isLost, false);
  });
});
