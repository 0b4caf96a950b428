/**
 * The study from a command line: `npm run sim:gossip -- --nodes 1000 --loss 0.1 --seeds 5`. Prints the tables; with `--plots docs` it
 * draws the plots into that folder. Long: a thousand members cost minutes per seed.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { plotToSvg } from '../../tools/svg-plot.ts';
import { alarmTable, deathTable, NOTE, plotsOf, slownessTable, spreadTable } from './figures.ts';
import { study, studySlowness } from './study.ts';

const OPTIONS = {
  nodes: { type: 'string', default: '10,30,100' },
  loss: { type: 'string', default: '0,0.1,0.3' },
  seeds: { type: 'string', default: '2' },
  /** Changes of metadata, and deaths, per cluster and loss. */
  spreads: { type: 'string', default: '5' },
  deaths: { type: 'string', default: '3' },
  /** How long each cluster is watched for false alarms. */
  seconds: { type: 'string', default: '30' },
  /** Compare SWIM with Lifeguard, too. */
  slow: { type: 'boolean', default: false },
  plots: { type: 'string' },
} as const;

const SLOWNESS = { nodes: 128, slow: 16, wellMs: 1_000, slowMs: [1_000, 2_000, 4_000, 8_000, 16_000], seconds: 120 };

function numbers(word: string, text: string, [least, most]: readonly [number, number]): number[] {
  const values = text.split(',').map(Number);
  if (values.some((value) => !(value >= least && value <= most)))
    throw new Error(`--${word} takes numbers from ${least} to ${most}, with commas between them; not ${text}`);
  return values;
}

/** Runs what `args` ask for. */
export function runCommandLine(args: readonly string[], print: (text: string) => void): void {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const one = (word: 'seeds' | 'spreads' | 'deaths' | 'seconds', most: number): number =>
    numbers(word, values[word], [1, most])[0] as number;
  const plan = {
    nodes: numbers('nodes', values.nodes, [4, 4_000]),
    losses: numbers('loss', values.loss, [0, 0.5]),
    seeds: one('seeds', 1_000),
    spreads: one('spreads', 1_000),
    deaths: one('deaths', 1_000),
    seconds: one('seconds', 86_400),
  };
  const cells = study(plan, print);
  const slowness = values.slow ? studySlowness({ ...SLOWNESS, seeds: plan.seeds }, print) : [];
  print(`\nA change spreads: measured, medians / theory (ratio)\n\n${spreadTable(cells)}`);
  print(`A member dies: measured / theory. ${NOTE}\n\n${deathTable(cells)}`);
  print(`Left alone: measured / theory\n\n${alarmTable(cells)}`);
  if (slowness.length > 0) print(`Slow members\n\n${slownessTable(slowness)}`);
  if (values.plots === undefined) return;
  for (const [name, plot] of plotsOf(cells, slowness)) {
    writeFileSync(join(values.plots, name), plotToSvg(plot));
    print(`drawn: ${join(values.plots, name)}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  runCommandLine(process.argv.slice(2), (text) => console.log(text));
