/** Who sits at the table of the next map: everyone who may be given shards, and those of the present map who cannot be asked or only give. */
import { assert } from '../base/assert.ts';
import type { NodeId } from '../model/ids.ts';
import type { Owner } from '../model/shard-map.ts';
import type { OwnerPair } from './rules.ts';

/** What a plan knows of a node beside its name. */
export interface NodeTraits {
  /** Its share beside the others. */
  readonly weight: number;
  /** Where it would fail together with others; those without a word are in one zone. */
  readonly zone: string;
}

export const NO_TRAITS: NodeTraits = { weight: 1, zone: '' };

/**
 * `candidate` gives and takes; `pinned` keeps exactly what it has (O-18); `leaving` gives everything, as fast as the cap on moves lets it.
 */
export type SeatKind = 'candidate' | 'pinned' | 'leaving';

/** One owner of the new map. */
export interface Seat {
  readonly pair: OwnerPair;
  /** Index of the owner in the previous map whose shards it goes on with; -1 for none. */
  readonly from: number;
  readonly kind: SeatKind;
  /** 0 unless it is a candidate. */
  readonly weight: number;
  readonly zone: string;
}

/** Owners of one map; far more than one group of voters can serve, and enough worker ids remain to keep old ones unused. */
export const PLAN_OWNERS_MAX = 5_000;

export interface SeatRequest {
  /** Sorted by node id, each node once. */
  readonly candidates: readonly OwnerPair[];
  /** Previous owners that stay at the table without being candidates, by index. */
  readonly kept: ReadonlyMap<number, 'pinned' | 'leaving'>;
  readonly traits: ReadonlyMap<NodeId, NodeTraits>;
}

/** Everyone in the new map, sorted by node id. */
export function seatOwners({ candidates, kept, traits }: SeatRequest, before: readonly Owner[]): Seat[] {
  const seats: Seat[] = [];
  const hasTraits = traits.size > 0;
  let from = 0;
  const seatKeptBelow = (node: string | undefined): void => {
    for (; from < before.length && (node === undefined || (before[from] as Owner).node < node); from++) {
      const kind = kept.get(from);
      const pair = before[from] as Owner;
      const { zone } = traits.get(pair.node) ?? NO_TRAITS;
      if (kind !== undefined) seats.push({ pair, from, kind, weight: 0, zone });
    }
  };
  for (const candidate of candidates.slice(0, Math.max(0, PLAN_OWNERS_MAX - kept.size))) {
    seatKeptBelow(candidate.node);
    const isOwner = before[from]?.node === candidate.node;
    assert(!(isOwner && kept.has(from)), 'a node that may be given shards is not kept for another reason');
    const { weight, zone } = (hasTraits ? traits.get(candidate.node) : undefined) ?? NO_TRAITS;
    seats.push({ pair: candidate, from: isOwner ? from : -1, kind: 'candidate', weight, zone });
    if (isOwner) from += 1;
  }
  seatKeptBelow(undefined);
  return seats;
}

/** Per previous owner: the seat that goes on with its shards; -1 for none. */
export function seatOfOwners(seats: readonly Seat[], ownerCount: number): Int32Array {
  const seatOf = new Int32Array(ownerCount).fill(-1);
  for (let i = 0; i < seats.length; i++) {
    const { from } = seats[i] as Seat;
    if (from >= 0) seatOf[from] = i;
  }
  return seatOf;
}
