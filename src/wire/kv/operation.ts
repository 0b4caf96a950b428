/** What is asked of the coordination state, as bytes. Numbers are append-only: the log outlives programs. */
import { unreachable } from '../../base/assert.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { KvCompare, KvMutation, KvOperation, KvRelation, KvTransaction, RangeQuery } from '../../model/kv.ts';
import { KV_KEY_BYTES_MAX, KV_REQUEST_BYTES_MAX, KV_TXN_PARTS_MAX } from './limits.ts';

const PUT = 1;
const DELETE = 2;
const RANGE = 3;
const TXN = 4;

const RELATIONS: readonly KvRelation[] = ['equal', 'notEqual', 'less', 'greater'];
const TARGETS: readonly KvCompare['target'][] = ['version', 'createRevision', 'modRevision', 'value'];

const KEYS_ONLY = 1;
const COUNT_ONLY = 2;

export function writeMutation(out: ByteWriter, mutation: KvMutation): void {
  if (mutation.kind === 'txn') writeTransaction(out, mutation);
  else writeOperation(out, mutation);
}

/** Throws {@link DecodeError}. Keys and values are views of what is read. */
export function readMutation(reader: ByteReader): KvMutation {
  const kind = reader.u8();
  if (kind === TXN) return readTransaction(reader);
  const operation = readOperationOf(kind, reader);
  if (operation.kind === 'range') throw new DecodeError('a range alone changes nothing');
  return operation;
}

export function writeQuery(out: ByteWriter, query: RangeQuery): void {
  out.blob(query.key).blob(query.rangeEnd).varint(query.limit);
  out.u8((query.keysOnly ? KEYS_ONLY : 0) | (query.countOnly ? COUNT_ONLY : 0));
}

export function readQuery(reader: ByteReader): RangeQuery {
  const key = readKey(reader);
  const rangeEnd = readKey(reader);
  const limit = reader.varint();
  const flags = reader.u8();
  if (flags > (KEYS_ONLY | COUNT_ONLY)) throw new DecodeError(`query flags ${flags} are unknown`);
  return { key, rangeEnd, limit, keysOnly: (flags & KEYS_ONLY) !== 0, countOnly: (flags & COUNT_ONLY) !== 0 };
}

function writeOperation(out: ByteWriter, operation: KvOperation): void {
  switch (operation.kind) {
    case 'put':
      out.u8(PUT).bool(operation.prevKv).blob(operation.key).blob(operation.value);
      return;
    case 'delete':
      out.u8(DELETE).bool(operation.prevKv).blob(operation.key).blob(operation.rangeEnd);
      return;
    case 'range':
      out.u8(RANGE);
      writeQuery(out, operation);
      return;
    default:
      unreachable(operation);
  }
}

function readOperationOf(kind: number, reader: ByteReader): KvOperation {
  switch (kind) {
    case PUT: {
      const prevKv = reader.bool();
      return { kind: 'put', key: readKey(reader), value: reader.blob(KV_REQUEST_BYTES_MAX), prevKv };
    }
    case DELETE: {
      const prevKv = reader.bool();
      return { kind: 'delete', key: readKey(reader), rangeEnd: readKey(reader), prevKv };
    }
    case RANGE:
      return { kind: 'range', ...readQuery(reader) };
    default:
      throw new DecodeError(`operation ${kind} on keys is unknown`);
  }
}

function writeTransaction(out: ByteWriter, { compares, success, failure }: KvTransaction): void {
  out.u8(TXN).varint(compares.length);
  for (const compare of compares) writeCompare(out, compare);
  for (const branch of [success, failure]) {
    out.varint(branch.length);
    for (const operation of branch) writeOperation(out, operation);
  }
}

function readTransaction(reader: ByteReader): KvTransaction {
  const compares = readList(reader, readCompare);
  const success = readList(reader, (from) => readOperationOf(from.u8(), from));
  const failure = readList(reader, (from) => readOperationOf(from.u8(), from));
  return { kind: 'txn', compares, success, failure };
}

function writeCompare(out: ByteWriter, compare: KvCompare): void {
  out.u8(TARGETS.indexOf(compare.target)).u8(RELATIONS.indexOf(compare.relation)).blob(compare.key);
  if (compare.target === 'value') out.blob(compare.operand);
  else out.varint(compare.operand);
}

function readCompare(reader: ByteReader): KvCompare {
  const target = TARGETS[reader.u8()];
  const relation = RELATIONS[reader.u8()];
  if (target === undefined || relation === undefined) throw new DecodeError('a comparison of keys is unknown');
  const key = readKey(reader);
  if (target === 'value') return { key, relation, target, operand: reader.blob(KV_REQUEST_BYTES_MAX) };
  return { key, relation, target, operand: reader.varint() };
}

function readList<T>(reader: ByteReader, readOne: (reader: ByteReader) => T): T[] {
  const count = reader.varint();
  if (count > KV_TXN_PARTS_MAX) throw new DecodeError(`${count} parts in a transaction`);
  const parts: T[] = [];
  for (let i = 0; i < count; i++) parts.push(readOne(reader));
  return parts;
}

function readKey(reader: ByteReader): Uint8Array {
  return reader.blob(KV_KEY_BYTES_MAX);
}
