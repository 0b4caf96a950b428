/** funk.v1 ForceLeave: a failed member is declared to have left. Any node may be asked, in any state. */
import type { ForceLeaveRequest__Output } from '../../../gen/funk/v1/ForceLeaveRequest.ts';
import type { ForceLeaveResponse } from '../../../gen/funk/v1/ForceLeaveResponse.ts';
import { RefusedError } from '../../../runtime/handle-errors.ts';
import { InvalidRequestError } from '../../errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export async function forceLeave(
  { handle }: HandlerContext,
  { request, signal }: UnaryCall<ForceLeaveRequest__Output>,
): Promise<ForceLeaveResponse> {
  const { name: node, prune } = request;
  if (!handle.view().members.some(({ name }) => name === node))
    throw new InvalidRequestError(node === '' ? 'the request names no member' : `gossip knows no member ${node}`);
  const outcome = await handle.gossip({ kind: 'forceLeave', node, prune }, { signal });
  if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  return { nodeId: handle.view().id };
}
