/** funk.v1 TakeRestartPermit and GiveRestartPermit: one node at a time may be restarted. */
import type { GiveRestartPermitRequest__Output } from '../../../gen/funk/v1/GiveRestartPermitRequest.ts';
import type { GiveRestartPermitResponse } from '../../../gen/funk/v1/GiveRestartPermitResponse.ts';
import type { TakeRestartPermitRequest__Output } from '../../../gen/funk/v1/TakeRestartPermitRequest.ts';
import type { TakeRestartPermitResponse } from '../../../gen/funk/v1/TakeRestartPermitResponse.ts';
import { requireNodeId } from '../../arguments.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

const LEASE_MS = 300_000;

/** What is left out is filled in by the node that is asked first: it is the one that is meant. */
export function takeRestartPermit(
  context: HandlerContext,
  call: UnaryCall<TakeRestartPermitRequest__Output>,
): Promise<TakeRestartPermitResponse> {
  const { handle, protos } = context;
  const { nodeId, holder, leaseMs } = call.request;
  const node = requireNodeId(nodeId === '' ? handle.view().id : nodeId);
  const request = { nodeId: node, holder: holder === '' ? node : holder, leaseMs: leaseMs === 0 ? LEASE_MS : leaseMs };
  return atLeader<TakeRestartPermitRequest__Output, TakeRestartPermitResponse, TakeRestartPermitResponse>(
    context,
    { ...call, request },
    {
      here: async () => {
        await handle.takeRestartPermit({ ...request, node }, { signal: call.signal });
        return { leaderId: handle.view().id, holder: request.holder, nodeId: node };
      },
      method: protos.node.TakeRestartPermit,
      there: (response) => response,
    },
  );
}

export function giveRestartPermit(
  context: HandlerContext,
  call: UnaryCall<GiveRestartPermitRequest__Output>,
): Promise<GiveRestartPermitResponse> {
  const { handle, protos } = context;
  const request = { holder: call.request.holder === '' ? handle.view().id : call.request.holder };
  return atLeader<GiveRestartPermitRequest__Output, GiveRestartPermitResponse, GiveRestartPermitResponse>(
    context,
    { ...call, request },
    {
      here: async () => {
        await handle.giveRestartPermit(request.holder, { signal: call.signal });
        return { leaderId: handle.view().id };
      },
      method: protos.node.GiveRestartPermit,
      there: (response) => response,
    },
  );
}
