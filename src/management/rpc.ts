/** How a plain function becomes a gRPC method: deadline, cancellation, the table of errors, and the count. */
import { type handleUnaryCall, type ServerUnaryCall, status } from '@grpc/grpc-js';
import type { Logger } from '../ports/logger.ts';
import { OutcomeUnknownError } from '../runtime/handle-errors.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import type { CallCounts } from './call-counts.ts';
import { CallerGoneError } from './errors.ts';
import type { LeaderForwarder } from './leader-forwarder.ts';
import type { MapHistory } from './map-history.ts';
import type { Protos } from './protos.ts';
import { grpcStatus, isForeseen, rethrowBroken, statusResponse } from './status.ts';

/** Metadata that a forwarded call carries: how often it was forwarded. */
export const HOPS_KEY = 'funk-hops';
/** Shorter than the 10 s that the control tools wait, so that they hear the reason. */
export const CALL_BOUND_MS = 9_000;

/** What every handler works with. */
export interface HandlerContext {
  readonly handle: NodeHandle;
  readonly forwarder: LeaderForwarder;
  readonly maps: MapHistory;
  readonly protos: Protos;
  readonly counts: CallCounts;
  readonly logger: Logger | undefined;
}

export interface UnaryCall<Request> {
  readonly request: Request;
  /** The caller, `host:port`. */
  readonly peer: string;
  /** How often the call was forwarded before it came here. */
  readonly hops: number;
  readonly deadline: Date | number;
  /** Aborted when the caller hangs up or the call has taken its bound. */
  readonly signal: AbortSignal;
}

export type UnaryHandler<Request, Response> = (
  context: HandlerContext,
  call: UnaryCall<Request>,
) => Response | Promise<Response>;

export interface UnaryRpc<Request, Response> {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly handler: UnaryHandler<Request, Response>;
  readonly boundMs: number;
}

/** A gRPC method that answers with what the handler returns, or with the status of what it throws. */
export function unary<Request, Response>(
  context: HandlerContext,
  rpc: UnaryRpc<Request, Response>,
): handleUnaryCall<Request, Response> {
  return (grpcCall, callback) => {
    const aborter = new AbortController();
    const bound = setTimeout(() => {
      aborter.abort(new OutcomeUnknownError('the call took too long; what was asked for may still happen'));
    }, rpc.boundMs);
    const onCancelled = (): void => aborter.abort(new CallerGoneError('the caller has gone'));
    grpcCall.on('cancelled', onCancelled);
    const end = (): void => {
      clearTimeout(bound);
      grpcCall.off('cancelled', onCancelled);
    };
    const answer = Promise.resolve().then(() => rpc.handler(context, describe(grpcCall, aborter.signal)));
    untilAborted(answer, aborter.signal).then(
      (response) => {
        end();
        context.counts.add(rpc.method, errorCodeIn(response) ?? 'OK');
        callback(null, response);
      },
      (error: unknown) => {
        end();
        context.counts.add(rpc.method, status[grpcStatus(error)] ?? 'UNKNOWN');
        reportUnforeseen(context, rpc.method, error);
        callback(statusResponse(error));
      },
    );
  };
}

/** Errors without a line in the table are logged, and broken invariants end the process. */
export function reportUnforeseen(context: HandlerContext, method: string, error: unknown): void {
  if (isForeseen(error)) return;
  context.logger?.log('error', 'callFailed', { method, error: error instanceof Error ? error.stack : String(error) });
  rethrowBroken(error);
}

/** The caller's `host:port`, with an IPv4 address written as such and an IPv6 one in brackets. */
export function peerText(peer: string): string {
  const colon = peer.lastIndexOf(':');
  const host = peer.slice(0, colon).replace(/^::ffff:(?=\d+\.)/i, '');
  return host.includes(':') && !host.startsWith('[') ? `[${host}]${peer.slice(colon)}` : `${host}${peer.slice(colon)}`;
}

function describe<Request, Response>(
  call: ServerUnaryCall<Request, Response>,
  signal: AbortSignal,
): UnaryCall<Request> {
  const hops = Number(call.metadata.get(HOPS_KEY)[0] ?? 0);
  return {
    request: call.request,
    peer: peerText(call.getPeer()),
    // Whatever is not a number was not written by us: it counts as forwarded, and goes no further.
    hops: Number.isSafeInteger(hops) ? hops : 1,
    deadline: call.getDeadline(),
    signal,
  };
}

/** The handle may not look at the signal; the caller is answered all the same. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    work.then(resolve, reject);
  });
}

/** clusterfunk's answers carry their refusal inside. */
function errorCodeIn(response: unknown): string | undefined {
  if (typeof response !== 'object' || response === null || !('error' in response)) return undefined;
  const error = response.error;
  if (typeof error !== 'object' || error === null || !('errorCode' in error)) return undefined;
  return String(error.errorCode);
}
