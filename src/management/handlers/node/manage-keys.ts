/** funk.v1 ManageKeys: the keys of gossip, on every member at once. Any node may be asked, in any state. */
import type { ManageKeysRequest__Output } from '../../../gen/funk/v1/ManageKeysRequest.ts';
import type { ManageKeysResponse } from '../../../gen/funk/v1/ManageKeysResponse.ts';
import type { KeyOperation } from '../../../model/gossip-request.ts';
import { RefusedError } from '../../../runtime/handle-errors.ts';
import { InvalidRequestError } from '../../errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

/** Members answer by gossip, and the whole of them in Serf's query time: 13 s for a thousand in the slowest profile. */
export const MANAGE_KEYS_BOUND_MS = 60_000;

const OPERATIONS: readonly KeyOperation[] = ['install', 'use', 'remove', 'list'];

export async function manageKeys(
  context: HandlerContext,
  call: UnaryCall<ManageKeysRequest__Output>,
): Promise<ManageKeysResponse> {
  const { handle } = context;
  const operation = OPERATIONS.find((known) => known === call.request.operation);
  if (operation === undefined) throw new InvalidRequestError(`the operation is one of ${OPERATIONS.join(', ')}`);
  const { key, relayFactor } = call.request;
  const request = { kind: 'keys', operation, relayFactor, ...(key === '' ? {} : { key }) } as const;
  const outcome = await handle.gossip(request, { signal: call.signal });
  if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  if (outcome.kind !== 'keys') throw new RefusedError('the node manages no keys');
  const { members, responses, failures, messages, keys, primaryKeys } = outcome;
  const counts = (of: ReadonlyMap<string, number>): { key: string; members: number }[] =>
    [...of].map(([name, count]) => ({ key: name, members: count }));
  return {
    nodeId: handle.view().id,
    members,
    responses,
    failures,
    messages: [...messages].map(([node, text]) => ({ nodeId: node, text })),
    keys: counts(keys),
    primaryKeys: counts(primaryKeys),
  };
}
