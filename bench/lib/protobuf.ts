/** The few shapes of protobuf that a load writes and reads. */

export class ProtobufWriter {
  readonly #pieces: Uint8Array[] = [];

  varint(field: number, value: number): this {
    this.#pieces.push(varintOf(field * 8), varintOf(value));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#pieces.push(varintOf(field * 8 + 2), varintOf(value.length), value);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

export interface ProtobufField {
  readonly field: number;
  readonly value: number | Buffer;
}

/** Varints and length-delimited fields. */
export class ProtobufReader implements Iterable<ProtobufField> {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  *[Symbol.iterator](): Generator<ProtobufField> {
    while (this.#at < this.#bytes.length) {
      const tag = this.#varint();
      if (tag % 8 === 0) yield { field: tag >>> 3, value: this.#varint() };
      else {
        const size = this.#varint();
        yield { field: tag >>> 3, value: this.#bytes.subarray(this.#at, this.#at + size) };
        this.#at += size;
      }
    }
  }

  #varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 128) return value;
    }
  }
}

function varintOf(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
