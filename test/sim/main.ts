/**
 * Runs seeds from a command line: `--seeds 1000 --from 1`; one in full with `--seed 42 --story`, with every packet `--trace`; a failing one
 * made smaller with `--seed 42 --shrink`, which prints how to run the small one. The last line sums up, the exit code is the verdict.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { SimulationOptions } from './options.ts';
import { shrink } from './shrink.ts';
import { type RunReport, runSeed } from './swarm.ts';
import { faultsText, Tally } from './tally.ts';

const OPTIONS = {
  seeds: { type: 'string', default: '50' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  trace: { type: 'boolean', default: false },
  story: { type: 'boolean', default: false },
  shrink: { type: 'boolean', default: false },
  /** Seed and trace hash alone: what two versions of Node.js must agree on. */
  hashes: { type: 'boolean', default: false },
  /** Failures and the last line alone. */
  quiet: { type: 'boolean', default: false },
  /** Options that the seed does not draw, as JSON. */
  with: { type: 'string', default: '{}' },
} as const;

function line(report: RunReport): string {
  const { options } = report;
  const size = `${options.voters}+${options.nonVoters}`;
  const times = `formed ${report.formedMs?.toFixed(0) ?? '-'} healed ${report.healedMs?.toFixed(0) ?? '-'}`;
  const seconds = (report.simulatedMs / 1_000).toFixed(0);
  return `seed ${report.seed} ${size} ${times} ${seconds} s ${report.hash} ${faultsText(report.faults)}`;
}

function makeSmaller(seed: number, overrides: Partial<SimulationOptions>, print: (text: string) => void): number {
  const shrunk = shrink(seed, overrides);
  if (shrunk === undefined) {
    print(`seed ${seed} breaks no promise`);
    return 0;
  }
  const { report, runs } = shrunk;
  for (const { number, at, family, machine } of report.faultsDone)
    print(`fault ${number} at ${at.toFixed(0)} ms: ${family} at ${machine}`);
  print(
    `after ${runs} runs: ${report.faultsDone.length} faults in ${report.options.faultsForMs} ms: ${report.failure}`,
  );
  print(`npm run sim -- --seed ${seed} --story --with '${JSON.stringify(shrunk.overrides)}'`);
  return 1;
}

/** Runs what `args` ask for; returns the exit code. */
export function runCommandLine(args: readonly string[], print: (text: string) => void): number {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const overrides = JSON.parse(values.with) as Partial<SimulationOptions>;
  const isSingle = values.seed !== undefined;
  const isTold = values.trace || values.story;
  const from = Number(values.seed ?? values.from);
  if (values.shrink) return makeSmaller(from, overrides, print);
  const count = isSingle ? 1 : Number(values.seeds);
  const tally = new Tally();
  for (let seed = from; seed < from + count; seed++) {
    const report = runSeed(seed, { overrides, ...(isTold && { print, isVerbose: values.trace }) });
    tally.add(report);
    if (values.hashes) print(`${seed} ${report.hash}`);
    else if (!values.quiet) print(line(report));
    if (isSingle && !values.hashes) for (const text of report.standings) print(text);
    if (report.failure !== undefined) print(`  FAILED seed ${seed}: ${report.failure}`);
  }
  print(tally.text());
  return tally.violations.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = runCommandLine(process.argv.slice(2), (text) => console.log(text));
