/** funk.v1 GetStatus: all that this node says of itself, in any state. */
import type { GetStatusRequest__Output } from '../../../gen/funk/v1/GetStatusRequest.ts';
import type { GetStatusResponse } from '../../../gen/funk/v1/GetStatusResponse.ts';
import { statusMessage } from '../../node-reading.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function getNodeStatus(context: HandlerContext, call: UnaryCall<GetStatusRequest__Output>): GetStatusResponse {
  const { handle } = context;
  return { status: statusMessage(handle.view(), handle.now()), yourAddress: call.peer };
}
