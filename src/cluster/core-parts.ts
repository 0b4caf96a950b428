/** Puts the cores of one membership together: replica, ownership, the leader's housekeeping and the desk of the coordination state. */
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { EtcdLogEffect } from '../etcd/messages.ts';
import type { Boot, MemberId, RequestId } from '../model/ids.ts';
import type { RaftEvent, RaftOutcome } from '../raft/messages.ts';
import { Sharding } from '../sharding/sharding.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import { type ClusterConfig, ownTiming } from './config.ts';
import type { Core } from './core.ts';
import { Holding } from './holding.ts';
import { KvDesk } from './kv-desk.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { PermitDesk } from './permit-desk.ts';
import { Replica } from './replica.ts';
import { DEFAULT_SNAPSHOT_POLICY } from './snapshot-schedule.ts';
import { Steward } from './steward.ts';

export interface CoreHost {
  readonly config: ClusterConfig;
  readonly random: Random;
  readonly neighbourhood: Neighbourhood;
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  onRaftEvent(event: RaftEvent, now: MonotonicMs, effects: ClusterEffect[]): void;
  /** A standalone etcd says which cluster this is. */
  onBelongs(cluster: Extract<EtcdLogEffect, { kind: 'belongs' }>, now: MonotonicMs, effects: ClusterEffect[]): void;
  /** To a request that none of the cores made. */
  onRaftReply(requestId: RequestId, outcome: RaftOutcome, effects: ClusterEffect[]): void;
  wallMs(now: MonotonicMs): number;
  /** Something of the log was applied. */
  onApplied(effects: ClusterEffect[]): void;
  nextRequestId(): RequestId;
}

export function makeCore(host: CoreHost, self: MemberId, boot: Boot, now: MonotonicMs): Core {
  const { config, random, neighbourhood } = host;
  const send: CoreHost['send'] = (to, message, effects) => host.send(to, message, effects);
  const nextRequestId = (): RequestId => host.nextRequestId();
  const replica: Replica = makeReplica(host, () => core);
  const wallOffsetMs = host.wallMs(0);
  const identity = { node: config.nodeId, boot, dirLocked: config.isDirectoryLocked, wallOffsetMs };
  const holding = new Holding(new Sharding(config.sharding, identity, random, now), {
    self,
    boot,
    replica,
    send,
    memberOf: (node) => neighbourhood.peer(node)?.member,
    nextRequestId,
    hasReleaseHook: config.hasReleaseHook,
    clusterName: config.clusterName,
    ownTiming: ownTiming(config),
    hasAcquireHook: config.hasAcquireHook,
  });
  const steward = new Steward({
    self,
    replica,
    neighbourhood,
    votersWanted: config.votersWanted,
    isAutoJoin: config.isAutoJoin,
    hasVoters: config.etcd === undefined,
    clusterAgeMs: (at) => host.wallMs(at) - (replica.state.founding?.createdMs ?? 0),
    nextRequestId,
  });
  const kv = new KvDesk({
    self,
    replica,
    neighbourhood,
    random,
    hasLeaseReads: config.hasLeaseReads ?? false,
    send,
    wallMs: (at) => host.wallMs(at),
    nextRequestId,
  });
  const permits = new PermitDesk({
    replica,
    holding,
    unsteady: (at) => steward.unsteady(at),
    nextRequestId,
  });
  const core: Core = { self, replica, holding, steward, permits, kv };
  return core;
}

function makeReplica(host: CoreHost, core: () => Core): Replica {
  const { config, random } = host;
  return new Replica(
    config.raft,
    config.snapshots ?? DEFAULT_SNAPSHOT_POLICY,
    {
      send: (to, message, effects) => host.send(to, message, effects),
      onRaftEvent: (event, now, effects) => host.onRaftEvent(event, now, effects),
      onRaftReply: (requestId, outcome, now, effects) => {
        const { steward, kv } = core();
        if (kv.onRaftReply(requestId, outcome, now) || steward.onRaftReply(requestId, outcome, now, effects)) return;
        host.onRaftReply(requestId, outcome, effects);
      },
      onCommand: (entry, applied, now, effects) => {
        const { holding, permits, kv } = core();
        if (applied.kind === 'shard') holding.onShardCommand(entry, applied.bytes, now, effects);
        else if (applied.kind === 'kv') kv.onReplies(entry, applied.replies);
        else if (applied.kind === 'permit') permits.onApplied(now, effects);
      },
      onApplied: (index, now, effects) => {
        const { holding, kv } = core();
        holding.onApplied(index, now, effects);
        kv.onApplied(index);
        host.onApplied(effects);
      },
      onImage: (index, image, now, effects) => {
        const { holding, kv } = core();
        holding.step({ kind: 'imageInstalled', index, image }, now, effects);
        kv.onImage(index);
      },
      onBelongs: (cluster, now, effects) => host.onBelongs(cluster, now, effects),
      shardImage: () => core().holding.sharding.image(),
    },
    random,
  );
}
