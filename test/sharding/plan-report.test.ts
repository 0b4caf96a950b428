/** docs/ownership.md section 10: what operators are told of a plan, before it is made. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeId } from '../../src/model/ids.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import type { ShardPlanReport } from '../../src/model/shard-plan.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardSettings } from '../../src/model/shard-settings.ts';
import type { PlanRequest } from '../../src/sharding/distribution.ts';
import { explainPlan } from '../../src/sharding/plan-report.ts';
import type { NodeTraits } from '../../src/sharding/seats.ts';
import { boot, index, node } from './rig.ts';

/** `aabbcc`: who owns each shard; more words: their standbys. */
function mapOf(ownerOf: string, ...standbys: readonly string[]): ShardMap {
  const names = [...new Set([...ownerOf, ...standbys.join('')])].sort();
  const column = (letters: string): Uint16Array => Uint16Array.from(letters, (letter) => names.indexOf(letter));
  return {
    version: index(7),
    committedAt: index(8),
    epochs: Float64Array.from(ownerOf, () => 8),
    shardCount: ownerOf.length,
    owners: names.map((name, i) => ({ node: node(name), boot: boot(1), workerId: i + 2 })),
    ownerOf: column(ownerOf),
    ...(standbys.length > 0 && { standbys: standbys.map(column) }),
  };
}

interface Given {
  readonly takers: string;
  readonly settings?: Partial<ShardSettings>;
  readonly leaving?: string;
  readonly traits?: ReadonlyMap<string, NodeTraits>;
  readonly request?: Partial<PlanRequest>;
}

function report(active: ShardMap | undefined, given: Given): ShardPlanReport {
  const { takers, settings = {}, leaving = '', traits = new Map<string, NodeTraits>(), request = {} } = given;
  const places = [...leaving].map((name) => active?.owners.findIndex((owner) => owner.node === name) ?? -1);
  const made = explainPlan({
    active,
    request: {
      shardCount: active?.shardCount ?? 6,
      previous: active,
      pinned: new Set(),
      leaving: new Set(places),
      candidates: [...takers].map((name) => ({ node: node(name), boot: boot(1) })),
      traits: traits as ReadonlyMap<NodeId, NodeTraits>,
      settings: { ...DEFAULT_SHARD_SETTINGS, ...settings },
      promised: [],
      lastWorkerId: 20,
      ...request,
    },
  });
  assert.ok(made !== undefined, 'there is somebody to give shards to');
  return made;
}

/** `c>d 2 death (8 9)`, and ` 1 to standbys` where some are. */
function moves({ moves: all }: ShardPlanReport): string[] {
  return all.map(({ from, to, reason, count, toStandby, examples }) => {
    const promoted = toStandby > 0 ? `, ${toStandby} to standbys` : '';
    return `${from}>${to} ${count} ${reason} (${examples.join(' ')})${promoted}`;
  });
}

