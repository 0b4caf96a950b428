/** Edges of leases, plans and grants: late answers, leaders of old, what is urgent, and what is counted. One Sharding each, or a plan. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Term } from '../../src/model/ids.ts';
import { DEFAULT_SHARD_SETTINGS } from '../../src/model/shard-settings.ts';
import { countLoads, type Plan, type PlanRequest, planShards } from '../../src/sharding/distribution.ts';
import { boot, leaderOfTwo, node, ownersOf, Rig } from './rig.ts';

describe('sharding: edges of the holder', () => {
  it('renewals have rising numbers, and tell the newest answer, not the one that came last', () => {
    const rig = new Rig().follow('l');
    const [first] = rig.renewals();
    rig.pass(100);
    const [second] = rig.renewals();
    assert.ok(first !== undefined && second !== undefined && second.seq > first.seq);
    rig.grantFor(second).grantFor(first).pass(100);
    assert.equal(rig.renewals()[0]?.answeredSeq, second.seq);
  });

  it('O-16: a refusal is an answer as well: the leader lives', () => {
    const rig = new Rig().follow('l');
    const [renewal] = rig.renewals();
    assert.ok(renewal !== undefined);
    assert.equal(rig.machine.answeredAt, Number.NEGATIVE_INFINITY);
    rig.pass(30);
    const { node: self, boot: itsBoot, seq } = renewal;
    rig.receive({ kind: 'refusal', node: self, boot: itsBoot, seq, term: rig.term, reason: 'behind' });
    assert.equal(rig.machine.answeredAt, rig.now);
    rig.pass(30);
    rig.receive({ kind: 'refusal', node: self, boot: boot(9), seq: seq + 1, term: rig.term, reason: 'behind' });
    assert.equal(rig.machine.answeredAt, rig.now - 30, 'another boot was meant');
  });

  it('O-4: a transfer ends with the role: who leads again has its leader lease again', () => {
    const rig = leaderOfTwo();
    assert.equal(rig.holdsLease(), true);
    rig.step({ kind: 'transferring', active: true });
    assert.equal(rig.holdsLease(), false);
    rig.follow('b').lead({ term: 9 as Term });
    assert.equal(rig.holdsLease(), true);
  });
});

describe('sharding: edges of the leader', () => {
  it('grants, refusals, renewals and who is gone are counted, each once', () => {
    const rig = leaderOfTwo();
    const { grantsGiven, grantsRefused } = rig.machine.stats;
    rig.hear('b');
    assert.equal(rig.machine.stats.grantsGiven, grantsGiven + 1);
    rig.hear('a', { boot: boot(7) });
    assert.equal(rig.machine.stats.grantsRefused, grantsRefused + 1);
    const fresh = new Rig();
    const { stats } = fresh.machine;
    assert.deepEqual(
      Object.values(stats).filter((count) => typeof count === 'number' && count !== 0),
      [],
      JSON.stringify(stats),
    );
    assert.equal(new Rig().follow('l').machine.stats.renewalsSent, 1);
  });

  it('a map that moves shards counts them, and says who it is to those who look', () => {
    const rig = leaderOfTwo();
    assert.deepEqual([rig.machine.stats.commits, rig.machine.stats.shardCount], [1, 6]);
    assert.equal(rig.machine.stats.mapVersion, 1);
    assert.equal(rig.machine.stats.shardsOwned, 3);
    assert.equal(rig.told.filter(({ kind }) => kind === 'mapChanged').length, 1);
    assert.equal(rig.told.filter(({ kind }) => kind === 'mapProposed').length, 1);
  });

  it('O-22: a drain waits for no token that a newcomer has used', () => {
    const rig = leaderOfTwo({ mapsPerSecond: 1 });
    rig.hear('c').pass(25);
    rig.applyAppended();
    rig.step({ kind: 'released', version: rig.lastIndex });
    rig.hear('b', { releasedVersion: rig.lastIndex }).pass(1);
    assert.equal(rig.applyAppended().kind, 'shardCommit');
    rig.hear('b').hear('c').pass(25).hear('d').pass(25);
    assert.equal(rig.of('append').length, 0, 'a newcomer waits');
    rig.hear('b', { wantsShards: false }).pass(25);
    assert.equal(rig.unapplied?.kind, 'shardPropose');
    assert.ok(!ownersOf(rig.unapplied).includes('b'));
  });
});

describe('sharding: edges of plans', () => {
  const plan = (ownerOf: string, takers: string, request: Partial<PlanRequest> = {}, standby?: string): Plan => {
    const names = [...new Set([...ownerOf, ...(standby ?? '')])].sort();
    const column = (letters: string): Uint16Array => Uint16Array.from(letters, (letter) => names.indexOf(letter));
    const owners = names.map((name, i) => ({ node: node(name), boot: boot(1), workerId: i + 2 }));
    const made = planShards({
      shardCount: ownerOf.length,
      previous: { owners, ownerOf: column(ownerOf), ...(standby !== undefined && { standbys: [column(standby)] }) },
      pinned: new Set(),
      candidates: [...takers].map((name) => ({ node: node(name), boot: boot(1) })),
      promised: [],
      lastWorkerId: 20,
      ...request,
    });
    assert.ok(made !== undefined);
    return made;
  };
  const told = ({ owners, ownerOf }: Plan): string => Array.from(ownerOf, (owner) => owners[owner]?.node).join('');

  it('the odd shard goes to who stood by for shards of the dead', () => {
    assert.equal(told(plan('aabbccc', 'ab', {}, 'bbaabbb')), 'aabbbba');
    const toB = countLoads(plan('aabbccc', 'ab', {}, 'bbaabbb').ownerOf, 2);
    const toA = countLoads(plan('aabbccc', 'ab', {}, 'bbaaaaa').ownerOf, 2);
    assert.deepEqual(
      [[...toB], [...toA]],
      [
        [3, 4],
        [4, 3],
      ],
    );
  });

  it('with a cap on moves whoever is excluded gives up so many shards per map, others stay', () => {
    const settings = { ...DEFAULT_SHARD_SETTINGS, moveCap: 1, excluded: [node('c')] };
    const once = plan('aabbcc', 'abc', { settings });
    assert.equal(told(once), 'aabbac');
    const free = plan('aabbcc', 'abc', { settings: { ...settings, moveCap: 0 } });
    assert.equal(told(free), 'aabbab');
    const stranger = plan('aabbdd', 'abdc', { settings });
    assert.equal(told(stranger), 'aabbdd', 'who is excluded and has nothing matters to nobody');
    const leaving = plan('aabbcc', 'ab', {
      settings: { ...settings, excluded: [] },
      leaving: new Set([2]),
    });
    assert.equal(told(leaving), 'aabbac');
  });
});
