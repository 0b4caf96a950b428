/** funk.v1 Range: the keys of a range. */
import type { KvRangeRequest__Output } from '../../../gen/funk/v1/KvRangeRequest.ts';
import type { KvRangeResponse } from '../../../gen/funk/v1/KvRangeResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { perform } from './perform.ts';

export async function rangeKeys(
  context: HandlerContext,
  { request, signal }: UnaryCall<KvRangeRequest__Output>,
): Promise<KvRangeResponse> {
  return (await perform(context, { range: request }, signal)).range ?? {};
}
