/** One of the processes of parallel.ts: runs the seeds that it is given, and tells of each. */
import { getPriority, setPriority } from 'node:os';
import { BlockCoverage } from './marks/block-coverage.ts';
import { longerHarm } from './options.ts';
import type { SeedJob, SeedReport } from './parallel.ts';

/** Whoever measures time beside us comes first. */
const NICE = 10;

setPriority(Math.max(NICE, getPriority()));
const coverage: BlockCoverage | undefined = process.argv.includes('--marks') ? new BlockCoverage() : undefined;
await coverage?.begin();
const { runSeed } = await import('./swarm.ts');
let loaded = await coverage?.take();
const tell = (report: SeedReport): boolean | undefined => process.send?.(report);

process.on('message', (job: SeedJob) => void runAll(job));

// What is sent before somebody listens is lost: it asks for its first seeds as for all others.
process.send?.('done');

async function runAll({ seeds, longer, overrides }: SeedJob): Promise<void> {
  for (const seed of seeds) {
    const report = runSeed(seed, { overrides: { ...longerHarm(seed, longer), ...overrides } });
    tell(coverage === undefined ? report : { ...report, loaded, ran: await coverage.take() });
    loaded = undefined;
  }
  process.send?.('done');
}
