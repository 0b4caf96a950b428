/** funk.v1 Delete: deletes the keys of a range. */
import type { KvDeleteRequest__Output } from '../../../gen/funk/v1/KvDeleteRequest.ts';
import type { KvDeleteResponse } from '../../../gen/funk/v1/KvDeleteResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { perform } from './perform.ts';

export async function deleteKeys(
  context: HandlerContext,
  { request, signal }: UnaryCall<KvDeleteRequest__Output>,
): Promise<KvDeleteResponse> {
  return (await perform(context, { delete: request }, signal)).delete ?? {};
}
