/** Proof that the nets have no holes: every planted bug is caught, by the checker that stands for its promise. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { hunt, trialOf } from './hunt.ts';
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts';
import { removePlanted } from './planting.ts';
import { isPlantedNow } from './seeds-for.ts';

const isLong = process.env['FUNKNODE_LONG'] === '1';
/** In the long form each is hunted from so many places. */
const HUNTS = isLong ? 9 : 1;
const SEEDS_APART = 100_000;
function isHunted({ isRare }: PlantedBug, place: number): boolean {
  return isLong || (isRare !== true && isPlantedNow(place));
}

describe('planted bugs', () => {
  after(removePlanted);

  for (const bug of PLANTED_BUGS.filter(isHunted)) {
    it(`is found by ${bug.by}: ${bug.name}`, async (t) => {
      const trial = await trialOf(bug);
      const found: number[] = [];
      for (let i = 0; i < HUNTS; i++) {
        const caught = hunt(trial, 1 + i * SEEDS_APART, bug.seeds);
        if (caught === undefined) continue;
        assert.match(caught.message, bug.foundBy);
        found.push(caught.seeds);
        if (i === 0) t.diagnostic(caught.message.split('\n')[0]?.slice(0, 160) ?? '');
      }
      found.sort((a, b) => a - b);
      t.diagnostic(
        `found ${found.length} times of ${HUNTS}; seeds ${found.join(' ')}; median ${found[found.length >> 1]}`,
      );
      assert.ok(
        found.length >= Math.ceil(0.9 * HUNTS),
        `found ${found.length} times of ${HUNTS} in ${bug.seeds} seeds`,
      );
    });
  }
});
