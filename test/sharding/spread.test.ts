/** Plans with weights, zones, standbys, pins and a cap, beside what every possible assignment would have allowed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { NodeId } from '../../src/model/ids.ts';
import { NO_STANDBY } from '../../src/model/shard-map.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardSettings } from '../../src/model/shard-settings.ts';
import { countLoads, type Plan, type PlanRequest, planShards } from '../../src/sharding/distribution.ts';
import type { OwnerPair } from '../../src/sharding/rules.ts';
import type { NodeTraits } from '../../src/sharding/seats.ts';
import { boot, node } from './rig.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(node);
const pairs = (names: readonly NodeId[]): OwnerPair[] => names.map((name) => ({ node: name, boot: boot(1) }));
const settingsOf = (fields: Partial<ShardSettings>): ShardSettings => ({ ...DEFAULT_SHARD_SETTINGS, ...fields });
const traitsOf = (rows: Readonly<Record<string, Partial<NodeTraits>>>): Map<NodeId, NodeTraits> =>
  new Map(Object.entries(rows).map(([name, row]) => [node(name), { weight: 1, zone: '', ...row }]));

function plan(request: Partial<PlanRequest> & { readonly shardCount: number }): Plan {
  const defaults = { previous: undefined, pinned: new Set<number>(), candidates: [], promised: [], lastWorkerId: 99 };
  const made = planShards({ ...defaults, ...request });
  assert.ok(made !== undefined);
  return made;
}

/** A map that somebody made before, however uneven. `a` owns what is 0. */
function mapOf(ownerOf: readonly number[], names: readonly NodeId[] = NAMES): Plan {
  const owners = names.map((name, i) => ({ node: name, boot: boot(1), workerId: i + 2 }));
  return { owners, ownerOf: Uint16Array.from(ownerOf) };
}

function nodeAt(map: Plan, shard: number): NodeId | undefined {
  return map.owners[map.ownerOf[shard] as number]?.node;
}

function moves(before: Plan, after: Plan): number {
  let count = 0;
  for (let shard = 0; shard < before.ownerOf.length; shard++)
    if (nodeAt(before, shard) !== nodeAt(after, shard)) count += 1;
  return count;
}

/** Every way to give so many shards to so many nodes. */
function* everyAssignment(shards: number, nodes: number): Generator<number[]> {
  for (let code = 0; code < nodes ** shards; code++) {
    yield Array.from({ length: shards }, (_, at) => Math.floor(code / nodes ** at) % nodes);
  }
}

interface Weighed {
  readonly ownerOf: readonly number[];
  readonly weights: readonly number[];
  readonly costs: readonly number[];
  readonly pins: readonly number[];
}

const small = (costs: fc.Arbitrary<number>, pins: fc.Arbitrary<number>): fc.Arbitrary<Weighed> =>
  fc.integer({ min: 1, max: 6 }).chain((shards) =>
    fc.record({
      // The fourth owner is gone.
      ownerOf: fc.array(fc.nat(3), { minLength: shards, maxLength: shards }),
      weights: fc.array(fc.constantFrom(0.5, 1, 1.5, 2, 3), { minLength: 3, maxLength: 3 }),
      costs: fc.array(costs, { minLength: shards, maxLength: shards }),
      pins: fc.array(pins, { minLength: shards, maxLength: shards }),
    }),
  );

const ONE = fc.constant(1);
const NO_PIN = fc.constant(-1);

function planWeighed({ ownerOf, weights, costs, pins }: Weighed): Plan {
  const settings = settingsOf({
    nodeWeights: new Map(weights.map((weight, i) => [NAMES[i] as NodeId, weight])),
    shardCosts: costs.flatMap((cost, at) => (cost === 1 ? [] : [{ from: at, to: at, cost }])),
    pins: pins.flatMap((pin, at) => (pin < 0 ? [] : [{ from: at, to: at, node: NAMES[pin] as NodeId }])),
  });
  const previous = mapOf(ownerOf, NAMES.slice(0, 4));
  return plan({ shardCount: ownerOf.length, previous, candidates: pairs(NAMES.slice(0, 3)), settings });
}

