/** managepb ListNodes: the leader's list, in the name of the node that was asked. */
import type { ListNodesRequest__Output } from '../../../gen/managepb/ListNodesRequest.ts';
import type { ListNodesResponse } from '../../../gen/managepb/ListNodesResponse.ts';
import { nodeInfos, requireOperational } from '../../cluster-reading.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { orRefusal } from './refusal.ts';

export function listNodes(
  context: HandlerContext,
  call: UnaryCall<ListNodesRequest__Output>,
): Promise<ListNodesResponse> {
  return orRefusal(context, call, () => {
    const view = context.handle.view();
    requireOperational(view);
    return atLeader<object, ListNodesResponse, ListNodesResponse>(context, call, {
      here: () => ({ nodeId: view.id, leaderId: view.leader ?? '', nodes: [...nodeInfos(view)] }),
      method: context.protos.management.ListNodes,
      there: (response) => ({ ...response, nodeId: view.id }),
    });
  });
}
