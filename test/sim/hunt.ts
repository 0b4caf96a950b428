/** Hunts a planted bug: runs seed after seed of one of the simulators until a promise is broken. */
import type * as GossipSwarm from './gossip/swarm.ts';
import { present } from '../../src/base/assert.ts';
import type * as Schedules from '../raft/schedules.ts';
import type * as RaftSimulation from '../raft/simulation.ts';
import type { PlantedBug } from './planted-bugs.ts';
import { plant, planted } from './planting.ts';
import type * as EtcdStories from './etcd-stories.ts';
import type * as Stories from './lease-stories.ts';
import type * as QuietStories from './quiet-stories.ts';
import type * as Scenarios from './scenarios.ts';
import type * as NodeSwarm from './swarm.ts';

export interface Catch {
  /** So many seeds were run, the last of which caught it. */
  readonly seeds: number;
  readonly message: string;
}

/** Tries a seed; answers what it broke. */
export type Trial = (seed: number) => string | undefined;

/** The simulator that hunts `bug`, with the bug in it. */
export async function trialOf(bug: PlantedBug): Promise<Trial> {
  const folder = plant(bug);
  const isAboutLeases = bug.by === 'leases';
  if (bug.by === 'node') {
    const { runSeed } = await planted<typeof NodeSwarm>(folder, 'test/sim/swarm.js');
    const { overrides } = bug;
    return (seed) => runSeed(seed, overrides === undefined ? {} : { overrides }).failure;
  }
  if (bug.by === 'story') {
    const { playScenario } = await planted<typeof Scenarios>(folder, 'test/sim/scenarios.js');
    const { LEASE_STORIES } = await planted<typeof Stories>(folder, 'test/sim/lease-stories.js');
    const { ETCD_STORIES } = await planted<typeof EtcdStories>(folder, 'test/sim/etcd-stories.js');
    const { QUIET_STORIES } = await planted<typeof QuietStories>(folder, 'test/sim/quiet-stories.js');
    const story = [...LEASE_STORIES, ...ETCD_STORIES, ...QUIET_STORIES].find(({ name }) =>
      name.startsWith(bug.play ?? '?'),
    );
    return (seed) => messageOf(() => playScenario(present(story, `the story ${bug.play}`), seed));
  }
  if (bug.by === 'schedule') {
    const { playSchedule } = await planted<typeof Schedules>(folder, 'test/raft/schedules.js');
    return (seed) => messageOf(() => playSchedule(bug.play ?? '', seed));
  }
  if (bug.by === 'raft' || isAboutLeases) {
    const { runSeed } = await planted<typeof RaftSimulation>(folder, 'test/raft/simulation.js');
    return (seed) => messageOf(() => runSeed(seed, { faultMs: 3_000, isAboutLeases }));
  }
  const { runSwarm } = await planted<typeof GossipSwarm>(folder, 'test/sim/gossip/swarm.js');
  return (seed) => messageOf(() => runSwarm(seed, { nodesLeast: 4, nodesMost: 12, lossMost: 0.1 }));
}

export function hunt(trial: Trial, from: number, seedsMax: number): Catch | undefined {
  for (let seeds = 1; seeds <= seedsMax; seeds++) {
    const message = trial(from + seeds - 1);
    if (message !== undefined) return { seeds, message };
  }
  return undefined;
}

function messageOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
