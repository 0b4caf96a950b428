/**
 * One planted mistake per rule of docs/ownership.md: the built code is copied, the rule is broken in the copy, and the step tests that cite
 * the rule must fail there. What the storms of `model/` and the simulator find of such mistakes is in `model/mistakes.ts` and `test/sim/`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { breakRule, type Change, copyBuilt, removePlanted } from '../sim/planting.ts';
import { failuresOf } from '../sim/planted-tests.ts';
import { isPlantedNow } from '../sim/seeds-for.ts';

interface Break {
  readonly id: string;
  readonly mistake: string;
  readonly change: Change;
  /** The tests that must notice: those of this room, unless told otherwise. */
  readonly tests?: readonly string[];
}

const STEP_TESTS: readonly string[] = ['sharding/holder', 'sharding/leader', 'sharding/moving', 'sharding/cases'];

const BREAKS: readonly Break[] = [
  {
    id: 'O-1',
    mistake: 'an owner is known by its name alone',
    change: {
      file: 'src/sharding/rules.js',
      rule: 'a.node === b.node && a.boot === b.boot',
      broken: 'a.node === b.node',
    },
  },
  {
    id: 'O-2',
    mistake: 'a grant of an unknown request counts from its receipt',
    change: {
      file: 'src/sharding/lease.js',
      rule: 'this.#open.get(grant.seq);',
      broken: 'this.#open.get(grant.seq) ?? now;',
    },
  },
  {
    id: 'O-3',
    mistake: 'open requests outlive readiness',
    change: {
      file: 'src/sharding/lease.js',
      rule: "if (!this.#rules.keepsAtReadiness('openRequests'))",
      broken: 'if (false)',
    },
  },
  {
    id: 'O-4',
    mistake: 'the leader lease goes on when TimeoutNow leaves',
    change: {
      file: 'src/sharding/lease.js',
      rule: 'this.#isTransferring ? NEVER : this.#leaderUntil',
      broken: 'this.#leaderUntil',
    },
  },
  {
    id: 'O-5',
    mistake: 'a release after its deadline is acknowledged',
    change: { file: 'src/sharding/own-shards.js', rule: 'if (now > releasing.deadline)', broken: 'if (false)' },
  },
  {
    id: 'O-6',
    mistake: 'what was released for the older proposal is not acknowledged at once',
    change: {
      file: 'src/sharding/sharding.js',
      rule: 'if (this.#shards.follow(maps, deadline, effects))',
      broken: 'if (this.#shards.follow(maps, deadline, effects) && false)',
    },
  },
  {
    id: 'O-7',
    mistake: 'a shard that went and came back counts as never gone',
    change: {
      file: 'src/sharding/own-shards.js',
      rule: 'const isSame = this.#epochs[shard] === epoch;',
      broken: 'const isSame = this.#epochs[shard] !== 0;',
    },
  },
  {
    id: 'O-8',
    mistake: 'a new leader is asked at the next turn of the timer',
    change: {
      file: 'src/sharding/lease.js',
      rule: 'else if (isNew || this.#renewAt === Number.POSITIVE_INFINITY)',
      broken: 'else if (false)',
    },
  },
  {
    id: 'O-9',
    mistake: 'a transfer does not end granting',
    change: { file: 'src/sharding/rules.js', rule: ' && !leader.isTransferring', broken: '' },
  },
  {
    id: 'O-10',
    mistake: 'an old copy of a renewal prolongs the wait',
    change: { file: 'src/sharding/holders.js', rule: 'else if (renew.seq <= holder.seq)', broken: 'else if (false)' },
  },
  {
    id: 'O-11',
    mistake: 'the floor rises when the commit is applied',
    change: { file: 'src/sharding/grants.js', rule: 'if (version > this.#appendedVersion)', broken: 'if (false)' },
  },
  {
    id: 'O-12',
    mistake: 'a loser that is overdue goes on being granted',
    change: { file: 'src/sharding/grants.js', rule: 'this.#leftOut.set(keyOf(pair), pair);', broken: ';' },
  },
  {
    id: 'O-13',
    mistake: 'the newest boot of a name is its holder',
    change: {
      file: 'src/sharding/holders.js',
      rule: 'accepted === undefined || accepted.boot === renew.boot;',
      broken: 'true;',
    },
  },
  {
    id: 'O-14',
    mistake: 'a holder that has never been granted here is waited for from no instant at all',
    change: {
      file: 'src/sharding/rules.js',
      rule: 'Math.max(times.electedAt, times.recordedAt ?? Number.NEGATIVE_INFINITY)',
      broken: '(times.recordedAt ?? Number.NEGATIVE_INFINITY)',
    },
  },
  {
    id: 'O-14',
    mistake: 'the last word of an orderly stop is not heard',
    change: { file: 'src/sharding/grants.js', rule: 'this.#holders.end(release);', broken: ';' },
  },
  {
    id: 'O-15',
    mistake: 'a predecessor is not waited for although this leader has granted it something',
    change: {
      file: 'src/sharding/grants.js',
      rule: 'this.#election.restedOnLease && this.#holders.find(pair)?.grantedAt === undefined',
      broken: 'this.#election.restedOnLease',
    },
  },
  {
    id: 'O-15',
    mistake: 'any past leader is not waited for',
    change: {
      file: 'src/sharding/grants.js',
      rule: 'pair.node === this.#election.restedOnLease',
      broken: 'pair.node === this.#election.predecessor',
    },
  },
  {
    id: 'O-16',
    mistake: 'a non-voter does not notice that nobody answers',
    change: { file: 'src/cluster/following.js', rule: 'const SILENT_MS = 180;', broken: 'const SILENT_MS = 18_000;' },
    tests: ['cluster/agreed-state'],
  },
  {
    id: 'O-17',
    mistake: 'an acknowledgement counts for every boot of its node',
    change: {
      file: 'src/sharding/holders.js',
      rule: 'return holder?.boot === pair.boot ? holder : undefined;',
      broken: 'return holder;',
    },
  },
  {
    id: 'O-18',
    mistake: 'shards of a silent owner are proposed to others',
    change: {
      file: 'src/sharding/grants.js',
      rule: "return this.#isExempt(owner) ? 'gone' : 'pinned';",
      broken: "return 'gone';",
    },
  },
  {
    id: 'O-19',
    mistake: 'a predecessor is given no less time than anybody',
    change: {
      file: 'src/sharding/grants.js',
      rule: '? this.#config.predecessorGraceMs : this.#config.silentAfterMs',
      broken: '? this.#config.silentAfterMs : this.#config.silentAfterMs',
    },
  },
  {
    id: 'O-20',
    mistake: 'an overdue loser holds up everybody',
    change: {
      file: 'src/sharding/coordinator.js',
      rule: 'if (!this.#mustReplace && now >= overdueAt)',
      broken: 'if (false)',
    },
  },
  {
    id: 'O-21',
    mistake: 'a proposal of a predecessor is never looked at again',
    change: {
      file: 'src/sharding/coordinator.js',
      rule: 'return !this.#isInherited || this.#isFirstPlanMade;',
      broken: 'return true;',
    },
  },
  {
    id: 'O-22',
    mistake: 'newcomers cost as many maps as they like',
    change: { file: 'src/sharding/coordinator.js', rule: 'if (left < 1 - TOKEN_TOLERANCE)', broken: 'if (false)' },
  },
  {
    id: 'O-23',
    mistake: 'an orderly stop goes without a word',
    change: { file: 'src/sharding/sharding.js', rule: 'if (hasLeader)', broken: 'if (false)' },
  },
];

const COPIED: readonly string[] = ['src', 'test/sharding', 'test/cluster'];

describe('sharding: one planted mistake per rule', () => {
  let folder = '';
  before(() => {
    folder = copyBuilt(COPIED);
  });
  after(removePlanted);

  for (const { id, mistake, change, tests } of BREAKS.filter((_, place) => isPlantedNow(place))) {
    it(`${id}: ${mistake}`, async (t) => {
      const mend = breakRule(folder, change);
      const failed = await failuresOf(folder, tests ?? STEP_TESTS, `${id}:`);
      mend();
      assert.notDeepEqual(failed, [], `a test of ${id} fails`);
      t.diagnostic(`noticed by: ${failed.join('; ')}`);
    });
  }

  it('and where nothing is broken no test of them fails', async () => {
    assert.deepEqual(await failuresOf(folder, STEP_TESTS, '[OC]-\\d+:'), []);
  });
});
