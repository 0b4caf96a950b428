/**
 * Writes msgpack as gossip peers expect it: the old spec with one raw family, minimal integers, float64 always in full.
 * Struct keys are the caller's to sort by byte order. wire-gossip.md 2.1. The agent's RPC speaks the new spec, in which text and
 * bytes are two families (wire-gossip.md 20.1).
 */
import { assert } from '../../base/assert.ts';
import { ByteWriter, utf8 } from '../../base/bytes.ts';

const TWO_32 = 0x1_0000_0000;

/** `raw`: the old spec, text and bytes alike. `parted`: the new one, with str8 and bin. */
type TextFamily = 'raw' | 'parted';

export class MsgpackWriter {
  readonly #out: ByteWriter;
  readonly #family: TextFamily;

  constructor(initialSize = 128, family: TextFamily = 'raw') {
    this.#out = new ByteWriter(initialSize);
    this.#family = family;
  }

  get size(): number {
    return this.#out.size;
  }

  /** A map of `count` entries follows: key, value, key, value. */
  mapHeader(count: number): this {
    return this.#header(count, 0x80, 0xde);
  }

  /** An array of `count` items follows. */
  arrayHeader(count: number): this {
    return this.#header(count, 0x90, 0xdc);
  }

  /** What Go writes for a nil slice, map or pointer. An empty one that is present is written as such. */
  nil(): this {
    this.#out.u8(0xc0);
    return this;
  }

  bool(value: boolean): this {
    this.#out.u8(value ? 0xc3 : 0xc2);
    return this;
  }

  /** Any integer of 64 bits, in the fewest bytes; non-negative ones always in the unsigned family. */
  int(value: number | bigint): this {
    if (typeof value === 'bigint') return this.#wideInt(value);
    assert(Number.isSafeInteger(value), 'an integer to write is safe');
    if (value < 0) return this.#negativeInt(value);
    if (value < 0x80) this.#out.u8(value);
    else if (value < 0x100) this.#out.u8(0xcc).u8(value);
    else if (value < 0x1_0000) this.#out.u8(0xcd).u16(value);
    else if (value < TWO_32) this.#out.u8(0xce).u32(value);
    else this.#out.u8(0xcf).u64(value);
    return this;
  }

  float64(value: number): this {
    this.#out.u8(0xcb).f64(value);
    return this;
  }

  text(value: string): this {
    const encoded = utf8(value);
    if (this.#family === 'raw' || encoded.length < 32 || encoded.length > 0xff) return this.#raw(encoded);
    this.#out.u8(0xd9).u8(encoded.length).raw(encoded);
    return this;
  }

  /** In the old spec, bytes and text are one family: never bin, never str8, which old peers refuse. */
  bytes(value: Uint8Array): this {
    if (this.#family === 'raw') return this.#raw(value);
    const size = value.length;
    if (size < 0x100) this.#out.u8(0xc4).u8(size);
    else if (size < 0x1_0000) this.#out.u8(0xc5).u16(size);
    else this.#out.u8(0xc6).u32(size);
    this.#out.raw(value);
    return this;
  }

  #raw(value: Uint8Array): this {
    const size = value.length;
    if (size < 32) this.#out.u8(0xa0 | size);
    else if (size < 0x1_0000) this.#out.u8(0xda).u16(size);
    else this.#out.u8(0xdb).u32(size);
    this.#out.raw(value);
    return this;
  }

  bytesOrNil(value: Uint8Array | undefined): this {
    return value === undefined ? this.nil() : this.bytes(value);
  }

  /** Puts bytes as they are: a message's type byte, or values encoded before. */
  raw(encoded: Uint8Array): this {
    this.#out.raw(encoded);
    return this;
  }

  u8(byte: number): this {
    this.#out.u8(byte);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#out.finish();
  }

  #header(count: number, fix: number, wide: number): this {
    assert(Number.isSafeInteger(count) && count >= 0 && count < TWO_32, 'a map or array has fewer than 2^32 entries');
    if (count < 16) this.#out.u8(fix | count);
    else if (count < 0x1_0000) this.#out.u8(wide).u16(count);
    else this.#out.u8(wide + 1).u32(count);
    return this;
  }

  #negativeInt(value: number): this {
    if (value >= -32) this.#out.u8(value & 0xff);
    else if (value >= -0x80) this.#out.u8(0xd0).u8(value & 0xff);
    else if (value >= -0x8000) this.#out.u8(0xd1).u16(value & 0xffff);
    else if (value >= -0x8000_0000) this.#out.u8(0xd2).u32(value >>> 0);
    else
      this.#out
        .u8(0xd3)
        .u32(Math.floor(value / TWO_32) >>> 0)
        .u32(value >>> 0);
    return this;
  }

  #wideInt(value: bigint): this {
    if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER))
      return this.int(Number(value));
    assert(value >= -(1n << 63n) && value < 1n << 64n, 'an integer to write has 64 bits');
    const bits = BigInt.asUintN(64, value);
    this.#out
      .u8(value < 0n ? 0xd3 : 0xcf)
      .u32(Number(bits >> 32n))
      .u32(Number(bits & 0xffff_ffffn));
    return this;
  }
}
