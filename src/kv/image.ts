/** The whole key-value state as bytes: part of snapshots, and of what a backup holds. */
import { type ByteWriter, ByteReader } from '../base/bytes.ts';
import { DecodeError } from '../base/errors.ts';
import type { KeyValue, KvReply, Revision } from '../model/kv.ts';
import { readKeyValue, readReply, writeKeyValue, writeReply } from '../wire/kv/reply.ts';
import type { Keyspace } from './keyspace.ts';
import { REPLIES_MAX, type Session, type Sessions, SESSIONS_MAX } from './sessions.ts';

const VERSION = 1;

export interface KvImage {
  readonly revision: Revision;
  readonly timeMs: number;
  /** What the hashes of all keys add up to. */
  readonly sum: number;
  readonly kvs: readonly KeyValue[];
  readonly sessions: readonly Session[];
  readonly trace: number;
}

export function writeKvImage(out: ByteWriter, keys: Keyspace, sessions: Sessions, timeMs: number): void {
  out.u8(VERSION).varint(keys.revision).varint(timeMs).u32(keys.sum).varint(keys.size);
  for (const kv of keys.all()) writeKeyValue(out, kv);
  out.u32(sessions.trace).varint(sessions.size);
  for (const { id, ackedBelow, lastActiveMs, replies } of sessions.all()) {
    out.varint(id).varint(ackedBelow).varint(lastActiveMs).varint(replies.size);
    for (const [seq, reply] of replies) {
      out.varint(seq);
      writeReply(out, reply);
    }
  }
}

/** Throws {@link DecodeError}. Keys and values are views of `bytes`. */
export function readKvImage(bytes: Uint8Array): KvImage {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== VERSION) throw new DecodeError(`key-value image version ${version} is unknown`);
  const revision = reader.varint();
  const timeMs = reader.varint();
  const sum = reader.u32();
  const count = reader.varint();
  const kvs: KeyValue[] = [];
  for (let i = 0; i < count; i++) kvs.push(readKeyValue(reader));
  const trace = reader.u32();
  const sessionCount = reader.varint();
  if (sessionCount > SESSIONS_MAX) throw new DecodeError(`${sessionCount} sessions in an image`);
  const sessions: Session[] = [];
  for (let i = 0; i < sessionCount; i++) sessions.push(readSession(reader));
  reader.end();
  return { revision, timeMs, sum, kvs, sessions, trace };
}

function readSession(reader: ByteReader): Session {
  const id = reader.varint();
  const ackedBelow = reader.varint();
  const lastActiveMs = reader.varint();
  const count = reader.varint();
  if (count > REPLIES_MAX) throw new DecodeError(`${count} answers of one session in an image`);
  const replies = new Map<number, KvReply>();
  for (let i = 0; i < count; i++) replies.set(reader.varint(), readReply(reader));
  return { id, ackedBelow, lastActiveMs, replies };
}
