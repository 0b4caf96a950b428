/**
 * The log entries of the shard map, as values and as bytes. docs/ownership.md sections 2 and 10. Logs outlive programs: numbers are only
 * ever added. The bytes are the payload of a command entry; whoever owns the log says that they are the shard map's.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import type { Owner } from '../../model/shard-map.ts';
import type { ShardSettings } from '../../model/shard-settings.ts';
import { isChangeOf, readMapChange, writeMapChange } from './map-change.ts';
import {
  type MapColumns,
  readColumn,
  readMap,
  readOwners,
  readShardCount,
  writeColumn,
  writeMap,
  writeOwners,
} from './owner-table.ts';
import { readSettings, writeSettings } from './settings.ts';

export interface ShardPropose {
  readonly kind: 'shardPropose';
  /** The term its author led: dropped by the state machine when the entry's term differs. */
  readonly term: Term;
  /** The wall clock of its author, Unix milliseconds: worker ids rest by it. Absent in entries of before there was one. */
  readonly atMs?: number;
  readonly shardCount: number;
  /** While the number of shards changes: their shards come behind the others. */
  readonly nextShardCount?: number;
  /** Sorted by node id, each node once. */
  readonly owners: readonly Owner[];
  /** Per shard: index into `owners`. */
  readonly ownerOf: Uint16Array;
  /** Per rank and shard: index into `owners`, or NO_STANDBY. Absent when none are wanted. */
  readonly standbys?: readonly Uint16Array[];
}

/** Does nothing unless `version` is the pending one. */
export interface ShardCommit {
  readonly kind: 'shardCommit';
  readonly term: Term;
  readonly version: LogIndex;
}

/** Does nothing unless `expects` is the version of the settings that are in force. */
export interface ShardConfigure {
  readonly kind: 'shardConfigure';
  readonly term: Term;
  readonly expects: LogIndex;
  /** Its version is that of the entry. */
  readonly settings: ShardSettings;
}

/** A change of a map that is not the active one. Does nothing: who wrote it had another log. */
export interface ShardStale {
  readonly kind: 'shardStale';
  readonly term: Term;
}

export type WrittenShardCommand = ShardPropose | ShardCommit | ShardConfigure;

export type ShardCommand = WrittenShardCommand | ShardStale;

/** The active map, when an entry may be told as a change of it. */
export type BaseMap = MapColumns & { readonly version: LogIndex };

/** Append-only numbering. */
const PROPOSE_UNTIMED = 1;
const COMMIT = 2;
const PROPOSE = 3;
const PROPOSE_CHANGE = 4;
const CONFIGURE = 5;

/** `base`: the map that will be active when the entry is applied. Then the entry may say only what is different. */
export function encodeShardCommand(command: WrittenShardCommand, base?: BaseMap): Uint8Array {
  switch (command.kind) {
    case 'shardCommit':
      return new ByteWriter(16).u8(COMMIT).varint(command.term).varint(command.version).finish();
    case 'shardConfigure': {
      const writer = new ByteWriter(256).u8(CONFIGURE).varint(command.term).varint(command.expects);
      writeSettings(writer, command.settings);
      return writer.finish();
    }
    case 'shardPropose':
      return encodePropose(command, base);
  }
}

function encodePropose(command: ShardPropose, base: BaseMap | undefined): Uint8Array {
  const { term, atMs, owners, ownerOf } = command;
  if (atMs === undefined) {
    const writer = new ByteWriter(64 + owners.length * 32 + command.shardCount);
    writer.u8(PROPOSE_UNTIMED).varint(term).varint(command.shardCount);
    writeOwners(writer, owners);
    writeColumn(writer, ownerOf, owners.length);
    return writer.finish();
  }
  const whole = (): Uint8Array => {
    const writer = new ByteWriter(64 + owners.length * 32 + ownerOf.length * (1 + (command.standbys?.length ?? 0)));
    writer.u8(PROPOSE).varint(term).varint(atMs);
    writeMap(writer, command);
    return writer.finish();
  };
  if (base === undefined || !isChangeOf(command, base)) return whole();
  const writer = new ByteWriter(1_024).u8(PROPOSE_CHANGE).varint(term).varint(atMs).varint(base.version);
  writeMapChange(writer, command, base);
  const change = writer.finish();
  // One byte for a shard is what a whole map takes at best where it is no run.
  if (change.length * 2 < ownerOf.length) return change;
  const full = whole();
  return change.length < full.length ? change : full;
}

/** The command, or why these bytes are none. What comes out satisfies everything its type promises. `base`: the active map. */
export function decodeShardCommand(bytes: Uint8Array, base?: BaseMap): ShardCommand | DecodeError {
  try {
    return readShardCommand(new ByteReader(bytes), base);
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function readShardCommand(reader: ByteReader, base: BaseMap | undefined): ShardCommand {
  const kind = reader.u8();
  const term = reader.varint() as Term;
  if (term === 0) throw new DecodeError('a shard command is of no term');
  const command = readBody(kind, { reader, term, base });
  if (command.kind !== 'shardStale') reader.end();
  return command;
}

function readBody(
  kind: number,
  { reader, term, base }: { readonly reader: ByteReader; readonly term: Term; readonly base: BaseMap | undefined },
): ShardCommand {
  switch (kind) {
    case PROPOSE_UNTIMED: {
      const shardCount = readShardCount(reader);
      const owners = readOwners(reader);
      const ownerOf = readColumn(reader, shardCount, owners.length);
      return { kind: 'shardPropose', term, shardCount, owners, ownerOf };
    }
    case PROPOSE: {
      const atMs = reader.varint();
      return { kind: 'shardPropose', term, atMs, ...readMap(reader) };
    }
    case PROPOSE_CHANGE: {
      const atMs = reader.varint();
      const of = reader.varint();
      if (base?.version !== of) return { kind: 'shardStale', term };
      return { kind: 'shardPropose', term, atMs, ...readMapChange(reader, base) };
    }
    case COMMIT: {
      const version = reader.varint() as LogIndex;
      if (version === 0) throw new DecodeError('a shard commit names no version');
      return { kind: 'shardCommit', term, version };
    }
    case CONFIGURE: {
      const expects = reader.varint() as LogIndex;
      return { kind: 'shardConfigure', term, expects, settings: readSettings(reader, 0 as LogIndex) };
    }
    default:
      throw new DecodeError(`shard command kind ${kind} is unknown`);
  }
}
