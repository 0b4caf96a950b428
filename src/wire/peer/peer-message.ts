/**
 * What travels between the nodes of a cluster beside gossip: one frame is an envelope and one message. The envelope names
 * the cluster, the sender and the receiver, so that a frame that reaches a recycled address changes nothing (I-30).
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { Boot, ClusterId, LogIndex, MemberId, NodeId, ShardId, Term } from '../../model/ids.ts';
import { isClusterId, isMemberId, isNodeId } from '../../model/ids.ts';
import type { Entry, SnapshotMeta } from '../../model/log.ts';
import type { KvAnswer } from '../../model/kv.ts';
import { readAnswer, writeAnswer } from '../kv/reply.ts';
import { type CarriedRequest, readCarried, writeCarried } from '../kv/request.ts';
import { decodeConfiguration, encodeConfiguration, readEntry, writeEntry } from '../raft/entry.ts';

/** Larger frames are refused on both sides: an append of 512 KiB or a snapshot chunk of 256 KiB and room to spare. */
export const PEER_FRAME_BYTES_MAX: number = 5 * 1024 * 1024;
const ENTRIES_MAX = 10_000;
/** More than fit into a message of hand-over (`HAND_OVER_MESSAGE_BYTES`) with a byte each. */
const PIECES_MAX = 65_536;
const VERSION = 1;

export interface PeerFrame {
  /** Empty while the sender belongs to no cluster (only `describe` may be sent so). */
  readonly clusterId: ClusterId | undefined;
  readonly from: MemberId;
  readonly to: MemberId;
  readonly message: PeerMessage;
}

export type PeerMessage =
  /** `bytes` are a RaftMessage, see wire/raft/rpc.ts. */
  | { readonly kind: 'raft'; readonly bytes: Uint8Array }
  /** `bytes` are a LeaseMessage, see wire/sharding/lease.ts. `relayFor` is set by the voter that passes it on (O-16). */
  | { readonly kind: 'lease'; readonly bytes: Uint8Array; readonly relayFor: NodeId | undefined }
  /** "Send me what is committed above `appliedIndex`": sent every 100 ms, it is the acknowledgement too. */
  | { readonly kind: 'follow'; readonly appliedIndex: LogIndex }
  | {
      readonly kind: 'followEntries';
      readonly leader: NodeId | undefined;
      readonly term: Term;
      readonly commitIndex: LogIndex;
      /** Contiguous; empty as a sign of life. */
      readonly entries: readonly Entry[];
    }
  /** A piece of a snapshot: for a lagging Raft peer (`forRaft`) or for a node that follows. */
  | {
      readonly kind: 'snapshotChunk';
      readonly forRaft: boolean;
      readonly term: Term;
      readonly meta: SnapshotMeta;
      readonly offset: number;
      readonly size: number;
      readonly bytes: Uint8Array;
    }
  /** The next offset wanted; equal to the size when all has come. */
  | { readonly kind: 'snapshotAck'; readonly index: LogIndex; readonly offset: number }
  /** "After the entry at `index` the state hashes to this here": for the leader to compare. `relayFor`: whose it is, passed on. */
  | {
      readonly kind: 'digest';
      readonly index: LogIndex;
      readonly digest: number;
      readonly relayFor: MemberId | undefined;
    }
  /** "The voters have another one": whoever does must stop. */
  | { readonly kind: 'digestDiffers'; readonly index: LogIndex; readonly digest: number }
  /** Requests to the coordination state for the leader, whose senders cannot serve them; `hops`: how often they were passed on. */
  | { readonly kind: 'kvAsk'; readonly hops: number; readonly asks: readonly KvAsk[] }
  | { readonly kind: 'kvAnswer'; readonly answers: readonly KvTold[] }
  /**
   * What the application of a shard's owner gives to the one of its next owner, in pieces. `version`: of the proposal that moves them.
   * Answered by `handOverAck` of the same `seq`; repeated until then.
   */
  | {
      readonly kind: 'handOver';
      readonly version: LogIndex;
      readonly seq: number;
      readonly fromBoot: Boot;
      readonly toBoot: Boot;
      readonly pieces: readonly StatePiece[];
    }
  | { readonly kind: 'handOverAck'; readonly version: LogIndex; readonly seq: number }
  | { readonly kind: 'request'; readonly id: number; readonly ask: PeerRequest }
  | { readonly kind: 'response'; readonly id: number; readonly answer: PeerResponse };

