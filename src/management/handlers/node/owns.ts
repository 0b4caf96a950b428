/** funk.v1 Owns: asks the lease itself, which reads both clocks at this instant (ownership.md O-1, O-2). */
import type { OwnsRequest__Output } from '../../../gen/funk/v1/OwnsRequest.ts';
import type { OwnsResponse } from '../../../gen/funk/v1/OwnsResponse.ts';
import type { ShardId } from '../../../model/ids.ts';
import { InvalidRequestError } from '../../errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function owns(context: HandlerContext, call: UnaryCall<OwnsRequest__Output>): OwnsResponse {
  const { handle } = context;
  const { shard } = call.request;
  const count = handle.view().shardMap?.shardCount;
  if (count !== undefined && shard >= count) {
    throw new InvalidRequestError(`shard ${shard} does not exist: there are ${count}, counted from 0`);
  }
  const ownership = count === undefined ? undefined : handle.owns(shard as ShardId);
  // Read after the lease was asked: a lease that was found to have run out shows in the view that follows.
  const view = handle.view();
  const owned = ownership !== undefined;
  return { nodeId: view.id, owned, epoch: ownership?.epoch ?? 0, valid: owned || view.holdsLease };
}
