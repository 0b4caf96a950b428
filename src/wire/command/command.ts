/** The commands of the agreed log: one type byte, then the body. Numbers are append-only; an old log is read for ever. */
import { ByteReader, ByteWriter, concatBytes } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { MemberId } from '../../model/ids.ts';
import { isMemberId } from '../../model/ids.ts';
import { writeKvBatch } from '../kv/batch.ts';

const FOUND = 1;
/** Body: wire/sharding/map-entry.ts. */
const SHARD = 2;
const EXCLUDE = 3;
const INCLUDE = 4;
/** Body: wire/kv/batch.ts. 17 to 31 are kept for the key-value store. */
const KV = 16;

export type Command =
  | { readonly kind: 'found'; readonly clusterName: string; readonly createdMs: number; readonly shardCount: number }
  | { readonly kind: 'shard'; readonly bytes: Uint8Array }
  | { readonly kind: 'kv'; readonly bytes: Uint8Array }
  /** An operator removed this member: nobody brings it back by itself. */
  | { readonly kind: 'exclude'; readonly member: MemberId }
  /** An operator wants it again. */
  | { readonly kind: 'include'; readonly member: MemberId };

export function encodeCommand(command: Command): Uint8Array {
  switch (command.kind) {
    case 'found':
      return new ByteWriter(64)
        .u8(FOUND)
        .text(command.clusterName)
        .u64(command.createdMs)
        .varint(command.shardCount)
        .finish();
    case 'shard':
      return concatBytes([Uint8Array.of(SHARD), command.bytes]);
    case 'kv':
      return concatBytes([Uint8Array.of(KV), command.bytes]);
    case 'exclude':
      return new ByteWriter(64).u8(EXCLUDE).text(command.member).finish();
    case 'include':
      return new ByteWriter(64).u8(INCLUDE).text(command.member).finish();
  }
}

/** A `kv` command in one go: these are many. */
export function encodeKvCommand(timeMs: number, items: readonly Uint8Array[]): Uint8Array {
  let size = 32;
  for (const item of items) size += item.length + 4;
  const out = new ByteWriter(size).u8(KV);
  writeKvBatch(out, timeMs, items);
  return out.finish();
}

/** Throws {@link DecodeError}. */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes);
  const type = reader.u8();
  switch (type) {
    case FOUND:
      return { kind: 'found', clusterName: reader.text(256), createdMs: reader.u64(), shardCount: reader.varint() };
    case SHARD:
      return { kind: 'shard', bytes: reader.raw(reader.left) };
    case KV:
      return { kind: 'kv', bytes: reader.raw(reader.left) };
    case EXCLUDE:
      return { kind: 'exclude', member: readMember(reader) };
    case INCLUDE:
      return { kind: 'include', member: readMember(reader) };
    default:
      throw new DecodeError(`command type ${type} is unknown`);
  }
}

function readMember(reader: ByteReader): MemberId {
  const text = reader.text(128);
  if (!isMemberId(text)) throw new DecodeError('a member id is malformed');
  return text;
}
