import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSeed } from './simulation.ts';

const isLong: boolean = process.env['FUNKNODE_LONG'] === '1';
const SEEDS: number = isLong ? 10_000 : 200;

describe('raft simulation', () => {
  it(`keeps its invariants in ${SEEDS} seeded runs of loss, delay, partition, crash, pause and changing members`, () => {
    let committed = 0;
    let leaders = 0;
    let changes = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = runSeed(seed, { faultMs: 3_000 });
      committed += result.committed;
      leaders += result.leaders;
      changes += result.changes;
    }
    // A run in which nothing happens proves nothing.
    assert.ok(committed > 30 * SEEDS, `${committed} entries were committed`);
    assert.ok(leaders > SEEDS, `${leaders} leaders were elected`);
    assert.ok(changes > SEEDS / 2, `${changes} members were added`);
  });

  it('I-32: gives the same run for the same seed', () => {
    for (const seed of [3, 7, 8, 12]) {
      const options = { faultMs: 2_000 };
      assert.deepEqual(runSeed(seed, options), runSeed(seed, options));
    }
  });
});
