/** A request of `funk.v1.Kv` by itself. */
import type { KvAsk__Output } from '../../../gen/funk/v1/KvAsk.ts';
import type { KvTold } from '../../../gen/funk/v1/KvTold.ts';
import { toldOf } from '../../kv-replies.ts';
import { requestOf } from '../../kv-requests.ts';
import type { HandlerContext } from '../../rpc.ts';

export async function perform(
  { handle }: HandlerContext,
  ask: Omit<KvAsk__Output, 'id'>,
  signal: AbortSignal,
): Promise<KvTold> {
  const request = requestOf(ask);
  return toldOf(request, await handle.kv(request, { signal }));
}