describe('sharding: the report of a plan', () => {
  it('of a first map: everything is new, nothing is taken from anybody', () => {
    const made = report(undefined, { takers: 'ab' });
    assert.deepEqual(moves(made), ['>a 3 new (0 1 2)', '>b 3 new (3 4 5)']);
    assert.deepEqual([made.mapVersion, made.shardCount, made.nextShardCount, made.moved, made.fewest], [0, 6, 0, 6, 6]);
    assert.deepEqual([made.steps, made.isFewestExact, made.notes], [1, true, []]);
    assert.equal(explainPlan({ active: undefined, request: { ...requestOfNobody } }), undefined);
  });

  it('of no change: nothing moves, and no map is needed', () => {
    const made = report(mapOf('aabbcc'), { takers: 'abc' });
    assert.deepEqual([made.moves, made.moved, made.fewest, made.steps, made.mapVersion], [[], 0, 0, 0, 7]);
    assert.deepEqual(made.nodes[0], {
      node: 'a',
      weight: 1,
      zone: '',
      before: 2,
      after: 2,
      standbyBefore: 0,
      standbyAfter: 0,
      movesIn: 0,
      movesOut: 0,
    });
  });

  it('of a death and of a newcomer: who gets what, and why; larger groups first', () => {
    const dead = report(mapOf('aaabbbccc'), { takers: 'abd' });
    assert.deepEqual(moves(dead), ['c>d 3 death (6 7 8)']);
    assert.deepEqual(
      dead.nodes.map(({ node: name, before, after, movesIn, movesOut }) => [name, before, after, movesIn, movesOut]),
      [
        ['a', 3, 3, 0, 0],
        ['b', 3, 3, 0, 0],
        ['c', 3, 0, 0, 3],
        ['d', 0, 3, 3, 0],
      ],
    );
    const grown = report(mapOf('aaaaaabbbbbb'), { takers: 'abcd' });
    assert.deepEqual([grown.moved, grown.fewest, grown.moves.length], [6, 6, 2]);
    assert.ok(grown.moves.every(({ reason, count }) => reason === 'balance' && count === 3));
    assert.deepEqual(
      grown.moves.map(({ from, to }) => `${from}${to}`),
      ['ac', 'bd'],
    );
    const many = report(mapOf('a'.repeat(20)), { takers: 'b' });
    assert.deepEqual([many.moves[0]?.count, many.moves[0]?.examples], [20, [0, 1, 2, 3, 4, 5, 6, 7]]);
    const uneven = report(mapOf('aaaaabb'), { takers: 'cd' });
    assert.deepEqual(
      uneven.moves.map(({ count }) => count),
      [...uneven.moves.map(({ count }) => count)].sort((a, b) => b - a),
    );
  });

  it('of a drain and of an exclusion: each by its name', () => {
    const drained = report(mapOf('aabbcc'), { takers: 'ab', leaving: 'c' });
    assert.deepEqual(moves(drained), ['c>a 1 drain (4)', 'c>b 1 drain (5)']);
    assert.deepEqual([drained.moved, drained.fewest], [2, 2]);
    const excluded = report(mapOf('aabbcc'), { takers: 'abc', settings: { excluded: [node('c')] } });
    assert.deepEqual(moves(excluded), ['c>a 1 excluded (4)', 'c>b 1 excluded (5)']);
  });

  it('of rules: pins and places to be avoided, and pins on nodes that are not here', () => {
    const pinned = report(mapOf('aaabbb'), {
      takers: 'ab',
      settings: { pins: [{ from: 0, to: 0, node: node('b') }] },
    });
    assert.equal(moves(pinned)[0], 'a>b 1 pin (0)');
    assert.equal(pinned.fewest, 2, 'and one goes back for it');
    const avoided = report(mapOf('aaabbb'), {
      takers: 'ab',
      settings: { avoided: [{ from: 3, to: 3, node: node('b') }] },
    });
    assert.ok(moves(avoided).includes('b>a 1 avoid (3)'), moves(avoided).join());
    assert.equal(avoided.fewest, 1, 'four and two are within one of three');
    const vain = report(mapOf('aaabbb'), {
      takers: 'ab',
      settings: { pins: [{ from: 0, to: 1, node: node('z') }] },
    });
    assert.deepEqual([vain.moved, vain.fewest], [0, 0]);
    assert.deepEqual(vain.notes, ['shards are pinned to z, which takes none now: they are spread as others']);
  });

  it('of standbys: how many are new, how many for the zones, and who of them becomes owner', () => {
    const zones = new Map(
      [...'abcd'].map((name) => [name, { weight: 1, zone: name < 'c' ? 'x' : 'y' } as NodeTraits] as const),
    );
    const settings = { replicas: 1 };
    const promoted = report(mapOf('aabbcc', 'bcacab'), { takers: 'ab', settings });
    assert.equal(promoted.moved, 2);
    assert.equal(
      promoted.moves.reduce((sum, { toStandby }) => sum + toStandby, 0),
      2,
    );
    const clash = report(mapOf('aaccbbdd', 'bbddaacc'), { takers: 'abcd', settings, traits: zones });
    assert.deepEqual([clash.moved, clash.standbysMoved, clash.standbysMovedForZones], [0, 8, 8]);
    const none = report(mapOf('aaccbbdd', 'ccaaddbb'), { takers: 'abcd', settings, traits: zones });
    assert.deepEqual([none.standbysMoved, none.standbysMovedForZones, none.notes], [0, 0, []]);
    assert.deepEqual(
      none.nodes.map(({ standbyBefore, standbyAfter, zone }) => [standbyBefore, standbyAfter, zone]),
      [
        [2, 2, 'x'],
        [2, 2, 'x'],
        [2, 2, 'y'],
        [2, 2, 'y'],
      ],
    );
    const fresh = report(mapOf('aabb'), { takers: 'ab', settings });
    assert.deepEqual([fresh.standbysMoved, fresh.standbysMovedForZones], [4, 0]);
    const few = report(mapOf('aabb'), { takers: 'ab', settings: { replicas: 2 } });
    assert.deepEqual(few.notes, ['3 copies of each shard are wanted, and 2 nodes take shards']);
    const oneZoneShort = report(mapOf('aabbccdd'), { takers: 'abcd', settings: { replicas: 2 }, traits: zones });
    assert.deepEqual(oneZoneShort.notes, ['3 copies of each shard share 2 zones: some are in one zone']);
  });

  it('of a cap on moves: so many maps, deaths not counted', () => {
    const capped = (moveCap: number): number =>
      report(mapOf('aaaaaabbbbbb'), { takers: 'abcd', settings: { moveCap } }).steps;
    assert.deepEqual([capped(0), capped(1), capped(4), capped(6), capped(7)], [1, 6, 2, 1, 1]);
    assert.equal(report(mapOf('aaabbbccc'), { takers: 'abd', settings: { moveCap: 1 } }).steps, 1);
    assert.equal(report(mapOf('aabb'), { takers: 'ab', settings: { moveCap: 1 } }).steps, 0);
  });

  it('of another number of shards: those of both are counted', () => {
    const made = report(mapOf('aaabbb'), { takers: 'ab', request: { nextShardCount: 4 } });
    assert.deepEqual([made.shardCount, made.nextShardCount, made.moved, made.fewest], [6, 4, 4, 4]);
    assert.ok(made.moves.every(({ reason, from }) => reason === 'new' && from === ''));
    assert.deepEqual(moves(made), ['>a 2 new (6 7)', '>b 2 new (8 9)']);
    const pins = [{ from: 0, to: 1, node: node('b') }];
    const ruled = report(mapOf('aaabbb'), { takers: 'ab', request: { nextShardCount: 4 }, settings: { pins } });
    assert.ok(
      ruled.moves.filter(({ reason }) => reason === 'pin').every(({ examples }) => examples.every((slot) => slot < 2)),
      'rules name shards of the older numbering',
    );
  });

  it('of weights and costs: shares by weight; with costs the fewest is a bound', () => {
    const heavy = report(mapOf('aaaabbbb'), { takers: 'ab', settings: { nodeWeights: new Map([[node('a'), 3]]) } });
    assert.deepEqual(
      heavy.nodes.map(({ weight, after }) => [weight, after]),
      [
        [3, 6],
        [1, 2],
      ],
    );
    assert.deepEqual([heavy.moved, heavy.fewest, heavy.isFewestExact], [2, 2, true]);
    const said = new Map([['b', { weight: 3, zone: '' } as NodeTraits]]);
    assert.deepEqual(
      report(mapOf('aaaabbbb'), { takers: 'ab', traits: said }).nodes.map(({ after }) => after),
      [2, 6],
    );
    const shardCosts = [{ from: 0, to: 0, cost: 9 }];
    const costly = report(mapOf('aaaaabbbbb'), { takers: 'ab', settings: { shardCosts } });
    assert.equal(costly.isFewestExact, false);
    assert.ok(costly.fewest <= costly.moved && costly.moved > 0, `${costly.fewest} of ${costly.moved}`);
    assert.equal(costly.nodes[0]?.after, 1, 'the dear one alone');
  });

  it('odd shards are where they save a move', () => {
    const made = report(mapOf('aabbbccc'), { takers: 'abc' });
    assert.deepEqual([made.moved, made.fewest], [0, 0]);
    const less = report(mapOf('aaaabbbc'), { takers: 'abc' });
    assert.deepEqual([less.moved, less.fewest], [1, 1]);
  });
});

const requestOfNobody: PlanRequest = {
  shardCount: 6,
  previous: undefined,
  pinned: new Set(),
  candidates: [],
  promised: [],
  lastWorkerId: 20,
};
