import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Owner } from '../../src/model/shard-map.ts';
import { countLoads, type Plan, type PlanRequest, planShards } from '../../src/sharding/distribution.ts';
import type { OwnerPair } from '../../src/sharding/rules.ts';
import { boot, node } from './rig.ts';

const pair = (name: string, itsBoot = 1): OwnerPair => ({ node: node(name), boot: boot(itsBoot) });
const names = (count: number): OwnerPair[] =>
  Array.from({ length: count }, (_, i) => pair(`n${String(i).padStart(3, '0')}`));

function plan(request: Partial<PlanRequest> & { readonly shardCount: number }): Plan {
  const defaults = {
    previous: undefined,
    pinned: new Set<number>(),
    candidates: [],
    promised: [],
    lastWorkerId: 16_383,
  };
  const made = planShards({ ...defaults, ...request });
  assert.ok(made !== undefined);
  return made;
}

function loadsOf({ owners, ownerOf }: Plan): number[] {
  return [...countLoads(ownerOf, owners.length)];
}

/** Shards whose owner is another process than before. */
function moves(before: Plan, after: Plan): number {
  const key = (map: Plan, shard: number): string => {
    const owner = map.owners[map.ownerOf[shard] as number] as Owner;
    return `${owner.node} ${owner.boot}`;
  };
  return Array.from(before.ownerOf, (_, shard) => key(before, shard) === key(after, shard)).filter((same) => !same)
    .length;
}

interface Situation {
  readonly shardCount: number;
  readonly before: Plan;
  readonly pinned: ReadonlySet<number>;
  readonly candidates: readonly OwnerPair[];
}

/** Any map, however uneven, with owners that stay, are pinned, are gone or came back with another boot, and newcomers. */
const situations: fc.Arbitrary<Situation> = fc
  .record({
    ownerOf: fc.array(fc.nat(7), { minLength: 1, maxLength: 40 }),
    fates: fc.array(fc.constantFrom('stays', 'stays', 'pinned', 'gone', 'reborn'), { minLength: 8, maxLength: 8 }),
    newcomers: fc.nat(4),
  })
  .map(({ ownerOf, fates, newcomers }) => {
    const owners = names(8).map((owner, i) => ({ ...owner, workerId: i + 2 }));
    const pinned = new Set(fates.flatMap((fate, i) => (fate === 'pinned' ? [i] : [])));
    const old = owners.flatMap((owner, i): OwnerPair[] => {
      if (fates[i] === 'stays') return [pair(owner.node)];
      return fates[i] === 'reborn' ? [pair(owner.node, 2)] : [];
    });
    const added = Array.from({ length: newcomers }, (_, i) => pair(`m${i}`));
    const candidates = [...added, ...old];
    const before = { owners, ownerOf: Uint16Array.from(ownerOf) };
    return {
      shardCount: ownerOf.length,
      before,
      pinned,
      candidates: candidates.length > 0 ? candidates : [pair('m9')],
    };
  });

function planFor(situation: Situation): Plan {
  const { shardCount, before, pinned, candidates } = situation;
  return plan({ shardCount, previous: before, pinned, candidates, lastWorkerId: 9 });
}

/**
 * The fewest moves that any even assignment needs, by trying every choice of who gets the odd shards. A candidate stays with what it
 * has up to its share; everything else moves. A reborn process counts as staying: the plan may only prefer it.
 */
function fewestMoves(situation: Situation): number {
  const { shardCount, before, pinned, candidates } = situation;
  const loads = countLoads(before.ownerOf, before.owners.length);
  const held = candidates.map(({ node: name }) => {
    const place = before.owners.findIndex((owner) => owner.node === name);
    return place < 0 ? 0 : (loads[place] as number);
  });
  let rest = shardCount;
  let stay = 0;
  for (const place of pinned) {
    rest -= loads[place] as number;
    stay += loads[place] as number;
  }
  const even = Math.floor(rest / candidates.length);
  const odd = rest % candidates.length;
  let most = 0;
  for (let chosen = 0; chosen < 1 << candidates.length; chosen++) {
    const bits = Array.from(candidates, (_, i) => (chosen >> i) & 1);
    if (bits.reduce((sum, bit) => sum + bit, 0) !== odd) continue;
    most = Math.max(
      most,
      held.reduce((sum, load, i) => sum + Math.min(load, even + (bits[i] as number)), 0),
    );
  }
  return shardCount - stay - most;
}

/** Shards that changed their node, so that a reborn process that keeps its shards has moved none. */
function nodeMoves(before: Plan, after: Plan): number {
  const nameOf = (map: Plan, shard: number): string | undefined => map.owners[map.ownerOf[shard] as number]?.node;
  return Array.from(before.ownerOf, (_, shard) => nameOf(before, shard) === nameOf(after, shard)).filter((x) => !x)
    .length;
}

