/**
 * Reads msgpack from peers, tolerantly: any integer width, signed or not, str8 and bin for text and bytes, nil for the zero
 * value. Never trusts a length: sizes are bounded, and a value that is cut off is told from one that is wrong, since TCP
 * streams carry no outer length. wire-gossip.md 2.2.
 */
import { EMPTY_BYTES, fromUtf8 } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';

/** The push/pull limit of 20 MiB, with room for the envelope around it. */
export const MSGPACK_BYTES_MAX: number = 21 * 1024 * 1024;
/** How deep `value` follows nested maps and arrays; messages need four. */
export const MSGPACK_DEPTH_MAX = 16;

/**
 * The value may be right, but its end has not come yet. In a datagram this is an error like any other {@link DecodeError};
 * on a stream, wait for more and read again from where the message began.
 */
export class NeedMoreBytes extends DecodeError {}

export type MsgpackValue =
  | undefined
  | boolean
  | number
  | bigint
  | Uint8Array
  | readonly MsgpackValue[]
  | ReadonlyMap<MsgpackValue, MsgpackValue>;

/** How each field of a struct is read, by its exact name. */
export type FieldReaders<T> = { readonly [K in keyof T]-?: (reader: MsgpackReader) => T[K] };

/** Byte strings it returns are views into the input. All reads throw {@link DecodeError}, {@link NeedMoreBytes} among them. */
export class MsgpackReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #bytesMax: number;
  #at: number;

  constructor(bytes: Uint8Array, at = 0, bytesMax: number = MSGPACK_BYTES_MAX) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#bytesMax = bytesMax;
  }

  /** Position of the next byte to read. */
  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** One plain byte, such as a message's type. */
  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** `count` plain bytes, as they are. */
  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** Consumes a nil when one is next. */
  isNil(): boolean {
    if (this.left < 1) throw new NeedMoreBytes('a value is missing');
    if (this.#bytes[this.#at] !== 0xc0) return false;
    this.#at += 1;
    return true;
  }

  bool(): boolean {
    const tag = this.byte();
    if (tag === 0xc3) return true;
    if (tag === 0xc2 || tag === 0xc0) return false;
    throw wrongType('a boolean', tag);
  }

  u8(): number {
    return this.#unsigned(0xff);
  }

  u16(): number {
    return this.#unsigned(0xffff);
  }

  u32(): number {
    return this.#unsigned(0xffff_ffff);
  }

  /** Refuses what is above 2^53 - 1. */
  u64(): number {
    return this.#unsigned(Number.MAX_SAFE_INTEGER);
  }

  /** A signed integer; refuses what is beyond 2^53 - 1 either way. */
  i64(): number {
    const value = this.#integer();
    if (typeof value === 'bigint') throw new DecodeError('a 64-bit number is beyond 2^53 - 1');
    return value;
  }

  /** A float of either width; integers count too. */
  float64(): number {
    const tag = this.#peek();
    if (tag === 0xcb) return this.#view.getFloat64(this.#take(9) + 1);
    if (tag === 0xca) return this.#view.getFloat32(this.#take(5) + 1);
    return this.i64();
  }

  text(sizeMax: number = this.#bytesMax): string {
    return fromUtf8(this.bytes(sizeMax));
  }

  /** Text or bytes of either family; nil reads as empty. A view. */
  bytes(sizeMax: number = this.#bytesMax): Uint8Array {
    return this.bytesOrNil(sizeMax) ?? EMPTY_BYTES;
  }

  bytesOrNil(sizeMax: number = this.#bytesMax): Uint8Array | undefined {
    const tag = this.byte();
    if (tag === 0xc0) return undefined;
    const size = this.#rawSize(tag);
    if (size === undefined) throw wrongType('text or bytes', tag);
    if (size > sizeMax) throw new DecodeError(`a field of ${size} bytes is longer than ${sizeMax}`);
    return this.raw(size);
  }

  /** How many items follow; undefined for nil. */
  arrayHeader(countMax: number = this.#bytesMax): number | undefined {
    return this.#header({ fix: 0x90, wide: 0xdc, countMax, what: 'an array' });
  }

  /** How many pairs of key and value follow; undefined for nil. */
  mapHeader(countMax: number = this.#bytesMax): number | undefined {
    return this.#header({ fix: 0x80, wide: 0xde, countMax, what: 'a map' });
  }

  /** The items of an array, each read by `item`; none for nil. */
  array<T>(item: (reader: MsgpackReader) => T, countMax: number = this.#bytesMax): T[] {
    const count = this.arrayHeader(countMax) ?? 0;
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item(this));
    return items;
  }

  /**
   * A map with known keys in any order: fields that are missing keep their value in `zero`, unknown keys are skipped, of a
   * doubled key the last counts. nil gives `zero`.
   */
  struct<T extends object>(fields: FieldReaders<T>, zero: T): T {
    const count = this.mapHeader() ?? 0;
    const result: T = { ...zero };
    for (let i = 0; i < count; i++) {
      const key = this.text();
      if (Object.hasOwn(fields, key)) {
        const known = key as keyof T;
        result[known] = fields[known](this);
      } else this.skip();
    }
    return result;
  }

  /** Passes over one whole value of any type, however deep. Needs no stack, so no depth can hurt. */
  skip(): void {
    for (let pending = 1; pending > 0; pending--) {
      const tag = this.#peek();
      const size = FIXED_SIZES[tag];
      if (size !== undefined) this.#take(size);
      else pending += this.#skipSized(tag);
    }
  }

  /** Whatever comes. Text stays bytes; integers beyond 2^53 - 1 become `bigint`; extension types are refused. */
  value(depthMax: number = MSGPACK_DEPTH_MAX): MsgpackValue {
    if (depthMax === 0) throw new DecodeError('values are nested too deeply');
    const tag = this.#peek();
    if (isMap(tag)) {
      const map = new Map<MsgpackValue, MsgpackValue>();
      const count = this.mapHeader() ?? 0;
      for (let i = 0; i < count; i++) map.set(this.value(depthMax - 1), this.value(depthMax - 1));
      return map;
    }
    if (isArray(tag)) return this.array((reader) => reader.value(depthMax - 1));
    if (tag === 0xc2 || tag === 0xc3) return this.bool();
    if (tag === 0xca || tag === 0xcb) return this.float64();
    if (isRaw(tag) || tag === 0xc0) return this.bytesOrNil();
    return this.#integer();
  }

  #peek(): number {
    const tag = this.#bytes[this.#at];
    if (tag === undefined) throw new NeedMoreBytes('a value is missing');
    return tag;
  }

  #unsigned(max: number): number {
    const value = this.#integer();
    if (value < 0) throw new DecodeError('a number is negative where none may be');
    if (typeof value === 'bigint' || value > max) throw new DecodeError(`a number is above ${max}`);
    return value;
  }

  #integer(): number | bigint {
    const tag = this.byte();
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xc0:
        return 0;
      case 0xcc:
        return this.byte();
      case 0xcd:
        return this.#view.getUint16(this.#take(2));
      case 0xce:
        return this.#view.getUint32(this.#take(4));
      case 0xcf:
        return narrow(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return narrow(this.#view.getBigInt64(this.#take(8)));
      default:
        throw wrongType('an integer', tag);
    }
  }

  /** The length of a raw, str or bin value whose tag was just read; undefined for other types. */
  #rawSize(tag: number): number | undefined {
    if (tag >= 0xa0 && tag <= 0xbf) return tag & 0x1f;
    if (tag === 0xd9 || tag === 0xc4) return this.byte();
    if (tag === 0xda || tag === 0xc5) return this.#view.getUint16(this.#take(2));
    if (tag === 0xdb || tag === 0xc6) return this.#view.getUint32(this.#take(4));
    return undefined;
  }

  #header(kind: { fix: number; wide: number; countMax: number; what: string }): number | undefined {
    const tag = this.byte();
    let count: number;
    if (tag === 0xc0) return undefined;
    if ((tag & 0xf0) === kind.fix) count = tag & 0x0f;
    else if (tag === kind.wide) count = this.#view.getUint16(this.#take(2));
    else if (tag === kind.wide + 1) count = this.#view.getUint32(this.#take(4));
    else throw wrongType(kind.what, tag);
    if (count > kind.countMax) throw new DecodeError(`${kind.what} of ${count} is longer than ${kind.countMax}`);
    // Each item takes a byte at least: a count beyond what is here cannot be satisfied yet.
    if (count > this.left) throw new NeedMoreBytes(`${kind.what} of ${count} has only ${this.left} bytes left`);
    return count;
  }

  /** Passes over the head of a value whose size is in the bytes; answers how many values are inside it. */
  #skipSized(tag: number): number {
    if (isMap(tag)) return 2 * (this.mapHeader() ?? 0);
    if (isArray(tag)) return this.arrayHeader() ?? 0;
    if (isRaw(tag)) {
      this.bytesOrNil();
      return 0;
    }
    this.#take(1);
    let size: number;
    if (tag === 0xc7) size = this.byte();
    else if (tag === 0xc8) size = this.#view.getUint16(this.#take(2));
    else if (tag === 0xc9) size = this.#view.getUint32(this.#take(4));
    else throw wrongType('a value', tag);
    if (size > this.#bytesMax) throw new DecodeError(`an extension of ${size} bytes is longer than ${this.#bytesMax}`);
    this.#take(size + 1);
    return 0;
  }

  #take(count: number): number {
    if (count > this.left) throw new NeedMoreBytes(`needs ${count} bytes at ${this.#at}, has ${this.left}`);
    const at = this.#at;
    this.#at += count;
    return at;
  }
}

