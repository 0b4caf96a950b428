/** Growing big-endian writer and bounds-checked reader, plus a few helpers over `Uint8Array`. */
import { assert } from './assert.ts';
import { DecodeError } from './errors.ts';

const TWO_32 = 0x1_0000_0000;
/** Arguments of one call; some thousands are safe on any stack. */
const CHARACTERS_AT_ONCE = 1_024;
const textEncoder: InstanceType<typeof TextEncoder> = new TextEncoder();
const textDecoder: InstanceType<typeof TextDecoder> = new TextDecoder('utf-8', { fatal: true });

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

/** Longer texts, and all that are not ASCII, are left to the platform, whose way costs more than it does for names and tags. */
const SHORT_TEXT = 64;

export function utf8(text: string): Uint8Array {
  if (text.length > SHORT_TEXT) return textEncoder.encode(text);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return textEncoder.encode(text);
    bytes[i] = code;
  }
  return bytes;
}

/** The same bytes in memory of their own: a part of a buffer takes the whole buffer along when it is cloned. */
export function compactBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

/**
 * A view of the same memory that is a Uint8Array and nothing more. What sockets give is a Buffer, whose `slice` copies nothing, and whose memory may be
 * a pool that must not be handed to another thread.
 */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Decodes UTF-8; throws {@link DecodeError} when the bytes are not valid. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return textDecoder.decode(bytes);
  } catch (cause) {
    throw new DecodeError('text is not valid UTF-8', { cause });
  }
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Negative, zero or positive, comparing byte by byte as unsigned numbers; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** One character for each byte: a key for maps that `<` orders as the bytes are ordered. */
export function binaryText(bytes: Uint8Array): string {
  if (bytes.length <= CHARACTERS_AT_ONCE) return String.fromCharCode(...bytes);
  let text = '';
  for (let at = 0; at < bytes.length; at += CHARACTERS_AT_ONCE)
    text += String.fromCharCode(...bytes.subarray(at, at + CHARACTERS_AT_ONCE));
  return text;
}

export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #size = 0;

  constructor(initialSize = 256) {
    this.#bytes = new Uint8Array(initialSize);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get size(): number {
    return this.#size;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#view.setUint8(this.#size, value);
    this.#size += 1;
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#view.setUint16(this.#size, value);
    this.#size += 2;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#size, value);
    this.#size += 4;
    return this;
  }

  /** A safe, non-negative integer in eight bytes. */
  u64(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'u64 takes a safe, non-negative integer');
    this.#reserve(8);
    this.#view.setUint32(this.#size, Math.floor(value / TWO_32));
    this.#view.setUint32(this.#size + 4, value >>> 0);
    this.#size += 8;
    return this;
  }

  f64(value: number): this {
    this.#reserve(8);
    this.#view.setFloat64(this.#size, value);
    this.#size += 8;
    return this;
  }

  /** LEB128, for safe non-negative integers. */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'varint takes a safe, non-negative integer');
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
    return this;
  }

  /** Varint length, then the bytes. */
  blob(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** Varint length, then UTF-8. */
  text(text: string): this {
    return this.blob(utf8(text));
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** What `write` appends, with its length in front (`u64`): for what is too large to be made elsewhere and copied. */
  section(write: (out: this) => void): this {
    const start = this.u64(0).#size;
    write(this);
    const size = this.#size - start;
    this.#view.setUint32(start - 8, Math.floor(size / TWO_32));
    this.#view.setUint32(start - 4, size >>> 0);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  #reserve(count: number): void {
    const wanted = this.#size + count;
    if (wanted <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Every read checks the bounds and throws {@link DecodeError}; views it returns share the input's memory. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** Refuses values above 2^53 - 1. */
  u64(): number {
    const at = this.#take(8);
    const value = this.#view.getUint32(at) * TWO_32 + this.#view.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) throw new DecodeError('a 64-bit number is above 2^53 - 1');
    return value;
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  /** Refuses values above 2^53 - 1. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw new DecodeError('a varint is above 2^53 - 1');
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
    throw new DecodeError('a varint is longer than eight bytes');
  }

  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  blob(countMax: number = Number.MAX_SAFE_INTEGER): Uint8Array {
    const count = this.varint();
    if (count > countMax) throw new DecodeError(`a field of ${count} bytes is longer than ${countMax}`);
    return this.raw(count);
  }

  /** What {@link ByteWriter.section} wrote. */
  section(): Uint8Array {
    return this.raw(this.u64());
  }

  text(countMax: number = Number.MAX_SAFE_INTEGER): string {
    return fromUtf8(this.blob(countMax));
  }

  bool(): boolean {
    const byte = this.u8();
    if (byte > 1) throw new DecodeError('a boolean is neither 0 nor 1');
    return byte === 1;
  }

  /** Throws when bytes are left over. */
  end(): void {
    if (this.left !== 0) throw new DecodeError(`${this.left} bytes are left over`);
  }

  #take(count: number): number {
    if (count < 0 || count > this.left) {
      throw new DecodeError(`needs ${count} bytes at ${this.#at}, has ${this.left}`);
    }
    const at = this.#at;
    this.#at += count;
    return at;
  }
}
