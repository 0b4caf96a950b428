/** funk.v1 Put: writes a key. */
import type { KvPutRequest__Output } from '../../../gen/funk/v1/KvPutRequest.ts';
import type { KvPutResponse } from '../../../gen/funk/v1/KvPutResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { perform } from './perform.ts';

export async function putKey(
  context: HandlerContext,
  { request, signal }: UnaryCall<KvPutRequest__Output>,
): Promise<KvPutResponse> {
  return (await perform(context, { put: request }, signal)).put ?? {};
}
