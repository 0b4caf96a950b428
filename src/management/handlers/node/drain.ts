/** funk.v1 Drain: this node's shards move away; the answer comes when they are gone. */
import type { DrainRequest__Output } from '../../../gen/funk/v1/DrainRequest.ts';
import type { DrainResponse } from '../../../gen/funk/v1/DrainResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

/** Work in flight may take its time; the caller's own deadline is usually shorter. */
export const DRAIN_BOUND_MS: number = 5 * 60_000;

export async function drain(context: HandlerContext, call: UnaryCall<DrainRequest__Output>): Promise<DrainResponse> {
  await context.handle.drain({ signal: call.signal });
  return { nodeId: context.handle.view().id };
}
