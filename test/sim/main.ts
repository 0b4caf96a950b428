/**
 * Runs seeds from a command line: `--seeds 1000 --from 1`; one in full with `--seed 42 --story`, with every packet `--trace`; a failing one
 * made smaller with `--seed 42 --shrink`, which prints how to run the small one. `--to file.json` keeps it as a schedule, which `--schedule file.json` plays. `--workers 2` runs seeds on two cores. `--marks` tells which blocks of the cores none of
 * the seeds has reached. The last line sums up, the exit code is the verdict.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Marks } from './marks/marks.ts';
import { reportMarks } from './marks/report.ts';
import { longerHarm, type SimulationOptions } from './options.ts';
import { runParallel, type SeedReport } from './parallel.ts';
import { overridesOf, parseSchedule, type Schedule, ScheduleError, scheduleOf, scheduleText } from './schedule.ts';
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
  /** Where the run of one seed is kept, as small as it was made. */
  to: { type: 'string' },
  /** What was kept, in the place of a seed. */
  schedule: { type: 'string' },
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

/** What the file says, or an error that names the file and the place. */
export function readSchedule(path: string): Schedule {
  try {
    return parseSchedule(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof ScheduleError) throw new ScheduleError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

interface Replay {
  readonly longer: string;
  readonly with: string;
  readonly schedule?: string | undefined;
}

/** How to see it again. */
export function replayOf(seed: number, { longer, with: given, schedule }: Replay): string {
  if (schedule !== undefined) return `npm run sim -- --schedule ${schedule} --story`;
  const longerText = longer === '1' ? '' : ` --longer ${longer}`;
  return `npm run sim -- --seed ${seed} --story${longerText}${given === '{}' ? '' : ` --with '${given}'`}`;
}

interface Smaller {
  readonly overrides: Partial<SimulationOptions>;
  readonly to: string | undefined;
  readonly print: (text: string) => void;
}

function makeSmaller(seed: number, { overrides, to, print }: Smaller): number {
  const shrunk = shrink(seed, overrides);
  if (shrunk === undefined) {
    print(`seed ${seed} breaks no promise`);
    return 0;
  }
  const { report, runs } = shrunk;
  for (const { number, at, family, machine } of report.faultsDone)
    print(`fault ${number} at ${at.toFixed(0)} ms: ${family} at ${machine}`);
  const { voters, nonVoters, faultsForMs } = report.options;
  const size = `${report.faultsDone.length} faults in ${faultsForMs} ms, ${voters}+${nonVoters} nodes`;
  print(`after ${runs} runs: ${size}: ${report.failure}`);
  if (to !== undefined) keep(report, to);
  const again =
    to === undefined
      ? `--seed ${seed} --story --with '${JSON.stringify(shrunk.overrides)}'`
      : `--story --schedule ${to}`;
  print(`npm run sim -- ${again}`);
  return 1;
}

function keep(report: RunReport, path: string): void {
  const about = `seed ${report.seed}: ${report.failure?.split('\n')[0] ?? 'no promise is broken'}`;
  writeFileSync(path, scheduleText(scheduleOf(report, about)));
}

/** Runs what `args` ask for; answers with the exit code. */
export async function runCommandLine(args: readonly string[], print: (text: string) => void): Promise<number> {
  try {
    return await run(args, print);
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    print(error.message);
    return 2;
  }
}

async function run(args: readonly string[], print: (text: string) => void): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const schedule = values.schedule === undefined ? undefined : readSchedule(values.schedule);
  const written = JSON.parse(values.with) as Partial<SimulationOptions>;
  const given = { ...(schedule && overridesOf(schedule)), ...written };
  const isTold = values.trace || values.story;
  const seed = schedule?.options.seed ?? (values.seed === undefined ? undefined : Number(values.seed));
  const from = seed ?? firstSeed(values.from);
  const longer = Number(values.longer);
  const changed = (number: number): Partial<SimulationOptions> => ({ ...longerHarm(number, longer), ...given });
  if (values.shrink) return makeSmaller(from, { overrides: changed(from), to: values.to, print });
  const count = seed === undefined ? Number(values.seeds) : 1;
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
    if (seed !== undefined && !values.hashes) for (const text of report.standings) print(text);
    if (report.failure !== undefined) print(`  FAILED seed ${report.seed}: ${report.failure}`);
    if (report.failure !== undefined) print(`  ${replayOf(report.seed, values)}`);
    if (seed !== undefined && values.to !== undefined) keep(report, values.to);
  };
  // Blocks are counted from before the cores are loaded: in a process of its own.
  if (workers > 1 || values.marks) {
    const settings = { longer, overrides: given };
    const hasMarks = values.marks;
    await runParallel({ from, workers, settings, hasMarks, onReport, isEnough: (begun) => begun >= count });
  } else {
    for (let number = from; number < from + count; number++)
      onReport(runSeed(number, { overrides: changed(number), ...(isTold && { print, isVerbose: values.trace }) }));
  }
  const holes = values.marks ? reportMarks(marks, print) : 0;
  print(tally.text());
  return tally.violations.length + holes > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = await runCommandLine(process.argv.slice(2), (text) => console.log(text));
