/** funk.v1 Drain and Undrain: a node's shards move away, and the answer comes when they are gone; or it is given shards again. */
import type { DrainRequest__Output } from '../../../gen/funk/v1/DrainRequest.ts';
import type { DrainResponse } from '../../../gen/funk/v1/DrainResponse.ts';
import type { UndrainRequest__Output } from '../../../gen/funk/v1/UndrainRequest.ts';
import type { UndrainResponse } from '../../../gen/funk/v1/UndrainResponse.ts';
import { atNode } from '../../leader-forwarder.ts';
import { CALL_BOUND_MS, type HandlerContext, type UnaryCall } from '../../rpc.ts';

/** Work in flight may take its time; the caller's own deadline is usually shorter. */
export const DRAIN_BOUND_MS: number = 5 * 60_000;

export function drain(context: HandlerContext, call: UnaryCall<DrainRequest__Output>): Promise<DrainResponse> {
  const { handle, protos } = context;
  return atNode<DrainRequest__Output, DrainResponse>(context, call, {
    nodeId: call.request.nodeId,
    here: async () => {
      await handle.drain({ signal: call.signal });
      return { nodeId: handle.view().id };
    },
    method: protos.node.Drain,
    boundMs: DRAIN_BOUND_MS,
  });
}

export function undrain(context: HandlerContext, call: UnaryCall<UndrainRequest__Output>): Promise<UndrainResponse> {
  const { handle, protos } = context;
  return atNode<UndrainRequest__Output, UndrainResponse>(context, call, {
    nodeId: call.request.nodeId,
    here: async () => {
      await handle.undrain({ signal: call.signal });
      return { nodeId: handle.view().id };
    },
    method: protos.node.Undrain,
    boundMs: CALL_BOUND_MS,
  });
}
