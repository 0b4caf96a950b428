/**
 * `import { openClusterReader } from 'funknode/client'`: reading a cluster, calling the services behind it, and watching and steering its nodes,
 * without being one.
 */
export { FunkError } from './base/errors.ts';
export {
  ClusterReader,
  type NamedEndpoint,
  openClusterReader,
  ReaderClosedError,
  type ReaderOptions,
} from './cluster-reader.ts';
export type { EndpointFollowOptions, FollowOptions } from './events/picture-feed.ts';
export {
  type ConnectOptions,
  connectManagement,
  MANAGEMENT_PORT,
  type ManagementCallOptions,
  type ManagementClient,
  type WatchOptions,
} from './management/client.ts';
export { connectKv } from './management/kv-stream.ts';
export type { KeyValue, KvCompare, KvMutation, KvOperation, KvResult, Revision } from './model/kv.ts';
export type {
  KvBytes,
  KvCallOptions,
  KvClient,
  KvKeys,
  KvRangeAnswer,
  KvRangeOptions,
  KvReadOptions,
  KvTxnAnswer,
} from './runtime/kv-client.ts';
export {
  CallRefusedError,
  InvalidEndpointError,
  TimedOutError,
  UnreachableError,
  WrongClusterError,
} from './management/client-errors.ts';
export type {
  ClusterEndpoint,
  ClusterMember,
  ClusterNode,
  ClusterShardMap,
  ClusterShardMapDelta,
  KeysAnswer,
  MemberList,
  MemberQuestion,
  NodeNotice,
  NodeStatus,
  QueryMessage,
  QueryQuestion,
  RoundTripEstimate,
  ShardAnswer,
  WatchChange,
} from './management/client-messages.ts';
export type {
  ShardPlan,
  ShardQuestion,
  ShardSettingsAnswer,
  ShardSettingsChange,
  ShardStretch,
} from './management/client-shards.ts';
export { withDelta } from './management/map-delta.ts';
export type { ClusterPicture, ClusterSource, SeenMember } from './model/cluster-source.ts';
export type { Endpoint } from './model/endpoint.ts';
export type { EndpointChange } from './model/endpoint-table.ts';
export type { KeyOperation } from './model/gossip-request.ts';
export {
  fastShardOfBytes,
  fastShardOfInteger,
  fastShardOfString,
  ShardKeyError,
  shardOfBytes,
  shardOfInteger,
  shardOfString,
} from './model/shard-functions.ts';
export type { Owner, ShardMap } from './model/shard-map.ts';
export {
  CLUSTER_CHANNEL_OPTIONS,
  type ClusterSchemeOptions,
  serveClusterScheme,
} from './routing/client/cluster-resolver.ts';
export { ResolverInterfaceError, SchemeTakenError } from './routing/client/errors.ts';
export type { ShardOf } from './routing/client/owner-book.ts';
export type { RequestShard, ShardCallCounts, ShardCalls, ShardCallsOptions } from './routing/client/shard-calls.ts';
export {
  NoOwnerError,
  type ShardFetch,
  type ShardFetchOptions,
  type ShardRequest,
} from './routing/client/shard-fetch.ts';
export { shardCalls, shardFetch } from './shard-clients.ts';
