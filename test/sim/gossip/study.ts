/** The whole study: every size and loss, with its measures; and the comparison of failure detectors. What docs/gossip.md shows. */
import {
  type Death,
  DETECTORS,
  type FalseAlarms,
  form,
  measureAlarms,
  measureDeath,
  measureSlowness,
  measureSpread,
  settle,
  type Slowness,
} from './measures.ts';

export interface StudyPlan {
  readonly nodes: readonly number[];
  readonly losses: readonly number[];
  readonly seeds: number;
  readonly spreads: number;
  readonly deaths: number;
  /** How long each cluster is left alone, in seconds. */
  readonly seconds: number;
}

/** One size and one loss, over all seeds. */
export interface Cell {
  readonly nodes: number;
  readonly loss: number;
  /** From the start of the last node until all saw all; at no loss, so the same in every row of a size. */
  readonly formedMs: readonly number[];
  /** Times of every other member, sorted, one list per change. */
  readonly spreads: readonly (readonly number[])[];
  readonly spreadBytes: readonly number[];
  readonly deaths: readonly Death[];
  readonly alarms: readonly FalseAlarms[];
  readonly hashes: readonly string[];
}

export function study(plan: StudyPlan, tell: (line: string) => void): Cell[] {
  return plan.nodes.flatMap((nodes) => studySize(nodes, plan, tell));
}

function studySize(nodes: number, plan: StudyPlan, tell: (line: string) => void): Cell[] {
  const cells = plan.losses.map((loss) => ({
    nodes,
    loss,
    formedMs: [] as number[],
    spreads: [] as (readonly number[])[],
    spreadBytes: [] as number[],
    deaths: [] as Death[],
    alarms: [] as FalseAlarms[],
    hashes: [] as string[],
  }));
  for (let seed = 1; seed <= plan.seeds; seed++) {
    const cpu = process.cpuUsage().user;
    const formed = form(nodes, { seed: nodes * 1_000 + seed });
    const { world, checkers } = formed;
    for (const cell of cells) {
      cell.formedMs.push(formed.formedMs);
      world.loss = cell.loss;
      cell.alarms.push(measureAlarms(formed, plan.seconds));
      world.loss = 0;
      settle(formed);
      world.loss = cell.loss;
      for (let i = 0; i < plan.spreads; i++) {
        const { times, bytes } = measureSpread(formed, 7 * i + seed);
        cell.spreads.push(times);
        cell.spreadBytes.push(bytes);
        // Until the last bearer has sent it often enough, so that it does not ride along with the next.
        world.run(3_000);
      }
      for (let i = 0; i < plan.deaths; i++) cell.deaths.push(measureDeath(formed, 11 * i + seed));
      world.loss = 0;
      settle(formed);
      cell.hashes.push(world.trace.text);
    }
    const seconds = (process.cpuUsage().user - cpu) / 1e6;
    const told = `${nodes} nodes, seed ${seed}: ${(world.now / 1_000).toFixed(0)} simulated s, ${world.datagrams} datagrams`;
    tell(`${told}, ${checkers.events} events checked, ${seconds.toFixed(0)} s of CPU, trace ${world.trace.text}`);
  }
  return cells;
}

export interface SlownessPlan {
  readonly nodes: number;
  readonly slow: number;
  readonly wellMs: number;
  readonly slowMs: readonly number[];
  readonly seconds: number;
  readonly seeds: number;
}

export interface SlownessCell {
  readonly how: Slowness['how'];
  readonly detector: keyof typeof DETECTORS;
  readonly slowMs: number;
  readonly deaths: number;
  readonly suspicions: number;
  readonly nodeHours: number;
}

const WAYS = [
  ['clogged', 'swim'],
  ['clogged', 'lifeguard'],
  ['paused', 'lifeguard'],
] as const;

export function studySlowness(plan: SlownessPlan, tell: (line: string) => void): SlownessCell[] {
  return plan.slowMs.flatMap((slowMs) =>
    WAYS.map(([how, detector]): SlownessCell => {
      const sums = { deaths: 0, suspicions: 0, nodeHours: 0 };
      for (let seed = 1; seed <= plan.seeds; seed++) {
        const { nodes: count, slow, wellMs, seconds } = plan;
        const settings = DETECTORS[detector];
        const alarms = measureSlowness({ seed, settings }, { count, slow, slowMs, wellMs, seconds, how });
        sums.deaths += alarms.deaths;
        sums.suspicions += alarms.suspicions;
        sums.nodeHours += alarms.nodeHours;
      }
      const told = `${sums.deaths} false deaths, ${sums.suspicions} suspicions in ${sums.nodeHours.toFixed(1)} node-hours`;
      tell(`${plan.slow} of ${plan.nodes} ${how} for ${slowMs} ms, ${detector}: ${told}`);
      return { how, detector, slowMs, ...sums };
    }),
  );
}
