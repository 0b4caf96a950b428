/**
 * What travels between a holder of a shard lease and the leader, as values and as bytes. docs/ownership.md section 2. A relay batch is
 * what a voter carries for the non-voters on its streams (O-16).
 */
import { assert, present } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { isNodeId } from '../../model/ids.ts';
import type { Boot, LogIndex, NodeId, Term } from '../../model/ids.ts';

/** `behind`: apply the map first (O-11). `leftOut`: a release is overdue (O-12). `idInUse`: another boot of this id runs (O-13). */
export type LeaseRefusalReason = 'behind' | 'leftOut' | 'idInUse';

export interface LeaseRenew {
  readonly kind: 'renew';
  readonly node: NodeId;
  readonly boot: Boot;
  /** Rises by one with every renewal of a boot; 1 is the first. */
  readonly seq: number;
  readonly appliedIndex: LogIndex;
  /** The newest proposal whose losses this holder has released; 0 for none. */
  readonly releasedVersion: LogIndex;
  /** The node holds the lock of its data directory: an older boot of it is proven dead (O-13). */
  readonly dirLocked: boolean;
  /** False with `--no-shards` and while draining: the plan gives it nothing. */
  readonly wantsShards: boolean;
  /** Term and seq of the newest answer this boot has seen; 0, 0 for none. It proves that the boot lived after that answer (O-13). */
  readonly answeredTerm: Term;
  readonly answeredSeq: number;
}

export interface LeaseGrant {
  readonly kind: 'grant';
  readonly node: NodeId;
  readonly boot: Boot;
  readonly seq: number;
  readonly term: Term;
  /** The leader's monotonic clock as it answered. */
  readonly leaderNow: number;
}

export interface LeaseRefusal {
  readonly kind: 'refusal';
  readonly node: NodeId;
  readonly boot: Boot;
  readonly seq: number;
  readonly term: Term;
  readonly reason: LeaseRefusalReason;
}

/** "This process will never serve again" (orderly stop). */
export interface LeaseRelease {
  readonly kind: 'release';
  readonly node: NodeId;
  readonly boot: Boot;
}

export type LeaseMessage = LeaseRenew | LeaseGrant | LeaseRefusal | LeaseRelease;

/** More would make one batch hold up the stream it travels on (docs/ownership.md section 2). */
export const LEASE_BATCH_MAX = 512;

const NODE_ID_BYTES_MAX = 64;
/** Append-only numbering. */
const RENEW = 1;
const GRANT = 2;
const REFUSAL = 3;
const RELEASE = 4;
const REASON_NUMBERS: Readonly<Record<LeaseRefusalReason, number>> = { behind: 1, leftOut: 2, idInUse: 3 };
const REASONS: readonly (LeaseRefusalReason | undefined)[] = [undefined, 'behind', 'leftOut', 'idInUse'];
const DIR_LOCKED = 1;
const WANTS_SHARDS = 2;

export function encodeLeaseMessage(message: LeaseMessage): Uint8Array {
  const writer = new ByteWriter(64);
  writeLeaseMessage(writer, message);
  return writer.finish();
}

/** The message, or why these bytes are none. */
export function decodeLeaseMessage(bytes: Uint8Array): LeaseMessage | DecodeError {
  return atTheDoor(() => {
    const reader = new ByteReader(bytes);
    const message = readLeaseMessage(reader);
    reader.end();
    return message;
  });
}

/** One batch of a relay; at most {@link LEASE_BATCH_MAX} messages. */
export function encodeLeaseBatch(messages: readonly LeaseMessage[]): Uint8Array {
  assert(messages.length <= LEASE_BATCH_MAX, 'a lease batch is within its limit');
  const writer = new ByteWriter(8 + messages.length * 48).varint(messages.length);
  for (const message of messages) writeLeaseMessage(writer, message);
  return writer.finish();
}

export function decodeLeaseBatch(bytes: Uint8Array): LeaseMessage[] | DecodeError {
  return atTheDoor(() => {
    const reader = new ByteReader(bytes);
    const count = reader.varint();
    if (count > LEASE_BATCH_MAX) throw new DecodeError(`a lease batch of ${count} is larger than ${LEASE_BATCH_MAX}`);
    const messages: LeaseMessage[] = [];
    for (let i = 0; i < count; i++) messages.push(readLeaseMessage(reader));
    reader.end();
    return messages;
  });
}

function writeLeaseMessage(writer: ByteWriter, message: LeaseMessage): void {
  switch (message.kind) {
    case 'renew': {
      writer.u8(RENEW).text(message.node).varint(message.boot).varint(message.seq);
      writer.varint(message.appliedIndex).varint(message.releasedVersion);
      writer.u8((message.dirLocked ? DIR_LOCKED : 0) | (message.wantsShards ? WANTS_SHARDS : 0));
      writer.varint(message.answeredTerm).varint(message.answeredSeq);
      return;
    }
    case 'grant':
      writer.u8(GRANT).text(message.node).varint(message.boot).varint(message.seq);
      writer.varint(message.term).f64(message.leaderNow);
      return;
    case 'refusal':
      writer.u8(REFUSAL).text(message.node).varint(message.boot).varint(message.seq);
      writer.varint(message.term).u8(present(REASON_NUMBERS[message.reason], 'every reason has a number'));
      return;
    case 'release':
      writer.u8(RELEASE).text(message.node).varint(message.boot);
  }
}

function readLeaseMessage(reader: ByteReader): LeaseMessage {
  const kind = reader.u8();
  const node = reader.text(NODE_ID_BYTES_MAX);
  if (!isNodeId(node)) throw new DecodeError('a lease message names no valid node id');
  const boot = reader.varint() as Boot;
  switch (kind) {
    case RENEW:
      return readRenew(reader, node, boot);
    case GRANT: {
      const seq = reader.varint();
      const term = reader.varint() as Term;
      const leaderNow = reader.f64();
      if (!Number.isFinite(leaderNow)) throw new DecodeError('the clock of a grant is not a number');
      return { kind: 'grant', node, boot, seq, term, leaderNow };
    }
    case REFUSAL: {
      const seq = reader.varint();
      const term = reader.varint() as Term;
      const reason = REASONS[reader.u8()];
      if (reason === undefined) throw new DecodeError('a lease refusal gives no known reason');
      return { kind: 'refusal', node, boot, seq, term, reason };
    }
    case RELEASE:
      return { kind: 'release', node, boot };
    default:
      throw new DecodeError(`lease message kind ${kind} is unknown`);
  }
}

function readRenew(reader: ByteReader, node: NodeId, boot: Boot): LeaseRenew {
  const seq = reader.varint();
  if (seq === 0) throw new DecodeError('renewals are numbered from 1');
  const appliedIndex = reader.varint() as LogIndex;
  const releasedVersion = reader.varint() as LogIndex;
  const flags = reader.u8();
  const answeredTerm = reader.varint() as Term;
  const answeredSeq = reader.varint();
  return {
    kind: 'renew',
    node,
    boot,
    seq,
    appliedIndex,
    releasedVersion,
    dirLocked: (flags & DIR_LOCKED) !== 0,
    wantsShards: (flags & WANTS_SHARDS) !== 0,
    answeredTerm,
    answeredSeq,
  };
}

function atTheDoor<T>(read: () => T): T | DecodeError {
  try {
    return read();
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}
