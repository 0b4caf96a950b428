/** Which handler answers which method, per service. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { addNode } from './handlers/clusterfunk/add-node.ts';
import { confirmShardMap } from './handlers/clusterfunk/confirm-shard-map.ts';
import { findEndpoint } from './handlers/clusterfunk/find-endpoint.ts';
import { getStatus } from './handlers/clusterfunk/get-status.ts';
import { listEndpoints } from './handlers/clusterfunk/list-endpoints.ts';
import { listNodes } from './handlers/clusterfunk/list-nodes.ts';
import { listShards } from './handlers/clusterfunk/list-shards.ts';
import { removeNode } from './handlers/clusterfunk/remove-node.ts';
import { stepDown } from './handlers/clusterfunk/step-down.ts';
import { addNodeAsVoter } from './handlers/node/add-node.ts';
import { backup } from './handlers/node/backup.ts';
import { configureShards } from './handlers/node/configure-shards.ts';
import { DRAIN_BOUND_MS, drain, undrain } from './handlers/node/drain.ts';
import { forceLeave } from './handlers/node/force-leave.ts';
import { getShardDistribution } from './handlers/node/get-shard-distribution.ts';
import { getShardMap } from './handlers/node/get-shard-map.ts';
import { getNodeStatus } from './handlers/node/get-status.ts';
import { join } from './handlers/node/join.ts';
import { listNodeEndpoints } from './handlers/node/list-endpoints.ts';
import { listMembers } from './handlers/node/list-members.ts';
import { MANAGE_KEYS_BOUND_MS, manageKeys } from './handlers/node/manage-keys.ts';
import { owns } from './handlers/node/owns.ts';
import { planShards } from './handlers/node/plan-shards.ts';
import { query } from './handlers/node/query.ts';
import { removeNodeFromCluster } from './handlers/node/remove-node.ts';
import { giveRestartPermit, takeRestartPermit } from './handlers/node/restart-permit.ts';
import { roundTrip } from './handlers/node/round-trip.ts';
import { sendEvent } from './handlers/node/send-event.ts';
import { stepDownFromLeading } from './handlers/node/step-down.ts';
import { type WatchLimits, watch } from './handlers/node/watch.ts';
import { deleteKeys } from './handlers/kv/delete.ts';
import { exchange } from './handlers/kv/exchange.ts';
import { putKey } from './handlers/kv/put.ts';
import { rangeKeys } from './handlers/kv/range.ts';
import { closeSession, openSession } from './handlers/kv/sessions.ts';
import { transact } from './handlers/kv/txn.ts';
import type { OpenStreams } from './open-streams.ts';
import { KV_SERVICE, LEADER_SERVICE, MANAGEMENT_SERVICE, NODE_SERVICE } from './protos.ts';
import { CALL_BOUND_MS, type HandlerContext, type UnaryHandler, unary } from './rpc.ts';

export function clusterManagement(context: HandlerContext): UntypedServiceImplementation {
  const rpc = methodsOf(context, MANAGEMENT_SERVICE);
  return {
    ...rpc('GetStatus', getStatus),
    ...rpc('ListNodes', listNodes),
    ...rpc('AddNode', addNode),
    ...rpc('RemoveNode', removeNode),
    ...rpc('StepDown', stepDown),
    ...rpc('ListShards', listShards),
    ...rpc('FindEndpoint', findEndpoint),
    ...rpc('ListEndpoints', listEndpoints),
  };
}

export function clusterLeader(context: HandlerContext): UntypedServiceImplementation {
  return methodsOf(context, LEADER_SERVICE)('ConfirmShardMap', confirmShardMap);
}

export function nodeService(
  context: HandlerContext,
  streams: OpenStreams,
  limits: WatchLimits | undefined,
): UntypedServiceImplementation {
  const rpc = methodsOf(context, NODE_SERVICE);
  return {
    ...rpc('Owns', owns),
    ...rpc('GetStatus', getNodeStatus),
    ...rpc('ListMembers', listMembers),
    ...rpc('ListEndpoints', listNodeEndpoints),
    ...rpc('GetShardMap', getShardMap),
    ...rpc('GetShardDistribution', getShardDistribution),
    ...rpc('PlanShards', planShards),
    ...rpc('ConfigureShards', configureShards),
    ...rpc('AddNode', addNodeAsVoter),
    ...rpc('RemoveNode', removeNodeFromCluster),
    ...rpc('StepDown', stepDownFromLeading),
    ...rpc('Drain', drain, DRAIN_BOUND_MS),
    ...rpc('Undrain', undrain),
    ...rpc('TakeRestartPermit', takeRestartPermit),
    ...rpc('GiveRestartPermit', giveRestartPermit),
    ...rpc('Join', join),
    ...rpc('RoundTrip', roundTrip),
    ...rpc('SendEvent', sendEvent),
    ...rpc('ForceLeave', forceLeave),
    ...rpc('ManageKeys', manageKeys, MANAGE_KEYS_BOUND_MS),
    Watch: watch(context, streams, limits),
    Query: query(context, streams),
    Backup: backup(context, streams),
  };
}

export function kvService(context: HandlerContext, streams: OpenStreams): UntypedServiceImplementation {
  const rpc = methodsOf(context, KV_SERVICE);
  return {
    ...rpc('Range', rangeKeys),
    ...rpc('Put', putKey),
    ...rpc('Delete', deleteKeys),
    ...rpc('Txn', transact),
    ...rpc('OpenSession', openSession),
    ...rpc('CloseSession', closeSession),
    Exchange: exchange(context, streams),
  };
}

type Methods = <Request, Response>(
  name: string,
  handler: UnaryHandler<Request, Response>,
  boundMs?: number,
) => UntypedServiceImplementation;

function methodsOf(context: HandlerContext, service: string): Methods {
  return (name, handler, boundMs = CALL_BOUND_MS) => ({
    [name]: unary(context, { method: `${service}/${name}`, handler, boundMs }),
  });
}
