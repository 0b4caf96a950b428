/** funk.v1 RemoveNode: the way to be rid of a dead node, in any state in which somebody leads. */
import type { RemoveNodeRequest__Output } from '../../../gen/funk/v1/RemoveNodeRequest.ts';
import type { RemoveNodeResponse } from '../../../gen/funk/v1/RemoveNodeResponse.ts';
import { requireNodeId } from '../../arguments.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function removeNodeFromCluster(
  context: HandlerContext,
  call: UnaryCall<RemoveNodeRequest__Output>,
): Promise<RemoveNodeResponse> {
  const { handle, protos } = context;
  const node = requireNodeId(call.request.nodeId);
  return atLeader<RemoveNodeRequest__Output, RemoveNodeResponse, RemoveNodeResponse>(context, call, {
    here: async () => {
      await handle.removeNode(node, { signal: call.signal });
      return { leaderId: handle.view().id };
    },
    method: protos.node.RemoveNode,
    there: (response) => response,
  });
}
