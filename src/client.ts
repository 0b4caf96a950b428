/** `import { connectManagement } from 'funknode/client'`: watching and steering nodes from outside, without running one. */
export {
  type ClusterEndpoint,
  type ClusterMember,
  type ClusterNode,
  type ClusterShardMap,
  type ConnectOptions,
  connectManagement,
  MANAGEMENT_PORT,
  type ManagementCallOptions,
  type ManagementClient,
  type NodeNotice,
  type NodeStatus,
  type ShardAnswer,
  type WatchChange,
} from './management/client.ts';
export { CallRefusedError, InvalidEndpointError, TimedOutError, UnreachableError } from './management/client-errors.ts';
