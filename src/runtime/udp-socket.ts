/** One UDP socket. Sending never throws: what cannot be sent is lost, as datagrams are. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Endpoint } from '../model/endpoint.ts';
import type { DatagramPort } from '../ports/datagram-port.ts';

/** Serf asks for 2 MiB; the kernel gives what it allows. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;

export class UdpSocket implements DatagramPort {
  readonly local: Endpoint;
  readonly #socket: Socket;
  #isClosed = false;
  sendErrors = 0;

  private constructor(socket: Socket, local: Endpoint) {
    this.#socket = socket;
    this.local = local;
  }

  /** Rejects with the system's error (`EADDRINUSE`, ...). */
  static async bind(at: Endpoint, onDatagram: (bytes: Uint8Array, from: Endpoint) => void): Promise<UdpSocket> {
    const socket = createSocket({ type: isIPv6(at.host) ? 'udp6' : 'udp4' });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    } catch (error) {
      if (!(error instanceof Error)) throw error; // The kernel's default serves; nothing to do about it.
    }
    const bound = new UdpSocket(socket, { host: at.host, port: socket.address().port });
    socket.on('error', () => {
      bound.sendErrors += 1;
    });
    socket.on('message', (bytes, from) => onDatagram(new Uint8Array(bytes), { host: from.address, port: from.port }));
    return bound;
  }

  send(to: Endpoint, bytes: Uint8Array): void {
    if (this.#isClosed || to.port === 0) return;
    this.#socket.send(bytes, to.port, to.host, (error) => {
      if (error !== null) this.sendErrors += 1;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await new Promise<void>((resolve) => {
      this.#socket.close(() => resolve());
    });
  }
}
