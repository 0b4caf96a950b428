/** The picture of a cluster as the messages of a watch paint it. */
import { NO_STANDBY, type ShardMap as ShardMapModel } from '../model/shard-map.ts';
import type { ClusterPicture, SeenMember } from '../model/cluster-source.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import { type Boot, type ClusterId, isClusterId, isNodeId, type LogIndex, type NodeId } from '../model/ids.ts';
import type { MemberStatus } from '../model/member.ts';
import type { ClusterMember, ClusterShardMap, NodeStatus, WatchChange } from './client-messages.ts';

const STATUSES: readonly MemberStatus[] = ['none', 'alive', 'leaving', 'left', 'failed'];
const NOWHERE = { host: '0.0.0.0', port: 0 };

/** Takes in a watch, message by message. Until `isSynced` it is not whole. */
export class PaintedPicture {
  readonly #members: Map<string, ClusterMember> = new Map();
  #status: NodeStatus | undefined;
  #map: ShardMapModel | undefined;
  #isSynced = false;

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Of the node that tells it; undefined before its first word. */
  get status(): NodeStatus | undefined {
    return this.#status;
  }

  get members(): readonly ClusterMember[] {
    return [...this.#members.values()];
  }

  take(change: WatchChange): void {
    switch (change.kind) {
      case 'status':
        this.#status = change.status;
        return;
      case 'members':
        this.#members.clear();
        for (const member of change.members) this.#members.set(member.name, member);
        return;
      case 'member':
        this.#members.set(change.member.name, change.member);
        return;
      case 'memberRemoved':
        this.#members.delete(change.name);
        return;
      case 'shardMap':
        this.#map = shardMapOf(change.shardMap);
        return;
      case 'synced':
        this.#isSynced = true;
        return;
      // Nobody has asked for changes of maps, and what is agreed on shows in the maps.
      case 'shardMapDelta':
      case 'shardSettings':
      case 'notice':
        return;
    }
  }

  /** The same for everyone who looks on, whichever node tells it. `before`: what was known from another node. */
  picture(before: ClusterPicture | undefined): ClusterPicture | undefined {
    const status = this.#status;
    if (status === undefined) return undefined;
    const clusterId = isClusterId(status.clusterId) ? status.clusterId : undefined;
    const members = this.members.flatMap((member) => seenMember(member) ?? []);
    return {
      clusterName: status.clusterName,
      clusterId,
      leader: isNodeId(status.leaderId) ? status.leaderId : undefined,
      members: members.sort((a, b) => (a.name < b.name ? -1 : 1)),
      shardMap: newestMap({ clusterId, map: this.#map, before }),
    };
  }
}

/** A node that lags, or one that keeps no map, does not make us forget a newer one of the same cluster. */
function newestMap({
  clusterId,
  map,
  before,
}: {
  readonly clusterId: ClusterId | undefined;
  readonly map: ShardMapModel | undefined;
  readonly before: ClusterPicture | undefined;
}): ShardMapModel | undefined {
  const isSameCluster = clusterId === undefined || before?.clusterId === undefined || before.clusterId === clusterId;
  const held = isSameCluster ? before?.shardMap : undefined;
  if (map === undefined || held === undefined) return map ?? held;
  return map.committedAt >= held.committedAt ? map : held;
}

/** Undefined for a Raft member that gossip has forgotten. */
function seenMember({ name, serfState, address, tags }: ClusterMember): SeenMember | undefined {
  const status = STATUSES.find((one) => one === serfState);
  if (status === undefined) return undefined;
  return { name, status, address: parseEndpoint(address) ?? NOWHERE, tags: new Map(Object.entries(tags)) };
}

/** Undefined when its parts do not fit each other, or only its owners were told. */
export function shardMapOf(message: ClusterShardMap): ShardMapModel | undefined {
  const { version, committedAt, shardCount, nextShardCount, owners, ownerOf, epochs, standbys } = message;
  const slots = shardCount + nextShardCount;
  if (ownerOf.length !== slots || epochs.length !== slots) return undefined;
  if (standbys.some((column) => column.ownerOf.length !== slots)) return undefined;
  if (ownerOf.some((index) => index >= owners.length)) return undefined;
  return {
    version: version as LogIndex,
    committedAt: committedAt as LogIndex,
    shardCount,
    ...(nextShardCount > 0 && { nextShardCount }),
    owners: owners.map(({ nodeId, boot, workerId }) => ({ node: nodeId as NodeId, boot: boot as Boot, workerId })),
    ownerOf: Uint16Array.from(ownerOf),
    epochs: Float64Array.from(epochs),
    ...(standbys.length > 0 && {
      standbys: standbys.map((column) => Uint16Array.from(column.ownerOf, (at) => (at === 0 ? NO_STANDBY : at - 1))),
    }),
  };
}
