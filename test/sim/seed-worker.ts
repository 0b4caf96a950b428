/** One of the processes of parallel.ts: runs the seeds that it is given, and tells of each. */
import { getPriority, setPriority } from 'node:os';
import { longerHarm } from './options.ts';
import { runSeed } from './swarm.ts';
import type { SeedJob } from './parallel.ts';

/** Whoever measures time beside us comes first. */
const NICE = 10;

setPriority(Math.max(NICE, getPriority()));
process.on('message', ({ seeds, longer, overrides }: SeedJob) => {
  for (const seed of seeds) process.send?.(runSeed(seed, { overrides: { ...longerHarm(seed, longer), ...overrides } }));
  process.send?.('done');
});
