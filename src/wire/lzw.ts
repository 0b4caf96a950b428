/**
 * LZW as Go's compress/lzw writes it: bits packed from the least significant end, 8-bit literals, codes of 9 to 12 bits (the GIF
 * flavour). The encoder gives the same bytes as Go's, clear codes and width changes included. wire-gossip.md section 5.
 */
import { ByteWriter } from '../base/bytes.ts';
import { DecodeError } from '../base/errors.ts';

const CLEAR = 256;
const END = 257;
const FIRST_WIDTH = 9;
const WIDTH_MAX = 12;
const CODE_MAX = 4095;
const FIRST_OVERFLOW = 512;
const NO_CODE = -1;

export function lzwCompress(input: Uint8Array): Uint8Array {
  const bits = new BitWriter(input.length);
  bits.put(CLEAR, FIRST_WIDTH);
  let width = FIRST_WIDTH;
  let high = END;
  let overflow = FIRST_OVERFLOW;
  const first = input[0];
  if (first === undefined) return bits.put(END, width).finish();
  /** Key: prefix code and next byte. */
  const table = new Map<number, number>();
  let code: number = first;
  for (let i = 1; i < input.length; i++) {
    const next = input[i] as number;
    const key = (code << 8) | next;
    const known = table.get(key);
    if (known !== undefined) {
      code = known;
      continue;
    }
    bits.put(code, width);
    high += 1;
    if (high === overflow) {
      width += 1;
      overflow *= 2;
    }
    if (high === CODE_MAX) {
      bits.put(CLEAR, width);
      width = FIRST_WIDTH;
      high = END;
      overflow = FIRST_OVERFLOW;
      table.clear();
    } else {
      table.set(key, high);
    }
    code = next;
  }
  bits.put(code, width);
  high += 1;
  if (high === overflow) width += 1;
  if (high === CODE_MAX) {
    bits.put(CLEAR, width);
    width = FIRST_WIDTH;
  }
  return bits.put(END, width).finish();
}

/** Throws {@link DecodeError} on wrong codes, on a missing end code and beyond `outputBytesMax`. Bytes after the end code are ignored. */
export function lzwDecompress(input: Uint8Array, outputBytesMax: number): Uint8Array {
  const table = new CodeTable(Math.min(outputBytesMax, Math.max(1_024, input.length * 4)), outputBytesMax);
  let width = FIRST_WIDTH;
  let high = END;
  let overflow = FIRST_OVERFLOW;
  let last = NO_CODE;
  let pending = 0;
  let pendingBits = 0;
  let at = 0;
  for (;;) {
    while (pendingBits < width) {
      const byte = input[at];
      if (byte === undefined) throw new DecodeError('compressed bytes end without the end code');
      at += 1;
      pending |= byte << pendingBits;
      pendingBits += 8;
    }
    const code = pending & ((1 << width) - 1);
    pending >>>= width;
    pendingBits -= width;
    if (code === END) return table.output();
    if (code === CLEAR) {
      width = FIRST_WIDTH;
      high = END;
      overflow = FIRST_OVERFLOW;
      last = NO_CODE;
      continue;
    }
    if (code > high) throw new DecodeError('compressed bytes hold a code that was never made');
    if (code === high && code > END && last === NO_CODE)
      throw new DecodeError('compressed bytes use a code before it is made');
    table.emit({ code, last, high });
    last = code;
    high += 1;
    if (high >= overflow) {
      if (width === WIDTH_MAX) {
        last = NO_CODE;
        high -= 1;
      } else {
        width += 1;
        overflow *= 2;
      }
    }
  }
}

/** Shared by all calls, which follow each other: no code is read that the call has not written. */
const starts: Int32Array = new Int32Array(CODE_MAX + 2);
const lengths: Int32Array = new Int32Array(CODE_MAX + 2);

/** The strings behind the codes. Each is a stretch of the output written so far, so that emitting one is a copy. */
class CodeTable {
  readonly #outputBytesMax: number;
  #out: Uint8Array;
  #size = 0;
  /** Where the string emitted last begins. */
  #lastStart = 0;

  constructor(initialSize: number, outputBytesMax: number) {
    this.#out = new Uint8Array(initialSize);
    this.#outputBytesMax = outputBytesMax;
  }

  /** Writes the string of `code`; when a string came before it (`last`), makes `high` stand for that one plus our first byte. */
  emit(step: { readonly code: number; readonly last: number; readonly high: number }): void {
    const { code, last, high } = step;
    const begin = this.#size;
    if (last !== NO_CODE) {
      // The new entry is the last string and the byte after it, which is the first one we are about to write.
      starts[high] = this.#lastStart;
      lengths[high] = begin - this.#lastStart + 1;
    }
    if (code < CLEAR) {
      this.#reserve(1);
      this.#out[begin] = code;
      this.#size = begin + 1;
    } else {
      const from = starts[code] as number;
      const length = lengths[code] as number;
      this.#reserve(length);
      // Byte by byte where source and target overlap: the entry just made may end in the byte we write first.
      if (from + length <= begin) this.#out.copyWithin(begin, from, from + length);
      else for (let i = 0; i < length; i++) this.#out[begin + i] = this.#out[from + i] as number;
      this.#size = begin + length;
    }
    this.#lastStart = begin;
  }

  output(): Uint8Array {
    return this.#out.slice(0, this.#size);
  }

  #reserve(count: number): void {
    const wanted = this.#size + count;
    if (wanted > this.#outputBytesMax)
      throw new DecodeError(`decompressed bytes are more than ${this.#outputBytesMax}`);
    if (wanted <= this.#out.length) return;
    const grown = new Uint8Array(Math.min(this.#outputBytesMax, Math.max(wanted, this.#out.length * 2)));
    grown.set(this.#out.subarray(0, this.#size));
    this.#out = grown;
  }
}

class BitWriter {
  readonly #bytes: ByteWriter;
  #pending = 0;
  #pendingBits = 0;

  constructor(inputSize: number) {
    this.#bytes = new ByteWriter(16 + inputSize);
  }

  put(code: number, width: number): this {
    this.#pending |= code << this.#pendingBits;
    this.#pendingBits += width;
    while (this.#pendingBits >= 8) {
      this.#bytes.u8(this.#pending & 0xff);
      this.#pending >>>= 8;
      this.#pendingBits -= 8;
    }
    return this;
  }

  finish(): Uint8Array {
    if (this.#pendingBits > 0) this.#bytes.u8(this.#pending & 0xff);
    return this.#bytes.finish();
  }
}
