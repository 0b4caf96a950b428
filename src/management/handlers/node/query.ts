/** funk.v1 Query: a query of this node, its acks and answers as they come. It ends with its time, or when the caller hangs up. */
import { type handleServerStreamingCall, status } from '@grpc/grpc-js';
import type { QueryRequest__Output } from '../../../gen/funk/v1/QueryRequest.ts';
import type { QueryResponse } from '../../../gen/funk/v1/QueryResponse.ts';
import type { QueryParameters } from '../../../model/gossip-request.ts';
import { StoppedError } from '../../../runtime/handle-errors.ts';
import { askQuery } from '../../../runtime/query-call.ts';
import { CallerGoneError, StreamLimitError } from '../../errors.ts';
import type { OpenStreams } from '../../open-streams.ts';
import { type HandlerContext, reportUnforeseen } from '../../rpc.ts';
import { grpcStatus, statusResponse } from '../../status.ts';

const METHOD = 'funk.v1.Node/Query';

export function query(
  context: HandlerContext,
  streams: OpenStreams,
): handleServerStreamingCall<QueryRequest__Output, QueryResponse> {
  return (call) => {
    const aborter = new AbortController();
    const leave = streams.enter({ end: () => aborter.abort(new StoppedError('the node is stopping')) });
    const finish = (error: unknown): void => {
      leave?.();
      context.counts.add(METHOD, error === undefined ? 'OK' : (status[grpcStatus(error)] ?? 'UNKNOWN'));
      if (error === undefined) call.end();
      else {
        reportUnforeseen(context, METHOD, error);
        call.emit('error', statusResponse(error));
      }
    };
    if (leave === undefined) {
      finish(new StreamLimitError('this node serves as many streams as it can; ask another'));
      return;
    }
    call.on('cancelled', () => aborter.abort(new CallerGoneError('the caller has gone')));
    relay(context, call.request, (message) => call.write(message), aborter.signal).then(
      () => finish(undefined),
      finish,
    );
  };
}

/** A query has few answers, and each is small: they are written as they come, whether the client reads or not. */
async function relay(
  { handle }: HandlerContext,
  request: QueryRequest__Output,
  write: (message: QueryResponse) => void,
  signal: AbortSignal,
): Promise<void> {
  const answers = askQuery(handle, parametersOf(request), { signal });
  for (;;) {
    const { done, value } = await answers.next();
    if (done === true) {
      write({ end: value });
      return;
    }
    const { from } = value;
    write(value.kind === 'ack' ? { ack: { from } } : { response: { from, payload: Buffer.from(value.payload) } });
  }
}

function parametersOf(request: QueryRequest__Output): QueryParameters {
  const { name, payload, nodes, tags, wantsAck, relayFactor, timeoutMs } = request;
  return {
    name,
    payload,
    nodes,
    tags: new Map(tags.map((tag) => [tag.name, tag.value])),
    wantsAck,
    relayFactor,
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
  };
}