/** How far from its share each node is; pins that are more than a share make that the share, and the others share the rest. */
function deviations(assignment: readonly number[], { weights, costs, pins }: Weighed): number[] {
  const floors = weights.map((_, i) => costs.reduce((sum, cost, at) => sum + (pins[at] === i ? cost : 0), 0));
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  // The level up to which water rises in vessels as wide as the weights, some of which are full to their floor: by halving.
  let low = 0;
  let high = 1_000;
  for (let turns = 0; turns < 60; turns++) {
    const level = (low + high) / 2;
    const held = weights.reduce((sum, weight, i) => sum + Math.max(floors[i] as number, weight * level), 0);
    if (held > total) high = level;
    else low = level;
  }
  return weights.map((weight, i) => {
    const load = costs.reduce((sum, cost, at) => sum + (assignment[at] === i ? cost : 0), 0);
    return load - Math.max(floors[i] as number, weight * low);
  });
}

describe('sharding: plans by weight', () => {
  it('gives every node the whole number below or above its weighted share, in the fewest moves that do', () => {
    fc.assert(
      fc.property(fc.oneof(small(ONE, NO_PIN), small(ONE, fc.constantFrom(-1, -1, -1, 0, 1, 2))), (given) => {
        const after = planWeighed(given);
        const seats = Array.from(given.ownerOf, (_, shard) => NAMES.indexOf(nodeAt(after, shard) as NodeId));
        const isRight = (assignment: readonly number[]): boolean =>
          deviations(assignment, given).every((deviation) => Math.abs(deviation) < 1 - 1e-6) &&
          given.pins.every((pin, at) => pin < 0 || assignment[at] === pin);
        assert.ok(isRight(seats), `${seats}`);
        let fewest = Number.POSITIVE_INFINITY;
        for (const assignment of everyAssignment(given.ownerOf.length, 3)) {
          const moved = assignment.filter((seat, at) => seat !== given.ownerOf[at]).length;
          if (moved < fewest && isRight(assignment)) fewest = moved;
        }
        assert.equal(moves(mapOf(given.ownerOf), after), fewest);
      }),
      { numRuns: 250 },
    );
  });

  it('with shards of different costs every load is within the costliest shard of its share', () => {
    const excesses: number[] = [];
    fc.assert(
      fc.property(small(fc.constantFrom(1, 1, 2, 3, 7), NO_PIN), (given) => {
        const after = planWeighed(given);
        const seats = Array.from(given.ownerOf, (_, shard) => NAMES.indexOf(nodeAt(after, shard) as NodeId));
        const costliest = Math.max(...given.costs);
        const isRight = (assignment: readonly number[]): boolean =>
          deviations(assignment, given).every((deviation) => Math.abs(deviation) <= costliest + 1e-6);
        assert.ok(isRight(seats), `${seats}`);
        const off = deviations(seats, given);
        for (const [at, seat] of seats.entries()) {
          assert.ok(
            (off[seat] as number) < (given.costs[at] as number) + 1e-6,
            'nobody could give a shard and still have its share',
          );
        }
        let fewest = Number.POSITIVE_INFINITY;
        for (const assignment of everyAssignment(given.ownerOf.length, 3)) {
          const moved = assignment.filter((seat, at) => seat !== given.ownerOf[at]).length;
          if (moved >= fewest) continue;
          const offs = deviations(assignment, given);
          const isFine = assignment.every((seat, at) => (offs[seat] as number) < (given.costs[at] as number) + 1e-6);
          if (isFine && isRight(assignment)) fewest = moved;
        }
        excesses.push(moves(mapOf(given.ownerOf), after) - fewest);
      }),
      { numRuns: 250, seed: 1 },
    );
    const needless = excesses.reduce((sum, excess) => sum + excess, 0);
    assert.ok(needless <= excesses.length * 0.25, `${needless} needless moves in ${excesses.length} plans`);
  });

  it('is content with its own answer', () => {
    fc.assert(
      fc.property(small(fc.constantFrom(1, 1, 2, 3, 7), fc.constantFrom(-1, -1, 0, 1)), (given) => {
        const after = planWeighed(given);
        const again = planWeighed({
          ...given,
          ownerOf: Array.from(given.ownerOf, (_, shard) => NAMES.indexOf(nodeAt(after, shard) as NodeId)),
        });
        assert.equal(moves(after, again), 0);
      }),
    );
  });

  it('a shard that must not be on a node makes room elsewhere, and an excluded node gives all', () => {
    const avoided = [
      { from: 0, to: 4, node: node('a') },
      { from: 0, to: 4, node: node('b') },
    ];
    const before = mapOf([0, 0, 1, 1, 2, 2, 0, 1, 2], NAMES.slice(0, 3));
    const after = plan({
      shardCount: 9,
      previous: before,
      candidates: pairs(NAMES.slice(0, 3)),
      settings: settingsOf({ avoided }),
    });
    for (let shard = 0; shard <= 4; shard++) assert.equal(nodeAt(after, shard), 'c');
    assert.deepEqual([...countLoads(after.ownerOf, 3)].sort(), [2, 2, 5]);
    const without = plan({
      shardCount: 9,
      previous: before,
      candidates: pairs(NAMES.slice(0, 3)),
      settings: settingsOf({ excluded: [node('b')] }),
    });
    assert.deepEqual(
      without.owners.map((owner) => owner.node),
      ['a', 'c'],
    );
  });
});

