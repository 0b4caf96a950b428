/** `import { ShardRouter, GrpcRouting } from 'funknode/routing'`: requests to the owners of their shards, from any node. */
export { FunkError } from './base/errors.ts';
export type { Endpoint } from './model/endpoint.ts';
export type { LogIndex, NodeId, ShardId } from './model/ids.ts';
export {
  fastShardOfBytes,
  fastShardOfInteger,
  fastShardOfString,
  ShardKeyError,
  shardOfBytes,
  shardOfInteger,
  shardOfString,
} from './model/shard-functions.ts';
export type { Ownership } from './model/shard-map.ts';
export {
  GrpcRouting,
  type GrpcRoutingOptions,
  type MethodRoute,
  servedOwnership,
  type ServiceRoutes,
} from './routing/grpc-routing.ts';
export { HttpRouting, type HttpRoutingOptions, type ShardOf } from './routing/http-routing.ts';
export type { OwnerTls, OwnerTlsSettings } from './routing/owner-tls.ts';
export { type KnownOwner, RouteAbandonedError, RouteError } from './routing/route-error.ts';
export {
  HEADER_ENDPOINT,
  HEADER_EPOCH,
  HEADER_HOPS,
  HEADER_MAP,
  HEADER_OWNER,
  HEADER_REASON,
  HEADER_REDIRECT,
  HEADER_SHARD,
  HOPS_MAX,
  type RouteReason,
} from './routing/route-headers.ts';
export { type RoutedNode, ShardRouter, type ShardRouterOptions } from './routing/shard-router.ts';
