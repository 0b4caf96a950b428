/** What a healed cluster looks like from outside (SH-7, I-27 and product.md): the first thing that is still missing, in words. */
import type { MemberId } from '../../src/model/ids.ts';
import { memberId } from '../../src/model/ids.ts';
import type { Configuration } from '../../src/model/log.ts';
import type { NodeView } from '../../src/model/node-view.ts';
import { decodeConfiguration } from '../../src/wire/raft/entry.ts';
import type { LogImage } from './directory.ts';
import type { Machine, Simulation } from './simulation.ts';

/** Undefined when all running nodes are Operational in one cluster with one leader and one map that names exactly them. */
export function missing(simulation: Simulation, leniency?: 'gossip may lag'): string | undefined {
  const machines = simulation.running();
  const views = machines.map((machine) => simulation.view(machine) as NodeView);
  const first = views[0];
  if (first === undefined) return 'nobody runs';
  const idle = views.find((view) => view.state !== 'Operational');
  if (idle !== undefined) return `${idle.id} is ${idle.state}`;
  const stranger = views.find((view) => view.clusterId !== first.clusterId);
  if (stranger !== undefined) return `${stranger.id} is of another cluster than ${first.id}`;
  const leaders = views.filter((view) => view.role === 'Leader');
  if (leaders.length !== 1) return `${leaders.length} nodes lead`;
  const leader = leaders[0] as NodeView;
  const unled = views.find((view) => view.leader !== leader.id);
  if (unled !== undefined) return `${unled.id} takes ${unled.leader} for the leader`;
  return missingInMaps(views, leader) ?? (leniency === undefined ? missingInGossip(views) : undefined);
}

/** G-1: everybody runs in everybody's table. */
function missingInGossip(views: readonly NodeView[]): string | undefined {
  for (const view of views)
    for (const { id } of views) {
      const status = view.members.find((member) => member.name === id)?.status;
      if (status !== 'alive') return `${view.id} takes ${id} for ${status}`;
    }
  return undefined;
}

function missingInMaps(views: readonly NodeView[], leader: NodeView): string | undefined {
  const map = leader.shardMap;
  if (map === undefined) return 'there is no map';
  const other = views.find((view) => view.shardMap?.committedAt !== map.committedAt);
  if (other !== undefined) return `${other.id} has another map`;
  const owners = new Set(map.owners.map((owner) => `${owner.node}#${owner.boot}`));
  const absent = views.find((view) => view.kind !== 'non-member' && !owners.has(`${view.id}#${view.boot}`));
  if (absent !== undefined) return `${absent.id} is not in the map`;
  if (owners.size !== views.length) return `the map has ${owners.size} owners of ${views.length} nodes`;
  return undefined;
}

/** Undefined when voters are as many as they can be, odd, and all of them run. */
export function missingVoters(simulation: Simulation): string | undefined {
  const leader = simulation.leader();
  if (leader === undefined) return 'nobody leads';
  if (simulation.options.hasEtcd) return undefined;
  const { voters } = (simulation.view(leader) as NodeView).configuration;
  const running = simulation.running().filter(({ kind }) => kind === 'voter');
  const absent = voters.find((voter) => !running.some(({ process }) => process?.cluster.self === voter));
  if (absent !== undefined) return `the voter ${absent} does not run`;
  const reachable = Math.min(simulation.options.votersWanted, running.length);
  const wanted = reachable % 2 === 1 ? reachable : reachable - 1;
  if (voters.length < wanted || voters.length % 2 === 0) return `${voters.length} voters of ${wanted}`;
  // What only the leader has written may be lost with it.
  const behind = running.find((machine) => simulation.view(machine)?.configuration.voters.length !== voters.length);
  return behind === undefined ? undefined : `${behind.nodeId} has not heard of all voters`;
}

/** Those whom the newest configuration on its disk names. */
export function votersOnDisk({ directory }: Machine): readonly MemberId[] {
  return votersOf(directory.durable);
}

export function votersOf(image: LogImage): readonly MemberId[] {
  return configurationOf(image)?.voters ?? [];
}

export function configurationOf({ entries, snapshot }: LogImage): Configuration | undefined {
  const config = entries.findLast(({ kind }) => kind === 'config');
  return config === undefined ? snapshot?.meta.configuration : decodeConfiguration(config.data);
}

/** Its disk says that it has a vote: whoever starts it alone may take it for one that can stand alone. */
export function claimsVote(machine: Machine): boolean {
  return votersOnDisk(machine).includes(memberId(machine.nodeId, machine.directory.durable.stamp));
}

/** One line per machine, for reports. */
export function standings(simulation: Simulation): string[] {
  return simulation.machines.map((machine) => `${machine.nodeId}: ${standing(simulation, machine)}`);
}

function standing(simulation: Simulation, machine: Machine): string {
  const view = simulation.view(machine);
  if (view === undefined) return machine.hasLeft ? 'left' : 'down';
  const { voters, learners } = view.configuration;
  const members = view.members.map((member) => `${member.name}=${member.status}`).join(' ');
  return (
    `${view.state} ${view.role} term ${view.term} leader ${view.leader} cluster ${view.clusterId?.slice(0, 4)} ` +
    `applied ${view.appliedIndex} map ${view.shardMap?.version} pending ${view.pendingVersion} lease ${view.holdsLease} ` +
    `voters ${voters.join(',')} learners ${learners.join(',')} | ${members}`
  );
}
