import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom, randomBelow } from '../../src/base/random.ts';
import type { MemberId } from '../../src/model/ids.ts';
import type { Configuration } from '../../src/model/log.ts';
import { leftJoint, planChange } from '../../src/raft/membership.ts';
import type { MemberStep } from '../../src/raft/messages.ts';
import { hasQuorum, majorityOf, quorumValue, voteOutcome } from '../../src/raft/quorum.ts';
import { N1, N2, N3, N4, N5, joined } from './single-core.ts';
import { configurationOf, member } from './world.ts';

const NAMES: readonly string[] = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'];

/** By counting, for each value, how many have reached it. */
function bruteForce(configuration: Configuration, values: ReadonlyMap<MemberId, number>): number {
  const halves = [configuration.voters, configuration.votersOutgoing].filter((half) => half.length > 0);
  const candidates = [0, ...values.values()].sort((a, b) => b - a);
  const reachedBy = (half: readonly MemberId[], value: number): boolean =>
    half.filter((id) => (values.get(id) ?? 0) >= value).length * 2 > half.length;
  return candidates.find((value) => halves.every((half) => reachedBy(half, value))) ?? 0;
}

describe('quorums', () => {
  it('P-23, P-24: agree with counting, in 50,000 random configurations, joint ones among them', () => {
    const random = new SeededRandom(11);
    const some = (): string[] => NAMES.filter(() => random.next() < 0.6);
    for (let i = 0; i < 50_000; i++) {
      const voters = some();
      const outgoing = random.next() < 0.5 ? some().map(member) : [];
      const configuration = joined(configurationOf(voters.length > 0 ? voters : ['n1']), outgoing);
      const values = new Map(NAMES.map((name) => [member(name), randomBelow(random, 5)]));
      const expected = bruteForce(configuration, values);
      assert.equal(
        quorumValue(configuration, (id) => values.get(id) ?? 0),
        expected,
      );
      assert.equal(
        hasQuorum(configuration, (id) => (values.get(id) ?? 0) >= 3),
        expected >= 3,
      );
    }
  });

  it('are majorities', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majorityOf), [1, 2, 2, 3, 3, 4, 4]);
  });

  it('count a vote as won, lost or still open, in both halves of a joint configuration', () => {
    const three = configurationOf(['n1', 'n2', 'n3']);
    const votes = (yes: MemberId[], no: MemberId[]): Map<MemberId, boolean> =>
      new Map([...yes.map((id) => [id, true] as const), ...no.map((id) => [id, false] as const)]);
    assert.equal(voteOutcome(three, votes([N1], [])), 'pending');
    assert.equal(voteOutcome(three, votes([N1, N3], [])), 'won');
    assert.equal(voteOutcome(three, votes([N1], [N2])), 'pending');
    assert.equal(voteOutcome(three, votes([N1], [N2, N3])), 'lost');
    const joint = joined(three, [N3, N4, N5]);
    assert.equal(voteOutcome(joint, votes([N1, N2], [])), 'pending');
    assert.equal(voteOutcome(joint, votes([N1, N2, N4], [N5])), 'pending');
    assert.equal(voteOutcome(joint, votes([N1, N2, N4, N3], [N5])), 'won');
    assert.equal(voteOutcome(joint, votes([N1, N2], [N4, N5])), 'lost');
  });

  it('I-16: take no notice of learners', () => {
    const configuration = configurationOf(['n1'], ['n2', 'n3']);
    assert.equal(
      quorumValue(configuration, (id) => (id === N1 ? 3 : 9)),
      3,
    );
  });
});

