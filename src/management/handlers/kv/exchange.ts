/**
 * funk.v1 Exchange: many requests on one stream. Those of a message go to the node together, and answers that come together leave in one
 * message: a message costs as much as all that is in it. A client that does not read its answers is read no further.
 */
import { type handleBidiStreamingCall, type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { KvAsk__Output } from '../../../gen/funk/v1/KvAsk.ts';
import type { KvExchangeRequest__Output } from '../../../gen/funk/v1/KvExchangeRequest.ts';
import type { KvExchangeResponse } from '../../../gen/funk/v1/KvExchangeResponse.ts';
import type { KvTold } from '../../../gen/funk/v1/KvTold.ts';
import { BusyError } from '../../../runtime/kv-errors.ts';
import { StreamLimitError } from '../../errors.ts';
import { errorTold, toldOf } from '../../kv-replies.ts';
import { requestOf } from '../../kv-requests.ts';
import type { OpenStreams } from '../../open-streams.ts';
import { type HandlerContext, reportUnforeseen } from '../../rpc.ts';
import { grpcStatus, statusResponse } from '../../status.ts';

const METHOD = 'funk.v1.Kv/Exchange';
/** Requests of one stream that are not answered. */
const OPEN_MAX = 2_048;

type Call = ServerDuplexStream<KvExchangeRequest__Output, KvExchangeResponse>;

export function exchange(
  context: HandlerContext,
  streams: OpenStreams,
): handleBidiStreamingCall<KvExchangeRequest__Output, KvExchangeResponse> {
  return (call) => {
    const leave = streams.enter({ end: () => call.end() });
    if (leave === undefined) {
      const error = new StreamLimitError('this node serves as many streams as it can; ask another');
      context.counts.add(METHOD, status[grpcStatus(error)] ?? 'UNKNOWN');
      call.emit('error', statusResponse(error));
      return;
    }
    new Exchange(context, call, leave).begin();
  };
}

class Exchange {
  readonly #context: HandlerContext;
  readonly #call: Call;
  readonly #leave: () => void;
  #answers: KvTold[] = [];
  #open = 0;
  #isOver = false;
  /** The client will ask nothing more. */
  #isHalfClosed = false;

  constructor(context: HandlerContext, call: Call, leave: () => void) {
    this.#context = context;
    this.#call = call;
    this.#leave = leave;
  }

  begin(): void {
    const call = this.#call;
    call.on('data', (message: KvExchangeRequest__Output) => {
      for (const ask of message.asks) this.#ask(ask);
    });
    call.on('drain', () => call.resume());
    call.on('end', () => {
      this.#isHalfClosed = true;
      this.#endWhenAnswered();
    });
    call.on('cancelled', () => this.#finish('CANCELLED'));
    call.on('error', () => this.#finish('CANCELLED'));
  }

  #ask(ask: KvAsk__Output): void {
    this.#open += 1;
    try {
      if (this.#open > OPEN_MAX) throw new BusyError(`${OPEN_MAX} requests of this stream are not answered`);
      const request = requestOf(ask);
      this.#context.handle.kv(request).then(
        (done) => this.#tell({ ...toldOf(request, done), id: ask.id }),
        (error: unknown) => this.#refuse(ask.id, error),
      );
    } catch (error) {
      this.#refuse(ask.id, error);
    }
  }

  #refuse(id: number, error: unknown): void {
    reportUnforeseen(this.#context, METHOD, error);
    this.#tell({ ...errorTold(error), id });
  }

  #tell(told: KvTold): void {
    this.#open -= 1;
    if (this.#isOver) return;
    this.#answers.push(told);
    if (this.#answers.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#isOver) return;
    const answers = this.#answers;
    this.#answers = [];
    if (!this.#call.write({ answers })) this.#call.pause();
    this.#endWhenAnswered();
  }

  #endWhenAnswered(): void {
    if (!this.#isHalfClosed || this.#open > 0 || this.#answers.length > 0 || this.#isOver) return;
    this.#finish('OK');
    this.#call.end();
  }

  #finish(code: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#context.counts.add(METHOD, code);
  }
}
