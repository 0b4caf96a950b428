/**
 * A snapshot as a file. raft.md 10.2.
 *
 *   magic u32 | version u32 | headerSize u32 | header | headerCrc u32
 *   blocks: size u32 | crc u32 | 1 to 65,536 bytes
 *   0 u32 | blockCount u32 | totalSize u64 | sha256 of all before
 *
 * The SHA-256 is the snapshot's name in the log: a file that differs by a bit is another file.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import { ByteReader, ByteWriter, equalBytes } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { DecodeError } from '../../base/errors.ts';
import { isClusterId } from '../../model/ids.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import type { LogId, SnapshotMeta } from '../../model/log.ts';
import { decodeConfiguration, encodeConfiguration, readLogId, writeLogId } from './entry.ts';
import { FormatFault } from './format-fault.ts';
import { hex14 } from './segment.ts';

/** raft.md section 15. */
const SNAPSHOT_BYTES_MAX: number = 256 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
const MAGIC = 0x464e534e; // FNSN
const VERSION = 1;
const HEADER_BYTES_MAX = 64 * 1024;
const CLUSTER_ID_BYTES = 22;
const SHA256_BYTES = 32;
const NAME = /^([0-9a-f]{14})-([0-9a-f]{14})\.snap$/;

export interface SnapshotFile {
  readonly meta: SnapshotMeta;
  readonly bytes: Uint8Array;
  readonly sha256: Uint8Array;
}

/** The file in pieces of about 64 KiB, in order; returns its SHA-256. */
export function* encodeSnapshotFile(meta: SnapshotMeta, bytes: Uint8Array): Generator<Uint8Array, Uint8Array> {
  assert(bytes.length <= SNAPSHOT_BYTES_MAX, 'a snapshot is within its size limit');
  const hash = createHash('sha256');
  const header = encodeHeader(meta);
  hash.update(header);
  yield header;
  let blockCount = 0;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    const piece = new ByteWriter(block.length + 8).u32(block.length).u32(crc32c(block)).raw(block).finish();
    blockCount += 1;
    hash.update(piece);
    yield piece;
  }
  const footer = new ByteWriter(64).u32(0).u32(blockCount).u64(bytes.length).finish();
  const sha256 = new Uint8Array(hash.update(footer).digest());
  yield new ByteWriter(64).raw(footer).raw(sha256).finish();
  return sha256;
}

/** Proves every checksum before it believes a byte. */
export function decodeSnapshotFile(file: Uint8Array): SnapshotFile | FormatFault {
  const reader = new ByteReader(file);
  try {
    const meta = readHeader(reader);
    const blocks: Uint8Array[] = [];
    let totalSize = 0;
    for (let size = reader.u32(); size !== 0; size = reader.u32()) {
      if (size > BLOCK_BYTES) throw new DecodeError(`a block has ${size} bytes`);
      const crc = reader.u32();
      const block = reader.raw(size);
      if (crc32c(block) !== crc) throw new DecodeError('the checksum of a block is wrong');
      blocks.push(block);
      totalSize += size;
    }
    if (reader.u32() !== blocks.length || reader.u64() !== totalSize)
      throw new DecodeError('the footer counts other blocks');
    const sha256 = new Uint8Array(createHash('sha256').update(file.subarray(0, reader.at)).digest());
    if (!equalBytes(reader.raw(SHA256_BYTES), sha256)) throw new DecodeError('the SHA-256 of the file is wrong');
    reader.end();
    return { meta, bytes: joined(blocks, totalSize), sha256 };
  } catch (error) {
    if (error instanceof DecodeError) return new FormatFault(reader.at, error.message);
    throw error;
  }
}

export function snapshotFileName(lastLog: LogId): string {
  return `${hex14(lastLog.term)}-${hex14(lastLog.index)}.snap`;
}

export function parseSnapshotFileName(name: string): LogId | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const term = Number.parseInt(match[1] as string, 16);
  const index = Number.parseInt(match[2] as string, 16);
  if (!Number.isSafeInteger(term) || !Number.isSafeInteger(index)) return undefined;
  return { term: term as Term, index: index as LogIndex };
}

function encodeHeader(meta: SnapshotMeta): Uint8Array {
  const header = new ByteWriter(256).text(meta.clusterId);
  writeLogId(header, meta.lastLog);
  header.blob(encodeConfiguration(meta.configuration)).varint(meta.configurationIndex);
  const bytes = header.finish();
  return new ByteWriter(bytes.length + 16)
    .u32(MAGIC)
    .u32(VERSION)
    .u32(bytes.length)
    .raw(bytes)
    .u32(crc32c(bytes))
    .finish();
}

function readHeader(reader: ByteReader): SnapshotMeta {
  if (reader.u32() !== MAGIC) throw new DecodeError('this is not a snapshot');
  const version = reader.u32();
  if (version !== VERSION) throw new DecodeError(`snapshot version ${version} is unknown`);
  const size = reader.u32();
  if (size > HEADER_BYTES_MAX) throw new DecodeError(`a header of ${size} bytes is longer than ${HEADER_BYTES_MAX}`);
  const bytes = reader.raw(size);
  if (reader.u32() !== crc32c(bytes)) throw new DecodeError('the checksum of the header is wrong');
  const header = new ByteReader(bytes);
  const clusterId = header.text(CLUSTER_ID_BYTES);
  if (!isClusterId(clusterId)) throw new DecodeError('the cluster id is not one');
  const lastLog = readLogId(header);
  const configuration = decodeConfiguration(header.blob());
  const configurationIndex = header.varint() as LogIndex;
  header.end();
  return { clusterId, lastLog, configuration, configurationIndex };
}

function joined(blocks: readonly Uint8Array[], totalSize: number): Uint8Array {
  const bytes = new Uint8Array(totalSize);
  let at = 0;
  for (const block of blocks) {
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
}
