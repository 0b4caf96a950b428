/** clusterfunk's answers carry their refusal inside, and none when all went well. */
import type { Error as ManagepbError } from '../../../gen/managepb/Error.ts';
import { type HandlerContext, reportUnforeseen, type UnaryCall } from '../../rpc.ts';
import { managepbError } from '../../status.ts';

export interface Refusal {
  readonly nodeId: string;
  readonly error: ManagepbError;
}

/** What `work` answers, or the refusal that its error stands for, in this node's name. */
export async function orRefusal<Answer>(
  context: HandlerContext,
  call: UnaryCall<unknown>,
  work: () => Answer | Promise<Answer>,
): Promise<Answer | Refusal> {
  try {
    return await work();
  } catch (error) {
    // Nobody listens any more; the wrapper counts it.
    if (call.signal.aborted) throw error;
    reportUnforeseen(context, 'managepb.ClusterManagement', error);
    return { nodeId: context.handle.view().id, error: managepbError(error) };
  }
}
