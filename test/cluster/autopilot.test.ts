import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AutopilotFacts, heir, isViable, nextChange } from '../../src/cluster/autopilot.ts';
import type { MemberId, NodeId } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION } from '../../src/model/log.ts';

const stamp = (digit: number): string => String(digit).repeat(16);
const m = (name: string, digit = 1): MemberId => `${name}@${stamp(digit)}` as MemberId;
const [A, B, C, D, E] = ['a', 'b', 'c', 'd', 'e'].map((name) => m(name)) as [
  MemberId,
  MemberId,
  MemberId,
  MemberId,
  MemberId,
];

interface Told extends Partial<Omit<AutopilotFacts, 'configuration' | 'candidates' | 'isCaughtUp' | 'absentForMs'>> {
  readonly voters: readonly MemberId[];
  readonly learners?: readonly MemberId[];
  /** Alive for ten minutes, longest-lived first. */
  readonly alive: readonly MemberId[];
  readonly caughtUp?: readonly MemberId[];
  readonly absentMs?: number;
}

/** Led by A, well past the founding minute, unless told otherwise. */
function facts({ voters, learners = [], alive, caughtUp = learners, absentMs = 0, ...rest }: Told): AutopilotFacts {
  const now = 1_000_000;
  return {
    self: A,
    now,
    configuration: { ...EMPTY_CONFIGURATION, voters: [...voters].sort(), learners: [...learners].sort() },
    votersWanted: 5,
    isAutoJoin: true,
    candidates: alive.map((member, i) => ({ member, aliveSince: now - 600_000 + i })),
    isCaughtUp: (member) => caughtUp.includes(member),
    absentForMs: (member) => (alive.includes(member) ? 0 : Math.max(1, absentMs)),
    retiring: new Set(),
    wanted: new Set(),
    isFounding: false,
    lastChangeAt: Number.NEGATIVE_INFINITY,
    evenSince: undefined,
    ...rest,
  };
}

