/**
 * What clients need to know of a cluster, whoever tells it: a node of this process, or a watch of one elsewhere. A source shows the present and
 * says that it changed; nothing queues up for a slow listener, since there is nothing to miss but states that are over.
 */
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import type { ClusterId, NodeId } from './ids.ts';
import type { Member } from './member.ts';
import type { ShardMap } from './shard-map.ts';
import { ENDPOINT_ALIASES } from './tags.ts';

/** A gossip member, as far as it looks the same from inside the cluster and from outside. */
export type SeenMember = Pick<Member, 'name' | 'address' | 'status' | 'tags'>;

/** What is known at one instant. Never changed once it is shown. */
export interface ClusterPicture {
  readonly clusterName: string;
  /** Undefined while the node that tells it belongs to none. */
  readonly clusterId: ClusterId | undefined;
  /** Undefined while nobody is known to lead. */
  readonly leader: NodeId | undefined;
  /** Sorted by name. */
  readonly members: readonly SeenMember[];
  /** The active map; undefined before the first one. */
  readonly shardMap: ShardMap | undefined;
}

export interface ClusterSource {
  /** The newest picture, the same object until something changes; undefined before there is one. Cheap. */
  picture(): ClusterPicture | undefined;
  /** Calls `listener` after changes, never from within `subscribe` or `picture`. It must be quick and must not throw. Returns the function that ends it. */
  subscribe(listener: () => void): () => void;
}

/** `ep.<name>`, whether `ep.` was written or not. */
export function endpointTag(name: string): string {
  return name.startsWith('ep.') ? name : `ep.${name}`;
}

/** Live endpoints of a name (`ep.` may be left out), by node, in the order of the members. What is no address is left out. */
export function liveEndpoints(members: readonly SeenMember[], name: string): Map<string, Endpoint> {
  const tag = endpointTag(name);
  const found = new Map<string, Endpoint>();
  for (const { name: node, status, tags } of members) {
    if (status !== 'alive') continue;
    const endpoint = parseEndpoint(tags.get(tag) ?? tags.get(ENDPOINT_ALIASES[tag] ?? '') ?? '');
    if (endpoint !== undefined && endpoint.port !== 0) found.set(node, endpoint);
  }
  return found;
}

/** Who owns `shard` by the map of `picture`; undefined without a map, an owner or such a shard. */
export function ownerOf(picture: ClusterPicture | undefined, shard: number): NodeId | undefined {
  const map = picture?.shardMap;
  const index = map?.ownerOf[shard];
  return index === undefined ? undefined : map?.owners[index]?.node;
}
