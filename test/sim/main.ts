/** Runs seeds from a command line: `--seeds 200 --from 1`, or one in full with `--seed 42 --story`, with every packet `--trace`. The exit code is the verdict. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type RunReport, runSeed } from './swarm.ts';

const OPTIONS = {
  seeds: { type: 'string', default: '50' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  trace: { type: 'boolean', default: false },
  story: { type: 'boolean', default: false },
} as const;

function line(report: RunReport): string {
  const { options } = report;
  const size = `${options.voters}+${options.nonVoters}`;
  const faults = [...report.faults].map(([kind, count]) => `${kind} ${count}`).join(', ');
  const times = `formed ${report.formedMs?.toFixed(0) ?? '-'} healed ${report.healedMs?.toFixed(0) ?? '-'}`;
  return `seed ${report.seed} ${size} ${times} ${(report.simulatedMs / 1_000).toFixed(0)} s ${report.hash} ${faults}`;
}

/** Runs what `args` ask for; returns the exit code. */
export function runCommandLine(args: readonly string[], print: (text: string) => void): number {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const isSingle = values.seed !== undefined;
  const isTold = values.trace || values.story;
  const from = Number(values.seed ?? values.from);
  const count = isSingle ? 1 : Number(values.seeds);
  const failed: number[] = [];
  let simulatedMs = 0;
  let events = 0;
  const startedAt = process.cpuUsage().user;
  for (let seed = from; seed < from + count; seed++) {
    const report = runSeed(seed, isTold ? { print, isVerbose: values.trace } : {});
    simulatedMs += report.simulatedMs;
    events += report.events;
    print(line(report));
    if (isSingle) for (const text of report.standings) print(text);
    if (report.failure === undefined) continue;
    failed.push(seed);
    print(`  FAILED seed ${seed}: ${report.failure}`);
  }
  const cpuS = (process.cpuUsage().user - startedAt) / 1e6;
  const verdict = failed.length > 0 ? `${failed.length} failed: ${failed.join(' ')}` : 'none failed';
  print(
    `${count} seeds, ${(simulatedMs / 60_000).toFixed(1)} simulated minutes, ${events} events, ${cpuS.toFixed(1)} s of CPU, ${verdict}`,
  );
  return failed.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = runCommandLine(process.argv.slice(2), (text) => console.log(text));
