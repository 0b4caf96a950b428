/** A shard map as what is different from an earlier one, for watchers that have that; and back. Pure functions. */
import type { ShardChange } from '../gen/funk/v1/ShardChange.ts';
import type { ShardMap__Output } from '../gen/funk/v1/ShardMap.ts';
import type { ShardMapDelta } from '../gen/funk/v1/ShardMapDelta.ts';
import type { ShardMapDelta__Output } from '../gen/funk/v1/ShardMapDelta.ts';
import type { ShardOwner__Output } from '../gen/funk/v1/ShardOwner.ts';
import { NO_STANDBY, type ShardMap, sharedShards, slotCount } from '../model/shard-map.ts';

/** Undefined when the maps number their shards in different ways, or have more or fewer standbys: then only the whole tells. */
export function shardMapDelta(map: ShardMap, before: ShardMap): ShardMapDelta | undefined {
  const isAlike =
    map.nextShardCount === before.nextShardCount &&
    map.standbys?.length === before.standbys?.length &&
    sharedShards(before, map).length === (map.nextShardCount === undefined ? 1 : 2);
  if (!isAlike) return undefined;
  const places = new Map(map.owners.map((owner, at) => [`${owner.node} ${owner.boot} ${owner.workerId}`, at]));
  const numbers = before.owners.map((owner) => places.get(`${owner.node} ${owner.boot} ${owner.workerId}`) ?? -1);
  const kept = new Set(numbers);
  const added = map.owners.flatMap((owner, at) =>
    kept.has(at) ? [] : [{ nodeId: owner.node, boot: owner.boot, workerId: owner.workerId }],
  );
  return {
    sinceVersion: before.version,
    version: map.version,
    committedAt: map.committedAt,
    removedOwners: numbers.flatMap((place, at) => (place < 0 ? [at] : [])),
    addedOwners: added,
    changes: ownerChanges(map, before, numbers),
    standbyChanges: (map.standbys ?? []).map((column, rank) =>
      standbyChange(column, before.standbys?.[rank] ?? column, { numbers, rank }),
    ),
  };
}

/** One for each commit between the two: a shard that went and came back has another epoch, and is told too. */
function ownerChanges(map: ShardMap, before: ShardMap, numbers: readonly number[]): ShardChange[] {
  const changes = new Map<number, { epoch: number; gaps: number[]; owners: number[]; next: number }>();
  for (let slot = 0; slot < slotCount(map); slot++) {
    const epoch = map.epochs[slot] as number;
    const owner = map.ownerOf[slot] as number;
    if (epoch === before.epochs[slot] && numbers[before.ownerOf[slot] as number] === owner) continue;
    const change = changes.get(epoch) ?? { epoch, gaps: [], owners: [], next: 0 };
    changes.set(epoch, change);
    change.gaps.push(slot - change.next);
    change.owners.push(owner);
    change.next = slot + 1;
  }
  return [...changes.values()].map(({ epoch, gaps, owners }) => ({ epoch, gaps, owners }));
}

function standbyChange(
  column: Uint16Array,
  before: Uint16Array,
  { numbers, rank }: { readonly numbers: readonly number[]; readonly rank: number },
): ShardChange {
  const gaps: number[] = [];
  const owners: number[] = [];
  let next = 0;
  for (let slot = 0; slot < column.length; slot++) {
    const place = column[slot] as number;
    const was = before[slot] as number;
    const value = place === NO_STANDBY ? 0 : place + 1;
    if (value === (was === NO_STANDBY ? 0 : (numbers[was] ?? -1) + 1)) {
      // Of one that is gone nothing is left: both sides read it as none.
      continue;
    }
    gaps.push(slot - next);
    owners.push(value);
    next = slot + 1;
  }
  return { rank, gaps, owners };
}

/**
 * The map that results, as `Watch` would have sent it whole. Throws a RangeError when the delta is not one of this map: then
 * watch again from the beginning.
 */
export function withDelta(map: ShardMap__Output, delta: ShardMapDelta__Output): ShardMap__Output {
  if (delta.sinceVersion !== map.version)
    throw new RangeError(`a change of map ${delta.sinceVersion} is none of map ${map.version}`);
  const removed = new Set(delta.removedOwners);
  const kept = map.owners.filter((_, at) => !removed.has(at));
  const owners = [...kept, ...delta.addedOwners].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const places = new Map<ShardOwner__Output, number>(owners.map((owner, at) => [owner, at]));
  const numbers = map.owners.map((owner) => places.get(owner) ?? -1);
  const ownerOf = map.ownerOf.map((at) => numbers[at] ?? -1);
  const epochs = [...map.epochs];
  for (const change of delta.changes) {
    eachChange(change, ownerOf.length, (slot, owner) => {
      ownerOf[slot] = owner;
      epochs[slot] = change.epoch;
    });
  }
  const standbys = map.standbys.map((column) => ({
    ownerOf: column.ownerOf.map((at) => (at === 0 ? 0 : (numbers[at - 1] ?? -1) + 1)),
  }));
  for (const change of delta.standbyChanges) {
    const column = standbys[change.rank]?.ownerOf ?? [];
    eachChange(change, column.length, (slot, owner) => {
      column[slot] = owner;
    });
  }
  if (ownerOf.some((at) => at < 0 || at >= owners.length))
    throw new RangeError('a change of a map leaves a shard without an owner');
  const counts = new Array<number>(owners.length).fill(0);
  for (const at of ownerOf) counts[at] = (counts[at] ?? 0) + 1;
  return {
    ...map,
    version: delta.version,
    committedAt: delta.committedAt,
    owners: owners.map((owner, at) => ({ ...owner, shardCount: counts[at] ?? 0 })),
    ownerOf,
    epochs,
    standbys,
  };
}

function eachChange(
  { gaps, owners }: { readonly gaps: readonly number[]; readonly owners: readonly number[] },
  slots: number,
  change: (slot: number, owner: number) => void,
): void {
  let slot = -1;
  for (const [at, gap] of gaps.entries()) {
    slot += gap + 1;
    const owner = owners[at];
    if (owner === undefined || slot >= slots) throw new RangeError('a change of a map names a shard that is not there');
    change(slot, owner);
  }
}
