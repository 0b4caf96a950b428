/** What the demo shows at its end: tables of what clients saw. */
import Table from 'cli-table3';
import type { Sample } from './load.ts';

/** Requests of one time and sort. */
export interface Group {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** Longer than this a client has waited. */
const WAITED_MS = 100;

export function groupTable(groups: readonly Group[]): string {
  const table = plainTable(['', 'requests', 'median', '99 of 100', 'longest', `over ${WAITED_MS} ms`, 'failed']);
  for (const { name, samples } of groups) {
    const times = samples.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
    table.push([
      name,
      String(samples.length),
      ms(quantile(times, 0.5)),
      ms(quantile(times, 0.99)),
      ms(times.at(-1)),
      String(times.filter((time) => time > WAITED_MS).length),
      String(samples.filter(({ error }) => error !== undefined).length),
    ]);
  }
  return table.toString();
}

export function nodeTable(samples: readonly Sample[]): string {
  const table = plainTable(['node', 'requests', 'min', 'max', 'mean', 'standard deviation']);
  const nodes = [...new Set(samples.flatMap(({ node }) => node ?? []))].sort();
  for (const node of nodes) {
    const times = samples.filter((sample) => sample.node === node).map(({ tookMs }) => tookMs);
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length;
    const least = times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const most = times.reduce((a, b) => Math.max(a, b), 0);
    table.push([node, String(times.length), ms(least), ms(most), ms(mean), ms(Math.sqrt(variance))]);
  }
  return table.toString();
}

function plainTable(head: readonly string[]): Table.Table {
  const none = '';
  return new Table({
    head: [...head],
    chars: {
      top: none,
      'top-mid': none,
      'top-left': none,
      'top-right': none,
      bottom: none,
      'bottom-mid': none,
      'bottom-left': none,
      'bottom-right': none,
      left: '  ',
      'left-mid': none,
      mid: none,
      'mid-mid': none,
      right: none,
      'right-mid': none,
      middle: '  ',
    },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', ...head.slice(1).map(() => 'right' as const)],
  });
}

function quantile(sorted: readonly number[], part: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
