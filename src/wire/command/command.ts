/** The commands of the agreed log: one type byte, then the body. Numbers are append-only; an old log is read for ever. */
import { ByteReader, ByteWriter, concatBytes } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { Boot, LogIndex, MemberId, NodeId } from '../../model/ids.ts';
import { isMemberId, isNodeId } from '../../model/ids.ts';
import { PERMIT_HOLDER_BYTES_MAX } from '../../model/restart-permit.ts';
import type { Timing } from '../../model/timing.ts';
import { writeKvBatch } from '../kv/batch.ts';

const FOUND = 1;
/** Body: wire/sharding/map-entry.ts. */
const SHARD = 2;
const EXCLUDE = 3;
const INCLUDE = 4;
const TAKE_PERMIT = 10;
const GIVE_PERMIT = 11;
/** Body: wire/kv/batch.ts. 17 to 31 are kept for the key-value store. */
const KV = 16;
/** As 1, with the times that the cluster is to agree on. */
const FOUND_TIMED = 32;

export type Command =
  | {
      readonly kind: 'found';
      readonly clusterName: string;
      readonly createdMs: number;
      readonly shardCount: number;
      readonly timing?: Timing;
    }
  | { readonly kind: 'shard'; readonly bytes: Uint8Array }
  | { readonly kind: 'kv'; readonly bytes: Uint8Array }
  /** An operator removed this member: nobody brings it back by itself. */
  | { readonly kind: 'exclude'; readonly member: MemberId }
  /** An operator wants it again. */
  | { readonly kind: 'include'; readonly member: MemberId }
  /** `boot`: the process of `node` that is to be restarted; 0 when none is known. */
  | {
      readonly kind: 'takePermit';
      readonly holder: string;
      readonly node: NodeId;
      readonly boot: Boot;
      readonly leaseMs: number;
    }
  /** The permit that was taken at `index` ends. */
  | { readonly kind: 'givePermit'; readonly index: LogIndex };

export function encodeCommand(command: Command): Uint8Array {
  switch (command.kind) {
    case 'found': {
      const { clusterName, createdMs, shardCount, timing } = command;
      const out = new ByteWriter(64).u8(timing === undefined ? FOUND : FOUND_TIMED);
      out.text(clusterName).u64(createdMs).varint(shardCount);
      if (timing !== undefined) writeTiming(out, timing);
      return out.finish();
    }
    case 'shard':
      return concatBytes([Uint8Array.of(SHARD), command.bytes]);
    case 'kv':
      return concatBytes([Uint8Array.of(KV), command.bytes]);
    case 'exclude':
      return new ByteWriter(64).u8(EXCLUDE).text(command.member).finish();
    case 'include':
      return new ByteWriter(64).u8(INCLUDE).text(command.member).finish();
    case 'takePermit':
      return new ByteWriter(128)
        .u8(TAKE_PERMIT)
        .text(command.holder)
        .text(command.node)
        .varint(command.boot)
        .varint(command.leaseMs)
        .finish();
    case 'givePermit':
      return new ByteWriter(16).u8(GIVE_PERMIT).varint(command.index).finish();
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
    case FOUND_TIMED:
      return {
        kind: 'found',
        clusterName: reader.text(256),
        createdMs: reader.u64(),
        shardCount: reader.varint(),
        timing: readTiming(reader),
      };
    case SHARD:
      return { kind: 'shard', bytes: reader.raw(reader.left) };
    case KV:
      return { kind: 'kv', bytes: reader.raw(reader.left) };
    case EXCLUDE:
      return { kind: 'exclude', member: readMember(reader) };
    case INCLUDE:
      return { kind: 'include', member: readMember(reader) };
    case TAKE_PERMIT:
      return {
        kind: 'takePermit',
        holder: reader.text(PERMIT_HOLDER_BYTES_MAX),
        node: readNode(reader),
        boot: reader.varint() as Boot,
        leaseMs: reader.varint(),
      };
    case GIVE_PERMIT:
      return { kind: 'givePermit', index: reader.varint() as LogIndex };
    default:
      throw new DecodeError(`command type ${type} is unknown`);
  }
}

const MILLIONTHS = 1_000_000;
const TIMING_MS_MAX = 3_600_000;

export function writeTiming(out: ByteWriter, { leaseMs, clockDrift, heartbeatMs, electionMs }: Timing): void {
  out
    .varint(leaseMs)
    .varint(Math.round(clockDrift * MILLIONTHS))
    .varint(heartbeatMs)
    .varint(electionMs);
}

/** Throws {@link DecodeError} for times that no node could run by. */
export function readTiming(reader: ByteReader): Timing {
  const leaseMs = reader.varint();
  const millionths = reader.varint();
  const heartbeatMs = reader.varint();
  const electionMs = reader.varint();
  const isUsable =
    Math.max(leaseMs, heartbeatMs, electionMs) <= TIMING_MS_MAX &&
    Math.min(leaseMs, heartbeatMs, electionMs) >= 1 &&
    millionths < MILLIONTHS / 2;
  if (!isUsable) throw new DecodeError('a timing is out of range');
  return { leaseMs, clockDrift: millionths / MILLIONTHS, heartbeatMs, electionMs };
}

function readNode(reader: ByteReader): NodeId {
  const text = reader.text(64);
  if (!isNodeId(text)) throw new DecodeError('a node id is malformed');
  return text;
}

function readMember(reader: ByteReader): MemberId {
  const text = reader.text(128);
  if (!isMemberId(text)) throw new DecodeError('a member id is malformed');
  return text;
}
