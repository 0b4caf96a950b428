/**
 * Speaks the RPC of Serf's agent, which both programs serve: one connection per member, so that acting on it and hearing from it costs
 * no process. Only what the benches need of it, and of msgpack.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

type Value = undefined | boolean | number | string | readonly Value[] | { readonly [name: string]: Value };
export type Fields = Readonly<Record<string, Value>>;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A member that has just been started may not listen yet. */
const CONNECT_MS = 15_000;
const AGAIN_MS = 100;

export class AgentRpc {
  readonly #socket: Socket;
  readonly #waiting: Map<number, Waiting> = new Map();
  readonly #streams: Map<number, (record: Fields, at: number) => void> = new Map();
  #received: Buffer = Buffer.alloc(0);
  #header: Fields | undefined;
  #sequence = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#drain(performance.now());
    });
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the agent closed the connection'));
      this.#waiting.clear();
    });
    // What goes wrong is told by `close`, which follows.
    socket.on('error', () => undefined);
  }

  static async to(port: number): Promise<AgentRpc> {
    const deadline = performance.now() + CONNECT_MS;
    for (;;) {
      const socket = connect({ host: '127.0.0.1', port });
      const isOpen = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (isOpen) {
        const rpc = new AgentRpc(socket);
        await rpc.call('handshake', { Version: 1 });
        return rpc;
      }
      if (performance.now() > deadline) throw new Error(`nobody serves the agent RPC on port ${port}`);
      await sleep(AGAIN_MS);
    }
  }

  /** Sends a command whose answer has no body; `onRecord` hears what comes of it later. */
  call(command: string, body: Fields | undefined, onRecord?: (record: Fields, at: number) => void): Promise<void> {
    const sequence = this.#sequence;
    this.#sequence += 1;
    if (onRecord !== undefined) this.#streams.set(sequence, onRecord);
    const header = encode({ Command: command, Seq: sequence });
    this.#socket.write(body === undefined ? header : Buffer.concat([header, encode(body)]));
    return new Promise((resolve, reject) => this.#waiting.set(sequence, { resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #drain(at: number): void {
    for (;;) {
      const decoder = new Decoder(this.#received);
      const value = decoder.read();
      if (decoder.isShort) return;
      this.#received = this.#received.subarray(decoder.at);
      this.#onValue(value as Fields, at);
    }
  }

  #onValue(value: Fields, at: number): void {
    if (this.#header !== undefined) {
      const sequence = this.#header['Seq'] as number;
      this.#header = undefined;
      this.#streams.get(sequence)?.(value, at);
      return;
    }
    const sequence = value['Seq'] as number;
    const waiting = this.#waiting.get(sequence);
    if (waiting === undefined) {
      this.#header = value;
      return;
    }
    this.#waiting.delete(sequence);
    if (value['Error'] === '') waiting.resolve();
    else waiting.reject(new Error(String(value['Error'])));
  }
}

function encode(value: Value): Buffer {
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number') return encodeNumber(value);
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    const head = Buffer.of(0xda, text.length >> 8, text.length & 255);
    return Buffer.concat([head, text]);
  }
  if (value === undefined) return Buffer.of(0xc0);
  if (Array.isArray(value)) return Buffer.concat([Buffer.of(0x90 | value.length), ...value.map(encode)]);
  const entries = Object.entries(value).flatMap(([name, of]) => [encode(name), encode(of)]);
  return Buffer.concat([Buffer.of(0x80 | (entries.length / 2)), ...entries]);
}

function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xcf;
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return value < 0x80 ? Buffer.of(value) : bytes;
}

/** Byte strings come back as text: nothing here is anything else. */
class Decoder {
  readonly #bytes: Buffer;
  at = 0;
  /** The value has not come whole. */
  isShort = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): Value {
    const tag = this.#number(1);
    if (tag <= 0x7f) return tag;
    if (tag <= 0x8f) return this.#map(tag & 15);
    if (tag <= 0x9f) return this.#array(tag & 15);
    if (tag <= 0xbf) return this.#text(tag & 31);
    if (tag >= 0xe0) return tag - 256;
    const width = WIDTHS.get(tag);
    if (width !== undefined) return this.#number(width);
    const sized = SIZES.get(tag);
    if (sized === undefined) return tag === 0xc0 ? undefined : tag === 0xc3;
    const size = this.#number(sized.width);
    if (sized.kind === 'map') return this.#map(size);
    return sized.kind === 'array' ? this.#array(size) : this.#text(size);
  }

  #number(width: number): number {
    if (this.at + width > this.#bytes.length) this.isShort = true;
    if (this.isShort) return 0;
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + (this.#bytes[this.at + i] as number);
    this.at += width;
    return value;
  }

  #text(size: number): string {
    const text = this.#bytes.toString('latin1', this.at, this.at + size);
    this.at += size;
    if (this.at > this.#bytes.length) this.isShort = true;
    return text;
  }

  #array(count: number): Value[] {
    const values: Value[] = [];
    for (let i = 0; i < count && !this.isShort; i++) values.push(this.read());
    return values;
  }

  #map(count: number): Fields {
    const fields: Record<string, Value> = {};
    for (let i = 0; i < count && !this.isShort; i++) {
      const name = String(this.read());
      fields[name] = this.read();
    }
    return fields;
  }
}

const WIDTHS: ReadonlyMap<number, number> = new Map([
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
  [0xcb, 8],
  [0xca, 4],
]);
const SIZES: ReadonlyMap<number, { readonly kind: 'text' | 'array' | 'map'; readonly width: number }> = new Map([
  [0xd9, { kind: 'text', width: 1 }],
  [0xda, { kind: 'text', width: 2 }],
  [0xdb, { kind: 'text', width: 4 }],
  [0xc4, { kind: 'text', width: 1 }],
  [0xc5, { kind: 'text', width: 2 }],
  [0xdc, { kind: 'array', width: 2 }],
  [0xde, { kind: 'map', width: 2 }],
]);
