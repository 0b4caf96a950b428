/**
 * What harm may have left behind (reliability.md 7.6): when all is well again and nobody asks for anything, no process has an open request, a
 * stream, a queue with something in it or a follower that lags, and no log is longer than its snapshots let it be.
 */
import { DEFAULT_SNAPSHOT_POLICY } from '../../src/cluster/snapshot-schedule.ts';
import type { NodeStats } from '../../src/model/node-stats.ts';
import type { SimulatedProcess } from './process.ts';
import type { Machine, Simulation } from './simulation.ts';

/** Further ones may come while a snapshot is made, and a lag keeps what it needs. */
const LOG_SLACK = 40;

/** The first thing that is left over; undefined when there is none. */
export function leftOver(simulation: Simulation): string | undefined {
  for (const machine of simulation.running()) {
    const { process } = machine;
    if (process === undefined) continue;
    const found = leftIn(simulation, machine, process);
    if (found !== undefined) return `${machine.nodeId} has ${found}`;
  }
  return undefined;
}

function leftIn(simulation: Simulation, machine: Machine, process: SimulatedProcess): string | undefined {
  const stats = process.cluster.stats();
  const counts: readonly (readonly [string, number])[] = [
    ['requests that are not answered', process.openRequests],
    ['gossip streams that are open', simulation.streams.openOf(process)],
    ['requests to the coordination state that wait', stats.kv.waiting],
    // A node that is alone has nobody to tell it.
    ['news of members to gossip', simulation.running().length > 1 ? stats.swim.broadcastsQueued : 0],
    ['intents to gossip', stats.serf.intentsQueued],
    ['events to gossip', stats.serf.eventsQueued],
    ['queries to gossip', stats.serf.queriesQueued],
    ['entries that are not applied', lagOf(stats)],
    ['entries beyond what snapshots leave', tooLong(process, machine)],
  ];
  const [what, count] = counts.find(([, left]) => left > 0) ?? [];
  return what === undefined ? undefined : `${count} ${what}`;
}

function lagOf({ raft }: Pick<NodeStats, 'raft'>): number {
  if (raft === undefined) return 0;
  return raft.lastIndex - raft.appliedIndex + Object.values(raft.lag).reduce((sum, lag) => sum + lag, 0);
}

function tooLong({ config }: SimulatedProcess, { directory }: Machine): number {
  const { entries, trailing } = config.snapshots ?? DEFAULT_SNAPSHOT_POLICY;
  return Math.max(0, directory.durable.entries.length - Math.ceil(1.1 * entries) - trailing - LOG_SLACK);
}
