/**
 * Datagrams: the envelopes around gossip messages, put on and taken off. Incoming layers are label, encryption (both in guard.ts,
 * which also puts them on), checksum, then compression and compounds in any order, nested. wire-gossip.md sections 4 and 5.
 */
import { assert } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { lzwCompress, lzwDecompress } from '../lzw.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { crc32 } from './crc32.ts';
import type { DecodeFailure, DecodeReason } from './failure.ts';
import { type GossipGuard, NO_GUARD, openPacket } from './guard.ts';
import {
  TYPE_COMPOUND,
  TYPE_COMPRESS,
  TYPE_CRC,
  TYPE_ENCRYPT,
  decodeDatagramMessage,
  encodeCompress,
  readCompress,
} from './messages.ts';
import type { DatagramMessage } from './messages.ts';

/** Old peers misread compounds of 128 parts and more (wire-gossip 4.3). */
const COMPOUND_PARTS_MAX = 127;
/** Type and count byte. */
export const COMPOUND_HEADER_BYTES = 2;
/** Each part's entry in the length table. */
export const COMPOUND_PART_BYTES = 2;
/** Type byte and checksum. */
export const CRC_BYTES = 5;

/** Compound in compress in compound is the deepest that a sender could mean. */
const NESTING_MAX = 4;
/** Fifteen times what fits into our own packets; a datagram of 64 KiB of pings stays below. */
const MESSAGES_MAX = 2_048;
/** Enough to tell what is wrong with a datagram. */
const FAILURES_MAX = 16;
/** All decompressed bytes of one datagram together. Senders compress at most one packet's worth, 64 KiB. */
const DECOMPRESSED_BYTES_MAX = 256 * 1_024;
/** Below this the envelope costs more than compression can win. */
const COMPRESS_BYTES_MIN = 48;

export interface DecodedPacket {
  readonly messages: readonly DatagramMessage[];
  readonly failures: readonly DecodeFailure[];
}

/** Takes everything usable out of a datagram. Never throws; messages share memory with `bytes`. */
export function decodePacket(bytes: Uint8Array, guard: GossipGuard = NO_GUARD): DecodedPacket {
  const unpacker = new Unpacker();
  const opened = openPacket(bytes, guard);
  if ('failure' in opened) unpacker.fail(opened.failure.reason, opened.failure.detail);
  else if (opened.plain.length >= CRC_BYTES && opened.plain[0] === TYPE_CRC) unpackChecked(opened.plain, unpacker);
  else unpacker.unpack(opened.plain, 0);
  return unpacker;
}

/** Several messages as one; a single one stays bare. More than {@link COMPOUND_PARTS_MAX} become several packets. */
export function packMessages(messages: readonly Uint8Array[]): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let from = 0; from < messages.length; from += COMPOUND_PARTS_MAX) {
    const parts = messages.slice(from, from + COMPOUND_PARTS_MAX);
    packets.push(parts.length === 1 ? (parts[0] as Uint8Array) : makeCompound(parts));
  }
  return packets;
}

export function makeCompound(parts: readonly Uint8Array[]): Uint8Array {
  assert(parts.length > 0 && parts.length <= COMPOUND_PARTS_MAX, 'a compound has 1 to 127 parts');
  const writer = new ByteWriter().u8(TYPE_COMPOUND).u8(parts.length);
  for (const part of parts) {
    assert(part.length > 0 && part.length <= 0xffff, 'a part of a compound is neither empty nor larger than 64 KiB');
    writer.u16(part.length);
  }
  for (const part of parts) writer.raw(part);
  return writer.finish();
}

export interface PacketOptions {
  readonly compression: boolean;
  /** Only towards peers whose versions say that they know it (4.2). */
  readonly checksum: boolean;
}

/** Wraps a message or compound; the guard (`guardPacket`) comes around it. */
export function encodePacket(message: Uint8Array, options: PacketOptions): Uint8Array {
  const body = options.compression ? compressIfShorter(message) : message;
  if (!options.checksum) return body;
  return new ByteWriter(body.length + CRC_BYTES).u8(TYPE_CRC).u32(crc32(body)).raw(body).finish();
}

