/**
 * What Raft peers say to each other, and its bytes: one format byte, one kind byte, the sender's term, then the fields of the kind.
 * Kind numbers are append-only. Sender, receiver and cluster id travel in the envelope around it. raft.md section 2.
 */
import { unreachable } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import type { Entry, LogId } from '../../model/log.ts';
import { readEntry, readLogId, writeEntry, writeLogId } from './entry.ts';

/** `term` is the sender's. */
export type RaftMessage =
  | { readonly kind: 'preVoteReq'; readonly term: Term; readonly nextTerm: Term; readonly lastLog: LogId }
  | {
      readonly kind: 'preVoteResp';
      readonly term: Term;
      readonly nextTerm: Term;
      readonly granted: boolean;
      readonly reason: string;
    }
  | { readonly kind: 'voteReq'; readonly term: Term; readonly lastLog: LogId; readonly transferSeq: number }
  | { readonly kind: 'voteResp'; readonly term: Term; readonly granted: boolean; readonly reason: string }
  | AppendReq
  | { readonly kind: 'appendOk'; readonly term: Term; readonly match: LogIndex; readonly readSeq: number }
  | {
      readonly kind: 'appendRejected';
      readonly term: Term;
      readonly rejectedPrev: LogIndex;
      readonly hint: LogId;
      readonly readSeq: number;
    }
  | {
      readonly kind: 'heartbeat';
      readonly term: Term;
      readonly commit: LogIndex;
      readonly readSeq: number;
      readonly cancelledTransfers: number;
    }
  | { readonly kind: 'heartbeatResp'; readonly term: Term; readonly readSeq: number; readonly durableLast: LogIndex }
  | { readonly kind: 'timeoutNow'; readonly term: Term; readonly transferSeq: number }
  | { readonly kind: 'readIndexReq'; readonly term: Term; readonly id: number }
  | {
      readonly kind: 'readIndexResp';
      readonly term: Term;
      readonly id: number;
      readonly index: LogIndex;
      readonly ok: boolean;
    };

export interface AppendReq {
  readonly kind: 'appendReq';
  readonly term: Term;
  readonly prev: LogId;
  /** They follow `prev` without a gap; their terms do not fall and are at most `term`. */
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
  readonly readSeq: number;
  readonly cancelledTransfers: number;
}

const FORMAT = 1;
/** An append of 1,024 entries is the most a leader sends. */
const ENTRIES_MAX = 4_096;
const REASON_BYTES_MAX = 256;
/** Most messages are a few dozen bytes; an append grows as it needs. */
const INITIAL_BYTES = 64;

const KIND_NUMBERS = {
  preVoteReq: 1,
  preVoteResp: 2,
  voteReq: 3,
  voteResp: 4,
  appendReq: 5,
  appendOk: 6,
  appendRejected: 7,
  heartbeat: 8,
  heartbeatResp: 9,
  timeoutNow: 10,
  readIndexReq: 11,
  readIndexResp: 12,
} as const satisfies Readonly<Record<RaftMessage['kind'], number>>;

export function encodeRaftMessage(message: RaftMessage): Uint8Array {
  const writer = new ByteWriter(INITIAL_BYTES).u8(FORMAT).u8(KIND_NUMBERS[message.kind]).varint(message.term);
  switch (message.kind) {
    case 'preVoteReq':
      writeLogId(writer.varint(message.nextTerm), message.lastLog);
      break;
    case 'preVoteResp':
      writer.varint(message.nextTerm).bool(message.granted).text(message.reason);
      break;
    case 'voteReq':
      writeLogId(writer, message.lastLog);
      writer.varint(message.transferSeq);
      break;
    case 'voteResp':
      writer.bool(message.granted).text(message.reason);
      break;
    case 'appendReq':
      writeAppend(writer, message);
      break;
    case 'appendOk':
      writer.varint(message.match).varint(message.readSeq);
      break;
    case 'appendRejected':
      writeLogId(writer.varint(message.rejectedPrev), message.hint);
      writer.varint(message.readSeq);
      break;
    case 'heartbeat':
      writer.varint(message.commit).varint(message.readSeq).varint(message.cancelledTransfers);
      break;
    case 'heartbeatResp':
      writer.varint(message.readSeq).varint(message.durableLast);
      break;
    case 'timeoutNow':
      writer.varint(message.transferSeq);
      break;
    case 'readIndexReq':
      writer.varint(message.id);
      break;
    case 'readIndexResp':
      writer.varint(message.id).varint(message.index).bool(message.ok);
      break;
    default:
      unreachable(message);
  }
  return writer.finish();
}