export interface KvAsk {
  /** The sender's own, never used before; the answer bears it. */
  readonly id: number;
  readonly request: CarriedRequest;
}

export interface KvTold {
  readonly id: number;
  readonly answer: KvAnswer;
}

/** A part of the state of one shard, which was served under `epoch`. */
export interface StatePiece {
  readonly shard: ShardId;
  readonly epoch: LogIndex;
  /** Where in the state it belongs, and how long that is. */
  readonly offset: number;
  readonly size: number;
  readonly bytes: Uint8Array;
}

export type PeerRequest =
  /** "I stop: take me out of the configuration; my data stays good" (raft.md 9.2 rule 5, parked). */
  | 'retire'
  /** "What are you?" The one question that may cross from cluster to cluster. */
  | 'describe'
  /** "Have you dissolved the cluster that this frame names?" From one that is left over of it; whoever has not says nothing. */
  | 'hasDissolved';

/** Append-only; whoever does not know one drops the frame and counts it. */
const REQUEST_CODES: Readonly<Record<PeerRequest, number>> = { retire: 1, describe: 2, hasDissolved: 3 };

export type PeerResponse =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly reason: string; readonly leader: NodeId | undefined }
  | {
      readonly kind: 'description';
      readonly clusterId: ClusterId | undefined;
      readonly voters: number;
      readonly isEmpty: boolean;
    }
  /** "As `member`, I was its only voter, and gave it up." */
  | { readonly kind: 'dissolution'; readonly clusterId: ClusterId; readonly member: MemberId };

export function encodePeerFrame(frame: PeerFrame): Uint8Array {
  const out = new ByteWriter(128);
  out
    .u8(VERSION)
    .text(frame.clusterId ?? '')
    .text(frame.from)
    .text(frame.to);
  writeMessage(out, frame.message);
  return out.finish();
}

/** Throws {@link DecodeError}; the caller counts it. */
export function decodePeerFrame(bytes: Uint8Array): PeerFrame {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== VERSION) throw new DecodeError(`peer frame version ${version} is unknown`);
  const clusterId = readClusterId(reader);
  const from = readMemberId(reader);
  const to = readMemberId(reader);
  const message = readMessage(reader);
  reader.end();
  return { clusterId, from, to, message };
}

function writeMessage(out: ByteWriter, message: PeerMessage): void {
  switch (message.kind) {
    case 'raft':
      out.u8(1).blob(message.bytes);
      return;
    case 'lease':
      out
        .u8(2)
        .blob(message.bytes)
        .text(message.relayFor ?? '');
      return;
    case 'follow':
      out.u8(3).varint(message.appliedIndex);
      return;
    case 'followEntries':
      out
        .u8(4)
        .text(message.leader ?? '')
        .varint(message.term)
        .varint(message.commitIndex)
        .varint(message.entries.length);
      for (const entry of message.entries) writeEntry(out, entry);
      return;
    case 'snapshotChunk':
      out.u8(5).bool(message.forRaft).varint(message.term);
      writeMeta(out, message.meta);
      out.varint(message.offset).varint(message.size).blob(message.bytes);
      return;
    case 'snapshotAck':
      out.u8(6).varint(message.index).varint(message.offset);
      return;
    case 'request':
      out.u8(7).varint(message.id).u8(REQUEST_CODES[message.ask]);
      return;
    case 'response':
      out.u8(8).varint(message.id);
      writeResponse(out, message.answer);
      return;
    case 'digest':
      out
        .u8(9)
        .varint(message.index)
        .u32(message.digest)
        .text(message.relayFor ?? '');
      return;
    case 'digestDiffers':
      out.u8(10).varint(message.index).u32(message.digest);
      return;
    case 'kvAsk':
      out.u8(11).u8(message.hops).varint(message.asks.length);
      for (const { id, request } of message.asks) writeCarried(out.varint(id), request);
      return;
    case 'kvAnswer':
      out.u8(12).varint(message.answers.length);
      for (const { id, answer } of message.answers) writeAnswer(out.varint(id), answer);
      return;
    case 'handOver':
      out.u8(20).varint(message.version).varint(message.seq).varint(message.fromBoot).varint(message.toBoot);
      out.varint(message.pieces.length);
      for (const { shard, epoch, offset, size, bytes } of message.pieces)
        out.varint(shard).varint(epoch).varint(offset).varint(size).blob(bytes);
      return;
    case 'handOverAck':
      out.u8(21).varint(message.version).varint(message.seq);
      return;
  }
}

