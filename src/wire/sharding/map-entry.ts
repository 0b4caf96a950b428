/**
 * The log entries of the shard map, as values and as bytes. docs/ownership.md section 2. Logs outlive programs: numbers are only ever
 * added. The bytes are the payload of a command entry; whoever owns the log says that they are the shard map's.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { LogIndex, Term } from '../../model/ids.ts';
import type { Owner } from '../../model/shard-map.ts';
import { readColumn, readOwners, readShardCount, writeColumn, writeOwners } from './owner-table.ts';

export interface ShardPropose {
  readonly kind: 'shardPropose';
  /** The term its author led: dropped by the state machine when the entry's term differs. */
  readonly term: Term;
  readonly shardCount: number;
  /** Sorted by node id, each node once. */
  readonly owners: readonly Owner[];
  /** Per shard: index into `owners`. */
  readonly ownerOf: Uint16Array;
}

/** Does nothing unless `version` is the pending one. */
export interface ShardCommit {
  readonly kind: 'shardCommit';
  readonly term: Term;
  readonly version: LogIndex;
}

export type ShardCommand = ShardPropose | ShardCommit;

/** Append-only numbering. */
const PROPOSE = 1;
const COMMIT = 2;

export function encodeShardCommand(command: ShardCommand): Uint8Array {
  if (command.kind === 'shardCommit') {
    return new ByteWriter(16).u8(COMMIT).varint(command.term).varint(command.version).finish();
  }
  const writer = new ByteWriter(64 + command.owners.length * 32 + command.shardCount);
  writer.u8(PROPOSE).varint(command.term).varint(command.shardCount);
  writeOwners(writer, command.owners);
  writeColumn(writer, command.ownerOf, command.owners.length);
  return writer.finish();
}

/** The command, or why these bytes are none. What comes out satisfies everything its type promises. */
export function decodeShardCommand(bytes: Uint8Array): ShardCommand | DecodeError {
  try {
    return readShardCommand(new ByteReader(bytes));
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function readShardCommand(reader: ByteReader): ShardCommand {
  const kind = reader.u8();
  const term = reader.varint() as Term;
  if (term === 0) throw new DecodeError('a shard command is of no term');
  switch (kind) {
    case PROPOSE: {
      const shardCount = readShardCount(reader);
      const owners = readOwners(reader);
      const ownerOf = readColumn(reader, shardCount, owners.length);
      reader.end();
      return { kind: 'shardPropose', term, shardCount, owners, ownerOf };
    }
    case COMMIT: {
      const version = reader.varint() as LogIndex;
      if (version === 0) throw new DecodeError('a shard commit names no version');
      reader.end();
      return { kind: 'shardCommit', term, version };
    }
    default:
      throw new DecodeError(`shard command kind ${kind} is unknown`);
  }
}
