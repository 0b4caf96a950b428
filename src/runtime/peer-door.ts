/** The listening socket of the peer links. It is ours and not gRPC's, so that connections are limited, and garbage is counted. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../model/endpoint.ts';
import { atHttp2Opening } from './http2-opening.ts';

export interface PeerDoorOptions {
  readonly at: Endpoint;
  /** Connections at once; beyond it new ones are closed. */
  readonly connectionsMax: number;
  /** Takes over a connection. */
  readonly accept: (socket: Socket) => void;
  /** A connection ended because of bytes that are no HTTP/2. */
  readonly onMalformed: () => void;
}

export class PeerDoor {
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();
  accepted = 0;
  refused = 0;
  malformed = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Binds and listens. Rejects with the system's error: nothing was opened. */
  static async open(options: PeerDoorOptions): Promise<PeerDoor> {
    const { at } = options;
    const server = createServer({ noDelay: true });
    server.maxConnections = options.connectionsMax;
    const door = new PeerDoor(server);
    server.on('connection', (socket) => door.#take(socket, options));
    server.on('drop', () => {
      door.refused += 1;
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: at.host, port: at.port, exclusive: true }, resolve);
    });
    // Errors from here on concern one accept (too many files): the kernel tries again by itself.
    server.on('error', () => {
      door.refused += 1;
    });
    return door;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Ends every connection; resolves when none is left. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #take(socket: Socket, { accept, onMalformed }: PeerDoorOptions): void {
    this.accepted += 1;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const onGarbage = (): void => {
      this.malformed += 1;
      onMalformed();
    };
    // A reset by the peer is its own business; what HTTP/2 finds wrong is told to the socket as its error.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('ERR_HTTP2') === true) onGarbage();
    });
    atHttp2Opening(socket, { accept, onGarbage });
  }
}
