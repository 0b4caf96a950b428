/** clusterpb ConfirmShardMap: the acknowledgement of a proposed shard map. Never forwarded: its sender was told who leads. */
import type { ConfirmShardMapRequest__Output } from '../../../gen/clusterpb/ConfirmShardMapRequest.ts';
import type { ConfirmShardMapResponse } from '../../../gen/clusterpb/ConfirmShardMapResponse.ts';
import { RefusedError } from '../../../runtime/handle-errors.ts';
import { requireNodeId } from '../../arguments.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function confirmShardMap(
  context: HandlerContext,
  call: UnaryCall<ConfirmShardMapRequest__Output>,
): ConfirmShardMapResponse {
  const view = context.handle.view();
  // Both sentences are clusterfunk's words on the wire.
  if (view.role !== 'Leader') throw new RefusedError('not a leader');
  if (view.pendingVersion === undefined) throw new RefusedError('not in resharding mode');
  return context.handle.confirmShardMap(requireNodeId(call.request.nodeId), call.request.logIndex);
}
