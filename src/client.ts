/** `import { connectManagement } from 'funknode/client'`: watching and steering nodes from outside, without running one. */
export { FunkError } from './base/errors.ts';
export {
  type ConnectOptions,
  connectManagement,
  MANAGEMENT_PORT,
  type ManagementCallOptions,
  type ManagementClient,
} from './management/client.ts';
export { CallRefusedError, InvalidEndpointError, TimedOutError, UnreachableError } from './management/client-errors.ts';
export type {
  ClusterEndpoint,
  ClusterMember,
  ClusterNode,
  ClusterShardMap,
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
export type { Endpoint } from './model/endpoint.ts';
export type { KeyOperation } from './model/gossip-request.ts';
