/**
 * The difference of two maps: what most log entries carry, since most maps are like the one before. Owners that stay are named by their
 * place, and only shards that another owner, or another standby, has got are named at all. docs/ownership.md section 10.
 */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { NO_STANDBY, type Owner } from '../../model/shard-map.ts';
import { type MapColumns, OWNERS_MAX, readOwners, writeOwners } from './owner-table.ts';

/** Whether one can be told as a change of the other: the same shards, and as many standbys. */
export function isChangeOf(map: MapColumns, before: MapColumns): boolean {
  return (
    map.shardCount === before.shardCount &&
    map.nextShardCount === before.nextShardCount &&
    (map.standbys?.length ?? 0) === (before.standbys?.length ?? 0)
  );
}

/** `isChangeOf` holds. */
export function writeMapChange(writer: ByteWriter, map: MapColumns, before: MapColumns): void {
  const { removed, added, numbers } = compareOwners(before.owners, map.owners);
  writer.varint(removed.length);
  let last = -1;
  for (const at of removed) {
    writer.varint(at - last);
    last = at;
  }
  writeOwners(writer, added);
  writeColumnChange(writer, map.ownerOf, { before: before.ownerOf, numbers });
  for (const [rank, column] of (map.standbys ?? []).entries()) {
    writeColumnChange(writer, column, { before: before.standbys?.[rank] as Uint16Array, numbers });
  }
}

/** The map that results. Throws {@link DecodeError}. */
export function readMapChange(reader: ByteReader, before: MapColumns): MapColumns {
  const removed = readRemoved(reader, before.owners.length);
  const added = readOwners(reader);
  const owners = mergeOwners(
    before.owners.filter((_, i) => !removed.has(i)),
    added,
  );
  if (owners.length === 0 || owners.length > OWNERS_MAX)
    throw new DecodeError(`a shard map of ${owners.length} owners is out of bounds`);
  const { numbers } = compareOwners(before.owners, owners);
  const ownerOf = readColumnChange(reader, { before: before.ownerOf, numbers, bound: owners.length });
  const standbys = (before.standbys ?? []).map((column) =>
    readColumnChange(reader, { before: column, numbers, bound: owners.length, isStandby: true }),
  );
  if (ownerOf.includes(NO_STANDBY)) throw new DecodeError('a change of a shard map leaves a shard without an owner');
  const { shardCount, nextShardCount } = before;
  return {
    shardCount,
    ...(nextShardCount !== undefined && { nextShardCount }),
    owners,
    ownerOf,
    ...(standbys.length > 0 && { standbys }),
  };
}

interface OwnerChange {
  /** Places in the table before, ascending. */
  readonly removed: readonly number[];
  readonly added: readonly Owner[];
  /** Per owner before: its place now; NO_STANDBY when it is gone. The last is that of none. */
  readonly numbers: Uint16Array;
}

function compareOwners(before: readonly Owner[], after: readonly Owner[]): OwnerChange {
  const removed: number[] = [];
  const numbers = new Uint16Array(before.length).fill(NO_STANDBY);
  const isOld = new Uint8Array(after.length);
  let at = 0;
  for (let i = 0; i < before.length; i++) {
    const owner = before[i] as Owner;
    while (at < after.length && (after[at] as Owner).node < owner.node) at += 1;
    const other = after[at];
    const isSame = other?.node === owner.node && other.boot === owner.boot && other.workerId === owner.workerId;
    if (isSame) {
      numbers[i] = at;
      isOld[at] = 1;
    } else removed.push(i);
  }
  return { removed, added: after.filter((_, i) => isOld[i] === 0), numbers };
}

function mergeOwners(kept: readonly Owner[], added: readonly Owner[]): Owner[] {
  const owners = [...kept, ...added].sort((a, b) => (a.node < b.node ? -1 : 1));
  for (let i = 1; i < owners.length; i++) {
    if ((owners[i - 1] as Owner).node === (owners[i] as Owner).node)
      throw new DecodeError('a change of a shard map names a node twice');
  }
  return owners;
}

function readRemoved(reader: ByteReader, ownerCount: number): ReadonlySet<number> {
  const count = reader.varint();
  if (count > ownerCount) throw new DecodeError('a change of a shard map removes more owners than there are');
  const removed = new Set<number>();
  let at = -1;
  for (let i = 0; i < count; i++) {
    const step = reader.varint();
    at += step;
    if (step === 0 || at >= ownerCount)
      throw new DecodeError('a change of a shard map removes an owner that is not there');
    removed.add(at);
  }
  return removed;
}

interface ColumnBefore {
  readonly before: Uint16Array;
  readonly numbers: Uint16Array;
}

/** Runs of neighbours that get one value: the gap before, how many, and the value plus one; 0 for none. */
function writeColumnChange(writer: ByteWriter, column: Uint16Array, { before, numbers }: ColumnBefore): void {
  const runs: number[] = [];
  let next = 0;
  for (let i = 0; i < column.length; i++) {
    const value = column[i] as number;
    if ((numbers[before[i] as number] ?? NO_STANDBY) === value) continue;
    let end = i + 1;
    while (end < column.length && column[end] === value && (numbers[before[end] as number] ?? NO_STANDBY) !== value)
      end += 1;
    runs.push(i - next, end - i, value === NO_STANDBY ? 0 : value + 1);
    next = end;
    i = end - 1;
  }
  writer.varint(runs.length / 3);
  for (const number of runs) writer.varint(number);
}

function readColumnChange(
  reader: ByteReader,
  given: ColumnBefore & { readonly bound: number; readonly isStandby?: boolean },
): Uint16Array {
  const { before, numbers, bound } = given;
  const column = new Uint16Array(before.length);
  for (let i = 0; i < before.length; i++) column[i] = numbers[before[i] as number] ?? NO_STANDBY;
  const runs = reader.varint();
  if (runs > before.length) throw new DecodeError('a change of a column has more runs than shards');
  let at = 0;
  for (let i = 0; i < runs; i++) {
    at += reader.varint();
    const count = reader.varint();
    const value = reader.varint();
    if (count === 0 || count > before.length - at) throw new DecodeError('a run does not fit its column');
    if (value > bound || (value === 0 && given.isStandby !== true))
      throw new DecodeError('a shard names an owner that is not in the table');
    column.fill(value === 0 ? NO_STANDBY : value - 1, at, at + count);
    at += count;
  }
  return column;
}
