/** Messages in the body of a gRPC call: a byte that says whether it is compressed, its size in 32 bits, and the message (gRPC over HTTP/2, "Length-Prefixed-Message"). */

const HEAD_BYTES = 5;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** The body is no sequence of messages that can be passed on. */
export class FrameError extends Error {}

export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEAD_BYTES);
  return frame;
}

export class FrameReader {
  readonly #messageBytesMax: number;
  #parts: Buffer[] = [];
  #held = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** The messages that end in this chunk. @throws {FrameError} for one that is too long, or compressed though nobody asked for that. */
  push(chunk: Buffer): Buffer[] {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    const messages: Buffer[] = [];
    for (let message = this.#take(); message !== undefined; message = this.#take()) messages.push(message);
    return messages;
  }

  /** Whether the body ended inside a message. */
  get isInside(): boolean {
    return this.#held > 0;
  }

  #take(): Buffer | undefined {
    if (this.#held < HEAD_BYTES) return undefined;
    if ((this.#parts[0] as Buffer).length < HEAD_BYTES) this.#parts = [Buffer.concat(this.#parts)];
    const head = this.#parts[0] as Buffer;
    if (head[0] !== 0) throw new FrameError('a compressed message came, and none was asked for');
    const size = head.readUInt32BE(1);
    if (size > this.#messageBytesMax)
      throw new FrameError(`a message of ${size} bytes came; ${this.#messageBytesMax} are allowed`);
    const end = HEAD_BYTES + size;
    if (this.#held < end) return undefined;
    const whole = this.#parts.length === 1 ? head : Buffer.concat(this.#parts);
    this.#held -= end;
    this.#parts = this.#held === 0 ? [] : [whole.subarray(end)];
    return size === 0 ? NO_BYTES : whole.subarray(HEAD_BYTES, end);
  }
}
