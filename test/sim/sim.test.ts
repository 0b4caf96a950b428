/** The whole node, many times over, on an invented network: stories with a known plot, then seeds that draw their own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCommandLine } from './main.ts';
import { playScenario, SCENARIOS } from './scenarios.ts';
import { type RunReport, runSeed } from './swarm.ts';

const isLong = process.env['FUNKNODE_LONG'] === '1';
const SEEDS = isLong ? 2_000 : 60;
const SCENARIO_SEEDS = isLong ? 100 : 3;

function percentile(sorted: readonly number[], part: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN).toFixed(0);
}

function distribution(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `p50 ${percentile(sorted, 0.5)} p99 ${percentile(sorted, 0.99)} max ${percentile(sorted, 1)} ms of ${sorted.length}`;
}

describe('simulated clusters: stories', () => {
  for (const scenario of SCENARIOS) {
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

  it('runs from a command line, and ends with a verdict', () => {
    const lines: string[] = [];
    assert.equal(
      runCommandLine(['--seeds', '2', '--from', '4'], (text) => lines.push(text)),
      0,
    );
    assert.match(lines.at(-1) ?? '', /^2 seeds, .*none failed$/);
  });

  it(`keeps every promise and heals, in ${SEEDS} seeds`, (t) => {
    const failures: string[] = [];
    const reports: RunReport[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const report = runSeed(seed);
      reports.push(report);
      if (report.failure !== undefined) failures.push(`seed ${seed}: ${report.failure}`);
    }
    const faults = new Map<string, number>();
    for (const report of reports)
      for (const [kind, count] of report.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
    const minutes = reports.reduce((sum, report) => sum + report.simulatedMs, 0) / 60_000;
    t.diagnostic(`seeds 1 to ${SEEDS}, ${minutes.toFixed(1)} simulated minutes`);
    t.diagnostic([...faults].map(([kind, count]) => `${kind} ${count}`).join(', '));
    t.diagnostic(`founded in ${distribution(reports.flatMap(({ formedMs }) => formedMs ?? []))}`);
    t.diagnostic(`healed in ${distribution(reports.flatMap(({ healedMs }) => healedMs ?? []))}`);
    assert.deepEqual(failures, []);
  });
});
