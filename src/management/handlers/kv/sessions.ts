/** funk.v1 OpenSession and CloseSession. */
import type { KvCloseSessionRequest__Output } from '../../../gen/funk/v1/KvCloseSessionRequest.ts';
import type { KvCloseSessionResponse } from '../../../gen/funk/v1/KvCloseSessionResponse.ts';
import type { KvOpenSessionRequest__Output } from '../../../gen/funk/v1/KvOpenSessionRequest.ts';
import type { KvOpenSessionResponse } from '../../../gen/funk/v1/KvOpenSessionResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { perform } from './perform.ts';

export async function openSession(
  context: HandlerContext,
  { request, signal }: UnaryCall<KvOpenSessionRequest__Output>,
): Promise<KvOpenSessionResponse> {
  return (await perform(context, { openSession: request }, signal)).openSession ?? {};
}

export async function closeSession(
  context: HandlerContext,
  { request, signal }: UnaryCall<KvCloseSessionRequest__Output>,
): Promise<KvCloseSessionResponse> {
  return (await perform(context, { closeSession: request }, signal)).closeSession ?? {};
}
