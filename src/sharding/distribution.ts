/**
 * The planner: from the map there is and the processes there are to the next map. Pure. It moves no more shards than balance asks for,
 * leaves the loads of all who may be given something within one of each other, and gives the same answer to the same question.
 */
import { assert } from '../base/assert.ts';
import type { Owner } from '../model/shard-map.ts';
import { WORKER_ID_MAX, WORKER_ID_MIN } from '../wire/sharding/owner-table.ts';
import { placeOf } from './map-state.ts';
import type { OwnerPair } from './rules.ts';

export interface PlanRequest {
  readonly shardCount: number;
  /** The active map; undefined before the first. */
  readonly previous: { readonly owners: readonly Owner[]; readonly ownerOf: Uint16Array } | undefined;
  /** Shards per previous owner, when somebody has counted them already. */
  readonly loads?: Uint32Array;
  /** Previous owners that keep exactly what they have (O-18), by index. No candidate bears the node id of one. */
  readonly pinned: ReadonlySet<number>;
  /** Who may be given shards; sorted by node id, each node once. A restarted one inherits the shards of its older boot. */
  readonly candidates: readonly OwnerPair[];
  /** Owners of a pending map: a candidate that was promised a worker id there gets that one. */
  readonly promised: readonly Owner[];
  readonly lastWorkerId: number;
}

export interface Plan {
  readonly owners: readonly Owner[];
  readonly ownerOf: Uint16Array;
}

/** Owners of one map; far more than one group of voters can serve, and enough worker ids remain to keep old ones unused. */
export const PLAN_OWNERS_MAX = 5_000;

/** Stands for no seat; seats are far below it, and the highest bit tells the two apart. */
const NOWHERE = 0xffff;
const NOWHERE_BIT = 0x8000;

/** The next map; undefined when there is nobody to give anything to. */
export function planShards(request: PlanRequest): Plan | undefined {
  const { shardCount, previous } = request;
  if (request.candidates.length === 0) return undefined;
  const before = previous ?? { owners: [], ownerOf: new Uint16Array(0) };
  assert(previous === undefined || before.ownerOf.length === shardCount, 'the number of shards does not change');
  const loads = request.loads ?? countLoads(before.ownerOf, before.owners.length);
  const seats = seatOwners(request, before.owners);
  const quotas = shareOut(seats, loads, shardCount);
  const ownerOf = previous === undefined ? new Uint16Array(shardCount) : before.ownerOf.slice();
  const surplus = previous === undefined ? undefined : keepWhatMay(ownerOf, loads, seats, quotas);
  handOut(ownerOf, seats, loads, quotas, surplus);
  return { owners: nameOwners(seats, before.owners, request), ownerOf };
}

/** Shards per owner. */
export function countLoads(ownerOf: Uint16Array, ownerCount: number): Uint32Array {
  const loads = new Uint32Array(ownerCount);
  for (let shard = 0; shard < ownerOf.length; shard++) {
    const owner = ownerOf[shard] as number;
    loads[owner] = (loads[owner] as number) + 1;
  }
  return loads;
}

/** One owner of the new map. */
interface Seat {
  readonly pair: OwnerPair;
  /** Index of the owner in the previous map whose shards it goes on with; -1 for none. */
  readonly from: number;
  readonly isPinned: boolean;
}

/** Everyone in the new map, sorted by node id. */
function seatOwners(request: PlanRequest, before: readonly Owner[]): Seat[] {
  const candidates = request.candidates.slice(0, Math.max(0, PLAN_OWNERS_MAX - request.pinned.size));
  const seats: Seat[] = [];
  let from = 0;
  const seatPinnedBelow = (node: string | undefined): void => {
    for (; from < before.length && (node === undefined || (before[from] as Owner).node < node); from++) {
      if (request.pinned.has(from)) seats.push({ pair: before[from] as Owner, from, isPinned: true });
    }
  };
  for (const pair of candidates) {
    seatPinnedBelow(pair.node);
    const isOwner = before[from]?.node === pair.node;
    assert(!(isOwner && request.pinned.has(from)), 'a node that may be given shards is not pinned');
    seats.push({ pair, from: isOwner ? from : -1, isPinned: false });
    if (isOwner) from += 1;
  }
  seatPinnedBelow(undefined);
  return seats;
}

/**
 * How many shards each seat gets. Pinned ones keep their load; the others share the rest evenly, and the odd ones stay with those that
 * have more than the even share already, so that they need not move.
 */
