/** funknode as a library: a node in this process. The tools for talking to a node elsewhere are in `funknode/client`. */
export { FunkError } from './base/errors.ts';
export type { ClusterReader } from './cluster-reader.ts';
export type { NodeStreams } from './events/node-streams.ts';
export { LivenessSettingsError } from './liveness/errors.ts';
export { type Endpoint, formatEndpoint, parseEndpoint } from './model/endpoint.ts';
export type { EndpointChange } from './model/endpoint-table.ts';
export type { Boot, ClusterId, LogIndex, NodeId, ShardId, Term } from './model/ids.ts';
export type { Member, MemberStatus } from './model/member.ts';
export type { NodeEvent } from './model/node-event.ts';
export type { NodeKind, NodeRole, NodeState } from './model/node-state.ts';
export type { NodeStats } from './model/node-stats.ts';
export type { RestartPermit } from './model/restart-permit.ts';
export type { MemberView, NodeView, Waiting } from './model/node-view.ts';
export type { FormerOwner, Owner, OwnerPair, Ownership, ReleaseEnd, ShardMap } from './model/shard-map.ts';
export { FunkNode, type FunkNodeHooks } from './node.ts';
export { ConfigError, type NodeConfig, type NodeOptions, resolveNodeConfig } from './node-config.ts';
export { NodeThreadError, NotRunningError } from './node-runner.ts';
export type { Logger, LogLevel } from './ports/logger.ts';
export {
  type IncomingQuery,
  NodeGossip,
  type QueryAnswer,
  type QueryCounts,
  type QueryOptions,
  type UserEvent,
} from './node-gossip.ts';
export {
  AlreadyMemberError,
  JoinFailedError,
  NotLeaderError,
  OutcomeUnknownError,
  RefusedError,
  StoppedError,
  StorageShortError,
  TagsTooLargeError,
  UnknownNodeError,
} from './runtime/handle-errors.ts';
export { LivenessChecker, type LivenessCheckerOptions } from './runtime/liveness-checker.ts';
export { LivenessEndpoint } from './runtime/liveness-endpoint.ts';
export type { NodeHandle, PermitRequest } from './runtime/node-handle.ts';
export {
  type KvBytes,
  type KvCallOptions,
  KvClient,
  type KvKeys,
  type KvRangeAnswer,
  type KvRangeOptions,
  type KvReadOptions,
  type KvTxnAnswer,
} from './runtime/kv-client.ts';
export {
  BusyError,
  InvalidKvRequestError,
  NoLeaderError,
  ReplyGoneError,
  SessionExpiredError,
  SessionMisusedError,
  StoreFullError,
  TooLargeError,
} from './runtime/kv-errors.ts';
export type { KeyValue, KvCompare, KvMutation, KvOperation, KvResult, Revision } from './model/kv.ts';
export {
  type AcquiredShard,
  HandOverRefusedError,
  type HookEnd,
  HookOverError,
  type ReleasedShard,
  type ShardAcquisition,
  type ShardHooks,
  type ShardRelease,
} from './ports/shard-hooks.ts';
