/** managepb AddNode: makes a member a voter, wherever the call arrives. */
import type { AddNodeRequest__Output } from '../../../gen/managepb/AddNodeRequest.ts';
import type { AddNodeResponse } from '../../../gen/managepb/AddNodeResponse.ts';
import { requireOperational } from '../../cluster-reading.ts';
import { atLeader } from '../../leader-forwarder.ts';
import { requireNodeId } from '../../arguments.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { orRefusal } from './refusal.ts';

export function addNode(context: HandlerContext, call: UnaryCall<AddNodeRequest__Output>): Promise<AddNodeResponse> {
  return orRefusal(context, call, () => {
    const view = context.handle.view();
    requireOperational(view);
    const node = requireNodeId(call.request.nodeId);
    return atLeader<AddNodeRequest__Output, AddNodeResponse, AddNodeResponse>(context, call, {
      here: async () => {
        await context.handle.addNode(node, { signal: call.signal });
        return { nodeId: view.id };
      },
      method: context.protos.management.AddNode,
      there: (response) => response,
    });
  });
}
