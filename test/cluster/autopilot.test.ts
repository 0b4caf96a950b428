/** What a leader does about membership by itself: raft.md 9.4 and product.md, Three kinds of node. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type AutopilotFacts, heir, isViable, nextChange } from '../../src/cluster/autopilot.ts';
import type { MemberId, NodeId } from '../../src/model/ids.ts';
import { nodeIdOf } from '../../src/model/ids.ts';
import { type Configuration, EMPTY_CONFIGURATION } from '../../src/model/log.ts';
import type { MembershipChange } from '../../src/raft/messages.ts';

const NOW = 1_000_000;

function member(name: string, stamp = '0'): MemberId {
  return `${name}@${stamp.repeat(16)}` as MemberId;
}

const [A, B, C, D, E, F] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => member(name)) as [
  MemberId,
  MemberId,
  MemberId,
  MemberId,
  MemberId,
  MemberId,
];

interface Scene extends Partial<Omit<AutopilotFacts, 'configuration' | 'candidates' | 'isCaughtUp' | 'absentForMs'>> {
  readonly voters?: readonly MemberId[];
  readonly learners?: readonly MemberId[];
  /** Alive and able to vote, longest-lived first. */
  readonly alive?: readonly MemberId[];
  readonly caughtUp?: readonly MemberId[];
  readonly absent?: Readonly<Record<string, number>>;
}

function facts(scene: Scene): AutopilotFacts {
  const { voters = [A], learners = [], alive = [A], caughtUp = [], absent = {}, ...rest } = scene;
  return {
    self: A,
    now: NOW,
    votersWanted: 5,
    isAutoJoin: true,
    retiring: new Set(),
    wanted: new Set(),
    isFounding: true,
    lastChangeAt: Number.NEGATIVE_INFINITY,
    evenSince: undefined,
    configuration: { ...EMPTY_CONFIGURATION, voters: [...voters].sort(), learners: [...learners].sort() },
    candidates: alive.map((one, i) => ({ member: one, aliveSince: i })),
    isCaughtUp: (one) => caughtUp.includes(one),
    absentForMs: (one) => absent[one] ?? 0,
    ...rest,
  };
}

function change(scene: Scene): MembershipChange | undefined {
  return nextChange(facts(scene));
}

function after(configuration: Configuration, change: MembershipChange): Configuration {
  if (change.kind === 'exchange') {
    const { promote, remove } = change;
    const voters = [...configuration.voters.filter((one) => !remove.includes(one)), ...promote].sort();
    return { ...configuration, voters, learners: configuration.learners.filter((one) => !promote.includes(one)) };
  }
  const { kind, member: who } = change;
  const voters = configuration.voters.filter((one) => one !== who);
  const learners = configuration.learners.filter((one) => one !== who);
  if (kind === 'promote') voters.push(who);
  if (kind === 'addLearner' || kind === 'demote') learners.push(who);
  return { ...configuration, voters: voters.sort(), learners: learners.sort() };
}

function storyOf(change: MembershipChange): string {
  if (change.kind !== 'exchange') return `${change.kind} ${nodeIdOf(change.member)}`;
  const signed = [
    ...change.promote.map((one) => `+${nodeIdOf(one)}`),
    ...change.remove.map((one) => `-${nodeIdOf(one)}`),
  ];
  return `exchange ${signed.join(' ')}`;
}

/** Every change takes effect, every learner catches up. */
function settle(scene: Scene): { readonly configuration: Configuration; readonly steps: readonly string[] } {
  let current = facts(scene);
  const steps: string[] = [];
  for (let i = 0; i < 40; i++) {
    const next = nextChange({ ...current, isCaughtUp: () => true });
    if (next === undefined) return { configuration: current.configuration, steps };
    steps.push(storyOf(next));
    current = { ...current, configuration: after(current.configuration, next) };
  }
  throw new Error(`it never rests: ${steps.join(', ')}`);
}

