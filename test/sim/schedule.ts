/**
 * A schedule: one run with all its options and every fault, so that nothing about the harm is drawn any more. It is written from a seed that
 * failed, mostly after it has been made smaller, and played again for ever (reliability.md 6). What goes on between the faults is drawn
 * from the seed as always: delays and losses of the network, disks, clocks, clients, and how each fault goes in detail.
 */
import { FAULT_FAMILIES, type PlannedFault, quietOptions, type SimulationOptions } from './options.ts';
import type { RunReport } from './swarm.ts';

/** What a list of faults leaves to decide. */
export type ScheduleOptions = Omit<SimulationOptions, 'faultEveryMs' | 'faultsLeftOut' | 'schedule'>;

export interface Schedule {
  /** What the run has shown, or shows of code that a bug is planted in. */
  readonly about: string;
  /** The name of the planted bug that it must catch, if it is of one. */
  readonly catches?: string;
  readonly options: ScheduleOptions;
  readonly faults: readonly PlannedFault[];
}

export function scheduleOf(report: Pick<RunReport, 'options' | 'planned'>, about: string): Schedule {
  const { faultEveryMs: _, faultsLeftOut: __, schedule: ___, ...options } = report.options;
  return { about, options, faults: report.planned };
}

/** For runSeed: no option is left for the seed to draw. */
export function overridesOf({ options, faults }: Schedule): SimulationOptions {
  return quietOptions(options.seed, { ...options, schedule: faults });
}

/** One fault a line, so that two of them can be compared. */
export function scheduleText({ faults, options, ...rest }: Schedule): string {
  const head = JSON.stringify({ ...rest, options: { ...options, snapshots: options.snapshots ?? null } }, undefined, 2);
  const lines = faults.map((fault) => `    ${JSON.stringify(fault)}`).join(',\n');
  return `${head.slice(0, -2)},\n  "faults": [${lines === '' ? '' : `\n${lines}\n  `}]\n}\n`;
}

export class ScheduleError extends Error {}

/** Throws a {@link ScheduleError} that names the place. An option that is missing is as in a quiet run: it is younger than the file. */
export function parseSchedule(text: string): Schedule {
  const file = object(parsed(text), 'the schedule');
  for (const name of Object.keys(file))
    if (!['about', 'catches', 'options', 'faults'].includes(name)) throw new ScheduleError(`${name}: not known here`);
  const { about, catches } = file;
  if (typeof about !== 'string') throw new ScheduleError('about: must be a text');
  if (catches !== undefined && typeof catches !== 'string') throw new ScheduleError('catches: must be a text');
  const options = optionsOf(object(file['options'], 'options'));
  const faults = list(file['faults'], 'faults').map(faultOf);
  for (const [place, { at }] of faults.entries())
    if (at < (faults[place - 1]?.at ?? 0))
      throw new ScheduleError(`faults[${place}].at: ${at} is before the fault above it`);
  return { about, ...(catches !== undefined && { catches }), options, faults };
}

function optionsOf(given: Readonly<Record<string, unknown>>): ScheduleOptions {
  if (given['seed'] === undefined) throw new ScheduleError('options.seed: is missing');
  const seed = natural(given['seed'], 'options.seed');
  const { faultEveryMs: _, faultsLeftOut: __, schedule: ___, ...quiet } = quietOptions(seed);
  const read = Object.entries(given).map(([name, value]): readonly [string, unknown] => {
    if (!(name in quiet)) throw new ScheduleError(`options.${name}: no such option`);
    if (name === 'snapshots') return [name, snapshotsOf(value)];
    return [name, like(value, quiet[name as keyof typeof quiet], `options.${name}`)];
  });
  const options = { ...quiet, ...Object.fromEntries(read) };
  for (const [place, family] of options.faults.entries()) familyOf(family, `options.faults[${place}]`);
  if (!Number.isInteger(options.voters) || options.voters < 1)
    throw new ScheduleError('options.voters: must be 1 or more');
  return options;
}

function snapshotsOf(value: unknown): SimulationOptions['snapshots'] {
  if (value === null) return undefined;
  return like(value, { entries: 0, trailing: 0 }, 'options.snapshots');
}

/** Of the same shape as what it takes the place of. */
function like<T>(value: unknown, model: T, where: string): T {
  if (Array.isArray(model)) return list(value, where) as T;
  if (typeof model === 'object' && model !== null) {
    const given = object(value, where);
    for (const name of Object.keys(given))
      if (!(name in model)) throw new ScheduleError(`${where}.${name}: no such option`);
    for (const [name, part] of Object.entries(model)) like(given[name], part, `${where}.${name}`);
    return given as T;
  }
  if (typeof value === typeof model) return value as T;
  throw new ScheduleError(`${where}: must be a ${typeof model}, is ${JSON.stringify(value) ?? 'missing'}`);
}

function faultOf(value: unknown, place: number): PlannedFault {
  const where = `faults[${place}]`;
  const fault = object(value, where);
  const { at } = fault;
  if (typeof at !== 'number' || !(at >= 0))
    throw new ScheduleError(`${where}.at: must be milliseconds since harm began`);
  return {
    at,
    family: familyOf(fault['family'], `${where}.family`),
    machine: natural(fault['machine'], `${where}.machine`),
    number: natural(fault['number'], `${where}.number`),
  };
}

function familyOf(value: unknown, where: string): PlannedFault['family'] {
  const family = FAULT_FAMILIES.find((known) => known === value);
  if (family === undefined)
    throw new ScheduleError(`${where}: there is no fault ${JSON.stringify(value) ?? 'without a name'}`);
  return family;
}

function natural(value: unknown, where: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new ScheduleError(`${where}: must be a whole number, is ${JSON.stringify(value) ?? 'missing'}`);
}

function list(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ScheduleError(`${where}: must be a list`);
}

function object(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ScheduleError(`${where}: must be an object`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ScheduleError(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