describe('one step of membership', () => {
  const context = { leader: N1, learnersMax: 2, isCaughtUp: (id: MemberId): boolean => id !== N5 };
  const plan = (from: Configuration, kind: MemberStep, id: MemberId): unknown => {
    const result = planChange(from, { kind, member: id }, context);
    if (result.kind === 'change') return [result.configuration.voters, result.configuration.learners];
    return result.kind === 'refused' ? result.code : result.kind;
  };
  const three = configurationOf(['n1', 'n2', 'n3'], ['n4']);

  it('adds, promotes, demotes and removes, keeping every list sorted', () => {
    assert.deepEqual(plan(three, 'addLearner', N5), [
      [N1, N2, N3],
      [N4, N5],
    ]);
    assert.deepEqual(plan(three, 'promote', N4), [[N1, N2, N3, N4], []]);
    assert.deepEqual(plan(three, 'demote', N2), [
      [N1, N3],
      [N2, N4],
    ]);
    assert.deepEqual(plan(three, 'remove', N3), [[N1, N2], [N4]]);
    assert.deepEqual(plan(three, 'remove', N4), [[N1, N2, N3], []]);
  });

  it('H-23: changes nothing where nothing is to change', () => {
    assert.equal(plan(three, 'addLearner', N4), 'none');
    assert.equal(plan(three, 'promote', N2), 'none');
    assert.equal(plan(three, 'demote', N4), 'none');
    assert.equal(plan(three, 'remove', N5), 'none');
  });

  it('refuses what would be wrong', () => {
    assert.equal(plan(three, 'addLearner', N2), 'INVALID_CHANGE');
    assert.equal(plan(three, 'promote', N5), 'INVALID_CHANGE');
    assert.equal(plan(three, 'remove', N1), 'INVALID_CHANGE', 'P-70: the leader hands over first');
    assert.equal(plan(three, 'demote', N1), 'INVALID_CHANGE');
    assert.equal(plan(configurationOf(['n1', 'n2'], ['n5']), 'promote', N5), 'NOT_READY', 'not caught up');
    assert.equal(plan(configurationOf(['n1'], ['n2', 'n3']), 'addLearner', N4), 'INVALID_CHANGE', 'too many learners');
    assert.equal(plan(configurationOf(['n2']), 'remove', N2), 'INVALID_CHANGE', 'nobody would be left');
    assert.equal(plan(joined(three, [N1]), 'remove', N3), 'CONFIG_PENDING');
  });

  it('makes a joint configuration of what touches several voters, and a plain one of what touches one', () => {
    const five = configurationOf(['n1', 'n2', 'n3'], ['n4', 'n6']);
    const exchange = (promote: MemberId[], remove: MemberId[]): ReturnType<typeof planChange> =>
      planChange(five, { kind: 'exchange', promote, remove }, context);
    const N6 = member('n6');
    assert.deepEqual(exchange([N6, N4], [N2]), {
      kind: 'change',
      configuration: {
        voters: [N1, N3, N4, N6],
        votersOutgoing: [N1, N2, N3],
        learners: [],
        learnersNext: [],
        autoLeave: true,
      },
    });
    assert.deepEqual(exchange([N4], []), planChange(five, { kind: 'promote', member: N4 }, context));
    assert.deepEqual(exchange([], [N3]), planChange(five, { kind: 'remove', member: N3 }, context));
    assert.deepEqual(exchange([N2], []), { kind: 'none' });
    const refusals: [MemberId[], MemberId[], string][] = [
      [[N5], [N2], 'INVALID_CHANGE'],
      [[N4], [N1], 'INVALID_CHANGE'],
      [[N4], [N6], 'INVALID_CHANGE'],
      [[N4, N6], [N2, N3], 'INVALID_CHANGE'],
    ];
    for (const [promote, remove, refusal] of refusals) {
      const result = exchange(promote, remove);
      assert.equal(result.kind === 'refused' && result.code, refusal);
    }
  });

  it('leaves a joint configuration for its incoming half', () => {
    const joint = { ...joined(configurationOf(['n1', 'n4'], ['n5']), [N1, N2]), learnersNext: [N2], autoLeave: true };
    assert.deepEqual(leftJoint(joint), configurationOf(['n1', 'n4'], ['n2', 'n5']));
  });

  it('lets a name come back under a new stamp beside its old one', () => {
    const back = member('n2.7');
    assert.deepEqual(plan(three, 'addLearner', back), [[N1, N2, N3], [back, N4].sort()]);
    const swapped = configurationOf(['n1', 'n2', 'n3'], ['n2.7']);
    assert.deepEqual(plan(swapped, 'promote', back), [[N1, N2, back, N3].sort(), []]);
  });

  it('always leaves majorities that meet those before', () => {
    const random = new SeededRandom(5);
    let configuration = configurationOf(['n1', 'n2', 'n3']);
    const kinds = ['addLearner', 'promote', 'demote', 'remove'] as const;
    for (let i = 0; i < 2_000; i++) {
      const change = {
        kind: kinds[randomBelow(random, 4)] ?? 'remove',
        member: member(NAMES[randomBelow(random, 7)] ?? 'n1'),
      };
      const result = planChange(configuration, change, { ...context, isCaughtUp: () => true });
      if (result.kind !== 'change') continue;
      const { voters } = result.configuration;
      const union = new Set([...voters, ...configuration.voters]).size;
      assert.ok(majorityOf(voters.length) + majorityOf(configuration.voters.length) > union);
      configuration = result.configuration;
    }
  });
});
