/** funk.v1 ListEndpoints: what members publish, and the names that are answered from other tags. */
import type { ListEndpointsRequest__Output } from '../../../gen/funk/v1/ListEndpointsRequest.ts';
import type { ListEndpointsResponse } from '../../../gen/funk/v1/ListEndpointsResponse.ts';
import { lookUpEndpoints } from '../../endpoint-directory.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function listNodeEndpoints(
  context: HandlerContext,
  call: UnaryCall<ListEndpointsRequest__Output>,
): ListEndpointsResponse {
  const view = context.handle.view();
  const { filter, includeInactive } = call.request;
  const entries = lookUpEndpoints(view.members, { fragment: filter, members: includeInactive ? 'all' : 'alive' });
  return {
    nodeId: view.id,
    endpoints: entries.map((entry) => ({
      nodeId: entry.node,
      service: entry.service,
      name: entry.name,
      address: entry.address,
      aliasOf: entry.aliasOf,
      serfState: entry.status,
    })),
  };
}
