/** managepb StepDown: the leader hands over; the answer names the one that led. */
import type { StepDownRequest__Output } from '../../../gen/managepb/StepDownRequest.ts';
import type { StepDownResponse } from '../../../gen/managepb/StepDownResponse.ts';
import { requireOperational } from '../../cluster-reading.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { orRefusal } from './refusal.ts';

export function stepDown(context: HandlerContext, call: UnaryCall<StepDownRequest__Output>): Promise<StepDownResponse> {
  return orRefusal(context, call, () => {
    const view = context.handle.view();
    requireOperational(view);
    return atLeader<object, StepDownResponse, StepDownResponse>(context, call, {
      here: async () => {
        await context.handle.stepDown({ signal: call.signal });
        return { nodeId: view.id };
      },
      method: context.protos.management.StepDown,
      there: (response) => response,
    });
  });
}
