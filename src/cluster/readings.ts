/** Readings of the node for those outside: its view and its numbers. */
import type { MonotonicMs } from '../base/machine.ts';
import type { Liveness } from '../liveness/liveness.ts';
import type { Ailment } from '../model/ailment.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { LogIndex, MemberId, NodeId } from '../model/ids.ts';
import { nodeIdOf, NO_INDEX, NO_TERM } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { Member } from '../model/member.ts';
import type { NodeRole, NodeState } from '../model/node-state.ts';
import type { NodeStats } from '../model/node-stats.ts';
import type { MemberView, NodeView, Waiting } from '../model/node-view.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { Serf } from '../serf/serf.ts';
import type { ClusterConfig } from './config.ts';
import type { Holding } from './holding.ts';
import type { KvDesk } from './kv-desk.ts';
import type { Neighbourhood, Peer } from './neighbourhood.ts';
import type { Replica } from './replica.ts';

export interface Parts {
  readonly self: MemberId;
  readonly serf: Serf;
  readonly neighbourhood: Neighbourhood;
  readonly replica: Replica;
  readonly holding: Holding;
  readonly kv: KvDesk;
  readonly liveness: Liveness;
  readonly room: StorageRoom;
  readonly ailment: Ailment | undefined;
}

export interface Standing {
  readonly state: NodeState;
  readonly stateSince: MonotonicMs;
  readonly role: NodeRole;
  readonly waiting: Waiting | undefined;
}

export interface ViewSource {
  readonly config: ClusterConfig;
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  readonly parts: Parts;
  readonly standing: Standing;
}

export function makeView({ config, endpoints, parts, standing }: ViewSource, now: MonotonicMs): NodeView {
  const { self, replica, holding, serf, neighbourhood } = parts;
  const known = replica.knownLeader(self, now);
  const configuration = replica.configuration;
  const { sharding } = holding;
  return {
    id: config.nodeId,
    stamp: stampOf(self),
    boot: holding.boot,
    kind: config.kind,
    clusterName: config.clusterName,
    clusterId: replica.clusterId,
    clusterCreatedMs: replica.state.founding?.createdMs,
    state: standing.state,
    stateSince: standing.stateSince,
    role: standing.role,
    term: known.term,
    leader: known.leader,
    members: serf
      .members()
      .map((member) => viewOf(member, neighbourhood.peer(member.name as NodeId), configuration, { serf, now })),
    configuration,
    commitIndex: replica.raft?.commitIndex ?? replica.state.appliedIndex,
    appliedIndex: replica.state.appliedIndex,
    shardMap: sharding.activeMap(),
    pendingVersion: sharding.pendingVersion,
    shardSettings: sharding.settings,
    holdsLease: now < holding.leaseUntil,
    restartPermit: replica.state.permit,
    waiting: standing.waiting,
    room: parts.room,
    ailment: parts.ailment,
    endpoints,
  };
}

export function makeStats(parts: Parts): Pick<NodeStats, 'swim' | 'serf' | 'raft' | 'kv' | 'sharding' | 'liveness'> {
  const { replica, serf, holding, liveness, kv } = parts;
  const { raft, configuration, state } = replica;
  return {
    swim: serf.swimStats,
    serf: serf.stats,
    raft:
      raft === undefined
        ? undefined
        : {
            ...raft.stats,
            term: raft.term ?? NO_TERM,
            isLeader: replica.isLeader,
            commitIndex: raft.commitIndex ?? NO_INDEX,
            appliedIndex: state.appliedIndex,
            lastIndex: raft.lastIndex,
            snapshotIndex: replica.snapshotIndex,
            voters: configuration.voters.length,
            learners: configuration.learners.length,
            messagesSent: replica.messagesSent,
            messagesReceived: replica.messagesReceived,
            messagesDropped: replica.messagesDropped,
          },
    kv: kv.stats,
    sharding: { ...holding.sharding.stats, ...holding.handOver.stats },
    liveness: liveness.stats,
  };
}

export function shardMapStatus(
  { replica, holding }: Pick<Parts, 'replica' | 'holding'>,
  version: LogIndex,
): { readonly success: boolean; readonly currentIndex: number } {
  const pending = holding.sharding.pendingVersion;
  const success = replica.isLeader && pending === version;
  return { success, currentIndex: pending ?? holding.sharding.activeMap()?.version ?? 0 };
}

function viewOf(
  member: Member,
  peer: Peer | undefined,
  configuration: Configuration,
  { serf, now }: { serf: Serf; now: MonotonicMs },
): MemberView {
  return {
    ...member,
    raft: peer === undefined ? '' : raftStateOf(peer.member, configuration),
    memberId: peer?.member,
    knownSince: serf.knownSince(member.name) ?? serf.lastHeard(member.name) ?? now,
    lastHeard: serf.lastHeard(member.name),
  };
}

function raftStateOf(member: MemberId, configuration: Configuration): MemberView['raft'] {
  if (configuration.voters.includes(member) || configuration.votersOutgoing.includes(member)) return 'Voter';
  return configuration.learners.includes(member) ? 'Nonvoter' : '';
}

function stampOf(member: MemberId): NodeView['stamp'] {
  return member.slice(nodeIdOf(member).length + 1) as NodeView['stamp'];
}
