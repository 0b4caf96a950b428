/** managepb FindEndpoint (first generation): endpoints of alive members whose name holds a fragment. */
import type { EndpointRequest__Output } from '../../../gen/managepb/EndpointRequest.ts';
import type { EndpointResponse } from '../../../gen/managepb/EndpointResponse.ts';
import type { EndpointInfo } from '../../../gen/managepb/EndpointInfo.ts';
import type { NodeView } from '../../../model/node-view.ts';
import { lookUpEndpoints } from '../../endpoint-directory.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function findEndpoint(context: HandlerContext, call: UnaryCall<EndpointRequest__Output>): EndpointResponse {
  const view = context.handle.view();
  return { nodeId: view.id, endpoints: endpointInfos(view, call.request.endpointName) };
}

export function endpointInfos(view: NodeView, fragment: string): EndpointInfo[] {
  return lookUpEndpoints(view.members, { fragment, members: 'alive' }).map((entry) => ({
    nodeId: entry.node,
    name: entry.name,
    hostPort: entry.address,
  }));
}
