/** The whole node, many times over, on an invented network: stories with a known plot, and seeds that have a story. Many more seeds: many-seeds.test.ts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCommandLine } from './main.ts';
import { ETCD_STORIES } from './etcd-stories.ts';
import { LEASE_STORIES } from './lease-stories.ts';
import { OWNERSHIP_STORIES } from './ownership-stories.ts';
import type { SimulationOptions } from './options.ts';
import { playScenario, SCENARIOS } from './scenarios.ts';
import { promiseOf, shrink } from './shrink.ts';
import { type RunReport, runSeed } from './swarm.ts';
import { distribution, Tally } from './tally.ts';

const isLong = process.env['FUNKNODE_LONG'] === '1';
const SCENARIO_SEEDS = isLong ? 100 : 3;
/** Seeds that have broken a promise; docs/reliability.md tells what came of each. */
const CORPUS: readonly number[] = [7038, 7218, 100198, 100578, 101597, 101955, 102024];

describe('simulated clusters: stories', () => {
  for (const scenario of [...SCENARIOS, ...LEASE_STORIES, ...OWNERSHIP_STORIES, ...ETCD_STORIES]) {
    it(scenario.name, (t) => {
      const times = Array.from({ length: SCENARIO_SEEDS }, (_, i) => playScenario(scenario, i + 1).tookMs);
      t.diagnostic(distribution(times));
    });
  }
});

describe('simulated clusters: swarm', () => {
  it('I-32: one seed is one history', () => {
    for (const seed of [3, 11, 28]) assert.equal(runSeed(seed).hash, runSeed(seed).hash);
  });

  it('runs from a command line, and ends with a verdict', async () => {
    const lines: string[] = [];
    assert.equal(await runCommandLine(['--seeds', '2', '--from', '4'], (text) => lines.push(text)), 0);
    assert.match(lines.at(-1) ?? '', /^2 seeds, .* operations checked, .* no violation$/);
  });

  it('makes a failing seed smaller, as long as the same promise is broken', () => {
    const whole = runSeed(14);
    const culprit = whole.planned[1];
    assert.ok(culprit !== undefined && whole.planned.length > 3);
    // As if every run failed in which this one fault is done.
    const run = (_seed: number, overrides: Partial<SimulationOptions>): RunReport => {
      const options = { ...whole.options, ...overrides };
      const planned = options.schedule ?? whole.planned;
      const isHarmed = planned.some(({ number }) => number === culprit.number);
      const failure = isHarmed ? `v12-3 did harm at ${options.faultsForMs}: again` : undefined;
      return { ...whole, options, planned, failure };
    };
    const shrunk = shrink(14, {}, run);
    assert.ok(shrunk !== undefined);
    assert.deepEqual(shrunk.report.planned, [{ ...culprit, at: 0 }]);
    const { voters, clients, shards } = shrunk.report.options;
    assert.deepEqual([voters, clients, shards], [1, 0, 3]);
    assert.equal(promiseOf('v12-3 could not leave in order'), promiseOf('vff-0 could not leave in order'));
    for (const other of ['healing: a', 'I-33: a', 'InvariantError: I-15: a', 'InvariantError: a'])
      assert.notEqual(promiseOf('I-5: a'), promiseOf(other));
    assert.equal(promiseOf('I-5: index 7'), promiseOf('InvariantError: I-5: index 8\n    at it'));
  });

  it('keeps every promise in the seeds that once broke one', () => {
    const tally = new Tally();
    for (const seed of CORPUS) tally.add(runSeed(seed));
    assert.deepEqual(tally.violations, []);
  });
});