/** The message, or what is wrong with the bytes. Entries are views of `bytes`, which nobody may write to from here on. */
export function decodeRaftMessage(bytes: Uint8Array): RaftMessage | DecodeError {
  try {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== FORMAT) throw new DecodeError(`Raft message format ${format} is unknown`);
    const message = readMessage(reader, reader.u8());
    reader.end();
    return message;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function readMessage(reader: ByteReader, kind: number): RaftMessage {
  const term = readTerm(reader);
  switch (kind) {
    case KIND_NUMBERS.preVoteReq:
      return { kind: 'preVoteReq', term, nextTerm: readTerm(reader), lastLog: readLogId(reader) };
    case KIND_NUMBERS.preVoteResp:
      return {
        kind: 'preVoteResp',
        term,
        nextTerm: readTerm(reader),
        granted: reader.bool(),
        reason: reader.text(REASON_BYTES_MAX),
      };
    case KIND_NUMBERS.voteReq:
      return { kind: 'voteReq', term, lastLog: readLogId(reader), transferSeq: reader.varint() };
    case KIND_NUMBERS.voteResp:
      return { kind: 'voteResp', term, granted: reader.bool(), reason: reader.text(REASON_BYTES_MAX) };
    case KIND_NUMBERS.appendReq:
      return readAppend(reader, term);
    case KIND_NUMBERS.appendOk:
      return { kind: 'appendOk', term, match: readIndex(reader), readSeq: reader.varint() };
    case KIND_NUMBERS.appendRejected:
      return {
        kind: 'appendRejected',
        term,
        rejectedPrev: readIndex(reader),
        hint: readLogId(reader),
        readSeq: reader.varint(),
      };
    case KIND_NUMBERS.heartbeat:
      return {
        kind: 'heartbeat',
        term,
        commit: readIndex(reader),
        readSeq: reader.varint(),
        cancelledTransfers: reader.varint(),
      };
    case KIND_NUMBERS.heartbeatResp:
      return { kind: 'heartbeatResp', term, readSeq: reader.varint(), durableLast: readIndex(reader) };
    case KIND_NUMBERS.timeoutNow:
      return { kind: 'timeoutNow', term, transferSeq: reader.varint() };
    case KIND_NUMBERS.readIndexReq:
      return { kind: 'readIndexReq', term, id: reader.varint() };
    case KIND_NUMBERS.readIndexResp:
      return { kind: 'readIndexResp', term, id: reader.varint(), index: readIndex(reader), ok: reader.bool() };
    default:
      throw new DecodeError(`Raft message kind ${kind} is unknown`);
  }
}

function writeAppend(writer: ByteWriter, message: AppendReq): void {
  writeLogId(writer, message.prev);
  writer.varint(message.commit).varint(message.readSeq).varint(message.cancelledTransfers);
  writer.varint(message.entries.length);
  for (const entry of message.entries) writeEntry(writer, entry);
}

function readAppend(reader: ByteReader, term: Term): AppendReq {
  const prev = readLogId(reader);
  const commit = readIndex(reader);
  const readSeq = reader.varint();
  const cancelledTransfers = reader.varint();
  const count = reader.varint();
  if (count > ENTRIES_MAX) throw new DecodeError(`an append has ${count} entries`);
  const entries: Entry[] = [];
  let before = prev;
  for (let i = 0; i < count; i++) {
    const entry = readEntry(reader);
    if (entry.index !== before.index + 1) throw new DecodeError('the entries of an append are contiguous');
    if (entry.term < before.term) throw new DecodeError('the terms of an append do not fall');
    entries.push(entry);
    before = entry;
  }
  if (before.term > term) throw new DecodeError("an append holds no term above the sender's");
  return { kind: 'appendReq', term, prev, entries, commit, readSeq, cancelledTransfers };
}

function readTerm(reader: ByteReader): Term {
  return reader.varint() as Term;
}

function readIndex(reader: ByteReader): LogIndex {
  return reader.varint() as LogIndex;
}
