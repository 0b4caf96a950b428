/**
 * What routers, clients and owners say to each other beside a request. Names are lower case and serve as gRPC metadata and as HTTP headers alike.
 *
 * | name | in | says |
 * |---|---|---|
 * | `funknode-shard` | request | the sender's idea of the shard, decimal: a hint for whoever looks on; the receiver's own key function decides |
 * | `funknode-hops` | request | how many routers it has passed, decimal; absent is 0. A router that would make it more than its limit refuses |
 * | `funknode-map` | request | the version of the map by which the sender chose this receiver. One with an older map waits until it has caught up, so stale maps cannot send a request round in circles |
 * | `funknode-redirect` | request | `1`: do not pass it on; say who owns the shard |
 * | `funknode-owner` | every answer | the node that served, or that owns the shard |
 * | `funknode-epoch` | answer of an owner | the fencing token under which it served |
 * | `funknode-endpoint` | answer "moved" | `host:port` at which the owner publishes this service |
 * | `funknode-map` | answer "moved" | the version of the map that says so |
 * | `funknode-reason` | refusal by a router | one of {@link RouteReason} |
 *
 * "Moved" is FAILED_PRECONDITION in gRPC and 421 in HTTP; the application has not seen the request.
 */
import type { LogIndex, NodeId } from '../model/ids.ts';
import { isNodeId } from '../model/ids.ts';

export const HEADER_SHARD = 'funknode-shard';
export const HEADER_HOPS = 'funknode-hops';
export const HEADER_MAP = 'funknode-map';
export const HEADER_REDIRECT = 'funknode-redirect';
export const HEADER_OWNER = 'funknode-owner';
export const HEADER_EPOCH = 'funknode-epoch';
export const HEADER_ENDPOINT = 'funknode-endpoint';
export const HEADER_REASON = 'funknode-reason';

/** A request passes this many routers at most, unless they are set to another limit. A stale sender costs one, a move under way another. */
export const HOPS_MAX = 3;

/** Why a router did not bring a request to the owner. */
export type RouteReason =
  /** The owner is another node, and the sender asked not to be proxied. */
  | 'moved'
  /** No shard can be told from the request. */
  | 'bad-key'
  /** It has passed as many routers as it may. */
  | 'too-many-hops'
  /** As many requests wait already as may. */
  | 'queue-full'
  /** The shard was on its way from one owner to another for as long as the request could wait. */
  | 'moving'
  /** No map, or no owner, became known in that time. */
  | 'no-owner'
  /** This router did not get to know the sender's newer map in that time. */
  | 'map-behind'
  /** The owner publishes no endpoint for this service. */
  | 'no-endpoint'
  /** Nobody answered at the owner's endpoint. */
  | 'unreachable'
  /** The connection to the owner broke after the request had left: it may have taken effect. */
  | 'broken'
  /** The owner did not begin to answer in time (HTTP; in gRPC the caller's deadline says so): it may take effect yet. */
  | 'timeout'
  /** This node is stopping. */
  | 'stopping';

/** What a request says of its way so far. */
export interface RouteRequest {
  /** Undefined when absent or no decimal number. */
  readonly shard: number | undefined;
  /** Infinite when it is no decimal number: who does not count does not stop. */
  readonly hops: number;
  /** Undefined when absent or no decimal number. */
  readonly map: LogIndex | undefined;
  readonly wantsRedirect: boolean;
}

/** What an answer says of its way; each undefined when absent or unreadable. */
export interface RouteAnswer {
  readonly owner: NodeId | undefined;
  readonly epoch: LogIndex | undefined;
  /** `host:port`. */
  readonly endpoint: string | undefined;
  readonly map: LogIndex | undefined;
  readonly reason: RouteReason | undefined;
}

/** The value of a header by its lower-case name; undefined when absent. */
export type HeaderReader = (name: string) => string | undefined;

export function readRouteRequest(read: HeaderReader): RouteRequest {
  const hops = read(HEADER_HOPS);
  return {
    shard: decimal(read(HEADER_SHARD)),
    hops: hops === undefined ? 0 : (decimal(hops) ?? Number.POSITIVE_INFINITY),
    map: decimal(read(HEADER_MAP)) as LogIndex | undefined,
    wantsRedirect: read(HEADER_REDIRECT) === '1',
  };
}

export function readRouteAnswer(read: HeaderReader): RouteAnswer {
  const owner = read(HEADER_OWNER);
  const reason = read(HEADER_REASON);
  return {
    owner: owner !== undefined && isNodeId(owner) ? owner : undefined,
    epoch: decimal(read(HEADER_EPOCH)) as LogIndex | undefined,
    endpoint: read(HEADER_ENDPOINT),
    map: decimal(read(HEADER_MAP)) as LogIndex | undefined,
    reason: reason !== undefined && isRouteReason(reason) ? reason : undefined,
  };
}

const REASONS: Readonly<Record<RouteReason, true>> = {
  moved: true,
  'bad-key': true,
  'too-many-hops': true,
  'queue-full': true,
  moving: true,
  'no-owner': true,
  'map-behind': true,
  'no-endpoint': true,
  unreachable: true,
  broken: true,
  timeout: true,
  stopping: true,
};

export function isRouteReason(text: string): text is RouteReason {
  return Object.hasOwn(REASONS, text);
}

/** A number as these headers write it; longer ones are no safe integers. */
function decimal(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
