/**
 * What lies in etcd, below the prefix:
 *
 *   head/cluster              the cluster's id
 *   head/end                  the index of the last entry
 *   head/image/<index>        an image of the state through that entry, and how to know it; the highest counts
 *   head/seat                 who leads, under its lease. The term is the revision that created it
 *   log/<index>               an entry: term, kind, data
 *   pieces/<index>/<piece>    an image in pieces: outside of what is watched
 *
 * A node watches head and log together, since the order of what happens to both matters, and asks for the head alone to see whether it has missed something.
 * Every write but that of `seat` itself is guarded by the revision that created `seat`: who does not lead any more writes nothing.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { DecodeError } from '../base/errors.ts';
import type { LogIndex, Term } from '../model/ids.ts';
import type { Entry, LogId } from '../model/log.ts';
import { readEntry, writeEntry } from '../wire/raft/entry.ts';
import type { KeyRange } from './messages.ts';

/** etcd refuses requests of more than 1.5 MiB. */
export const IMAGE_PIECE_BYTES: number = 512 * 1024;
const INDEX_DIGITS = 16;
const FORMAT = 1;
/** An image of 4 GiB. */
const PIECES_MAX = 8_192;

export interface ImageHeader {
  /** Of the last entry that it stands for. */
  readonly lastLog: LogId;
  readonly pieces: number;
  /** Of all its bytes together. */
  readonly crc: number;
}

export class Layout {
  readonly cluster: string;
  readonly leader: string;
  readonly end: string;
  /** What a node watches. */
  readonly agreed: KeyRange;
  readonly head: KeyRange;
  readonly #images: string;
  readonly #log: string;
  readonly #pieces: string;

  constructor(prefix: string) {
    this.cluster = `${prefix}/head/cluster`;
    this.end = `${prefix}/head/end`;
    this.leader = `${prefix}/head/seat`;
    this.#images = `${prefix}/head/image/`;
    this.#log = `${prefix}/log/`;
    this.#pieces = `${prefix}/pieces/`;
    this.head = below(`${prefix}/head/`);
    this.agreed = { from: this.head.from, to: below(this.#log).to };
  }

  entry(index: number): string {
    return this.#log + digits(index);
  }

  /** The index of an entry's key; undefined for all other keys. */
  indexOf(key: string): LogIndex | undefined {
    return indexBelow(this.#log, key);
  }

  image(index: number): string {
    return this.#images + digits(index);
  }

  /** How far the image of that key goes; undefined for all other keys. */
  imageIndexOf(key: string): LogIndex | undefined {
    return indexBelow(this.#images, key);
  }

  /** Entries that nobody needs beside an image through `index`. The last one stays: by it a log is known again. */
  entriesBelow(index: number): KeyRange {
    return { from: this.#log, to: this.entry(index) };
  }

  piece(index: number, piece: number): string {
    return `${this.#pieces}${digits(index)}/${digits(piece)}`;
  }

  piecesOf(index: number): KeyRange {
    return below(`${this.#pieces}${digits(index)}/`);
  }

  /** Images older than the one at `index`, and their pieces. */
  imagesBelow(index: number): KeyRange[] {
    return [this.#images, this.#pieces].map((folder) => ({ from: folder, to: folder + digits(index) }));
  }
}

export function encodeEntry(entry: Entry): Uint8Array {
  const writer = new ByteWriter(entry.data.length + 32).u8(FORMAT);
  writeEntry(writer, entry);
  return writer.finish();
}

/** @throws {DecodeError} */
export function decodeEntry(value: Uint8Array): Entry {
  const reader = readerOf(value);
  const entry = readEntry(reader);
  reader.end();
  return entry;
}

export function encodeImageHeader({ lastLog, pieces, crc }: ImageHeader): Uint8Array {
  return new ByteWriter(32).u8(FORMAT).varint(lastLog.index).varint(lastLog.term).varint(pieces).u32(crc).finish();
}

/** @throws {DecodeError} */
export function decodeImageHeader(value: Uint8Array): ImageHeader {
  const reader = readerOf(value);
  const lastLog = { index: reader.varint() as LogIndex, term: reader.varint() as Term };
  const header = { lastLog, pieces: reader.varint(), crc: reader.u32() };
  reader.end();
  if (header.pieces < 1 || header.pieces > PIECES_MAX) throw new DecodeError(`an image of ${header.pieces} pieces`);
  return header;
}

export function encodeIndex(index: LogIndex): Uint8Array {
  return new ByteWriter(16).u8(FORMAT).varint(index).finish();
}

/** @throws {DecodeError} */
export function decodeIndex(value: Uint8Array): LogIndex {
  const reader = readerOf(value);
  const index = reader.varint() as LogIndex;
  reader.end();
  return index;
}

function indexBelow(folder: string, key: string): LogIndex | undefined {
  if (!key.startsWith(folder)) return undefined;
  const index = Number(key.slice(folder.length));
  return Number.isSafeInteger(index) && index > 0 ? (index as LogIndex) : undefined;
}

function readerOf(value: Uint8Array): ByteReader {
  const reader = new ByteReader(value);
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`format ${format} is unknown`);
  return reader;
}

/** `/` is followed by `0`. */
function below(folder: string): KeyRange {
  return { from: folder, to: `${folder.slice(0, -1)}0` };
}

function digits(value: number): string {
  return String(value).padStart(INDEX_DIGITS, '0');
}
