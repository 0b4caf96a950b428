/** funk.v1 SendEvent: a user event to every member. Any node may be asked, in any state. */
import type { SendEventRequest__Output } from '../../../gen/funk/v1/SendEventRequest.ts';
import type { SendEventResponse } from '../../../gen/funk/v1/SendEventResponse.ts';
import { RefusedError } from '../../../runtime/handle-errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export async function sendEvent(
  { handle }: HandlerContext,
  { request, signal }: UnaryCall<SendEventRequest__Output>,
): Promise<SendEventResponse> {
  const { name, payload, coalesce } = request;
  const outcome = await handle.gossip({ kind: 'userEvent', name, payload, coalesce }, { signal });
  if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  return { nodeId: handle.view().id };
}