describe('growing', () => {
  it('goes from one voter to three and to five, each by way of a learner, and rests', () => {
    const { configuration, steps } = settle({ alive: [A, B, C, D, E] });
    assert.deepEqual(configuration.voters, [A, B, C, D, E]);
    assert.deepEqual(configuration.learners, []);
    assert.deepEqual(steps, [
      'addLearner b',
      'addLearner c',
      'exchange +b +c',
      'addLearner d',
      'addLearner e',
      'exchange +d +e',
    ]);
  });

  it('leaves one voter alone with a standby learner while there are two nodes', () => {
    const { configuration } = settle({ alive: [A, B] });
    assert.deepEqual([configuration.voters, configuration.learners], [[A], [B]]);
  });

  it('leaves three voters with a standby learner while there are four nodes', () => {
    const { configuration } = settle({ alive: [A, B, C, D] });
    assert.deepEqual([configuration.voters, configuration.learners], [[A, B, C], [D]]);
  });

  it('whom an operator asks for waits for room among the learners, and keeps nobody from a vote', () => {
    const scene: Scene = { learners: [B, C, D, E], alive: [A, B, C, D, E, F], wanted: new Set(['f' as NodeId]) };
    assert.equal(change(scene), undefined);
    assert.deepEqual(change({ ...scene, caughtUp: [B, C, D, E] }), {
      kind: 'exchange',
      promote: [B, C, D, E],
      remove: [],
    });
    assert.deepEqual(change({ ...scene, voters: [A, B, C, D, E], learners: [] }), { kind: 'addLearner', member: F });
  });

  it('stops at the number of voters that is wanted', () => {
    const { configuration } = settle({ alive: [A, B, C, D, E, F], votersWanted: 3 });
    assert.deepEqual([configuration.voters, configuration.learners], [[A, B, C], []]);
  });

  it('promotes a pair in one step, and no one before the second has caught up', () => {
    const scene: Scene = { alive: [A, B, C], learners: [B, C] };
    assert.equal(change({ ...scene, caughtUp: [B] }), undefined);
    assert.deepEqual(change({ ...scene, caughtUp: [B, C] }), { kind: 'exchange', promote: [B, C], remove: [] });
  });

  it('finishes the pair when the number has become even', () => {
    assert.deepEqual(change({ alive: [A, B, C], voters: [A, B], learners: [C], caughtUp: [C] }), {
      kind: 'exchange',
      promote: [C],
      remove: [],
    });
  });

  it('waits between changes, and for a proof of life, after the founding minute', () => {
    const scene: Scene = {
      alive: [A, B, C, D, E],
      voters: [A, B, C],
      learners: [D, E],
      caughtUp: [D, E],
      isFounding: false,
    };
    assert.equal(change({ ...scene, lastChangeAt: NOW - 29_000 }), undefined);
    assert.deepEqual(change({ ...scene, lastChangeAt: NOW - 31_000 }), {
      kind: 'exchange',
      promote: [D, E],
      remove: [],
    });
    const young = facts({ ...scene, lastChangeAt: NOW - 31_000 });
    const candidates = young.candidates.map((one) => ({ ...one, aliveSince: NOW - 5_000 }));
    assert.equal(nextChange({ ...young, candidates }), undefined);
  });

  it('does nothing by itself without auto-join', () => {
    assert.equal(change({ alive: [A, B, C], isAutoJoin: false }), undefined);
  });
});

describe('what operators ask', () => {
  it('is done without auto-join too: learner first, then voter', () => {
    const scene: Scene = { alive: [A, B], isAutoJoin: false, wanted: new Set(['b' as NodeId]) };
    assert.deepEqual(change(scene), { kind: 'addLearner', member: B });
    assert.equal(change({ ...scene, learners: [B] }), undefined);
    assert.deepEqual(change({ ...scene, learners: [B], caughtUp: [B] }), { kind: 'promote', member: B });
    assert.equal(change({ ...scene, voters: [A, B] }), undefined);
  });
});

describe('shrinking', () => {
  it('removes a voter that retires when the others can go on', () => {
    assert.deepEqual(change({ alive: [A, B, C], voters: [A, B, C], retiring: new Set([B]) }), {
      kind: 'remove',
      member: B,
    });
  });

  it('keeps a retiring voter whose going would cost the majority', () => {
    const scene: Scene = { alive: [A, B], voters: [A, B, C], retiring: new Set([B]), absent: { [C]: 5_000 } };
    assert.notEqual(change(scene)?.kind, 'remove');
  });

  it('removes a retiring learner at once, and never the leader itself', () => {
    assert.deepEqual(change({ alive: [A, B], learners: [B], retiring: new Set([B]) }), { kind: 'remove', member: B });
    assert.notDeepEqual(change({ alive: [A, B, C], voters: [A, B, C], retiring: new Set([A]) }), {
      kind: 'remove',
      member: A,
    });
  });

  it('demotes the youngest of an even number after two seconds, never the leader', () => {
    const scene: Scene = { alive: [B, A], voters: [A, B], learners: [] };
    assert.equal(change({ ...scene, evenSince: NOW - 1_000 }), undefined);
    assert.deepEqual(change({ ...scene, evenSince: NOW - 2_000 }), { kind: 'demote', member: B });
  });

  it('leaves an even number alone while one of them is away: the demotion could cost the majority', () => {
    assert.equal(change({ alive: [A], voters: [A, B], evenSince: NOW - 60_000, absent: { [B]: 50_000 } }), undefined);
  });

  it('forgets a learner that has been away for half a minute', () => {
    assert.equal(change({ learners: [B], absent: { [B]: 29_000 } }), undefined);
    assert.deepEqual(change({ learners: [B], absent: { [B]: 30_000 } }), { kind: 'remove', member: B });
  });
});

