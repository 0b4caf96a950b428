/** What a view says, as messages of `funk.v1`. Pure functions; instants become ages, since clocks do not travel. */
import type { Member } from '../gen/funk/v1/Member.ts';
import type { RestartPermit as RestartPermitMessage } from '../gen/funk/v1/RestartPermit.ts';
import type { ShardMap as ShardMapMessage } from '../gen/funk/v1/ShardMap.ts';
import type { Status } from '../gen/funk/v1/Status.ts';
import type { Waiting as WaitingMessage } from '../gen/funk/v1/Waiting.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import type { NodeRole } from '../model/node-state.ts';
import type { MemberView, NodeView, Waiting } from '../model/node-view.ts';
import type { RestartPermit } from '../model/restart-permit.ts';
import { NO_STANDBY, type ShardMap } from '../model/shard-map.ts';
import { TAG_EP_MANAGEMENT, TAG_EP_RAFT, TAG_ROLE } from '../model/tags.ts';
import { aliveCount, raftStates, shardCounts } from './cluster-reading.ts';
import { encodeMap } from '../wire/sharding/map-image.ts';
import { endpointOf } from './endpoint-directory.ts';

const NEVER = -1;

/** `now` is monotonic milliseconds, of the clock that the view's instants are of. */
export function statusMessage(view: NodeView, now: number): Status {
  const map = view.shardMap;
  const own = map?.owners.findIndex((owner) => owner.node === view.id && owner.boot === view.boot) ?? -1;
  const raft = [...raftStates(view.configuration).values()];
  return {
    nodeId: view.id,
    stamp: view.stamp,
    boot: view.boot,
    kind: view.kind,
    clusterName: view.clusterName,
    clusterId: view.clusterId ?? '',
    createdMs: view.clusterCreatedMs ?? 0,
    state: view.state,
    stateForMs: age(now, view.stateSince),
    role: view.role,
    term: view.term,
    leaderId: view.leader ?? '',
    commitIndex: view.commitIndex,
    appliedIndex: view.appliedIndex,
    voterCount: raft.filter((state) => state === 'Voter').length,
    votersDown: votersDown(view),
    learnerCount: raft.filter((state) => state !== 'Voter').length,
    memberCount: aliveCount(view),
    mapVersion: map?.version ?? 0,
    pendingVersion: view.pendingVersion ?? 0,
    shardCount: map?.shardCount ?? 0,
    shardsOwned: map === undefined || own < 0 ? 0 : (shardCounts(map)[own] ?? 0),
    holdsLease: view.holdsLease,
    room: view.room,
    restartPermit: view.restartPermit === undefined ? null : permitMessage(view.restartPermit),
    ailment: view.ailment ?? '',
    waiting: view.waiting === undefined ? null : waitingMessage(view.waiting, now),
    endpoints: [...view.endpoints].map(([name, endpoint]) => ({ name, value: formatEndpoint(endpoint) })),
  };
}

function votersDown(view: NodeView): number {
  const alive = new Set(view.members.filter(({ status }) => status === 'alive').map(({ name }) => name));
  alive.add(view.id);
  return [...raftStates(view.configuration)].filter(([node, state]) => state === 'Voter' && !alive.has(node)).length;
}

/** Every member of gossip, and every Raft member that gossip has forgotten; sorted by name. */
export function memberMessages(view: NodeView, now: number): readonly Member[] {
  const known = new Set<string>(view.members.map((member) => member.name));
  const raft = raftStates(view.configuration);
  const forgotten = [...raft].filter(([node]) => !known.has(node));
  const members = [
    ...view.members.map((member) => memberMessage(view, member, now)),
    ...forgotten.map(([node, raftState]) => ({
      name: node,
      role: node === view.leader ? 'Leader' : raftState === 'Voter' ? 'Follower' : 'NonVoter',
      kind: 'voter',
      serfState: '',
      raftState,
      heardMsAgo: NEVER,
      ageMs: 0,
    })),
  ];
  return members.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function memberMessage(view: NodeView, member: MemberView, now: number): Member & { readonly name: string } {
  const isSelf = member.name === view.id;
  return {
    name: member.name,
    role: isSelf ? view.role : roleOf(member, view.leader),
    kind: member.tags.get(TAG_ROLE) ?? '',
    serfState: member.status,
    raftState: member.raft,
    address: formatEndpoint(member.address),
    memberId: member.memberId ?? '',
    ageMs: age(now, member.knownSince),
    // A node that answers this is alive by that alone.
    heardMsAgo: isSelf ? 0 : member.lastHeard === undefined ? NEVER : age(now, member.lastHeard),
    tags: [...member.tags].map(([name, value]) => ({ name, value })),
    managementAddress: endpointOf(member, TAG_EP_MANAGEMENT),
    tagsIncomplete: !member.tagsComplete,
  };
}

export interface ShardMapParts {
  /** Owners and their counts alone, or every shard's owner, epoch and standbys too, or these in their compact form. */
  readonly parts: 'owners' | 'all' | 'packed';
}

export function shardMapMessage(map: ShardMap, { parts }: ShardMapParts): ShardMapMessage {
  const counts = shardCounts(map);
  return {
    version: map.version,
    committedAt: map.committedAt,
    shardCount: map.shardCount,
    owners: map.owners.map((owner, at) => ({
      nodeId: owner.node,
      boot: owner.boot,
      workerId: owner.workerId,
      shardCount: counts[at] ?? 0,
    })),
    nextShardCount: map.nextShardCount ?? 0,
    ownerOf: parts === 'all' ? Array.from(map.ownerOf) : [],
    epochs: parts === 'all' ? Array.from(map.epochs) : [],
    standbys: parts === 'all' ? (map.standbys ?? []).map(standbysMessage) : [],
    packed: parts === 'packed' ? Buffer.from(encodeMap(map)) : Buffer.alloc(0),
  };
}

function standbysMessage(column: Uint16Array): { ownerOf: number[] } {
  return { ownerOf: Array.from(column, (place) => (place === NO_STANDBY ? 0 : place + 1)) };
}

function permitMessage({ holder, node, leaseMs, index }: RestartPermit): RestartPermitMessage {
  return { holder, nodeId: node, leaseMs, index };
}

function waitingMessage(waiting: Waiting, now: number): WaitingMessage {
  return {
    reason: waiting.reason,
    nodes: [...waiting.nodes],
    forMs: age(now, waiting.since),
    advice: waiting.advice,
  };
}

/** The role of another member, as far as its tags and the Raft configuration tell. */
function roleOf(member: MemberView, leader: string | undefined): NodeRole {
  if (member.name === leader) return 'Leader';
  if (member.raft === 'Voter') return 'Follower';
  if (member.raft !== '') return 'NonVoter';
  const kind = member.tags.get(TAG_ROLE);
  if (kind === 'non-member') return 'NonMember';
  // A voter that no configuration names yet follows the cluster without a vote; clusterfunk's nodes do not say what they are.
  if (kind === 'voter' || kind === 'non-voter' || member.tags.has(TAG_EP_RAFT)) return 'NonVoter';
  return 'NonMember';
}

/** Whole milliseconds, never negative. */
function age(now: number, since: number): number {
  return Math.max(0, Math.round(now - since));
}
