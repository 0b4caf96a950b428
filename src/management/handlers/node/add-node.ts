/** funk.v1 AddNode: makes a member a voter, in any state in which somebody leads. */
import type { AddNodeRequest__Output } from '../../../gen/funk/v1/AddNodeRequest.ts';
import type { AddNodeResponse } from '../../../gen/funk/v1/AddNodeResponse.ts';
import { requireNodeId } from '../../arguments.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function addNodeAsVoter(
  context: HandlerContext,
  call: UnaryCall<AddNodeRequest__Output>,
): Promise<AddNodeResponse> {
  const { handle, protos } = context;
  const node = requireNodeId(call.request.nodeId);
  return atLeader<AddNodeRequest__Output, AddNodeResponse, AddNodeResponse>(context, call, {
    here: async () => {
      await handle.addNode(node, { signal: call.signal });
      return { leaderId: handle.view().id };
    },
    method: protos.node.AddNode,
    there: (response) => response,
  });
}
