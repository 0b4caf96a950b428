import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seedsFor } from '../sim/seeds-for.ts';
import { playSchedule, SCHEDULES } from './schedules.ts';
import { runSeed } from './simulation.ts';

const isLong: boolean = process.env['FUNKNODE_LONG'] === '1';
/** The same in every run; then new ones, for so much time of one core. */
const KNOWN_SEEDS: number = isLong ? 10_000 : 100;
const SEED_SECONDS: number = isLong ? 300 : 8;
const FAULT_MS = 3_000;

function* seeds(): Generator<number> {
  for (let seed = 1; seed <= KNOWN_SEEDS; seed++) yield seed;
  yield* seedsFor(SEED_SECONDS);
}

describe('raft simulation', () => {
  it('keeps its invariants in seeded runs of loss, delay, partition, crash, pause and changing members', (t) => {
    let runs = 0;
    let committed = 0;
    let leaders = 0;
    let changes = 0;
    for (const seed of seeds()) {
      const result = runSeed(seed, { faultMs: FAULT_MS });
      runs += 1;
      committed += result.committed;
      leaders += result.leaders;
      changes += result.changes;
    }
    const fresh = runs - KNOWN_SEEDS;
    t.diagnostic(
      `${runs} seeds, ${fresh} of them beyond the known: ${committed} entries, ${leaders} leaders, ${changes} members added`,
    );
    // A run in which nothing happens proves nothing.
    assert.ok(committed > 30 * runs, `${committed} entries were committed`);
    assert.ok(leaders > runs, `${leaders} leaders were elected`);
    assert.ok(changes > runs / 2, `${changes} members were added`);
  });

  it('keeps its invariants when all harm is about what leases rest on', (t) => {
    const count = isLong ? 2_000 : 20;
    let leaders = 0;
    for (let seed = 1; seed <= count; seed++)
      leaders += runSeed(seed, { faultMs: FAULT_MS, isAboutLeases: true }).leaders;
    t.diagnostic(`${count} seeds, ${leaders} leaders`);
    assert.ok(leaders > 2 * count);
  });

  for (const name of Object.keys(SCHEDULES))
    it(`keeps its invariants in the schedule ${name}`, () => {
      for (let seed = 1; seed <= (isLong ? 1_000 : 20); seed++) playSchedule(name, seed);
    });

  it('I-32: gives the same run for the same seed', () => {
    for (const seed of [3, 7, 8, 12]) {
      const options = { faultMs: 2_000 };
      assert.deepEqual(runSeed(seed, options), runSeed(seed, options));
    }
  });
});