describe('a leader that goes and has nobody beside it', () => {
  it('seeks an heir, also when no more voters are wanted', () => {
    const scene: Scene = { alive: [A, B], votersWanted: 1, retiring: new Set([A]) };
    assert.deepEqual(change(scene), { kind: 'addLearner', member: B });
    assert.equal(heir(facts({ ...scene, learners: [B] })), undefined);
    assert.equal(heir(facts({ ...scene, learners: [B], caughtUp: [B] })), B);
  });

  it('takes nobody for an heir that goes as well', () => {
    const scene: Scene = { alive: [A, B], votersWanted: 1, retiring: new Set([A, B]), learners: [B], caughtUp: [B] };
    assert.equal(heir(facts(scene)), undefined);
  });
});

describe('a name that came back with an empty directory', () => {
  const fresh = member('b', '1');

  it('takes the place of its dead stamp: learner first, then vote for vote in one step', () => {
    const scene: Scene = { alive: [A, fresh, C], voters: [A, B, C], absent: { [B]: 1_000 } };
    assert.deepEqual(change(scene), { kind: 'addLearner', member: fresh });
    assert.equal(change({ ...scene, learners: [fresh] }), undefined);
    assert.deepEqual(change({ ...scene, learners: [fresh], caughtUp: [fresh] }), {
      kind: 'exchange',
      promote: [fresh],
      remove: [B],
    });
    assert.deepEqual(change({ ...scene, voters: [A, B, C, fresh] }), { kind: 'remove', member: B });
  });

  it('clears a learner of the old stamp away first', () => {
    assert.deepEqual(change({ alive: [A, fresh], learners: [B] }), { kind: 'remove', member: B });
  });
});

describe('a voter that is dead', () => {
  const scene: Scene = { alive: [A, B, D], voters: [A, B, C], isFounding: false, votersWanted: 3 };

  it('is replaced after two minutes, by way of a proven learner', () => {
    assert.equal(change({ ...scene, absent: { [C]: 119_000 } }), undefined);
    assert.deepEqual(change({ ...scene, absent: { [C]: 120_000 } }), { kind: 'addLearner', member: D });
    assert.deepEqual(change({ ...scene, learners: [D], caughtUp: [D], absent: { [C]: 120_000 } }), {
      kind: 'exchange',
      promote: [D],
      remove: [C],
    });
    assert.deepEqual(change({ ...scene, voters: [A, B, C, D], absent: { [C]: 120_000 } }), {
      kind: 'remove',
      member: C,
    });
  });

  it('stays when nobody can take its place', () => {
    assert.equal(change({ ...scene, alive: [A, B], absent: { [C]: 900_000 } }), undefined);
  });
});

describe('in any situation', () => {
  const names = fc.subarray([A, B, C, D, E, F]);

  it('raft.md 9.4: no step takes a vote away and leaves fewer healthy voters than a majority', () => {
    fc.assert(
      fc.property(names, names, names, names, fc.boolean(), (voters, learners, alive, retiring, isFounding) => {
        const absent = Object.fromEntries(
          [A, B, C, D, E, F].filter((one) => one !== A && !alive.includes(one)).map((one) => [one, 300_000]),
        );
        const situation = facts({
          voters: [...new Set([A, ...voters])],
          learners: learners.filter((one) => one !== A && !voters.includes(one)),
          alive: [...new Set([A, ...alive])],
          caughtUp: learners,
          absent,
          retiring: new Set(retiring),
          isFounding,
          evenSince: NOW - 100_000,
        });
        const next = nextChange(situation);
        if (next === undefined) return;
        const { voters: before } = situation.configuration;
        const rest = after(situation.configuration, next).voters;
        if (before.every((voter) => rest.includes(voter))) return;
        assert.ok(
          isViable(situation, rest) || rest.length === before.length,
          `${storyOf(next)} of ${before.join(' ')}`,
        );
        assert.ok(rest.includes(A), 'the leader keeps its vote');
      }),
      { numRuns: 2_000 },
    );
  });

  it('comes to rest at an odd number', () => {
    fc.assert(
      fc.property(names, fc.constantFrom(1, 3, 5, 7), (alive, votersWanted) => {
        const all = [...new Set([A, ...alive])];
        const { configuration } = settle({ alive: all, votersWanted });
        assert.equal(configuration.voters.length % 2, 1);
        const most = Math.min(votersWanted, all.length);
        assert.equal(configuration.voters.length, most % 2 === 1 ? most : most - 1);
      }),
    );
  });
});
