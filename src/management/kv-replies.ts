/** Answers of the coordination state between what a node says and `funk.v1.Kv`. */
import { present, unreachable } from '../base/assert.ts';
import type { KvDeleteResponse } from '../gen/funk/v1/KvDeleteResponse.ts';
import type { KvDeleteResponse__Output } from '../gen/funk/v1/KvDeleteResponse.ts';
import type { KvOperationResult, KvOperationResult__Output } from '../gen/funk/v1/KvOperationResult.ts';
import type { KvPair, KvPair__Output } from '../gen/funk/v1/KvPair.ts';
import type { KvPutResponse, KvPutResponse__Output } from '../gen/funk/v1/KvPutResponse.ts';
import type { KvRangeResponse, KvRangeResponse__Output } from '../gen/funk/v1/KvRangeResponse.ts';
import type { KvTold, KvTold__Output } from '../gen/funk/v1/KvTold.ts';
import { FunkError } from '../base/errors.ts';
import type { KeyValue, KvRequest, KvResult } from '../model/kv.ts';
import type { KvDone } from '../runtime/kv-errors.ts';
import { bufferOf } from './kv-requests.ts';

// What a server tells.

/** Without its id. */
export function toldOf(request: KvRequest, { revision, result }: KvDone): KvTold {
  switch (result.kind) {
    case 'put':
      return { put: putMessage(revision, result) };
    case 'delete':
      return { delete: deleteMessage(revision, result) };
    case 'range':
      return { range: rangeMessage(revision, result) };
    case 'txn': {
      const results = result.results.map((part) => partMessage(revision, part));
      return { txn: { revision, succeeded: result.succeeded, results } };
    }
    case 'session':
      return request.kind === 'closeSession' ? { closeSession: {} } : { openSession: { session: result.session } };
    default:
      return unreachable(result);
  }
}

export function errorTold(error: unknown): KvTold {
  if (error instanceof FunkError) return { error: { code: error.code, message: error.message } };
  return { error: { code: 'FUNK_INTERNAL', message: 'internal error; the log of this node tells more' } };
}

function putMessage(revision: number, { prev }: Extract<KvResult, { kind: 'put' }>): KvPutResponse {
  return prev === undefined ? { revision } : { revision, prevKv: pairMessage(prev) };
}

function deleteMessage(revision: number, { deleted, prevs }: Extract<KvResult, { kind: 'delete' }>): KvDeleteResponse {
  return { revision, deleted, prevKvs: prevs.map(pairMessage) };
}

function rangeMessage(revision: number, result: Extract<KvResult, { kind: 'range' }>): KvRangeResponse {
  return { revision, kvs: result.kvs.map(pairMessage), more: result.more, count: result.count };
}

function partMessage(revision: number, part: KvResult): KvOperationResult {
  if (part.kind === 'put') return { put: putMessage(revision, part) };
  if (part.kind === 'delete') return { delete: deleteMessage(revision, part) };
  return part.kind === 'range' ? { range: rangeMessage(revision, part) } : {};
}

function pairMessage({ key, value, createRevision, modRevision, version }: KeyValue): KvPair {
  return { key: bufferOf(key), value: bufferOf(value), createRevision, modRevision, version };
}

// What a client hears.

/** What was done; undefined for an error, or an answer that this version does not know. */
export function doneOf(told: Omit<KvTold__Output, 'id'>): KvDone | undefined {
  if (told.put) return { kind: 'done', revision: told.put.revision, result: putResult(told.put) };
  if (told.range) return { kind: 'done', revision: told.range.revision, result: rangeResult(told.range) };
  if (told.delete) return { kind: 'done', revision: told.delete.revision, result: deleteResult(told.delete) };
  if (told.txn) {
    const { revision, succeeded, results } = told.txn;
    return { kind: 'done', revision, result: { kind: 'txn', succeeded, results: results.map(partResult) } };
  }
  const session = told.openSession ? told.openSession.session : told.closeSession ? 0 : undefined;
  return session === undefined ? undefined : { kind: 'done', revision: 0, result: { kind: 'session', session } };
}

function putResult({ prevKv }: KvPutResponse__Output): KvResult {
  return { kind: 'put', prev: prevKv === null ? undefined : keyValueOf(prevKv) };
}

function deleteResult({ deleted, prevKvs }: KvDeleteResponse__Output): KvResult {
  return { kind: 'delete', deleted, prevs: prevKvs.map(keyValueOf) };
}

function rangeResult({ kvs, more, count }: KvRangeResponse__Output): KvResult {
  return { kind: 'range', kvs: kvs.map(keyValueOf), more, count };
}

function partResult({ put, delete: remove, range }: KvOperationResult__Output): KvResult {
  if (put) return putResult(put);
  return remove ? deleteResult(remove) : rangeResult(present(range, 'a result is one of three'));
}

function keyValueOf({ key, value, createRevision, modRevision, version }: KvPair__Output): KeyValue {
  return { key, value, createRevision, modRevision, version };
}