/** Whole size, tag included, of the values that have one size; sparse. */
const FIXED_SIZES: readonly (number | undefined)[] = Array.from({ length: 256 }, (_, tag) => {
  if (tag < 0x80 || tag >= 0xe0 || tag === 0xc0 || tag === 0xc2 || tag === 0xc3) return 1;
  if (tag === 0xca) return 5;
  if (tag === 0xcb) return 9;
  if (tag >= 0xcc && tag <= 0xcf) return 1 + 2 ** (tag - 0xcc);
  if (tag >= 0xd0 && tag <= 0xd3) return 1 + 2 ** (tag - 0xd0);
  if (tag >= 0xd4 && tag <= 0xd8) return 2 + 2 ** (tag - 0xd4);
  return undefined;
});

function isMap(tag: number): boolean {
  return (tag & 0xf0) === 0x80 || tag === 0xde || tag === 0xdf;
}

function isArray(tag: number): boolean {
  return (tag & 0xf0) === 0x90 || tag === 0xdc || tag === 0xdd;
}

function isRaw(tag: number): boolean {
  return (tag & 0xe0) === 0xa0 || (tag >= 0xd9 && tag <= 0xdb) || (tag >= 0xc4 && tag <= 0xc6);
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function wrongType(wanted: string, tag: number): DecodeError {
  return new DecodeError(`expected ${wanted}, found type 0x${tag.toString(16)}`);
}