function readMessage(reader: ByteReader): PeerMessage {
  const kind = reader.u8();
  switch (kind) {
    case 1:
      return { kind: 'raft', bytes: reader.blob() };
    case 2:
      return { kind: 'lease', bytes: reader.blob(), relayFor: readNodeId(reader) };
    case 3:
      return { kind: 'follow', appliedIndex: reader.varint() as LogIndex };
    case 4: {
      const leader = readNodeId(reader);
      const term = reader.varint() as Term;
      const commitIndex = reader.varint() as LogIndex;
      const count = reader.varint();
      if (count > ENTRIES_MAX) throw new DecodeError(`${count} entries in one frame`);
      const entries = Array.from({ length: count }, () => readEntry(reader));
      const isInOrder = entries.every((entry, i) => entry.index === (entries[0]?.index ?? 0) + i);
      if (!isInOrder) throw new DecodeError('entries to follow have a gap');
      return { kind: 'followEntries', leader, term, commitIndex, entries };
    }
    case 5: {
      const forRaft = reader.bool();
      const term = reader.varint() as Term;
      const meta = readMeta(reader);
      return {
        kind: 'snapshotChunk',
        forRaft,
        term,
        meta,
        offset: reader.varint(),
        size: reader.varint(),
        bytes: reader.blob(),
      };
    }
    case 6:
      return { kind: 'snapshotAck', index: reader.varint() as LogIndex, offset: reader.varint() };
    case 7:
      return { kind: 'request', id: reader.varint(), ask: readRequest(reader) };
    case 8:
      return { kind: 'response', id: reader.varint(), answer: readResponse(reader) };
    case 9: {
      const index = reader.varint() as LogIndex;
      const digest = reader.u32();
      const text = reader.text(128);
      if (text !== '' && !isMemberId(text)) throw new DecodeError('a member id is malformed');
      return { kind: 'digest', index, digest, relayFor: isMemberId(text) ? text : undefined };
    }
    case 10:
      return { kind: 'digestDiffers', index: reader.varint() as LogIndex, digest: reader.u32() };
    case 11:
      return { kind: 'kvAsk', hops: reader.u8(), asks: readList(reader, readAsk) };
    case 12:
      return { kind: 'kvAnswer', answers: readList(reader, readTold) };
    case 20:
      return readHandOver(reader);
    case 21:
      return { kind: 'handOverAck', version: reader.varint() as LogIndex, seq: reader.varint() };
    default:
      throw new DecodeError(`peer message kind ${kind} is unknown`);
  }
}

function readAsk(reader: ByteReader): KvAsk {
  return { id: reader.varint(), request: readCarried(reader) };
}

function readTold(reader: ByteReader): KvTold {
  return { id: reader.varint(), answer: readAnswer(reader) };
}

