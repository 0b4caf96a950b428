/**
 * What lies in etcd, below the prefix:
 *
 *   agreed/cluster            the cluster's id
 *   agreed/image              how far the newest image goes, and how to know it
 *   agreed/log/<index>        an entry: term, kind, data
 *   agreed/seat               who leads, under its lease. The term is the revision that created it
 *   images/<index>/<piece>    an image in pieces: outside of what is watched
 *
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
  readonly image: string;
  /** What a node watches. */
  readonly agreed: KeyRange;
  readonly log: KeyRange;
  readonly #log: string;
  readonly #images: string;

  constructor(prefix: string) {
    this.cluster = `${prefix}/agreed/cluster`;
    this.leader = `${prefix}/agreed/seat`;
    this.image = `${prefix}/agreed/image`;
    this.#log = `${prefix}/agreed/log/`;
    this.#images = `${prefix}/images/`;
    this.agreed = below(`${prefix}/agreed/`);
    this.log = below(this.#log);
  }

  entry(index: number): string {
    return this.#log + digits(index);
  }

  /** The index of an entry's key; undefined for all other keys. */
  indexOf(key: string): LogIndex | undefined {
    if (!key.startsWith(this.#log)) return undefined;
    const index = Number(key.slice(this.#log.length));
    return Number.isSafeInteger(index) && index > 0 ? (index as LogIndex) : undefined;
  }

  /** Entries that nobody needs beside an image through `index`. The last one stays: it tells how far the log reaches. */
  entriesBelow(index: number): KeyRange {
    return { from: this.#log, to: this.entry(index) };
  }

  piece(index: number, piece: number): string {
    return `${this.#images}${digits(index)}/${digits(piece)}`;
  }

  piecesOf(index: number): KeyRange {
    return below(`${this.#images}${digits(index)}/`);
  }

  /** Images older than the one at `index`. */
  imagesBelow(index: number): KeyRange {
    return { from: this.#images, to: this.#images + digits(index) };
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
