/** funk.v1 PlanShards: what the leader would plan if. Nothing changes. */
import type { PlanShardsRequest__Output } from '../../../gen/funk/v1/PlanShardsRequest.ts';
import type { PlanShardsResponse } from '../../../gen/funk/v1/PlanShardsResponse.ts';
import { requireNodeId } from '../../arguments.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { changeOfMessage, planMessage } from '../../shard-reading.ts';

export function planShards(
  context: HandlerContext,
  call: UnaryCall<PlanShardsRequest__Output>,
): Promise<PlanShardsResponse> {
  const { handle, protos } = context;
  const { without, joined, change } = call.request;
  const question = {
    without: without.map(requireNodeId),
    joined: joined.map(requireNodeId),
    change: changeOfMessage(change),
  };
  return atLeader<PlanShardsRequest__Output, PlanShardsResponse, PlanShardsResponse>(context, call, {
    here: async () => planMessage(await handle.planShards(question, { signal: call.signal }), handle.view().id),
    method: protos.node.PlanShards,
    there: (response) => response,
  });
}
