/** Gossip's TCP side: short exchanges, one per connection. The core decides what they mean; here they only exist. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { plainBytes } from '../base/bytes.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { StreamId } from '../model/ids.ts';

/** memberlist's TCP timeout (LAN). An exchange that stands still for so long is over. */
const IDLE_MS = 10_000;
/** memberlist serves 128 push/pulls at once; one more is closed without an answer. */
const ACCEPTED_MAX = 128;
const OPENED_MAX = 256;

export interface StreamEvents {
  accepted(stream: StreamId, from: Endpoint): void;
  opened(stream: StreamId): void;
  bytes(stream: StreamId, bytes: Uint8Array): void;
  /** Once per stream, unless we closed it ourselves. */
  closed(stream: StreamId, error: string | undefined): void;
}

export class TcpStreams implements AsyncDisposable {
  readonly local: Endpoint;
  readonly #server: Server;
  readonly #events: StreamEvents;
  readonly #sockets: Map<StreamId, Socket> = new Map();
  #accepted = 0;
  #nextAccepted = 1;

  private constructor(server: Server, local: Endpoint, events: StreamEvents) {
    this.#server = server;
    this.local = local;
    this.#events = events;
    server.on('connection', (socket) => this.#onConnection(socket));
    server.on('error', () => {}); // After `listen` only accept errors come here; the next connection is tried anew.
  }

  /** Rejects with the system's error (`EADDRINUSE`, ...). */
  static async listen(at: Endpoint, events: StreamEvents): Promise<TcpStreams> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: at.host, port: at.port, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : at.port;
    return new TcpStreams(server, { host: at.host, port }, events);
  }

  open(stream: StreamId, to: Endpoint): void {
    if (this.#sockets.size - this.#accepted >= OPENED_MAX || to.port === 0) {
      setImmediate(() => this.#events.closed(stream, 'too many streams are open'));
      return;
    }
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    this.#adopt(stream, socket);
    socket.once('connect', () => {
      if (this.#sockets.get(stream) === socket) this.#events.opened(stream);
    });
  }

  send(stream: StreamId, bytes: Uint8Array): void {
    this.#sockets.get(stream)?.write(bytes);
  }

  close(stream: StreamId): void {
    const socket = this.#sockets.get(stream);
    if (socket === undefined) return;
    this.#sockets.delete(stream);
    socket.end();
    socket.setTimeout(1_000, () => socket.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
    await closed;
  }

  #onConnection(socket: Socket): void {
    if (this.#accepted >= ACCEPTED_MAX) {
      socket.destroy();
      return;
    }
    this.#accepted += 1;
    socket.once('close', () => {
      this.#accepted -= 1;
    });
    const stream = this.#nextAccepted as StreamId;
    this.#nextAccepted += 2;
    this.#adopt(stream, socket);
    this.#events.accepted(stream, { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
  }

  #adopt(stream: StreamId, socket: Socket): void {
    this.#sockets.set(stream, socket);
    let failure: string | undefined;
    socket.setTimeout(IDLE_MS, () => {
      failure = 'timed out';
      socket.destroy();
    });
    socket.on('data', (bytes) => {
      if (this.#sockets.get(stream) === socket) this.#events.bytes(stream, plainBytes(bytes));
    });
    socket.on('error', (error) => {
      failure = error.message;
    });
    socket.once('end', () => this.#onClosed(stream, socket, undefined));
    socket.once('close', () => this.#onClosed(stream, socket, failure));
  }

  #onClosed(stream: StreamId, socket: Socket, failure: string | undefined): void {
    if (this.#sockets.get(stream) !== socket) return;
    this.#sockets.delete(stream);
    this.#events.closed(stream, failure);
    socket.end();
  }
}
