/** Requests to the coordination state between `funk.v1.Kv` and what a node is asked. */
import type { KvAsk, KvAsk__Output } from '../gen/funk/v1/KvAsk.ts';
import type { KvCompare as CompareMessage, KvCompare__Output } from '../gen/funk/v1/KvCompare.ts';
import type { KvMark__Output } from '../gen/funk/v1/KvMark.ts';
import type { KvOperation as OperationMessage, KvOperation__Output } from '../gen/funk/v1/KvOperation.ts';
import type { KvRangeRequest, KvRangeRequest__Output } from '../gen/funk/v1/KvRangeRequest.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import type {
  KvCompare,
  KvMutation,
  KvOperation,
  KvRelation,
  KvRequest,
  RangeQuery,
  SessionMark,
} from '../model/kv.ts';
import { InvalidRequestError } from './errors.ts';

/** As etcd's. */
const TXN_PARTS_MAX = 128;
const RELATIONS: readonly string[] = ['equal', 'notEqual', 'less', 'greater'] satisfies readonly KvRelation[];

// What a node is asked.

/** @throws {InvalidRequestError} when it asks for nothing, or for what there is not. */
export function requestOf(ask: Omit<KvAsk__Output, 'id'>): KvRequest {
  if (ask.put)
    return mutating({ kind: 'put', key: ask.put.key, value: ask.put.value, prevKv: ask.put.prevKv }, ask.put);
  if (ask.range) {
    const consistency = ask.range.stale ? 'stale' : 'linearizable';
    return { kind: 'read', query: queryOf(ask.range), consistency };
  }
  if (ask.delete) {
    const { key, rangeEnd, prevKv } = ask.delete;
    return mutating({ kind: 'delete', key, rangeEnd, prevKv }, ask.delete);
  }
  if (ask.txn) {
    const { compares, success, failure } = ask.txn;
    if (Math.max(compares.length, success.length, failure.length) > TXN_PARTS_MAX)
      throw new InvalidRequestError(`a transaction has at most ${TXN_PARTS_MAX} comparisons and operations`);
    const mutation: KvMutation = {
      kind: 'txn',
      compares: compares.map(compareOf),
      success: success.map(operationOf),
      failure: failure.map(operationOf),
    };
    return mutating(mutation, ask.txn);
  }
  if (ask.openSession) return { kind: 'openSession' };
  if (ask.closeSession) return { kind: 'closeSession', session: ask.closeSession.session };
  throw new InvalidRequestError('the request asks for nothing');
}

function mutating(mutation: KvMutation, { mark }: { readonly mark: KvMark__Output | null }): KvRequest {
  return { kind: 'mutate', mutation, session: mark === null ? undefined : markOf(mark) };
}

function markOf({ session, seq, ackedBelow }: KvMark__Output): SessionMark {
  if (![session, seq, ackedBelow].every(isSafe)) throw new InvalidRequestError('a number of a session is too large');
  return { session, seq, ackedBelow };
}

function queryOf({ key, rangeEnd, limit, keysOnly, countOnly }: KvRangeRequest__Output): RangeQuery {
  if (key.length === 0) throw new InvalidRequestError('a key is empty');
  if (!isSafe(limit)) throw new InvalidRequestError('a limit is too large');
  return { key, rangeEnd, limit, keysOnly, countOnly };
}

function operationOf({ put, delete: remove, range }: KvOperation__Output): KvOperation {
  if (put) return { kind: 'put', key: put.key, value: put.value, prevKv: put.prevKv };
  if (remove) return { kind: 'delete', key: remove.key, rangeEnd: remove.rangeEnd, prevKv: remove.prevKv };
  if (range) return { kind: 'range', ...queryOf(range) };
  throw new InvalidRequestError('an operation of a transaction does nothing');
}

function compareOf({ key, target, relation, number, value }: KvCompare__Output): KvCompare {
  if (!isRelation(relation)) throw new InvalidRequestError(`"${relation}" is no comparison`);
  if (target === 'value') return { key, relation, target, operand: value };
  if (target !== 'version' && target !== 'createRevision' && target !== 'modRevision')
    throw new InvalidRequestError(`"${target}" is nothing to compare`);
  if (!isSafe(number)) throw new InvalidRequestError('a number to compare with is too large');
  return { key, relation, target, operand: number };
}

function isRelation(text: string): text is KvRelation {
  return RELATIONS.includes(text);
}

function isSafe(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

// What a client asks.

export function askOf(id: number, request: KvRequest): KvAsk {
  switch (request.kind) {
    case 'read':
      return { id, range: { ...rangeMessage(request.query), stale: request.consistency === 'stale' } };
    case 'openSession':
      return { id, openSession: {} };
    case 'closeSession':
      return { id, closeSession: { session: request.session } };
    case 'mutate': {
      const { mutation, session: mark = null } = request;
      if (mutation.kind === 'txn') {
        const { compares, success, failure } = mutation;
        const parts = { success: success.map(operationMessage), failure: failure.map(operationMessage) };
        return { id, txn: { compares: compares.map(compareMessage), ...parts, mark } };
      }
      const { put, delete: remove } = operationMessage(mutation);
      return put ? { id, put: { ...put, mark } } : { id, delete: { ...remove, mark } };
    }
  }
}

function operationMessage(operation: KvOperation): OperationMessage {
  switch (operation.kind) {
    case 'put':
      return { put: { key: bufferOf(operation.key), value: bufferOf(operation.value), prevKv: operation.prevKv } };
    case 'delete': {
      const { key, rangeEnd, prevKv } = operation;
      return { delete: { key: bufferOf(key), rangeEnd: bufferOf(rangeEnd), prevKv } };
    }
    case 'range':
      return { range: rangeMessage(operation) };
  }
}

function rangeMessage({ key, rangeEnd, limit, keysOnly, countOnly }: RangeQuery): KvRangeRequest {
  return { key: bufferOf(key), rangeEnd: bufferOf(rangeEnd), limit, keysOnly, countOnly };
}

function compareMessage(compare: KvCompare): CompareMessage {
  const { key, target, relation, operand } = compare;
  const isValue = typeof operand !== 'number';
  const value = bufferOf(isValue ? operand : EMPTY_BYTES);
  return { key: bufferOf(key), target, relation, number: isValue ? 0 : operand, value };
}

/** The same memory. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