/** Several zones, a map with standbys, and a change of who is there. */
const zoned = fc
  .record({
    zones: fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 8, maxLength: 8 }),
    present: fc.uniqueArray(fc.nat(7), { minLength: 2, maxLength: 8 }),
    later: fc.uniqueArray(fc.nat(7), { minLength: 2, maxLength: 8 }),
    shardCount: fc.integer({ min: 1, max: 60 }),
    replicas: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ zones, present, later, shardCount, replicas }) => ({
    traits: traitsOf(Object.fromEntries(zones.map((zone, i) => [NAMES[i], { zone }]))),
    present: pairs(NAMES.filter((_, i) => present.includes(i))),
    later: pairs(NAMES.filter((_, i) => later.includes(i))),
    shardCount,
    settings: settingsOf({ replicas }),
  }));

function copiesOf({ owners, ownerOf, standbys = [] }: Plan, shard: number): NodeId[] {
  const places = [ownerOf[shard] as number, ...standbys.map((column) => column[shard] as number)];
  return places.filter((place) => place !== NO_STANDBY).map((place) => owners[place]?.node as NodeId);
}

describe('sharding: standbys and zones', () => {
  it('puts no two copies of a shard on one node, nor in one zone while there are zones enough, before and after changes', () => {
    fc.assert(
      fc.property(zoned, ({ traits, present, later, shardCount, settings }) => {
        const before = plan({ shardCount, candidates: present, traits, settings });
        const after = plan({ shardCount, previous: before, candidates: later, traits, settings });
        for (const [map, candidates] of [
          [before, present],
          [after, later],
        ] as const) {
          const zones = new Set(candidates.map((pair) => traits.get(pair.node)?.zone));
          const wanted = Math.min(settings.replicas + 1, candidates.length);
          const perZone = Math.ceil(wanted / zones.size);
          for (let shard = 0; shard < shardCount; shard++) {
            const copies = copiesOf(map, shard);
            assert.equal(new Set(copies).size, copies.length);
            for (const zone of zones) {
              assert.ok(copies.filter((copy) => traits.get(copy)?.zone === zone).length <= perZone);
            }
            if (zones.size >= settings.replicas + 1) assert.equal(copies.length, settings.replicas + 1);
          }
          const loads = countLoads(map.ownerOf, map.owners.length);
          assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, 'standbys cost the owners no balance');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('spreads the standbys evenly over zones of one size, and over their nodes', () => {
    const traits = traitsOf({
      a: { zone: 'x' },
      b: { zone: 'x' },
      c: { zone: 'y' },
      d: { zone: 'y' },
      e: { zone: 'z' },
      f: { zone: 'z' },
    });
    for (const replicas of [1, 2]) {
      const map = plan({
        shardCount: 600,
        candidates: pairs(NAMES.slice(0, 6)),
        traits,
        settings: settingsOf({ replicas }),
      });
      const loads = new Array<number>(6).fill(0);
      for (const column of map.standbys ?? []) for (const place of column) loads[place] = (loads[place] as number) + 1;
      assert.ok(Math.max(...loads) - Math.min(...loads) <= 2, `${loads}`);
    }
  });

  it('makes a standby the owner when the owner dies, and keeps the loads within one of each other', () => {
    const settings = settingsOf({ replicas: 1 });
    const names = Array.from({ length: 20 }, (_, i) => node(`n${String(i).padStart(2, '0')}`));
    let map = plan({ shardCount: 2_000, candidates: pairs(names), settings });
    let promoted = 0;
    let orphans = 0;
    for (const gone of [3, 11, 17, 0]) {
      const left = names.filter((_, i) => i !== gone);
      const after = plan({ shardCount: 2_000, previous: map, candidates: pairs(left), settings });
      const loads = countLoads(after.ownerOf, after.owners.length);
      assert.ok(Math.max(...loads) - Math.min(...loads) <= 1);
      for (let shard = 0; shard < 2_000; shard++) {
        if (nodeAt(map, shard) !== names[gone]) continue;
        orphans += 1;
        if (copiesOf(map, shard)[1] === nodeAt(after, shard)) promoted += 1;
      }
      map = plan({ shardCount: 2_000, previous: after, candidates: pairs(names), settings });
    }
    assert.ok(promoted >= orphans * 0.9, `${promoted} of ${orphans} went to their standby`);
  });

  it('leaves standbys where they are when nothing changes', () => {
    fc.assert(
      fc.property(zoned, ({ traits, present, shardCount, settings }) => {
        const before = plan({ shardCount, candidates: present, traits, settings });
        const again = plan({ shardCount, previous: before, candidates: present, traits, settings });
        assert.deepEqual(again.standbys, before.standbys);
      }),
    );
  });
});

describe('sharding: a cap on moves', () => {
  it('takes no more than so many shards from those that serve, and comes to the same balance in steps', () => {
    const candidates = pairs(NAMES.slice(0, 4));
    const settings = settingsOf({ moveCap: 5 });
    let map = plan({ shardCount: 100, candidates: pairs(NAMES.slice(0, 3)) });
    const sizes: number[] = [];
    for (let step = 0; step < 10; step++) {
      const next = plan({ shardCount: 100, previous: map, candidates, settings });
      if (moves(map, next) === 0) break;
      sizes.push(moves(map, next));
      map = next;
    }
    assert.deepEqual(sizes, [5, 5, 5, 5, 5]);
    assert.deepEqual([...countLoads(map.ownerOf, 4)], [25, 25, 25, 25]);
  });

  it('moves the shards of the dead at once, and lets one that leaves go when its last shard has', () => {
    const settings = settingsOf({ moveCap: 4 });
    const full = plan({ shardCount: 30, candidates: pairs(NAMES.slice(0, 3)) });
    const dead = plan({ shardCount: 30, previous: full, candidates: pairs(NAMES.slice(1, 3)), settings });
    assert.equal(moves(full, dead), 10);
    let map = full;
    const left: number[] = [];
    for (let step = 0; step < 5; step++) {
      const at = map.owners.findIndex((owner) => owner.node === 'a');
      if (at < 0) break;
      map = plan({
        shardCount: 30,
        previous: map,
        candidates: pairs(NAMES.slice(1, 3)),
        leaving: new Set([at]),
        settings,
      });
      left.push(map.ownerOf.filter((_, shard) => nodeAt(map, shard) === 'a').length);
    }
    assert.deepEqual(left, [6, 2, 0]);
  });
});

describe('sharding: worker ids that rest', () => {
  it('hands out no id that rests, and leaves out who can have none', () => {
    const resting = new Set([100, 101, 103]);
    const made = plan({ shardCount: 4, candidates: pairs(NAMES.slice(0, 2)), isResting: (id) => resting.has(id) });
    assert.deepEqual(
      made.owners.map((owner) => owner.workerId),
      [102, 104],
    );
    const one = plan({ shardCount: 4, candidates: pairs(NAMES.slice(0, 2)), isResting: (id) => id !== 7 });
    assert.deepEqual(
      one.owners.map(({ node: name, workerId }) => [name, workerId]),
      [['a', 7]],
    );
  });
});

describe('sharding: two numberings at once', () => {
  it('spreads each for itself, keeps the older where it was, and goes on with the newer without a move', () => {
    const candidates = pairs(NAMES.slice(0, 3));
    const before = plan({ shardCount: 10, candidates });
    const both = plan({ shardCount: 10, nextShardCount: 25, previous: before, candidates });
    assert.deepEqual([...both.ownerOf.subarray(0, 10)], [...before.ownerOf]);
    assert.deepEqual([...countLoads(both.ownerOf.subarray(10), 3)].sort(), [8, 8, 9]);
    const done = plan({ shardCount: 25, previous: { ...both, shardCount: 10 }, candidates });
    assert.deepEqual([...done.ownerOf], [...both.ownerOf.subarray(10)]);
    const back = plan({ shardCount: 10, previous: { ...both, shardCount: 10 }, candidates });
    assert.deepEqual([...back.ownerOf], [...before.ownerOf]);
  });
});
