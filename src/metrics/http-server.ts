/**
 * The HTTP endpoint of a node: metrics, health, readiness and service discovery. It only reads. Whatever else comes to the
 * port, garbage above all, is answered shortly or not, counted, and logged a few times a minute at most.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Endpoint } from '../model/endpoint.ts';
import type { Logger } from '../ports/logger.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { HttpBindError } from './errors.ts';
import { type GarbageReason, HttpCounts } from './http-counts.ts';
import { knownPath, pageOf, type Page, type PageSources } from './http-pages.ts';
import { LoopWatch } from './loop-watch.ts';
import type { MetricsSource } from './metrics-source.ts';
import type { HttpReading } from './outer-readings.ts';

export interface HttpServerOptions {
  readonly handle: NodeHandle;
  /** Where to listen; port 0 takes any free one. */
  readonly endpoint: Endpoint;
  /** Undefined turns the sink off: `/metrics` is not found. */
  readonly metrics: MetricsSource | undefined;
  readonly logger: Logger;
}

export interface HttpServer extends AsyncDisposable {
  /** Where it listens; the port is the bound one. */
  readonly local: Endpoint;
  /** What `OuterReadings.http` takes. */
  stats(): HttpReading;
  /** Stops listening and ends what is open, answers under way after a short grace. */
  close(): Promise<void>;
}

/** A scraper sends its few lines at once; who takes longer is not one. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Longer than the usual scrape interval of 15 s and half of it, so that a scraper keeps its connection. */
const KEEP_ALIVE_MS = 30_000;
const HEADER_BYTES_MAX = 8_192;
const CONNECTIONS_MAX = 128;
const CLOSE_GRACE_MS = 1_000;
/** Between two log lines on garbage; the next one tells how much there was meanwhile. */
const GARBAGE_LOG_MS = 10_000;

/** Rejects with {@link HttpBindError}; then nothing is left open. */
export function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const running = new RunningServer(options);
  return running.listen();
}

class RunningServer implements HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #sources: PageSources;
  readonly #garbage: GarbageLog;
  readonly #counts: HttpCounts = new HttpCounts();
  readonly #open: Set<Duplex> = new Set();
  #local: Endpoint;
  #closing: Promise<void> | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#local = options.endpoint;
    this.#garbage = new GarbageLog(options.logger, options.handle);
    this.#sources = { handle: options.handle, metrics: options.metrics, loop: new LoopWatch(options.handle) };
    this.#server = createServer({
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: HEADER_BYTES_MAX,
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
    this.#server.on('request', (request, response) => this.#onRequest(request, response));
    this.#server.on('clientError', (error, socket) => this.#onClientError(error, socket));
    this.#server.on('drop', () => this.#onGarbage('too-many-connections'));
    this.#server.on('upgrade', (_request, socket) => this.#refuse(socket, 'upgrade'));
    this.#server.on('connect', (_request, socket) => this.#refuse(socket, 'connect'));
  }

  get local(): Endpoint {
    return this.#local;
  }

  stats(): HttpReading {
    return this.#counts.reading(this.#open.size);
  }

  listen(): Promise<HttpServer> {
    const { endpoint } = this.#options;
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => {
        this.#sources.loop.close();
        reject(new HttpBindError(endpoint, cause));
      };
      this.#server.once('error', failed);
      this.#server.listen({ host: endpoint.host, port: endpoint.port, exclusive: true }, () => {
        this.#server.off('error', failed);
        this.#server.on('error', (cause) =>
          this.#options.logger.log('error', 'httpServerFailed', { error: cause.message }),
        );
        const bound = this.#server.address();
        if (bound !== null && typeof bound === 'object') this.#local = { host: bound.address, port: bound.port };
        resolve(this);
      });
    });
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#sources.loop.close();
      const grace = setTimeout(() => this.#server.closeAllConnections(), CLOSE_GRACE_MS);
      this.#server.close(() => {
        clearTimeout(grace);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const path = knownPath(pathnameOf(request.url ?? '/'));
    const answer = async (): Promise<void> => {
      const page = isRead(request.method)
        ? await pageOf(path, request.headers.accept ?? '', this.#sources)
        : NOT_ALLOWED;
      this.#counts.onRequest(path, page.status);
      send(request, response, page);
    };
    answer().catch((cause: unknown) => {
      this.#options.logger.log('error', 'httpAnswerFailed', { path, error: String(cause) });
      this.#counts.onRequest(path, 500);
      send(request, response, FAILED);
    });
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    this.#onGarbage(garbageReason(error.code));
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    destroyLater(socket);
  }

  #refuse(socket: Duplex, reason: GarbageReason): void {
    this.#onGarbage(reason);
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    destroyLater(socket);
  }

  #onGarbage(reason: GarbageReason): void {
    this.#counts.onGarbage(reason);
    // A scraper that went away is no garbage worth a line.
    if (reason !== 'reset') this.#garbage.note(reason);
  }
}

/** One line at once, then at most one in ten seconds, however much comes. */
class GarbageLog {
  readonly #logger: Logger;
  readonly #handle: NodeHandle;
  #silentUntil = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(logger: Logger, handle: NodeHandle) {
    this.#logger = logger;
    this.#handle = handle;
  }

  note(reason: string): void {
    this.#unsaid += 1;
    const now = this.#handle.now();
    if (now < this.#silentUntil) return;
    this.#silentUntil = now + GARBAGE_LOG_MS;
    this.#logger.log('warn', 'httpGarbage', { reason, count: this.#unsaid });
    this.#unsaid = 0;
  }
}

const NOT_ALLOWED: Page = { status: 405, contentType: 'text/plain; charset=utf-8', body: 'only GET and HEAD\n' };
const FAILED: Page = { status: 500, contentType: 'text/plain; charset=utf-8', body: 'this page failed\n' };

function isRead(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD';
}

function pathnameOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function send(request: IncomingMessage, response: ServerResponse, page: Page): void {
  if (response.headersSent || response.destroyed) return;
  const body = Buffer.from(page.body);
  response.writeHead(page.status, {
    'Content-Type': page.contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    ...(page.status === 405 ? { Allow: 'GET, HEAD' } : {}),
    // A body nobody wants is not read to its end: the connection goes with it.
    ...(hasBody(request) ? { Connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

function garbageReason(code: string | undefined): GarbageReason {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'header-overflow';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'timeout';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'reset';
    default:
      return code?.startsWith('HPE_') === true ? 'malformed' : 'error';
  }
}

/** The other side may never close; its last words get a moment and no more. */
function destroyLater(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}