describe('sharding: the planner', () => {
  it('deals an empty map out evenly, the odd shards to the first by node id', () => {
    assert.deepEqual(loadsOf(plan({ shardCount: 10_000, candidates: names(3) })), [3334, 3333, 3333]);
    assert.deepEqual(loadsOf(plan({ shardCount: 3, candidates: names(5) })), [1, 1, 1, 0, 0]);
  });

  it('has no plan when there is nobody to give anything to', () => {
    const request = { shardCount: 5, previous: undefined, pinned: new Set<number>(), promised: [], lastWorkerId: 2 };
    assert.equal(planShards({ ...request, candidates: [] }), undefined);
  });

  it('moves no more than balance asks for, by comparison with every even assignment', () => {
    fc.assert(
      fc.property(situations, (situation) => {
        assert.equal(nodeMoves(situation.before, planFor(situation)), fewestMoves(situation));
      }),
      { numRuns: 400 },
    );
  });

  it('leaves loads within one of each other, and pinned owners with exactly what they had', () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const after = planFor(situation);
        const loads = loadsOf(after);
        const free: number[] = [];
        for (const [i, owner] of after.owners.entries()) {
          const before = situation.before.owners.findIndex((other) => other.node === owner.node);
          if (!situation.pinned.has(before)) {
            free.push(loads[i] as number);
            continue;
          }
          for (let shard = 0; shard < situation.shardCount; shard++) {
            assert.equal(after.ownerOf[shard] === i, situation.before.ownerOf[shard] === before);
          }
        }
        assert.ok(Math.max(...free) - Math.min(...free) <= 1);
      }),
      { numRuns: 400 },
    );
  });

  it('gives the same answer to the same question, with loads counted before or not, and is content with its own', () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const after = planFor(situation);
        assert.deepEqual(planFor(situation), after);
        const { shardCount, before, pinned, candidates } = situation;
        const loads = countLoads(before.ownerOf, before.owners.length);
        assert.deepEqual(plan({ shardCount, previous: before, loads, pinned, candidates, lastWorkerId: 9 }), after);
        const stillPinned = new Set(
          after.owners.flatMap((owner, i) => (candidates.some(({ node: name }) => name === owner.node) ? [] : [i])),
        );
        const again = plan({ shardCount, previous: after, pinned: stillPinned, candidates, lastWorkerId: 9 });
        assert.equal(moves(after, again), 0);
      }),
      { numRuns: 400 },
    );
  });

  it('keeps owners sorted by node id, each node once, each worker id once', () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const { owners } = planFor(situation);
        for (let i = 1; i < owners.length; i++) {
          assert.ok((owners[i - 1] as Owner).node < (owners[i] as Owner).node);
        }
        assert.equal(new Set(owners.map((owner) => owner.workerId)).size, owners.length);
      }),
    );
  });

  it('one node of 50 out moves its share, and in again moves a share back', () => {
    const full = plan({ shardCount: 10_000, candidates: names(50) });
    const rest = names(50).slice(0, 49);
    const out = plan({ shardCount: 10_000, previous: full, candidates: rest });
    assert.equal(moves(full, out), 200);
    const back = plan({ shardCount: 10_000, previous: out, candidates: names(50) });
    assert.equal(moves(out, back), 200);
  });

  it('a restarted process inherits the shards of its older boot, under another worker id', () => {
    const before = plan({ shardCount: 9, candidates: [pair('a'), pair('b'), pair('c')] });
    const reborn = [pair('a'), pair('b', 2), pair('c')];
    const after = plan({ shardCount: 9, previous: before, candidates: reborn, lastWorkerId: 4 });
    assert.deepEqual([...after.ownerOf], [...before.ownerOf]);
    assert.equal(moves(before, after), 3);
    assert.deepEqual(
      after.owners.map((owner) => owner.workerId),
      [2, 5, 4],
    );
  });

  it('hands out each worker id once around, and skips those in use on the next round', () => {
    const before = plan({ shardCount: 4, candidates: [pair('a')], lastWorkerId: 16_381 });
    assert.equal(before.owners[0]?.workerId, 16_382);
    const after = plan({
      shardCount: 4,
      previous: before,
      candidates: [pair('a'), pair('b'), pair('c')],
      lastWorkerId: 16_382,
    });
    assert.deepEqual(
      after.owners.map((owner) => owner.workerId),
      [16_382, 16_383, 2],
    );
    const third = plan({ shardCount: 4, previous: after, candidates: [pair('c'), pair('d')], lastWorkerId: 16_381 });
    assert.equal(third.owners[1]?.workerId, 3, 'a and b are still in the map it replaces');
  });

  it('a process keeps the worker id that an abandoned map had promised it', () => {
    const promised = [{ ...pair('b'), workerId: 7 }];
    const made = plan({ shardCount: 2, candidates: [pair('a'), pair('b')], promised, lastWorkerId: 7 });
    assert.deepEqual(
      made.owners.map((owner) => owner.workerId),
      [8, 7],
    );
  });
});
