/** Seeds on several cores: each worker is a process of its own and is given a few seeds at a time. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ScriptCoverage } from './marks/block-coverage.ts';
import type { SimulationOptions } from './options.ts';
import type { RunReport } from './swarm.ts';

/** Few, so that all workers end at about the same time. */
const SEEDS_AT_A_TIME = 4;

/** A simulation makes much that lives for one turn. */
const WORKER_FLAGS: string[] = ['--enable-source-maps', '--max-semi-space-size=64'];

export interface SeedSettings {
  readonly longer: number;
  readonly overrides: Partial<SimulationOptions>;
}

export interface SeedJob extends SeedSettings {
  readonly seeds: readonly number[];
}

/** Of a run with marks: what its process loaded, and what the seed ran. */
export interface SeedReport extends RunReport {
  readonly loaded?: readonly ScriptCoverage[] | undefined;
  readonly ran?: readonly ScriptCoverage[];
}

export interface ParallelRun {
  readonly from: number;
  readonly workers: number;
  readonly settings: SeedSettings;
  readonly onReport: (report: SeedReport) => void;
  /** Reports say which blocks of the cores have run. */
  readonly hasMarks?: boolean;
  /** No further seed is begun; `begun` of them were. */
  readonly isEnough: (begun: number) => boolean;
}

/** Seeds from `from` on, one after the other, until there are enough. Rejects when a worker breaks down. */
export async function runParallel(run: ParallelRun): Promise<void> {
  let next = run.from;
  const nextSeeds = (): number[] => {
    const seeds: number[] = [];
    while (seeds.length < SEEDS_AT_A_TIME && !run.isEnough(next - run.from)) seeds.push(next++);
    return seeds;
  };
  const path = fileURLToPath(new URL('seed-worker.js', import.meta.url));
  const workers = Array.from({ length: run.workers }, () =>
    fork(path, run.hasMarks === true ? ['--marks'] : [], { serialization: 'advanced', execArgv: WORKER_FLAGS }),
  );
  try {
    await Promise.all(workers.map((worker) => employ(worker, run, nextSeeds)));
  } finally {
    for (const worker of workers) worker.kill();
  }
}

function employ(worker: ChildProcess, run: ParallelRun, nextSeeds: () => readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let seeds: readonly number[] = [];
    const giveMore = (): void => {
      seeds = nextSeeds();
      if (seeds.length === 0) resolve();
      else worker.send({ seeds, ...run.settings } satisfies SeedJob);
    };
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`a worker ended with ${code} among the seeds ${seeds.join(' ')}`)));
    worker.on('message', (message: SeedReport | 'done') => {
      if (message === 'done') giveMore();
      else run.onReport(message);
    });
  });
}
