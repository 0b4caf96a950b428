/** funk.v1 Txn: one of two lists of operations, as comparisons tell, at once. */
import type { KvTxnRequest__Output } from '../../../gen/funk/v1/KvTxnRequest.ts';
import type { KvTxnResponse } from '../../../gen/funk/v1/KvTxnResponse.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { perform } from './perform.ts';

export async function transact(
  context: HandlerContext,
  { request, signal }: UnaryCall<KvTxnRequest__Output>,
): Promise<KvTxnResponse> {
  return (await perform(context, { txn: request }, signal)).txn ?? {};
}
