/** Whom to ask for a shard: the owner by the newest map, or by the word of a node that knows a newer one. */
import { type ClusterPicture, type ClusterSource, endpointTag, liveEndpoints } from '../../model/cluster-source.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../model/endpoint.ts';
import type { LogIndex, NodeId, ShardId } from '../../model/ids.ts';
import type { ShardMap } from '../../model/shard-map.ts';
import type { RouteAnswer } from '../route-headers.ts';

/** A node to send to. */
export interface Target {
  /** Undefined when any node will do. */
  readonly shard: ShardId | undefined;
  readonly node: NodeId;
  readonly endpoint: Endpoint;
  /** `host:port`. */
  readonly address: string;
  /** The map by which it was chosen; undefined when there was none. */
  readonly map: LogIndex | undefined;
}

/** Nobody to send to now, and why: for people. */
export interface NoTarget {
  readonly why: string;
}

/** Which shard a request is for, once the number of shards is known. @throws when its key is none. */
export type ShardOf = (shardCount: number) => number;

interface Hint {
  readonly owner: NodeId;
  readonly endpoint: Endpoint | undefined;
  /** The map that says so; undefined when the answer did not tell. */
  readonly map: LogIndex | undefined;
  /** The map that the request was sent by. */
  readonly askedBy: LogIndex;
}

/** One per shard at most, and shards are at most 65,535; in a calm cluster there is none. */
const HINTS_MAX = 65_536;

export class OwnerBook {
  readonly #source: ClusterSource;
  readonly #tag: string;
  readonly #hints: Map<ShardId, Hint> = new Map();
  #picture: ClusterPicture | undefined;
  #endpoints: ReadonlyMap<string, Endpoint> = new Map();
  #turn = 0;

  /** `endpoint`: the name that the service is published under; `ep.` may be left out. */
  constructor(source: ClusterSource, endpoint: string) {
    this.#source = source;
    this.#tag = endpointTag(endpoint);
  }

  get tag(): string {
    return this.#tag;
  }

  /** Live endpoints of the service, by node. */
  endpoints(): ReadonlyMap<string, Endpoint> {
    const picture = this.#source.picture();
    if (picture !== this.#picture) {
      this.#picture = picture;
      this.#endpoints = liveEndpoints(picture?.members ?? [], this.#tag);
    }
    return this.#endpoints;
  }

  /** The owner of the shard that `shardOf` names; without it any node, in turn. Throws what `shardOf` throws. */
  choose(shardOf: ShardOf | undefined): Target | NoTarget {
    const endpoints = this.endpoints();
    const map = this.#picture?.shardMap;
    if (shardOf === undefined) return this.#anyOf(endpoints, map);
    if (map === undefined) return { why: 'no shard map is known yet' };
    const shard = shardOf(map.shardCount) as ShardId;
    const index = map.ownerOf[shard];
    if (index === undefined) throw new RangeError(`${shard} is no shard of ${map.shardCount}`);
    const hint = this.#hintFor(shard, map);
    const node = hint?.owner ?? map.owners[index]?.node;
    if (node === undefined) return { why: `shard ${shard} has no owner` };
    const endpoint = endpoints.get(node) ?? hint?.endpoint;
    if (endpoint === undefined) return { why: `${node}, the owner of shard ${shard}, publishes no live ${this.#tag}` };
    return { shard, node, endpoint, address: formatEndpoint(endpoint), map: hint?.map ?? map.version };
  }

  /** Takes in what an answer says of the owner. Whether it names another one than was asked: then asking again makes sense at once. */
  learn(asked: Target, answer: RouteAnswer): boolean {
    const { shard, map: askedBy } = asked;
    if (shard === undefined || askedBy === undefined || answer.owner === undefined || answer.owner === asked.node)
      return false;
    const held = this.#picture?.shardMap?.version ?? 0;
    if (answer.map !== undefined && answer.map < held) return false;
    if (this.#hints.size >= HINTS_MAX) this.#hints.clear();
    const endpoint = answer.endpoint === undefined ? undefined : parseEndpoint(answer.endpoint);
    this.#hints.set(shard, { owner: answer.owner, endpoint, map: answer.map, askedBy });
    return true;
  }

  /** Nothing answers where a hint led: back to the map. */
  forget({ shard }: Target): void {
    if (shard !== undefined) this.#hints.delete(shard);
  }

  #anyOf(endpoints: ReadonlyMap<string, Endpoint>, map: ShardMap | undefined): Target | NoTarget {
    const all = [...endpoints];
    this.#turn = (this.#turn + 1) % Math.max(1, all.length);
    const chosen = all[this.#turn];
    if (chosen === undefined) return { why: `no live node of the cluster publishes ${this.#tag}` };
    const [node, endpoint] = chosen;
    return { shard: undefined, node: node as NodeId, endpoint, address: formatEndpoint(endpoint), map: map?.version };
  }

  /** A hint holds until our own map is as new as what it came from. */
  #hintFor(shard: ShardId, map: ShardMap): Hint | undefined {
    const hint = this.#hints.get(shard);
    if (hint === undefined) return undefined;
    const isNewer = hint.map === undefined ? hint.askedBy >= map.version : hint.map > map.version;
    if (!isNewer) this.#hints.delete(shard);
    return isNewer ? hint : undefined;
  }
}
