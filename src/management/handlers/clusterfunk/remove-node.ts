/** managepb RemoveNode: takes a node out of the Raft group, whether gossip still knows it or not. */
import type { RemoveNodeRequest__Output } from '../../../gen/managepb/RemoveNodeRequest.ts';
import type { RemoveNodeResponse } from '../../../gen/managepb/RemoveNodeResponse.ts';
import { requireOperational } from '../../cluster-reading.ts';
import { atLeader } from '../../leader-forwarder.ts';
import { requireNodeId } from '../../arguments.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { orRefusal } from './refusal.ts';

export function removeNode(
  context: HandlerContext,
  call: UnaryCall<RemoveNodeRequest__Output>,
): Promise<RemoveNodeResponse> {
  return orRefusal(context, call, () => {
    const view = context.handle.view();
    requireOperational(view);
    const node = requireNodeId(call.request.nodeId);
    return atLeader<RemoveNodeRequest__Output, RemoveNodeResponse, RemoveNodeResponse>(context, call, {
      here: async () => {
        await context.handle.removeNode(node, { signal: call.signal });
        return { nodeId: view.id };
      },
      method: context.protos.management.RemoveNode,
      there: (response) => response,
    });
  });
}
