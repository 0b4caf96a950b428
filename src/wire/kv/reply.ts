/** Answers of the coordination state as bytes: between nodes, and in images, which keep those of sessions. Numbers are append-only. */
import { unreachable } from '../../base/assert.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { KeyValue, KvAnswer, KvRefusal, KvReply, KvResult, KvStateRefusal } from '../../model/kv.ts';

const STATE_REFUSALS: readonly KvStateRefusal[] = [
  'SESSION_EXPIRED',
  'SESSION_STALE',
  'SESSION_WINDOW',
  'SESSIONS_FULL',
  'REPLY_GONE',
  'INVALID',
  'NO_SPACE',
];
const REFUSALS: readonly KvRefusal[] = ['NO_LEADER', 'BUSY', 'TOO_LARGE', 'STORAGE_FULL', 'NOT_A_MEMBER', 'STOPPED'];
const REASON_BYTES_MAX = 512;
/** Results within a transaction do not nest further. */
const RESULTS_MAX = 128;

export function writeKeyValue(out: ByteWriter, kv: KeyValue): void {
  out.blob(kv.key).varint(kv.createRevision).varint(kv.modRevision).varint(kv.version).blob(kv.value);
}

/** Key and value are views of what is read. */
export function readKeyValue(reader: ByteReader): KeyValue {
  const key = reader.blob();
  const createRevision = reader.varint();
  const modRevision = reader.varint();
  const version = reader.varint();
  return { key, value: reader.blob(), createRevision, modRevision, version };
}

export function writeReply(out: ByteWriter, reply: KvReply): void {
  if (reply.kind === 'refused') {
    out.u8(2).u8(STATE_REFUSALS.indexOf(reply.code)).text(reply.reason);
    return;
  }
  out.u8(1).varint(reply.revision);
  writeResult(out, reply.result);
}

/** Throws {@link DecodeError}. */
export function readReply(reader: ByteReader): KvReply {
  const kind = reader.u8();
  if (kind === 1) return { kind: 'done', revision: reader.varint(), result: readResult(reader, 0) };
  if (kind !== 2) throw new DecodeError(`key-value reply ${kind} is unknown`);
  const code = STATE_REFUSALS[reader.u8()];
  if (code === undefined) throw new DecodeError('a refusal of the key-value state is unknown');
  return { kind: 'refused', code, reason: reader.text(REASON_BYTES_MAX) };
}

export function writeAnswer(out: ByteWriter, answer: KvAnswer): void {
  switch (answer.kind) {
    case 'reply':
      out.u8(1);
      writeReply(out, answer.reply);
      return;
    case 'refused':
      out.u8(2).u8(REFUSALS.indexOf(answer.code)).text(answer.reason);
      return;
    case 'unknown':
      out.u8(3).text(answer.reason);
      return;
    default:
      unreachable(answer);
  }
}

/** Throws {@link DecodeError}. */
export function readAnswer(reader: ByteReader): KvAnswer {
  const kind = reader.u8();
  switch (kind) {
    case 1:
      return { kind: 'reply', reply: readReply(reader) };
    case 2: {
      const code = REFUSALS[reader.u8()];
      if (code === undefined) throw new DecodeError('a refusal of a key-value request is unknown');
      return { kind: 'refused', code, reason: reader.text(REASON_BYTES_MAX) };
    }
    case 3:
      return { kind: 'unknown', reason: reader.text(REASON_BYTES_MAX) };
    default:
      throw new DecodeError(`key-value answer ${kind} is unknown`);
  }
}

function writeResult(out: ByteWriter, result: KvResult): void {
  switch (result.kind) {
    case 'put':
      out.u8(1);
      writeKvs(out, result.prev === undefined ? [] : [result.prev]);
      return;
    case 'delete':
      out.u8(2).varint(result.deleted);
      writeKvs(out, result.prevs);
      return;
    case 'range':
      out.u8(3).bool(result.more).varint(result.count);
      writeKvs(out, result.kvs);
      return;
    case 'txn':
      out.u8(4).bool(result.succeeded).varint(result.results.length);
      for (const part of result.results) writeResult(out, part);
      return;
    case 'session':
      out.u8(5).varint(result.session);
      return;
    default:
      unreachable(result);
  }
}

function readResult(reader: ByteReader, depth: number): KvResult {
  const kind = reader.u8();
  switch (kind) {
    case 1:
      return { kind: 'put', prev: readKvs(reader)[0] };
    case 2:
      return { kind: 'delete', deleted: reader.varint(), prevs: readKvs(reader) };
    case 3: {
      const more = reader.bool();
      const count = reader.varint();
      return { kind: 'range', more, count, kvs: readKvs(reader) };
    }
    case 4: {
      const succeeded = reader.bool();
      const count = reader.varint();
      if (depth > 0 || count > RESULTS_MAX) throw new DecodeError('the results of a transaction are too many');
      return { kind: 'txn', succeeded, results: Array.from({ length: count }, () => readResult(reader, depth + 1)) };
    }
    case 5:
      return { kind: 'session', session: reader.varint() };
    default:
      throw new DecodeError(`key-value result ${kind} is unknown`);
  }
}

function writeKvs(out: ByteWriter, kvs: readonly KeyValue[]): void {
  out.varint(kvs.length);
  for (const kv of kvs) writeKeyValue(out, kv);
}

function readKvs(reader: ByteReader): KeyValue[] {
  const count = reader.varint();
  const kvs: KeyValue[] = [];
  for (let i = 0; i < count; i++) kvs.push(readKeyValue(reader));
  return kvs;
}
