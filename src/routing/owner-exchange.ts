/** One HTTP/1.1 request to the owner of its shard. */
import { type Agent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { formatEndpoint } from '../model/endpoint.ts';
import type { HeaderValues } from './http-headers.ts';
import { tlsSettings } from './owner-tls.ts';
import type { Away } from './route-decision.ts';
import { RouteAbandonedError, RouteError } from './route-error.ts';
import { OwnerUnreachableError, type ShardRouter } from './shard-router.ts';

/** An owner in the same network answers in milliseconds; one that is gone must not hold requests that could go elsewhere. */
const CONNECT_MS = 1_000;
const REDIAL_MS = 50;

export interface OwnerRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderValues;
  /** Taken when there is a connection, and not before: until then the request can go elsewhere. Undefined: no body. */
  readonly body: (() => RequestBody) | undefined;
  /** Of the owner, until its answer begins; milliseconds. */
  readonly answerTimeoutMs: number;
  readonly signal: AbortSignal;
  /** `false`: a connection of its own. */
  readonly agent: Agent | false;
}

export interface RequestBody {
  readonly stream: Readable;
  /** Read when the stream has ended. */
  readonly trailers: () => readonly (readonly [string, string])[];
}

/** What an owner begins with: an ordinary answer, or a connection that speaks another protocol from now on. */
export type OwnerAnswer =
  | { readonly kind: 'answer'; readonly message: IncomingMessage }
  | {
      readonly kind: 'upgrade';
      readonly message: IncomingMessage;
      readonly socket: Readable & NodeJS.WritableStream;
      readonly head: Buffer;
    };

/**
 * Resolves when the answer begins. Rejects: {@link OwnerUnreachableError} (nothing was sent), RouteError (`broken`, `timeout`: the owner may have
 * seen it), RouteAbandonedError.
 */
export function askOwner(router: ShardRouter, away: Away, asked: OwnerRequest): Promise<OwnerAnswer> {
  return new Promise((resolve, reject) => {
    if (asked.signal.aborted) {
      reject(new RouteAbandonedError('the caller has gone'));
      return;
    }
    const address = formatEndpoint(away.endpoint);
    let isSent = false;
    let hasTimedOut = false;
    const request = begin(router, away, asked);
    const limit = (ms: number, then: () => void): NodeJS.Timeout => setTimeout(then, ms);
    let timer = limit(CONNECT_MS, () => request.destroy());
    const onAbort = (): void => void request.destroy();
    const settled = (): void => {
      clearTimeout(timer);
      asked.signal.removeEventListener('abort', onAbort);
    };
    asked.signal.addEventListener('abort', onAbort, { once: true });
    onConnected(request, router.tls !== undefined, () => {
      isSent = true;
      clearTimeout(timer);
      timer = limit(asked.answerTimeoutMs, () => {
        hasTimedOut = true;
        request.destroy();
      });
      sendBody(request, asked.body?.());
    });
    request.on('response', (message) => {
      settled();
      // From now on the caller's going ends the answer, and with it the request.
      asked.signal.addEventListener('abort', () => message.destroy(), { once: true });
      resolve({ kind: 'answer', message });
    });
    request.on('upgrade', (message, socket, head) => {
      settled();
      resolve({ kind: 'upgrade', message, socket, head });
    });
    request.on('close', () => reject(new RouteError('broken', `the connection to ${address} broke`)));
    request.on('error', (cause) => {
      settled();
      if (asked.signal.aborted) reject(new RouteAbandonedError('the caller has gone'));
      else if (!isSent) reject(new OwnerUnreachableError(`${address} does not answer`, REDIAL_MS, { cause }));
      else if (hasTimedOut)
        reject(new RouteError('timeout', `${away.owner} did not answer in ${asked.answerTimeoutMs} ms`, { cause }));
      else
        reject(
          new RouteError('broken', `the connection to ${away.owner} broke; the request may have taken effect`, {
            cause,
          }),
        );
    });
  });
}

function begin(router: ShardRouter, away: Away, asked: OwnerRequest): ClientRequest {
  const { host, port } = away.endpoint;
  const { method, path, headers, agent } = asked;
  const options = { host, port, method, path, headers, agent, setHost: headers['host'] === undefined };
  if (router.tls === undefined) return plainRequest(options);
  return tlsRequest({ ...options, ...tlsSettings(router.tls) });
}

function onConnected(request: ClientRequest, isTls: boolean, connected: () => void): void {
  request.once('socket', (socket) => {
    if (socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', connected);
    else connected();
  });
}

function sendBody(request: ClientRequest, body: RequestBody | undefined): void {
  if (body === undefined) {
    request.end();
    return;
  }
  const { stream, trailers } = body;
  stream.on('error', () => request.destroy());
  stream.once('end', () => {
    const last = trailers();
    if (last.length > 0) request.addTrailers(last.map(([name, value]) => [name, value] as [string, string]));
    request.end();
  });
  stream.pipe(request, { end: false });
}
