/**
 * Makes a failing seed smaller, as long as the same promise is broken: less time, fewer sorts of fault, fewer faults (delta debugging,
 * Zeller 2002), a kinder network, fewer nodes. reliability.md 6.
 */
import { QUIET_NETWORK, type SimulationOptions } from './options.ts';
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
  shrinker.time();
  shrinker.families();
  shrinker.faults();
  shrinker.circumstances();
  return shrinker.best;
}

/** Which promise it was, whoever broke it. */
export function promiseOf(failure: string): string {
  return (failure.split(':')[0] as string).replaceAll(/\b[vn][0-9a-f]{2}-\d+/g, 'a node').replaceAll(/\d+/g, 'n');
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
    for (let part = 0.5; part > 0.05; part /= 2) {
      const faultsForMs = this.best.report.options.faultsForMs;
      while (this.#try({ faultsForMs: Math.round(this.best.report.options.faultsForMs * (1 - part)) })) {
        if (this.best.report.options.faultsForMs >= faultsForMs) break;
      }
    }
  }

  families(): void {
    for (const family of new Set(this.best.report.faultsDone.map((fault) => fault.family)))
      this.#leaveOut(this.best.report.faultsDone.flatMap((fault) => (fault.family === family ? [fault.number] : [])));
  }

  /** Ever smaller pieces of what is left. */
  faults(): void {
    for (
      let size = Math.ceil(this.best.report.faultsDone.length / 2);
      size >= 1;
      size = size === 1 ? 0 : Math.ceil(size / 2)
    ) {
      const numbers = this.best.report.faultsDone.map(({ number }) => number);
      for (let at = 0; at < numbers.length; at += size) this.#leaveOut(numbers.slice(at, at + size));
    }
  }

  circumstances(): void {
    const { network } = this.best.report.options;
    for (const fault of ['loss', 'duplication', 'lateness', 'replay'] as const)
      if (this.best.report.options.network[fault] > 0)
        this.#try({ network: { ...this.best.report.options.network, [fault]: 0 } });
    if (network.delayMeanMs > QUIET_NETWORK.delayMeanMs) this.#try({ network: QUIET_NETWORK });
    this.#try({ clients: 0 });
    this.#try({ snapshots: undefined });
    this.#try({ clockDrift: 0 });
    this.#try({ turnDelayMs: 0.3 });
    this.#try({ diskMs: 1 });
    while (this.best.report.options.nonVoters > 0)
      if (!this.#try({ nonVoters: this.best.report.options.nonVoters - 1 })) break;
    while (this.best.report.options.voters > 1) if (!this.#try({ voters: this.best.report.options.voters - 1 })) break;
  }

  #leaveOut(numbers: readonly number[]): void {
    if (numbers.length === 0) return;
    this.#try({ faultsLeftOut: [...this.best.report.options.faultsLeftOut, ...numbers] });
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
