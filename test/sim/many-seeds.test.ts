/**
 * Whole nodes, seed after seed where no run has been: at least so many seeds and so many simulated hours, on as many cores as there are.
 * `FUNKNODE_SIM_SEEDS=40` asks for fewer (or more), `FUNKNODE_SIM_FROM=4711` for those of another run.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { replayOf } from './main.ts';
import { runParallel } from './parallel.ts';
import { firstSeedOfTests } from './seeds-for.ts';
import type { RunReport } from './swarm.ts';
import { distribution, Tally } from './tally.ts';

const isLong: boolean = process.env['FUNKNODE_LONG'] === '1';
const SEEDS_LEAST = Number(process.env['FUNKNODE_SIM_SEEDS'] ?? (isLong ? 10_000 : 500));
/** 10 hours of 500 seeds. */
const SIMULATED_MS_LEAST: number = SEEDS_LEAST * 72_000;
/** Seeds draw 10 to 25 s of harm: so much longer, a run is 72 s in the mean. */
const LONGER = 3.7;
const WORKERS_MAX = 4;

describe('simulated clusters: many seeds', () => {
  it(`every promise is kept, and everything heals, in ${SEEDS_LEAST} seeds that nobody has run`, async (t) => {
    const tally = new Tally();
    const from = firstSeedOfTests();
    const startedAt = performance.now();
    const onReport = (report: RunReport): void => {
      tally.add(report);
      if (report.failure !== undefined)
        t.diagnostic(`to see it again: ${replayOf(report.seed, { longer: String(LONGER), with: '{}' })}`);
    };
    await runParallel({
      from,
      workers: Math.min(WORKERS_MAX, availableParallelism()),
      settings: { longer: LONGER, overrides: {} },
      onReport,
      isEnough: (begun) => begun >= SEEDS_LEAST && tally.simulatedMs >= SIMULATED_MS_LEAST,
    });
    const { reports } = tally;
    t.diagnostic(`seeds ${from} to ${from + reports.length - 1}: ${tally.text()}`);
    t.diagnostic(`${(tally.simulatedMs / 3_600_000).toFixed(1)} hours, in ${seconds(performance.now() - startedAt)} s`);
    t.diagnostic(`founded in ${distribution(reports.flatMap(({ formedMs }) => formedMs ?? []))}`);
    t.diagnostic(`healed in ${distribution(reports.flatMap(({ healedMs }) => healedMs ?? []))}`);
    assert.deepEqual(tally.violations, []);
    // A run in which nothing happens proves nothing.
    assert.ok(tally.operations > 50 * reports.length, tally.text());
  });
});

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(0);
}
