/** Connections that change their protocol (WebSocket): served here, or joined with one to the owner of their shard. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { formatEndpoint } from '../model/endpoint.ts';
import type { Ownership } from '../model/shard-map.ts';
import { pairsOf } from './http-headers.ts';
import { httpRefusal } from './http-refusal.ts';
import { type Brought, headOf, type RequestHead, type ShardOf } from './http-routing.ts';
import type { OwnerAnswer } from './owner-exchange.ts';
import { RouteAbandonedError, RouteError } from './route-error.ts';

/** Connections whose endpoint goes get this long to end. */
const GRACE_MS = 5_000;

export interface UpgradeHost {
  bring(head: RequestHead): Promise<Brought>;
  onEndpointGone(listener: (address: string) => void): () => void;
  /** What ends each joined connection. */
  readonly upgraded: Set<() => void>;
}

export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Never rejects. */
export async function serveUpgrade(
  host: UpgradeHost,
  { request, socket, head }: UpgradeRequest,
  shardOf: ShardOf<IncomingMessage>,
  handle: (request: IncomingMessage, socket: Duplex, head: Buffer, ownership: Ownership | undefined) => void,
): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  // Without a listener a reset of the caller's would end the process; its close says the same.
  socket.on('error', onClose);
  socket.once('close', onClose);
  try {
    const brought = await host.bring(headOf(request, shardOf, gone.signal));
    if (brought.kind === 'unrouted') handle(request, socket, head, undefined);
    else if (brought.kind === 'here') {
      socket.once('close', brought.end);
      if (socket.destroyed) brought.end();
      handle(request, socket, head, brought.ownership);
    } else if (brought.answer.kind === 'upgrade')
      join(host, formatEndpoint(brought.away.endpoint), brought.answer, { socket, head });
    else decline(brought.answer.message, socket);
  } catch (error) {
    if (error instanceof RouteAbandonedError) return;
    if (!(error instanceof RouteError)) throw error;
    const { status, headers, body } = httpRefusal(error);
    socket.end(`${headText(status, undefined, Object.entries({ ...headers, connection: 'close' }))}${body}`);
  }
}

function join(
  host: UpgradeHost,
  address: string,
  answer: OwnerAnswer & { readonly kind: 'upgrade' },
  caller: { readonly socket: Duplex; readonly head: Buffer },
): void {
  const { socket } = caller;
  const owner = answer.socket as Duplex;
  const { statusCode = 101, statusMessage, rawHeaders } = answer.message;
  socket.write(headText(statusCode, statusMessage, pairsOf(rawHeaders)));
  if (answer.head.length > 0) socket.write(answer.head);
  if (caller.head.length > 0) owner.write(caller.head);
  const end = (): void => {
    socket.destroy();
    owner.destroy();
  };
  let limit: NodeJS.Timeout | undefined;
  const unsubscribe = host.onEndpointGone((gone) => {
    if (gone !== address || limit !== undefined) return;
    limit = setTimeout(end, GRACE_MS);
    limit.unref();
  });
  host.upgraded.add(end);
  const ended = (): void => {
    host.upgraded.delete(end);
    unsubscribe();
    clearTimeout(limit);
    end();
  };
  owner.on('error', ended);
  owner.once('close', ended);
  socket.once('close', ended);
  socket.pipe(owner);
  owner.pipe(socket);
}

/** The owner does not change protocols; the caller hears what it says instead. */
function decline(answer: IncomingMessage, socket: Duplex): void {
  const headers = [...pairsOf(answer.rawHeaders)].filter(
    ([name]) => !/^(?:connection|keep-alive|transfer-encoding)$/i.test(name),
  );
  socket.write(headText(answer.statusCode ?? 502, answer.statusMessage, [...headers, ['connection', 'close']]));
  answer.once('error', () => socket.destroy());
  answer.pipe(socket);
}

function headText(status: number, message: string | undefined, headers: Iterable<readonly [string, string]>): string {
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `HTTP/1.1 ${status} ${message ?? STATUS_CODES[status] ?? ''}\r\n${lines}\r\n`;
}
