/**
 * A backup as a file. raft.md 14, R-5.
 *
 *   magic u32 | version u32 | headerSize u32 | header | headerCrc u32
 *   a snapshot file (snapshot-file.ts): meta, blocks with a CRC-32C each, counts, SHA-256
 *   sha256 of all before
 *
 * It is whole or not: whoever reads it proves every byte before using one.
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter, equalBytes } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { DecodeError } from '../../base/errors.ts';
import type { Backup } from '../../model/backup.ts';
import { isNodeId } from '../../model/ids.ts';
import type { LogIndex, NodeId, Term } from '../../model/ids.ts';
import { FormatFault } from './format-fault.ts';
import { decodeSnapshotFile, encodeSnapshotFile } from './snapshot-file.ts';

const MAGIC = 0x464e424b; // FNBK
const VERSION = 1;
const HEADER_BYTES_MAX = 4096;
const NAME_BYTES_MAX = 256;
const SHA256_BYTES = 32;

export interface BackupFile extends Backup {
  /** The last bytes of the file: its name among backups. */
  readonly sha256: Uint8Array;
}

/** The file in pieces of about 64 KiB, in order. */
export function* encodeBackup(backup: Backup): Generator<Uint8Array, void> {
  const hash = createHash('sha256');
  const header = encodeHeader(backup);
  hash.update(header);
  yield header;
  for (const piece of encodeSnapshotFile(backup.meta, backup.image)) {
    hash.update(piece);
    yield piece;
  }
  yield new Uint8Array(hash.digest());
}

/** `newer` when it is a backup of a version that we cannot read. */
export function decodeBackup(file: Uint8Array): BackupFile | FormatFault | 'newer' {
  const reader = new ByteReader(file);
  try {
    const header = readHeader(reader);
    if (header === 'newer') return header;
    const end = file.length - SHA256_BYTES;
    if (end < reader.at) throw new DecodeError('the file ends too early');
    const sha256 = file.slice(end);
    if (!equalBytes(sha256, new Uint8Array(createHash('sha256').update(file.subarray(0, end)).digest())))
      throw new DecodeError('the SHA-256 of the file is wrong: it is damaged or was cut');
    const start = reader.at;
    const snapshot = decodeSnapshotFile(file.subarray(start, end));
    if (snapshot instanceof FormatFault) return new FormatFault(start + snapshot.offset, snapshot.reason);
    return { ...header, meta: snapshot.meta, image: snapshot.bytes, sha256 };
  } catch (error) {
    if (error instanceof DecodeError) return new FormatFault(reader.at, error.message);
    throw error;
  }
}

function encodeHeader(backup: Backup): Uint8Array {
  const bytes = new ByteWriter(256)
    .text(backup.takenBy)
    .u64(backup.takenAt)
    .varint(backup.term)
    .text(backup.ledBy)
    .varint(backup.uncertain)
    .text(backup.clusterName)
    .u64(backup.createdMs)
    .varint(backup.shardCount)
    .varint(backup.mapVersion)
    .finish();
  return new ByteWriter(bytes.length + 16)
    .u32(MAGIC)
    .u32(VERSION)
    .u32(bytes.length)
    .raw(bytes)
    .u32(crc32c(bytes))
    .finish();
}

function readHeader(reader: ByteReader): Omit<Backup, 'meta' | 'image'> | 'newer' {
  if (reader.u32() !== MAGIC) throw new DecodeError('this is not a backup');
  const version = reader.u32();
  if (version > VERSION) return 'newer';
  if (version !== VERSION) throw new DecodeError(`backup version ${version} is unknown`);
  const size = reader.u32();
  if (size > HEADER_BYTES_MAX) throw new DecodeError(`a header of ${size} bytes is longer than ${HEADER_BYTES_MAX}`);
  const bytes = reader.raw(size);
  if (reader.u32() !== crc32c(bytes)) throw new DecodeError('the checksum of the header is wrong');
  const header = new ByteReader(bytes);
  const takenBy = nodeOf(header.text(NAME_BYTES_MAX));
  const takenAt = header.u64();
  const term = header.varint() as Term;
  const led = header.text(NAME_BYTES_MAX);
  const ledBy = led === '' ? led : nodeOf(led);
  const uncertain = header.varint();
  const clusterName = header.text(NAME_BYTES_MAX);
  const createdMs = header.u64();
  const shardCount = header.varint();
  const mapVersion = header.varint() as LogIndex;
  header.end();
  return { takenBy, takenAt, term, ledBy, uncertain, clusterName, createdMs, shardCount, mapVersion };
}

function nodeOf(text: string): NodeId {
  if (!isNodeId(text)) throw new DecodeError('a node id in the header is malformed');
  return text;
}
