/**
 * The first bytes of a connection to a gRPC port, looked at before gRPC has it. Garbage from somebody who is gone already would
 * otherwise be seen by nobody: the answer that HTTP/2 owes first meets a reset, and that is all its socket tells.
 */
import type { Socket } from 'node:net';

/** What a client of HTTP/2 says first, RFC 9113 3.4. */
const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface OpeningOptions {
  /** The connection begins as HTTP/2 does, as far as it has come; nothing of it was taken. */
  readonly accept: (socket: Socket) => void;
  /** It begins otherwise, and was closed. */
  readonly onGarbage: () => void;
}

/** Waits for the first bytes. Whoever sends none is neither accepted nor garbage; errors and closing stay the caller's to see. */
export function atHttp2Opening(socket: Socket, { accept, onGarbage }: OpeningOptions): void {
  socket.once('data', (bytes: Buffer) => {
    const size = Math.min(bytes.length, PREFACE.length);
    if (!bytes.subarray(0, size).equals(PREFACE.subarray(0, size))) {
      socket.destroy();
      onGarbage();
      return;
    }
    socket.pause();
    socket.unshift(bytes);
    accept(socket);
  });
}
