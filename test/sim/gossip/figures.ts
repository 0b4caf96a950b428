/** The study as tables and plots, theory beside measurement. */
import type { Plot, Series } from '../../tools/svg-plot.ts';
import type { Cell, SlownessCell } from './study.ts';
import {
  contactRate,
  DETECTION_PERIODS_LIMIT,
  expectedDetectionPeriods,
  expectedSpreadMs,
  expectedVerdictMs,
  idleDatagramsPerSecond,
  LAN,
  missedShare,
  probeFailureChance,
  serfSimulatorMs,
  serfSimulatorShare,
  suspicionBounds,
} from './theory.ts';

type Row = readonly (string | number)[];

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function table(head: readonly string[], rows: readonly Row[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** When the k-th of a sorted list of times is `share` of all members, the one that told the news included. */
function timeAt(times: readonly number[], nodes: number, share: number): number {
  const informed = Math.max(2, Math.round(share * nodes));
  return times[Math.min(times.length, informed - 1) - 1] ?? Number.NaN;
}

/** The same by theory. */
function theoryAt({ nodes, loss }: Cell, share: number): number {
  return expectedSpreadMs(contactRate(LAN, loss), nodes, Math.max(2, Math.round(share * nodes)));
}

export function spreadTable(cells: readonly Cell[]): string {
  const rows = cells.map((cell): Row => {
    // Medians: one change that somebody missed waits for a push/pull, up to minutes, and would be all that a mean shows.
    const at = (share: number): number =>
      percentile(
        cell.spreads.map((times) => timeAt(times, cell.nodes, share)),
        0.5,
      );
    const compared = (share: number): string => {
      const theory = theoryAt(cell, share);
      return `${at(share).toFixed(0)} / ${theory.toFixed(0)} (${(at(share) / theory).toFixed(2)})`;
    };
    const last = cell.spreads.map((times) => times.at(-1) as number);
    const missed = cell.spreads.filter((times) => (times.at(-1) as number) > 3_000).length;
    return [
      cell.nodes,
      percent(cell.loss),
      cell.spreads.length,
      compared(0.5),
      compared(0.9),
      compared(0.99),
      `${percentile(last, 0.5).toFixed(0)} / ${theoryAt(cell, 1).toFixed(0)}`,
      serfSimulatorMs(LAN, cell.nodes, cell.loss, 0.99).toFixed(0),
      `${missed} / ${(cell.spreads.length * (1 - (1 - missedShare(LAN, cell.nodes, cell.loss)) ** cell.nodes)).toFixed(1)}`,
    ];
  });
  const head = ['nodes', 'loss', 'changes', '50 % know (ms)', '90 %', '99 %', 'all, median', "Serf's simulator, 99 %"];
  return table([...head, 'somebody had to wait for push/pull'], rows);
}

export function deathTable(cells: readonly Cell[]): string {
  const rows = cells.map(({ nodes, loss, deaths }): Row => {
    const seconds = (values: readonly number[], share: number): string =>
      (percentile(values, share) / 1_000).toFixed(1);
    const first = deaths.map(({ firstMs }) => firstMs);
    const all = deaths.map(({ allMs }) => allMs);
    const { minMs, maxMs } = suspicionBounds(LAN, nodes);
    return [
      nodes,
      percent(loss),
      deaths.length,
      `${mean(deaths.map(({ probedMs }) => Math.ceil(probedMs / LAN.probeIntervalMs))).toFixed(2)} / ${expectedDetectionPeriods(nodes).toFixed(2)}`,
      (mean(deaths.map(({ suspectedMs }) => suspectedMs)) / 1_000).toFixed(1),
      `${(minMs / 1_000).toFixed(1)} to ${(maxMs / 1_000).toFixed(1)}`,
      `${(mean(first) / 1_000).toFixed(1)} / ${(expectedVerdictMs(LAN, nodes) / 1_000).toFixed(1)} (${(mean(first) / expectedVerdictMs(LAN, nodes)).toFixed(2)})`,
      `${seconds(all, 0.5)}, ${seconds(all, 1)}`,
      (mean(deaths.map(({ firstMs, allMs }) => allMs - firstMs)) / 1_000).toFixed(2),
    ];
  });
  const head = ['nodes', 'loss', 'deaths', 'first probed in period', 'first suspected (s)', 'suspicion lasts (s)'];
  return table([...head, 'first verdict (s)', 'all know: median, most (s)', 'first to last verdict (s)'], rows);
}

export function alarmTable(cells: readonly Cell[]): string {
  const rows = cells.map(({ nodes, loss, alarms, formedMs }): Row => {
    const sum = (of: (one: (typeof alarms)[number]) => number): number =>
      alarms.reduce((total, one) => total + of(one), 0);
    const hours = sum(({ nodeHours }) => nodeHours);
    return [
      nodes,
      percent(loss),
      hours.toFixed(1),
      `${((100 * sum(({ probesFailed }) => probesFailed)) / sum(({ probes }) => probes)).toFixed(2)} / ${(100 * probeFailureChance(loss, LAN.indirectChecks)).toFixed(2)}`,
      (sum(({ suspicions }) => suspicions) / hours).toFixed(1),
      (sum(({ deaths }) => deaths) / hours).toFixed(2),
      mean(alarms.map(({ bytesPerSecond }) => bytesPerSecond)).toFixed(0),
      `${mean(alarms.map(({ datagramsPerSecond }) => datagramsPerSecond)).toFixed(1)} / ${idleDatagramsPerSecond(LAN, loss).toFixed(1)}`,
      percentile(formedMs, 0.5).toFixed(0),
    ];
  });
  const head = [
    'nodes',
    'loss',
    'node-hours',
    'failed probes (%) / without TCP ping',
    'suspicions per node-hour',
    'false deaths per node-hour',
  ];
  return table(
    [...head, 'bytes/s per node', 'datagrams/s per node / probes alone', 'last start to all see all (ms)'],
    rows,
  );
}

export function slownessTable(cells: readonly SlownessCell[]): string {
  const rows = cells.map(({ how, detector, slowMs, deaths, suspicions, nodeHours }): Row => {
    return [
      how,
      detector,
      slowMs,
      (deaths / nodeHours).toFixed(2),
      (suspicions / nodeHours).toFixed(1),
      nodeHours.toFixed(1),
    ];
  });
  const head = [
    '16 of 128 members are',
    'detector',
    'for (ms)',
    'false deaths per node-hour',
    'suspicions per node-hour',
  ];
  return table([...head, 'node-hours'], rows);
}

/** File name to plot. */
export function plotsOf(cells: readonly Cell[], slowness: readonly SlownessCell[]): ReadonlyMap<string, Plot> {
  const plots = new Map<string, Plot>();
  const sizes = [...new Set(cells.map(({ nodes }) => nodes))];
  const losses = [...new Set(cells.map(({ loss }) => loss))];
  const largest = cells.filter(({ nodes }) => nodes === Math.max(...sizes));
  plots.set('gossip-spread.svg', spreadPlot(largest));
  if (sizes.length > 1) {
    plots.set('gossip-spread-size.svg', sizePlot(cells, losses));
    plots.set('gossip-death-size.svg', deathPlot(cells, losses));
  }
  if (slowness.length > 0) plots.set('gossip-slow.svg', slownessPlot(slowness));
  return plots;
}

/** Share that knows over time, for one size. */
function spreadPlot(cells: readonly Cell[]): Plot {
  const shares = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1];
  const nodes = cells[0]?.nodes ?? 0;
  const series = cells.flatMap((cell, colour): Series[] => {
    const measured = shares.map((share): [number, number] => {
      const times = cell.spreads.map((one) => timeAt(one, nodes, share));
      return [percentile(times, 0.5), 100 * share];
    });
    const theory = shares.map((share): [number, number] => [theoryAt(cell, share), 100 * share]);
    const at = `${percent(cell.loss)} loss`;
    return [
      { name: `measured, ${at}`, points: measured.filter(([x]) => x < 4_000), style: 'measured', colour },
      { name: `theory, ${at}`, points: theory, style: 'theory', colour },
    ];
  });
  const rounds = Array.from({ length: 17 }, (_, i) => i / 1.6);
  const simulator = rounds.map((round): [number, number] => {
    return [round * LAN.gossipIntervalMs, 100 * serfSimulatorShare(LAN.gossipNodes, nodes, 0, round)];
  });
  series.push({ name: "Serf's simulator, no loss", points: simulator, style: 'theory', colour: 6 });
  return {
    title: `A change reaches ${nodes} members`,
    x: 'milliseconds since the change',
    y: '% of members that know',
    yMax: 100,
    series,
  };
}

function sizePlot(cells: readonly Cell[], losses: readonly number[]): Plot {
  const series = losses.flatMap((loss, colour): Series[] => {
    const own = cells.filter((cell) => cell.loss === loss);
    const measured = own.map((cell): [number, number] => {
      const times = cell.spreads.map((one) => timeAt(one, cell.nodes, 0.99));
      return [cell.nodes, percentile(times, 0.5)];
    });
    const theory = own.map((cell): [number, number] => [cell.nodes, theoryAt(cell, 0.99)]);
    return [
      { name: `measured, ${percent(loss)} loss`, points: measured, style: 'measured', colour },
      { name: `theory, ${percent(loss)} loss`, points: theory, style: 'theory', colour },
    ];
  });
  return {
    title: 'Until 99 % of the members know of a change',
    x: 'members',
    y: 'milliseconds, mean',
    xScale: 'log',
    series,
  };
}

function deathPlot(cells: readonly Cell[], losses: readonly number[]): Plot {
  const series = losses.map((loss, colour): Series => {
    const points = cells
      .filter((cell) => cell.loss === loss)
      .map(({ nodes, deaths }): [number, number] => [nodes, mean(deaths.map(({ firstMs }) => firstMs)) / 1_000]);
    return { name: `measured, ${percent(loss)} loss`, points, style: 'measured', colour };
  });
  const sizes = [...new Set(cells.map(({ nodes }) => nodes))];
  const theory = sizes.map((nodes): [number, number] => [nodes, expectedVerdictMs(LAN, nodes) / 1_000]);
  series.push({ name: 'theory: 2 intervals + suspicion', points: theory, style: 'theory', colour: 6 });
  return { title: 'From death to the first verdict', x: 'members', y: 'seconds, mean', xScale: 'log', series };
}

function slownessPlot(cells: readonly SlownessCell[]): Plot {
  const kinds = [...new Set(cells.map(({ how, detector }) => `${detector}, ${how}`))];
  const series = kinds.map((kind, colour): Series => {
    const points = cells
      .filter(({ how, detector }) => `${detector}, ${how}` === kind)
      .map(({ slowMs, deaths, nodeHours }): [number, number] => [slowMs / 1_000, deaths / nodeHours]);
    return { name: kind, points, style: 'measured', colour };
  });
  const title = 'Healthy members declared dead while others are slow';
  return { title, x: 'seconds for which they are slow, again and again', y: 'false deaths per node-hour', series };
}

export const NOTE: string = `SWIM expects the first probe of a dead member in period ${DETECTION_PERIODS_LIMIT.toFixed(2)}, for large clusters.`;
