/**
 * Makes a failing seed smaller, as long as the same promise is broken: less time, fewer sorts of fault, fewer nodes and clients, fewer faults
 * (delta debugging, Zeller 2002), a kinder network, faults closer to each other. What it ends with is a schedule. reliability.md 6.
 */
import { type PlannedFault, QUIET_NETWORK, type SimulationOptions } from './options.ts';
import { type RunReport, runSeed } from './swarm.ts';

const RUNS_MAX = 250;

export interface Shrunk {
  readonly overrides: Partial<SimulationOptions>;
  readonly report: RunReport;
  readonly runs: number;
}

/** Undefined when the seed does not fail. */
export function shrink(
  seed: number,
  begin: Partial<SimulationOptions>,
  run: (seed: number, overrides: Partial<SimulationOptions>) => RunReport = (number, overrides) =>
    runSeed(number, { overrides }),
): Shrunk | undefined {
  const first = run(seed, begin);
  if (first.failure === undefined) return undefined;
  const shrinker = new Shrinker(seed, { overrides: begin, report: first, runs: 1 }, run);
  shrinker.record();
  shrinker.time();
  shrinker.families();
  shrinker.nodes();
  shrinker.faults();
  shrinker.circumstances();
  shrinker.gaps();
  shrinker.time();
  return shrinker.best;
}

/** Which promise it was, whoever broke it. */
export function promiseOf(failure: string): string {
  const [line = ''] = failure.split('\n');
  const promise = line
    .replace(/^(\w*Error): (?=[A-Z]+-\d)/, '')
    .replace(/^(\w*Error): /, '$1, ')
    .split(':')[0] as string;
  return promise.replaceAll(/\b[vn][0-9a-f]{2}-\d+/g, 'a node').replaceAll(/(?<![A-Z]-\d*)\d+/g, 'n');
}

class Shrinker {
  readonly #seed: number;
  readonly #promise: string;
  readonly #run: (seed: number, overrides: Partial<SimulationOptions>) => RunReport;
  best: Shrunk;

  constructor(seed: number, best: Shrunk, run: (seed: number, overrides: Partial<SimulationOptions>) => RunReport) {
    this.#seed = seed;
    this.#run = run;
    this.best = best;
    this.#promise = promiseOf(best.report.failure as string);
  }

  time(): void {
    const faultsForMs = (): number => this.best.report.options.faultsForMs;
    for (let part = 0.5; part > 0.05; part /= 2)
      while (faultsForMs() > 0 && this.#try({ faultsForMs: Math.floor(faultsForMs() * (1 - part)) }));
  }

  /** What the seed draws as a list: the same run, and what is left out of the list moves nothing else. */
  record(): void {
    this.#try({ schedule: this.best.report.planned });
  }

  families(): void {
    for (const family of new Set(this.best.report.planned.map((fault) => fault.family)))
      this.#leaveOut((fault) => fault.family === family);
  }

  /** Machines have numbers, non-voters behind voters. */
  nodes(): void {
    this.#try({ clients: 0 });
    while (this.best.report.options.nonVoters > 0)
      if (!this.#try({ nonVoters: this.best.report.options.nonVoters - 1 })) break;
    while (this.best.report.options.voters > 1) if (!this.#try({ voters: this.best.report.options.voters - 1 })) break;
    const { voters, nonVoters } = this.best.report.options;
    this.#leaveOut(({ machine }) => machine >= voters + nonVoters);
  }

  /** Ever smaller pieces of what is left. */
  faults(): void {
    for (
      let size = Math.ceil(this.best.report.planned.length / 2);
      size >= 1;
      size = size === 1 ? 0 : Math.ceil(size / 2)
    ) {
      const all = this.best.report.planned;
      for (let at = 0; at < all.length; at += size) {
        const piece = new Set(all.slice(at, at + size).map(({ number }) => number));
        this.#leaveOut(({ number }) => piece.has(number));
      }
    }
  }

  /** As soon as the one before; or else at a round time. */
  gaps(): void {
    for (let place = 0; place < this.best.report.planned.length; place++) {
      const faults = this.best.report.planned;
      const gap = (faults[place]?.at ?? 0) - (faults[place - 1]?.at ?? 0);
      if (gap > 0)
        this.#try({ schedule: faults.map((fault, i) => (i < place ? fault : { ...fault, at: fault.at - gap })) });
    }
    const rounded = (step: number): PlannedFault[] =>
      this.best.report.planned.map((fault) => ({ ...fault, at: Math.round(fault.at / step) * step }));
    if (!this.#try({ schedule: rounded(100) })) this.#try({ schedule: rounded(1) });
  }

  circumstances(): void {
    const { network } = this.best.report.options;
    for (const fault of ['loss', 'duplication', 'lateness', 'replay'] as const)
      if (this.best.report.options.network[fault] > 0)
        this.#try({ network: { ...this.best.report.options.network, [fault]: 0 } });
    if (network.delayMeanMs > QUIET_NETWORK.delayMeanMs) this.#try({ network: QUIET_NETWORK });
    this.#try({ isFoundingDisturbed: false });
    this.#try({ snapshots: undefined });
    this.#try({ clockDrift: 0 });
    this.#try({ turnDelayMs: 0.3 });
    this.#try({ diskMs: 1 });
    this.#try({ votersWanted: 5 });
    for (const shards of [12, 3]) this.#try({ shards });
  }

  #leaveOut(isMeant: (fault: PlannedFault) => boolean): void {
    const { planned } = this.best.report;
    const schedule = planned.filter((fault) => !isMeant(fault));
    if (schedule.length < planned.length) this.#try({ schedule });
  }

  #try(change: Partial<SimulationOptions>): boolean {
    if (this.best.runs >= RUNS_MAX) return false;
    const overrides = { ...this.best.overrides, ...change };
    const report = this.#run(this.#seed, overrides);
    const runs = this.best.runs + 1;
    const isSame = report.failure !== undefined && promiseOf(report.failure) === this.#promise;
    this.best = isSame ? { overrides, report, runs } : { ...this.best, runs };
    return isSame;
  }
}