/** The compress envelope when it is strictly shorter, otherwise the message itself. */
export function compressIfShorter(message: Uint8Array): Uint8Array {
  if (message.length < COMPRESS_BYTES_MIN) return message;
  const envelope = encodeCompress({ algorithm: 0, buffer: lzwCompress(message) });
  return envelope.length < message.length ? envelope : message;
}

/** What is inside a compress struct; throws {@link DecodeError}. */
export function decompress(reader: MsgpackReader, outputBytesMax: number): Uint8Array {
  const { algorithm, buffer } = readCompress(reader);
  if (algorithm !== 0) throw new DecodeError(`compression algorithm ${algorithm} is unknown`);
  if (buffer === undefined) throw new DecodeError('a compress message has no content');
  const output = lzwDecompress(buffer, outputBytesMax);
  if (output.length === 0) throw new DecodeError('a compress message is empty inside');
  return output;
}

function unpackChecked(bytes: Uint8Array, unpacker: Unpacker): void {
  const body = bytes.subarray(CRC_BYTES);
  if (new ByteReader(bytes.subarray(1)).u32() !== crc32(body))
    unpacker.fail('badChecksum', 'the checksum does not match');
  else unpacker.unpack(body, 0);
}

class Unpacker implements DecodedPacket {
  readonly messages: DatagramMessage[] = [];
  readonly failures: DecodeFailure[] = [];
  #decompressedLeft = DECOMPRESSED_BYTES_MAX;
  /** Everything looked at, so that compounds of failures end too. */
  #seen = 0;

  fail(reason: DecodeReason, detail: string): void {
    if (this.failures.length < FAILURES_MAX) this.failures.push({ reason, detail });
  }

  unpack(bytes: Uint8Array, depth: number): void {
    this.#seen += 1;
    if (this.#seen > MESSAGES_MAX) return;
    if (this.#seen === MESSAGES_MAX) this.fail('tooManyMessages', `more than ${MESSAGES_MAX} messages`);
    else if (bytes.length === 0) this.fail('empty', 'a message without a type byte');
    else if (depth > NESTING_MAX) this.fail('nestedTooDeep', `more than ${NESTING_MAX} envelopes`);
    else if (bytes[0] === TYPE_COMPOUND) this.#unpackCompound(bytes, depth);
    else if (bytes[0] === TYPE_COMPRESS) this.#unpackCompressed(bytes, depth);
    else this.#readMessage(bytes);
  }

  #unpackCompound(bytes: Uint8Array, depth: number): void {
    const count = bytes[1] ?? 0;
    const table = COMPOUND_HEADER_BYTES + count * COMPOUND_PART_BYTES;
    if (count === 0 || bytes.length < table) {
      this.fail('truncatedCompound', `a compound of ${count} parts in ${bytes.length} bytes`);
      return;
    }
    let at = table;
    for (let i = 0; i < count; i++) {
      const entry = COMPOUND_HEADER_BYTES + i * COMPOUND_PART_BYTES;
      const size = ((bytes[entry] as number) << 8) | (bytes[entry + 1] as number);
      if (at + size > bytes.length) {
        this.fail('truncatedCompound', `${count - i} of ${count} parts are cut off`);
        return;
      }
      this.unpack(bytes.subarray(at, at + size), depth + 1);
      at += size;
    }
  }

  #unpackCompressed(bytes: Uint8Array, depth: number): void {
    const content = this.#attempt('badCompression', () => {
      return decompress(new MsgpackReader(bytes, 1, bytes.length), this.#decompressedLeft);
    });
    if (content === undefined) return;
    this.#decompressedLeft -= content.length;
    this.unpack(content, depth + 1);
  }

  #readMessage(bytes: Uint8Array): void {
    const type = bytes[0] as number;
    if (!DATAGRAM_TYPES.has(type)) {
      // A checksum, a label or a sealed message is not accepted inside another layer (wire-gossip 4, step 4).
      this.fail(type === TYPE_ENCRYPT ? 'encrypted' : 'unknownType', `message type ${type}`);
      return;
    }
    const message = this.#attempt('badMessage', () => decodeDatagramMessage(bytes));
    if (message !== undefined) this.messages.push(message);
  }

  /** The door of `wire/`: what codecs throw becomes a value here. */
  #attempt<T>(reason: DecodeReason, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.fail(reason, error.message);
      return undefined;
    }
  }
}

const DATAGRAM_TYPES: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 5, 8, 11]);
