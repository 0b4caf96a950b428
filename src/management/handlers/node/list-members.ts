/** funk.v1 ListMembers: the members as this node sees them. */
import type { ListMembersRequest__Output } from '../../../gen/funk/v1/ListMembersRequest.ts';
import type { ListMembersResponse } from '../../../gen/funk/v1/ListMembersResponse.ts';
import { memberFilter } from '../../member-filter.ts';
import { memberMessages } from '../../node-reading.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function listMembers(context: HandlerContext, call: UnaryCall<ListMembersRequest__Output>): ListMembersResponse {
  const isWanted = memberFilter(call.request);
  const view = context.handle.view();
  return {
    nodeId: view.id,
    leaderId: view.leader ?? '',
    members: memberMessages(view, context.handle.now()).filter(isWanted),
  };
}
