/** As little of a gRPC client as a load needs, the same for every server: unary calls over node:http2, and one stream of exchanges. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';

const HEADERS = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' } as const;
const PREFIX_BYTES = 5;

/** One connection; its calls end in the time of the server. */
export class UnaryClient {
  readonly #session: ClientHttp2Session;

  constructor(address: string) {
    this.#session = connect(`http://${address}`, { settings: { initialWindowSize: 16 * 1024 * 1024 } });
    this.#session.on('error', () => undefined);
  }

  /** Rejects unless the status is OK. */
  call(path: string, message: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({ ...HEADERS, ':path': path });
      const pieces: Buffer[] = [];
      let status = '';
      stream.on('response', (headers) => {
        status = String(headers['grpc-status'] ?? '');
      });
      stream.on('trailers', (headers) => {
        status = String(headers['grpc-status'] ?? '');
      });
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('error', reject);
      stream.on('end', () => {
        const whole = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
        if (status === '0') resolve(whole.subarray(PREFIX_BYTES));
        else reject(new Error(`gRPC status ${status}`));
      });
      stream.end(framed(message));
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** `funk.v1.Kv/Exchange`: requests of a moment leave in one message. */
export class ExchangeClient {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #waiting: Map<number, { resolve: () => void; reject: (error: Error) => void }> = new Map();
  #asks: { readonly id: number; readonly field: number; readonly message: Uint8Array }[] = [];
  #lastId = 0;
  #unread: Buffer = Buffer.alloc(0);

  constructor(address: string) {
    this.#session = connect(`http://${address}`, { settings: { initialWindowSize: 16 * 1024 * 1024 } });
    this.#session.on('error', (error) => this.#fail(error));
    this.#stream = this.#session.request({ ...HEADERS, ':path': '/funk.v1.Kv/Exchange' });
    this.#stream.on('error', (error) => this.#fail(error));
    this.#stream.on('data', (piece: Buffer) => this.#onData(piece));
  }

  /** `field`: of the request in `KvAsk`. */
  ask(field: number, message: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      this.#waiting.set(this.#lastId, { resolve, reject });
      this.#asks.push({ id: this.#lastId, field, message });
      if (this.#asks.length === 1) setImmediate(() => this.#flush());
    });
  }

  close(): void {
    this.#session.destroy();
  }

  #flush(): void {
    const out = new ProtobufWriter();
    for (const { id, field, message } of this.#asks) {
      const ask = new ProtobufWriter().varint(1, id).bytes(field, message).finish();
      out.bytes(1, ask);
    }
    this.#asks = [];
    this.#stream.write(framed(out.finish()));
  }

  #onData(piece: Buffer): void {
    let bytes = this.#unread.length === 0 ? piece : Buffer.concat([this.#unread, piece]);
    while (bytes.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      this.#onMessage(bytes.subarray(PREFIX_BYTES, end));
      bytes = bytes.subarray(end);
    }
    this.#unread = bytes;
  }

  #onMessage(message: Buffer): void {
    for (const { value } of new ProtobufReader(message)) {
      let id = 0;
      let isError = false;
      for (const part of new ProtobufReader(value as Buffer)) {
        if (part.field === 1) id = part.value as number;
        else if (part.field === 8) isError = true;
      }
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (isError) waiting?.reject(new Error('refused'));
      else waiting?.resolve();
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}
