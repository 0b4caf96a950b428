/** managepb ListEndpoints (first generation): every endpoint of every alive member. */
import type { ListEndpointRequest__Output } from '../../../gen/managepb/ListEndpointRequest.ts';
import type { ListEndpointResponse } from '../../../gen/managepb/ListEndpointResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { endpointInfos } from './find-endpoint.ts';

export function listEndpoints(
  context: HandlerContext,
  _call: UnaryCall<ListEndpointRequest__Output>,
): ListEndpointResponse {
  const view = context.handle.view();
  return { nodeId: view.id, endpoints: endpointInfos(view, '') };
}
