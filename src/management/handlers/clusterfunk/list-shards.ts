/** managepb ListShards: how many shards each node owns, by the map of the node that was asked. */
import type { ListShardsRequest__Output } from '../../../gen/managepb/ListShardsRequest.ts';
import type { ListShardsResponse } from '../../../gen/managepb/ListShardsResponse.ts';
import { NOT_OPERATIONAL, requireOperational, shardInfos } from '../../cluster-reading.ts';
import { NotOperationalError } from '../../errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { orRefusal } from './refusal.ts';

export function listShards(
  context: HandlerContext,
  call: UnaryCall<ListShardsRequest__Output>,
): Promise<ListShardsResponse> {
  return orRefusal(context, call, () => {
    const view = context.handle.view();
    requireOperational(view);
    if (view.shardMap === undefined) throw new NotOperationalError(NOT_OPERATIONAL);
    const total = view.shardMap.shardCount;
    return { nodeId: view.id, shards: [...shardInfos(view.shardMap)], totalShards: total, totalWeight: total };
  });
}