function shareOut(seats: readonly Seat[], loads: Uint32Array, shardCount: number): number[] {
  let rest = shardCount;
  let takers = 0;
  for (const seat of seats) {
    if (seat.isPinned) rest -= loads[seat.from] as number;
    else takers += 1;
  }
  const even = Math.floor(rest / takers);
  let odd = rest - even * takers;
  const quotas: number[] = new Array<number>(seats.length).fill(even);
  for (let i = 0; i < seats.length; i++) {
    const seat = seats[i] as Seat;
    const load = seat.from < 0 ? 0 : (loads[seat.from] as number);
    const isAbove = !seat.isPinned && odd > 0 && load > even;
    if (isAbove) odd -= 1;
    quotas[i] = seat.isPinned ? load : even + (isAbove ? 1 : 0);
  }
  for (let i = 0; i < seats.length && odd > 0; i++) {
    if ((seats[i] as Seat).isPinned || (quotas[i] as number) > even) continue;
    quotas[i] = even + 1;
    odd -= 1;
  }
  return quotas;
}

/** Turns previous owners into seats where they may stay, and returns the shards that need a new owner, ascending. */
function keepWhatMay(
  ownerOf: Uint16Array,
  loads: Uint32Array,
  seats: readonly Seat[],
  quotas: readonly number[],
): number[] {
  const seatOf: number[] = new Array<number>(loads.length).fill(NOWHERE);
  const excess: number[] = [...loads];
  for (let i = 0; i < seats.length; i++) {
    const from = (seats[i] as Seat).from;
    if (from < 0) continue;
    seatOf[from] = i;
    excess[from] = Math.max(0, (loads[from] as number) - (quotas[i] as number));
  }
  // While an owner has more than its quota it stays nowhere: one look tells what becomes of a shard.
  const staysAt = Uint16Array.from(seatOf);
  for (let from = 0; from < excess.length; from++) if ((excess[from] as number) > 0) staysAt[from] = NOWHERE;
  return sortShards(ownerOf, { staysAt, seatOf, excess });
}

/**
 * The one pass over all shards. Maps are large and mostly stay as they are, so it works in place, and on two shards at a time as long
 * as both stay; which of them is the lower half of a number of 32 bits does not matter for that (bench/shards.ts).
 */
function sortShards(
  ownerOf: Uint16Array,
  tables: { readonly staysAt: Uint16Array; readonly seatOf: readonly number[]; readonly excess: number[] },
): number[] {
  const { staysAt, seatOf, excess } = tables;
  const surplus: number[] = [];
  const count = ownerOf.length;
  const pairCount = count >> 1;
  const pairs = new Uint32Array(ownerOf.buffer, ownerOf.byteOffset, pairCount);
  for (let i = 0; i <= pairCount; i++) {
    if (i < pairCount) {
      const both = pairs[i] as number;
      const low = staysAt[both & 0xffff] as number;
      const high = staysAt[both >>> 16] as number;
      if (((low | high) & NOWHERE_BIT) === 0) {
        pairs[i] = low | (high << 16);
        continue;
      }
    }
    for (let shard = 2 * i; shard < 2 * i + 2 && shard < count; shard++) {
      const from = ownerOf[shard] as number;
      const seat = staysAt[from] as number;
      ownerOf[shard] = seat;
      if (seat !== NOWHERE) continue;
      surplus.push(shard);
      const left = (excess[from] as number) - 1;
      excess[from] = left;
      if (left === 0) staysAt[from] = seatOf[from] as number;
    }
  }
  return surplus;
}

/** Gives the shards without an owner to the seats below their quota. Without `surplus` that is all shards. */
function handOut(
  ownerOf: Uint16Array,
  seats: readonly Seat[],
  loads: Uint32Array,
  quotas: readonly number[],
  surplus: readonly number[] | undefined,
): void {
  let next = 0;
  for (let i = 0; i < seats.length; i++) {
    const from = (seats[i] as Seat).from;
    const lacks = (quotas[i] as number) - Math.min(quotas[i] as number, from < 0 ? 0 : (loads[from] as number));
    const end = next + lacks;
    if (surplus === undefined) ownerOf.fill(i, next, end);
    else for (let at = next; at < end; at++) ownerOf[surplus[at] as number] = i;
    next = end;
  }
  assert(next === (surplus?.length ?? ownerOf.length), 'every shard has found an owner');
}

/** A process keeps its worker id; new ones get the next, and an old id only when all have been used (clusterfunk's rule). */
function nameOwners(seats: readonly Seat[], before: readonly Owner[], request: PlanRequest): Owner[] {
  const owners = seats.map(({ pair, from }) => {
    const same = before[from];
    if (same?.boot === pair.boot) return same;
    return request.promised[placeOf(request.promised, pair)];
  });
  if (!owners.includes(undefined)) return owners as Owner[];
  const taken = new Set([...before, ...owners].map((owner) => owner?.workerId));
  let last = request.lastWorkerId;
  return seats.map(({ pair: { node, boot } }, i) => {
    const named = owners[i];
    if (named !== undefined) return named;
    do last = last >= WORKER_ID_MAX ? WORKER_ID_MIN : last + 1;
    while (taken.has(last));
    taken.add(last);
    return { node, boot, workerId: last };
  });
}