function readList<T>(reader: ByteReader, readOne: (reader: ByteReader) => T): T[] {
  const count = reader.varint();
  if (count > ENTRIES_MAX) throw new DecodeError(`${count} requests in one frame`);
  const list: T[] = [];
  for (let i = 0; i < count; i++) list.push(readOne(reader));
  return list;
}

function readHandOver(reader: ByteReader): PeerMessage {
  const version = reader.varint() as LogIndex;
  const seq = reader.varint();
  const fromBoot = reader.varint() as Boot;
  const toBoot = reader.varint() as Boot;
  const count = reader.varint();
  if (count > PIECES_MAX) throw new DecodeError(`${count} pieces of state in one frame`);
  const pieces = Array.from({ length: count }, (): StatePiece => {
    const shard = reader.varint() as ShardId;
    return {
      shard,
      epoch: reader.varint() as LogIndex,
      offset: reader.varint(),
      size: reader.varint(),
      bytes: reader.blob(),
    };
  });
  return { kind: 'handOver', version, seq, fromBoot, toBoot, pieces };
}

function writeMeta(out: ByteWriter, meta: SnapshotMeta): void {
  out.text(meta.clusterId).varint(meta.lastLog.term).varint(meta.lastLog.index);
  out.blob(encodeConfiguration(meta.configuration)).varint(meta.configurationIndex);
}

function readMeta(reader: ByteReader): SnapshotMeta {
  const clusterId = readClusterId(reader);
  if (clusterId === undefined) throw new DecodeError('a snapshot names no cluster');
  const lastLog = { term: reader.varint() as Term, index: reader.varint() as LogIndex };
  const configuration = decodeConfiguration(reader.blob());
  return { clusterId, lastLog, configuration, configurationIndex: reader.varint() as LogIndex };
}

function readRequest(reader: ByteReader): PeerRequest {
  const code = reader.u8();
  if (code === 1) return 'retire';
  if (code === 2) return 'describe';
  if (code === 3) return 'hasDissolved';
  throw new DecodeError(`peer request ${code} is unknown`);
}

function writeResponse(out: ByteWriter, answer: PeerResponse): void {
  switch (answer.kind) {
    case 'done':
      out.u8(1);
      return;
    case 'refused':
      out
        .u8(2)
        .text(answer.reason)
        .text(answer.leader ?? '');
      return;
    case 'description':
      out
        .u8(3)
        .text(answer.clusterId ?? '')
        .varint(answer.voters)
        .bool(answer.isEmpty);
      return;
    case 'dissolution':
      out.u8(4).text(answer.clusterId).text(answer.member);
      return;
  }
}

function readResponse(reader: ByteReader): PeerResponse {
  const code = reader.u8();
  switch (code) {
    case 1:
      return { kind: 'done' };
    case 2:
      return { kind: 'refused', reason: reader.text(1024), leader: readNodeId(reader) };
    case 3:
      return { kind: 'description', clusterId: readClusterId(reader), voters: reader.varint(), isEmpty: reader.bool() };
    case 4: {
      const clusterId = readClusterId(reader);
      if (clusterId === undefined) throw new DecodeError('a dissolution names no cluster');
      return { kind: 'dissolution', clusterId, member: readMemberId(reader) };
    }
    default:
      throw new DecodeError(`peer response ${code} is unknown`);
  }
}

function readClusterId(reader: ByteReader): ClusterId | undefined {
  const text = reader.text(64);
  if (text === '') return undefined;
  if (!isClusterId(text)) throw new DecodeError('a cluster id is malformed');
  return text;
}

function readMemberId(reader: ByteReader): MemberId {
  const text = reader.text(128);
  if (!isMemberId(text)) throw new DecodeError('a member id is malformed');
  return text;
}

function readNodeId(reader: ByteReader): NodeId | undefined {
  const text = reader.text(64);
  if (text === '') return undefined;
  if (!isNodeId(text)) throw new DecodeError('a node id is malformed');
  return text;
}
