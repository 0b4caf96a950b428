/**
 * Shards of one cost that may be anywhere: the usual case, on a path of its own, for a plan is made whenever a node comes or goes. It moves
 * no more shards than the quotas ask for (bench/shards.ts).
 */
import { assert } from '../base/assert.ts';
import type { Seat } from './seats.ts';

/** Stands for no seat; seats are far below it, and the highest bit tells the two apart. */
const NOWHERE = 0xffff;
const NOWHERE_BIT = 0x8000;

export interface EvenSpread {
  readonly seats: readonly Seat[];
  readonly quotas: readonly number[];
  readonly shardCount: number;
  /** Undefined when no shard has an owner yet. */
  readonly before:
    | {
        readonly ownerOf: Uint16Array;
        /** Shards per owner. */
        readonly loads: Uint32Array;
        /** Owners that have the shard's state already are the first choice, in this order. */
        readonly standbys: readonly Uint16Array[];
      }
    | undefined;
}

/** Per shard: its seat. */
export function spreadEvenly(spread: EvenSpread): Uint16Array {
  const { before, seats, quotas, shardCount } = spread;
  if (before === undefined) {
    const ownerOf = new Uint16Array(shardCount);
    handOut(ownerOf, undefined, [...quotas]);
    return ownerOf;
  }
  const ownerOf = before.ownerOf.slice();
  const lacks = seats.map(({ from }, i) => {
    const quota = quotas[i] as number;
    return quota - Math.min(quota, from < 0 ? 0 : (before.loads[from] as number));
  });
  const surplus = keepWhatMay(ownerOf, before.loads, seats, quotas);
  const rest = before.standbys.length === 0 ? surplus : promote({ ownerOf, surplus, lacks, seats }, before);
  handOut(ownerOf, rest, lacks);
  return ownerOf;
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

/** Gives shards to their standbys as long as those lack some; returns the rest, in order. */
function promote(
  given: {
    readonly ownerOf: Uint16Array;
    readonly surplus: readonly number[];
    readonly lacks: number[];
    readonly seats: readonly Seat[];
  },
  before: NonNullable<EvenSpread['before']>,
): number[] {
  const { ownerOf, lacks, seats } = given;
  const seatOf: number[] = new Array<number>(before.loads.length).fill(-1);
  for (const [i, { from }] of seats.entries()) if (from >= 0) seatOf[from] = i;
  let rest = [...given.surplus];
  for (const column of before.standbys) {
    rest = rest.filter((shard) => {
      const seat = seatOf[column[shard] as number] ?? -1;
      if (seat < 0 || (lacks[seat] as number) === 0) return true;
      lacks[seat] = (lacks[seat] as number) - 1;
      ownerOf[shard] = seat;
      return false;
    });
  }
  return rest;
}

/** Gives the shards without an owner to the seats that lack some. Without `surplus` that is all shards. */
function handOut(ownerOf: Uint16Array, surplus: readonly number[] | undefined, lacks: readonly number[]): void {
  let next = 0;
  for (let i = 0; i < lacks.length; i++) {
    const end = next + (lacks[i] as number);
    if (surplus === undefined) ownerOf.fill(i, next, end);
    else for (let at = next; at < end; at++) ownerOf[surplus[at] as number] = i;
    next = end;
  }
  assert(next === (surplus?.length ?? ownerOf.length), 'every shard has found an owner');
}
