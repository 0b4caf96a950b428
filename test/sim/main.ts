/** Runs seeds from a command line: `--seeds 200 --from 1`, or one in full with `--seed 42 --story`, with every packet `--trace`. The exit code is the verdict. */
import { parseArgs } from 'node:util';
import { type RunReport, runSeed } from './swarm.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '50' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    story: { type: 'boolean', default: false },
  },
});

function line(report: RunReport): string {
  const { options } = report;
  const size = `${options.voters}+${options.nonVoters}`;
  const faults = [...report.faults].map(([kind, count]) => `${kind} ${count}`).join(', ');
  const times = `formed ${report.formedMs?.toFixed(0) ?? '-'} healed ${report.healedMs?.toFixed(0) ?? '-'}`;
  return `seed ${report.seed} ${size} ${times} ${(report.simulatedMs / 1_000).toFixed(0)} s ${report.hash} ${faults}`;
}

function main(): void {
  const isSingle = values.seed !== undefined;
  const from = Number(values.seed ?? values.from);
  const count = isSingle ? 1 : Number(values.seeds);
  const failed: number[] = [];
  let simulatedMs = 0;
  let events = 0;
  const startedAt = process.cpuUsage().user;
  for (let seed = from; seed < from + count; seed++) {
    const print = (text: string): void => console.log(text);
    const report = runSeed(seed, values.trace || values.story ? { print, isVerbose: values.trace } : {});
    simulatedMs += report.simulatedMs;
    events += report.events;
    console.log(line(report));
    if (report.failure === undefined) continue;
    failed.push(seed);
    if (isSingle) for (const text of report.standings) console.log(text);
    console.log(`  FAILED seed ${seed}: ${report.failure}`);
  }
  const cpuS = (process.cpuUsage().user - startedAt) / 1e6;
  console.log(
    `${count} seeds, ${(simulatedMs / 60_000).toFixed(1)} simulated minutes, ${events} events, ${cpuS.toFixed(1)} s of CPU, ` +
      `${failed.length} failed${failed.length > 0 ? `: ${failed.join(' ')}` : ''}`,
  );
  process.exitCode = failed.length > 0 ? 1 : 0;
}

main();
