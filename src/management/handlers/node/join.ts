/** funk.v1 Join: this node gossips with the given addresses. */
import type { JoinRequest__Output } from '../../../gen/funk/v1/JoinRequest.ts';
import type { JoinResponse } from '../../../gen/funk/v1/JoinResponse.ts';
import { requireAddresses } from '../../arguments.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export async function join(context: HandlerContext, call: UnaryCall<JoinRequest__Output>): Promise<JoinResponse> {
  const addresses = requireAddresses(call.request.addresses);
  const answered = await context.handle.join(addresses, { signal: call.signal });
  return { nodeId: context.handle.view().id, answered };
}
