/** What a view says of the cluster, in the words of clusterfunk's service. Pure functions. */
import type { ShardInfo } from '../gen/managepb/ShardInfo.ts';
import type { NodeInfo } from '../gen/managepb/NodeInfo.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { NodeView } from '../model/node-view.ts';
import type { ShardMap } from '../model/shard-map.ts';
import { NotOperationalError } from './errors.ts';

export type RaftState = 'Voter' | 'Nonvoter' | 'Staging' | '';

/** What clusterfunk's tools expect to read when a cluster cannot answer. */
export const NOT_OPERATIONAL = 'Cluster is not in operational state';

export function requireOperational(view: NodeView): void {
  if (view.state !== 'Operational') throw new NotOperationalError(NOT_OPERATIONAL);
}

/** Every Raft member by node id. In a joint configuration a node of either half votes. */
export function raftStates(configuration: Configuration): ReadonlyMap<string, RaftState> {
  const states = new Map<string, RaftState>();
  for (const learner of [...configuration.learnersNext, ...configuration.learners])
    states.set(nodeIdOf(learner), 'Staging');
  for (const voter of [...configuration.votersOutgoing, ...configuration.voters]) states.set(nodeIdOf(voter), 'Voter');
  return states;
}

/** All members of gossip and of Raft, those that gossip has forgotten too, sorted by id. */
export function nodeInfos(view: NodeView): readonly NodeInfo[] {
  const raft = raftStates(view.configuration);
  const known = new Set<string>(view.members.map((member) => member.name));
  const gossiped = view.members.map((member) => ({
    nodeId: member.name,
    raftState: raft.get(member.name) ?? member.raft,
    serfState: member.status as string,
    leader: member.name === view.leader,
  }));
  const forgotten = [...raft]
    .filter(([node]) => !known.has(node))
    .map(([node, raftState]) => ({ nodeId: node, raftState, serfState: '', leader: node === view.leader }));
  return [...gossiped, ...forgotten].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

/** How many members gossip holds for alive. */
export function aliveCount(view: NodeView): number {
  return view.members.filter((member) => member.status === 'alive').length;
}

/** Shards per owner, in the order of the map's owners; owners of nothing are named too. */
export function shardCounts(map: ShardMap): readonly number[] {
  const counts = new Array<number>(map.owners.length).fill(0);
  for (const owner of map.ownerOf) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

/** Every shard weighs one: funknode balances by count. */
export function shardInfos(map: ShardMap): readonly ShardInfo[] {
  const counts = shardCounts(map);
  return map.owners.map((owner, at) => ({
    nodeId: owner.node,
    shardCount: counts[at] ?? 0,
    shardWeight: counts[at] ?? 0,
  }));
}
