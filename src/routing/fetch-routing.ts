/** Requests as fetch has them, served here or at the owner of their shard. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { Ownership } from '../model/shard-map.ts';
import { endToEnd, type HeaderValues, pairsOf } from './http-headers.ts';
import { httpRefusal } from './http-refusal.ts';
import { type Brought, type RequestHead, servedHeaders, type ShardOf } from './http-routing.ts';
import { RouteAbandonedError, RouteError } from './route-error.ts';

export interface FetchHost {
  bring(head: RequestHead): Promise<Brought>;
  readonly self: string;
}

/** Answers with these have no body, and a Response may not be given one. */
const BODYLESS: readonly number[] = [101, 204, 205, 304];
/** For a caller that does not wait any more: nobody sees it (nginx's "client closed request"). */
const GONE = 499;

export async function serveFetch(
  host: FetchHost,
  request: Request,
  shardOf: ShardOf<Request>,
  handle: (request: Request, ownership: Ownership | undefined) => Response | Promise<Response>,
): Promise<Response> {
  let brought: Brought;
  try {
    brought = await host.bring(headOf(request, shardOf));
  } catch (error) {
    if (error instanceof RouteAbandonedError) return new Response(null, { status: GONE });
    if (!(error instanceof RouteError)) throw error;
    const { status, headers, body } = httpRefusal(error);
    return new Response(body, { status, headers });
  }
  if (brought.kind === 'answered') return responseOf(brought.answer.message, request.method);
  const ownership = brought.kind === 'here' ? brought.ownership : undefined;
  try {
    const response = await handle(request, ownership);
    return signed(response, servedHeaders(host.self, ownership));
  } finally {
    // The body may still be on its way; what it says was decided under the token.
    if (brought.kind === 'here') brought.end();
  }
}

function headOf(request: Request, shardOf: ShardOf<Request>): RequestHead {
  const { pathname, search, host } = new URL(request.url);
  const headers: HeaderValues = { host, ...endToEnd(request.headers) };
  const source = request.body;
  if (source !== null && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
  const body = (): { stream: Readable; trailers: () => [] } => ({
    stream: Readable.fromWeb(source as NodeReadableStream),
    trailers: () => [],
  });
  return {
    method: request.method,
    url: `${pathname}${search}`,
    header: (name) => request.headers.get(name) ?? undefined,
    headers,
    shardOf: (count) => shardOf(request, count),
    body: source === null ? undefined : body,
    signal: request.signal,
    upgrade: undefined,
  };
}

function responseOf(message: IncomingMessage, method: string): Response {
  const status = message.statusCode ?? 502;
  const headers = new Headers();
  for (const [name, value] of Object.entries(endToEnd(pairsOf(message.rawHeaders))))
    for (const one of [value].flat()) headers.append(name, one);
  const isBodyless = method === 'HEAD' || BODYLESS.includes(status);
  if (isBodyless) message.resume();
  const body = isBodyless ? null : (Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>);
  return new Response(body, { status, statusText: message.statusMessage ?? '', headers });
}

/** A copy, since headers of a Response may be frozen. */
function signed(response: Response, headers: Readonly<Record<string, string>>): Response {
  const all = new Headers(response.headers);
  for (const [name, value] of Object.entries(headers)) all.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers: all });
}
