/** Where a request belongs, from what is known at one instant. Pure: whoever waits asks again when something has changed. */
import type { Endpoint } from '../model/endpoint.ts';
import type { LogIndex, NodeId, ShardId } from '../model/ids.ts';
import { isShardOf } from '../model/shard-functions.ts';
import type { Ownership, ShardMap } from '../model/shard-map.ts';
import { RouteError } from './route-error.ts';

/** What is known of the cluster. */
export interface RouteFacts {
  readonly self: NodeId;
  /** The active map; undefined before the first. */
  readonly map: ShardMap | undefined;
  /** Whether this node serves the shard at this instant. */
  readonly owns: (shard: ShardId) => Ownership | undefined;
  /** Where the node publishes the service. */
  readonly endpointOf: (node: NodeId) => Endpoint | undefined;
  /** Routers that a request may pass. */
  readonly hopsMax: number;
}

/** What is asked, from the request and its headers. */
export interface RouteQuestion {
  /** The shard of the request among `shardCount`. May throw: then no shard can be told from it. */
  readonly shardOf: (shardCount: number) => number;
  /** Routers passed so far. */
  readonly hops: number;
  /** The map by which the sender chose this node. */
  readonly map: LogIndex | undefined;
  readonly wantsRedirect: boolean;
}

export interface Away {
  readonly kind: 'away';
  readonly shard: ShardId;
  readonly owner: NodeId;
  readonly endpoint: Endpoint;
  /** The version of the map that says so. */
  readonly map: LogIndex;
}

/** Why a request cannot be placed yet. */
export type WaitReason = 'moving' | 'no-owner' | 'map-behind' | 'no-endpoint';

export type RouteDecision =
  | { readonly kind: 'here'; readonly ownership: Ownership }
  | Away
  | { readonly kind: 'wait'; readonly reason: WaitReason; readonly message: string }
  | { readonly kind: 'refuse'; readonly error: RouteError };

export function decideRoute(facts: RouteFacts, question: RouteQuestion): RouteDecision {
  const { map, self, hopsMax } = facts;
  if (map === undefined) return wait('no-owner', 'this node knows no shard map yet');
  const shard = shardIn(question, map.shardCount);
  if (shard instanceof RouteError) return { kind: 'refuse', error: shard };
  // The lease decides, not the map: what this node may serve it serves, whatever the sender knew.
  const ownership = facts.owns(shard);
  if (ownership !== undefined) return { kind: 'here', ownership };
  if (question.map !== undefined && question.map > map.version) {
    return wait('map-behind', `the sender knows shard map ${question.map}, this node ${map.version}`);
  }
  const owner = map.owners[map.ownerOf[shard] as number]?.node;
  if (owner === undefined) return wait('no-owner', `shard ${shard} has no owner`);
  // Named by the map, but without a lease, on its way to another owner, or an earlier start of this very node.
  if (owner === self) return wait('moving', `shard ${shard} of ${owner} is not served there now (map ${map.version})`);
  const endpoint = facts.endpointOf(owner);
  const known = { owner, endpoint, map: map.version };
  if (question.wantsRedirect) {
    const error = new RouteError('moved', `shard ${shard} is owned by ${owner}`, { known });
    return { kind: 'refuse', error };
  }
  if (question.hops >= hopsMax) {
    const error = new RouteError('too-many-hops', `passed ${question.hops} routers; ${hopsMax} are allowed`, { known });
    return { kind: 'refuse', error };
  }
  if (endpoint === undefined) return wait('no-endpoint', `${owner}, which owns shard ${shard}, publishes no endpoint`);
  return { kind: 'away', shard, owner, endpoint, map: map.version };
}

function wait(reason: WaitReason, message: string): RouteDecision {
  return { kind: 'wait', reason, message };
}

function shardIn(question: RouteQuestion, shardCount: number): ShardId | RouteError {
  let shard: number;
  try {
    shard = question.shardOf(shardCount);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new RouteError('bad-key', `no shard can be told from the request: ${why}`, { cause });
  }
  if (isShardOf(shard, shardCount)) return shard;
  return new RouteError('bad-key', `${shard} is none of ${shardCount} shards`);
}
