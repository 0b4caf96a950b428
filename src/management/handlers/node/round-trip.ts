/** funk.v1 RoundTrip: how long a message takes from one member to another and back, estimated from their network coordinates. */
import type { RoundTripRequest__Output } from '../../../gen/funk/v1/RoundTripRequest.ts';
import type { RoundTripResponse } from '../../../gen/funk/v1/RoundTripResponse.ts';
import { RefusedError } from '../../../runtime/handle-errors.ts';
import { InvalidRequestError } from '../../errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export async function roundTrip(
  { handle }: HandlerContext,
  { request, signal }: UnaryCall<RoundTripRequest__Output>,
): Promise<RoundTripResponse> {
  const { from } = request;
  // Members that are no funknodes may bear any name.
  if (from === '') throw new InvalidRequestError('the request names no member');
  const to = request.to === '' ? handle.view().id : request.to;
  const outcome = await handle.gossip({ kind: 'roundTrip', from, to }, { signal });
  if (outcome.kind === 'roundTrip') return { from, to, seconds: outcome.seconds };
  throw new RefusedError(outcome.kind === 'refused' ? outcome.reason : 'the node estimates no round trips');
}
