/** What a bench prints: the machine and its load first, then one line per figure, each with its spread. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Averages over 1, 5 and 15 minutes. */
export function load(): string {
  return readFileSync('/proc/loadavg', 'latin1').split(' ').slice(0, 3).join(' ');
}

export function printHead(what: string): void {
  const model = cpus()[0]?.model ?? 'unknown processor';
  print(`# ${what}`);
  print(
    `# ${new Date().toISOString().slice(0, 16)}Z, ${availableParallelism()} x ${model}, Node ${process.version}, load ${load()}`,
  );
}

export interface Spread {
  readonly count: number;
  readonly least: number;
  readonly median: number;
  readonly p90: number;
  readonly most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, least: at(0), median: medianOf(sorted), p90: at(0.9), most: at(1) };
}

export function medianOf(sorted: readonly number[]): number {
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (upper + lower) / 2;
}

/** `name   n 10  min 1.0  median 2.0  p90 3.0  max 3.1 unit` */
export function printSpread(name: string, values: readonly number[], unit: string, digits = 0): void {
  const { count, least, median, p90, most } = spreadOf(values);
  const shown = [least, median, p90, most].map((value) => (count === 0 ? '-' : value.toFixed(digits)).padStart(7));
  const [min, mid, high, max] = shown;
  print(`${name.padEnd(58)} n ${String(count).padStart(3)}  min${min}  median${mid}  p90${high}  max${max} ${unit}`);
}
