/**
 * The listening socket of the management server. It is ours and not gRPC's so that a failed bind says why, connections are
 * limited, and bytes that are no HTTP/2 are counted and told of, at a bounded rate, instead of vanishing.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { Logger } from '../ports/logger.ts';
import { atHttp2Opening } from '../runtime/http2-opening.ts';
import { BindFailedError } from './errors.ts';

/** Connections at once; beyond it new ones are closed. */
export const CONNECTIONS_MAX = 512;
/** At most one log line of malformed connections in this time. */
const LOG_EVERY_MS = 10_000;

export interface ListenerOptions {
  readonly endpoint: Endpoint;
  /** Takes over a connection. */
  readonly accept: (socket: Socket) => void;
  readonly logger: Logger | undefined;
}

export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those that have not said anything yet: gRPC does not know them, and will not end them. */
  readonly #silent = new Set<Socket>();
  readonly #logger: Logger | undefined;
  #accepted = 0;
  #refused = 0;
  #malformed = 0;
  #unlogged = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  private constructor(server: Server, logger: Logger | undefined) {
    this.#server = server;
    this.#logger = logger;
  }

  /** Binds and listens. Rejects with {@link BindFailedError}: nothing was opened. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const { endpoint, accept, logger } = options;
    const server = createServer({ noDelay: true });
    server.maxConnections = CONNECTIONS_MAX;
    const listener = new Listener(server, logger);
    server.on('connection', (socket) => listener.#onConnection(socket, accept));
    server.on('drop', () => {
      listener.#refused += 1;
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new BindFailedError(endpoint, error.code ?? error.message, { cause: error }));
      });
      server.listen({ host: endpoint.host, port: endpoint.port, exclusive: true }, resolve);
    });
    // Errors after binding concern one accept (too many files): the kernel tries again by itself.
    server.on('error', (error) => logger?.log('warn', 'acceptFailed', { error: error.message }));
    return listener;
  }

  /** The port that was bound. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Connections taken since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections refused because there were too many. */
  get refused(): number {
    return this.#refused;
  }

  /** Connections that ended because of bytes that are not HTTP/2. */
  get malformed(): number {
    return this.#malformed;
  }

  /** Takes no more connections; resolves when those there are have ended, and are no longer counted. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#silent) socket.destroy();
    });
    // That is when the last socket was destroyed; it says so itself, and is off our list, only when its handle is closed.
    await Promise.all([...this.#sockets].map(closeOf));
  }

  /** Ends every connection now. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #onConnection(socket: Socket, accept: (socket: Socket) => void): void {
    this.#accepted += 1;
    this.#sockets.add(socket);
    const from = formatEndpoint({ host: socket.remoteAddress ?? '?', port: socket.remotePort ?? 0 });
    // A reset by the peer is its own business; what HTTP/2 finds wrong is told to the socket as its error.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('ERR_HTTP2') === true) this.#onMalformed(from, error.message);
    });
    this.#silent.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#silent.delete(socket);
    });
    atHttp2Opening(socket, {
      accept: () => {
        this.#silent.delete(socket);
        accept(socket);
      },
      onGarbage: () => this.#onMalformed(from, 'it does not begin as HTTP/2'),
    });
  }

  #onMalformed(from: string, reason: string): void {
    this.#malformed += 1;
    const now = performance.now();
    if (now - this.#loggedAt < LOG_EVERY_MS) {
      this.#unlogged += 1;
      return;
    }
    this.#logger?.log('warn', 'malformedConnection', { from, reason, notLogged: this.#unlogged });
    this.#loggedAt = now;
    this.#unlogged = 0;
  }
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}