describe('autopilot', () => {
  it('keeps a second node as a learner: two voters survive nothing that one does not', () => {
    assert.deepEqual(nextChange(facts({ voters: [A], alive: [A, B] })), { kind: 'addLearner', member: B });
    assert.equal(nextChange(facts({ voters: [A], learners: [B], alive: [A, B] })), undefined);
  });

  it('grows from one to three through learners that have caught up, the longest-lived first', () => {
    assert.deepEqual(nextChange(facts({ voters: [A], learners: [B], alive: [A, B, C] })), {
      kind: 'addLearner',
      member: C,
    });
    assert.equal(nextChange(facts({ voters: [A], learners: [B, C], caughtUp: [B], alive: [A, B, C] })), undefined);
    assert.deepEqual(nextChange(facts({ voters: [A], learners: [B, C], alive: [A, C, B] })), {
      kind: 'promote',
      member: C,
    });
    assert.deepEqual(nextChange(facts({ voters: [A, B], learners: [C], alive: [A, B, C] })), {
      kind: 'promote',
      member: C,
    });
    assert.equal(nextChange(facts({ voters: [A, B, C], alive: [A, B, C] })), undefined);
  });

  it('rests at three of four, and goes to five past the founding minute one proven step at a time', () => {
    const four = { voters: [A, B, C], learners: [D], alive: [A, B, C, D] };
    assert.equal(nextChange(facts(four)), undefined);
    const five = { voters: [A, B, C], learners: [D, E], alive: [A, B, C, D, E] };
    assert.deepEqual(nextChange(facts(five)), { kind: 'promote', member: D });
    assert.equal(nextChange(facts({ ...five, lastChangeAt: 1_000_000 - 29_000 })), undefined);
    assert.deepEqual(nextChange(facts({ ...five, lastChangeAt: 1_000_000 - 29_000, isFounding: true })), {
      kind: 'promote',
      member: D,
    });
    assert.equal(nextChange(facts({ ...five, votersWanted: 3, learners: [] })), undefined);
  });

  it('takes the vote of who stops in order, as long as those who stay are a healthy majority', () => {
    const alive = [A, B, C];
    assert.deepEqual(nextChange(facts({ voters: [A, B, C], alive, retiring: new Set([B]) })), {
      kind: 'remove',
      member: B,
    });
    assert.equal(nextChange(facts({ voters: [A, B, C], alive: [A, B], retiring: new Set([B]) })), undefined);
    assert.deepEqual(nextChange(facts({ voters: [A, B], alive: [A, B], retiring: new Set([B]) })), {
      kind: 'remove',
      member: B,
    });
    assert.deepEqual(nextChange(facts({ voters: [A], learners: [B], alive: [A, B], retiring: new Set([B]) })), {
      kind: 'remove',
      member: B,
    });
  });

  it('names an heir among the learners for a leader that goes, and none that goes itself', () => {
    assert.equal(heir(facts({ voters: [A], learners: [B], alive: [A, B], retiring: new Set([A]) })), B);
    assert.equal(heir(facts({ voters: [A], learners: [B], alive: [A, B], retiring: new Set([A, B]) })), undefined);
    assert.equal(heir(facts({ voters: [A], learners: [B], caughtUp: [], alive: [A, B] })), undefined);
  });

  it('makes an even number odd by a demotion only after patience, and never while a voter is missing', () => {
    const two = { voters: [A, B], alive: [A, B] };
    assert.equal(nextChange(facts({ ...two, evenSince: 999_000 })), undefined);
    assert.deepEqual(nextChange(facts({ ...two, evenSince: 990_000 })), { kind: 'demote', member: B });
    assert.equal(nextChange(facts({ voters: [A, B, C, D], alive: [A, B, C], evenSince: 0 })), undefined);
  });

  it('swaps a voter that came back under a new stamp: learner, vote, then the old one goes', () => {
    const newB = m('b', 2);
    const alive = [A, newB, C];
    assert.deepEqual(nextChange(facts({ voters: [A, B, C], alive })), { kind: 'addLearner', member: newB });
    assert.deepEqual(nextChange(facts({ voters: [A, B, C], learners: [newB], alive })), {
      kind: 'promote',
      member: newB,
    });
    assert.deepEqual(nextChange(facts({ voters: [A, B, newB, C], alive })), { kind: 'remove', member: B });
  });

  it('replaces a voter that failed for two minutes, once somebody can take its place', () => {
    const lost = { voters: [A, B, C], learners: [D], alive: [A, B, D], votersWanted: 3 };
    assert.equal(nextChange(facts({ ...lost, absentMs: 119_000 })), undefined);
    assert.deepEqual(nextChange(facts({ ...lost, absentMs: 121_000 })), { kind: 'promote', member: D });
    const four = { voters: [A, B, C, D], alive: [A, B, D], votersWanted: 3, absentMs: 121_000 };
    assert.deepEqual(nextChange(facts(four)), { kind: 'remove', member: C });
    assert.equal(
      nextChange(facts({ voters: [A, B, C], alive: [A, B], votersWanted: 3, absentMs: 999_000 })),
      undefined,
    );
  });

  it('with auto-join off does what operators want, and nothing by itself', () => {
    const manual = { isAutoJoin: false, alive: [A, B, C] };
    assert.equal(nextChange(facts({ ...manual, voters: [A] })), undefined);
    const wanted = new Set(['b' as NodeId]);
    assert.deepEqual(nextChange(facts({ ...manual, voters: [A], wanted })), { kind: 'addLearner', member: B });
    assert.deepEqual(nextChange(facts({ ...manual, voters: [A], learners: [B], wanted })), {
      kind: 'promote',
      member: B,
    });
  });

  it('calls a group viable when more than half of it is healthy', () => {
    assert.equal(isViable(facts({ voters: [A, B, C], alive: [A, B] }), [A, B, C]), true);
    assert.equal(isViable(facts({ voters: [A, B, C], alive: [A] }), [A, B, C]), false);
    assert.equal(isViable(facts({ voters: [A, B], alive: [A] }), [A, B]), false);
    assert.equal(isViable(facts({ voters: [A], alive: [A] }), []), false);
  });
});
