/** funk.v1 StepDown: the leader hands over; the answer says from whom to whom. */
import type { StepDownRequest__Output } from '../../../gen/funk/v1/StepDownRequest.ts';
import type { StepDownResponse } from '../../../gen/funk/v1/StepDownResponse.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function stepDownFromLeading(
  context: HandlerContext,
  call: UnaryCall<StepDownRequest__Output>,
): Promise<StepDownResponse> {
  const { handle, protos } = context;
  return atLeader<object, StepDownResponse, StepDownResponse>(context, call, {
    here: async () => {
      const former = handle.view().id;
      await handle.stepDown({ signal: call.signal });
      const leader = handle.view().leader;
      return { formerLeaderId: former, leaderId: leader === former ? '' : (leader ?? '') };
    },
    method: protos.node.StepDown,
    there: (response) => response,
  });
}
