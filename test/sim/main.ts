/**
 * Runs seeds from a command line: `--seeds 1000 --from 1`; one in full with `--seed 42 --story`, with every packet `--trace`; a failing one
 * made smaller with `--seed 42 --shrink`, which prints how to run the small one. `--workers 2` runs seeds on two cores. `--marks` tells which blocks of the cores none of
 * the seeds has reached. The last line sums up, the exit code is the verdict.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Marks } from './marks/marks.ts';
import { reportMarks } from './marks/report.ts';
import { longerHarm, type SimulationOptions } from './options.ts';
import { runParallel, type SeedReport } from './parallel.ts';
import { firstSeed } from './seeds-for.ts';
import { shrink } from './shrink.ts';
import { type RunReport, runSeed } from './swarm.ts';
import { faultsText, Tally } from './tally.ts';

const OPTIONS = {
  seeds: { type: 'string', default: '50' },
  /** A seed, or `commit` or `now`: where no run has been (seeds-for.ts). */
  from: { type: 'string', default: '1' },
  /** So many processes. */
  workers: { type: 'string', default: '1' },
  /** So many times as much harm as each seed draws. */
  longer: { type: 'string', default: '1' },
  seed: { type: 'string' },
  trace: { type: 'boolean', default: false },
  story: { type: 'boolean', default: false },
  shrink: { type: 'boolean', default: false },
  /** Which blocks of the cores the seeds have reached, beside everything else. */
  marks: { type: 'boolean', default: false },
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

/** How to see it again. */
export function replayOf(seed: number, { longer, with: given }: { longer: string; with: string }): string {
  const longerText = longer === '1' ? '' : ` --longer ${longer}`;
  return `npm run sim -- --seed ${seed} --story${longerText}${given === '{}' ? '' : ` --with '${given}'`}`;
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

/** Runs what `args` ask for; answers with the exit code. */
export async function runCommandLine(args: readonly string[], print: (text: string) => void): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const given = JSON.parse(values.with) as Partial<SimulationOptions>;
  const isTold = values.trace || values.story;
  const from = values.seed === undefined ? firstSeed(values.from) : Number(values.seed);
  const longer = Number(values.longer);
  const overridesOf = (seed: number): Partial<SimulationOptions> => ({ ...longerHarm(seed, longer), ...given });
  if (values.shrink) return makeSmaller(from, overridesOf(from), print);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const workers = Math.min(Number(values.workers), count);
  const tally = new Tally();
  const marks = new Marks();
  const onReport = (report: SeedReport): void => {
    const { loaded, ran, ...plain } = report;
    tally.add(plain);
    if (loaded !== undefined) marks.load(loaded);
    if (ran !== undefined) marks.add(ran);
    if (values.hashes) print(`${report.seed} ${report.hash}`);
    else if (!values.quiet) print(line(report));
    if (values.seed !== undefined && !values.hashes) for (const text of report.standings) print(text);
    if (report.failure !== undefined) print(`  FAILED seed ${report.seed}: ${report.failure}`);
    if (report.failure !== undefined) print(`  ${replayOf(report.seed, values)}`);
  };
  // Blocks are counted from before the cores are loaded: in a process of its own.
  if (workers > 1 || values.marks) {
    const settings = { longer, overrides: given };
    const hasMarks = values.marks;
    await runParallel({ from, workers, settings, hasMarks, onReport, isEnough: (begun) => begun >= count });
  } else {
    for (let seed = from; seed < from + count; seed++)
      onReport(runSeed(seed, { overrides: overridesOf(seed), ...(isTold && { print, isVerbose: values.trace }) }));
  }
  const holes = values.marks ? reportMarks(marks, print) : 0;
  print(tally.text());
  return tally.violations.length + holes > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = await runCommandLine(process.argv.slice(2), (text) => console.log(text));
