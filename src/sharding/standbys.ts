/**
 * Where the standbys of each shard are: on other nodes than its owner, in other zones when there are enough, and spread so that the shards
 * of one node have their standbys all over the others: then its death costs each of them a little. Who stands by already goes on doing so.
 */
import { NO_STANDBY } from '../model/shard-map.ts';
import type { Seat } from './seats.ts';

/** Looks at all standbys to even them out; each look helps, and few are needed. */
const EVENING_LOOKS = 8;
/** A prime far above every number of shards (Knuth, by the golden ratio): its multiples come by each shard once. */
const STRIDE = 2_654_435_761;
/** Levels are quotients: so little is no difference. */
const ROUNDING = 1e-9;

export interface StandbyRequest {
  readonly replicas: number;
  readonly seats: readonly Seat[];
  /** Per shard: its seat. */
  readonly ownerOf: Uint16Array;
  /** Per shard: the seats that stand by now, the first in line first. */
  readonly standbysOf: (shard: number) => readonly number[];
  /** Per shard: the seat of the owner it had, or -1. It knows the shard. */
  readonly before: (shard: number) => number;
  readonly isForbidden: (shard: number, seat: number) => boolean;
}

/** One column for each rank. */
export function placeStandbys(request: StandbyRequest): Uint16Array[] {
  if (request.replicas === 0) return [];
  const places = new Places(request);
  places.keepWhatMay();
  places.fill();
  for (let look = 0; look < EVENING_LOOKS && places.evenOut(); look++);
  return places.columns;
}

/** How many copies of one shard may be in one zone: one, when there are zones enough. */
export function copiesPerZone(seats: readonly Seat[], replicas: number): number {
  const zones = new Set<string>();
  let takers = 0;
  for (const seat of seats) {
    if (seat.kind !== 'candidate') continue;
    zones.add(seat.zone);
    takers += 1;
  }
  return Math.ceil(Math.min(replicas + 1, Math.max(1, takers)) / Math.max(1, zones.size));
}

class Places {
  readonly columns: Uint16Array[];
  readonly #request: StandbyRequest;
  readonly #perZone: number;
  readonly #loads: Float64Array;
  /** Standbys on one seat for the shards of another: the square of all seats, by owner and then by standby. */
  readonly #pairs: Uint32Array | undefined;

  constructor(request: StandbyRequest) {
    const { replicas, ownerOf, seats } = request;
    this.#request = request;
    this.columns = Array.from({ length: replicas }, () => new Uint16Array(ownerOf.length).fill(NO_STANDBY));
    this.#perZone = copiesPerZone(seats, replicas);
    this.#loads = new Float64Array(seats.length);
    // Of very many nodes each stands by for few shards of another anyhow.
    if (seats.length <= 512) this.#pairs = new Uint32Array(seats.length * seats.length);
  }

  keepWhatMay(): void {
    const { ownerOf, standbysOf, replicas } = this.#request;
    for (let shard = 0; shard < ownerOf.length; shard++) {
      let rank = 0;
      for (const seat of standbysOf(shard)) {
        if (rank < replicas && this.#mayBe(shard, seat, rank)) this.#put(shard, rank++, seat);
      }
    }
  }

  /** The empty places, rank by rank. */
  fill(): void {
    for (let rank = 0; rank < this.columns.length; rank++) {
      const column = this.columns[rank] as Uint16Array;
      for (let shard = 0; shard < column.length; shard++) {
        if (column[shard] !== NO_STANDBY) continue;
        const seat = this.#bestFor(shard, rank);
        if (seat >= 0) this.#put(shard, rank, seat);
      }
    }
  }

  /** Moves standbys from those that have many to those that have few. False when nothing more can be gained by one move. */
  evenOut(): boolean {
    const { seats } = this.#request;
    let hasMoved = false;
    for (let rank = 0; rank < this.columns.length; rank++) {
      const column = this.columns[rank] as Uint16Array;
      for (let i = 0; i < column.length; i++) {
        // All over the map: neighbours often have one owner, and its standbys shall not all go to one node.
        const shard = (i * STRIDE) % column.length;
        const seat = column[shard] as number;
        if (seat === NO_STANDBY || seats[seat]?.kind !== 'candidate') continue;
        if (this.#level(seat, 0) <= this.#lowest() + ROUNDING) continue;
        this.#take(shard, rank, seat);
        const other = this.#bestFor(shard, rank);
        const isBetter = other >= 0 && this.#level(other, 1) < this.#level(seat, 1) - ROUNDING;
        this.#put(shard, rank, isBetter ? other : seat);
        hasMoved ||= isBetter;
      }
    }
    return hasMoved;
  }

  /** The level of the seat that one standby more would leave lowest. */
  #lowest(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#request.seats.length; i++) {
      if (this.#request.seats[i]?.kind === 'candidate') lowest = Math.min(lowest, this.#level(i, 1));
    }
    return lowest;
  }

  /** The seat that would be lowest with it; of several the one that stands by least for the same owner. */
  #bestFor(shard: number, rank: number): number {
    const { seats, ownerOf, before } = this.#request;
    const owner = ownerOf[shard] as number;
    const former = before(shard);
    let best = -1;
    for (let seat = 0; seat < seats.length; seat++) {
      if (!this.#mayBe(shard, seat, rank)) continue;
      if (best < 0 || this.#compare({ seat, best, owner, former }) < 0) best = seat;
    }
    return best;
  }

  #compare({ seat, best, owner, former }: Record<'seat' | 'best' | 'owner' | 'former', number>): number {
    const byLevel = this.#level(seat, 1) - this.#level(best, 1);
    if (Math.abs(byLevel) > ROUNDING) return byLevel;
    if (seat === former) return -1;
    if (best === former) return 1;
    return this.#pair(owner, seat) - this.#pair(owner, best);
  }

  #mayBe(shard: number, seat: number, rank: number): boolean {
    const { seats, ownerOf, isForbidden } = this.#request;
    const owner = ownerOf[shard] as number;
    const place = seats[seat];
    if (place === undefined || place.kind === 'leaving' || seat === owner || isForbidden(shard, seat)) return false;
    // A silent node stays where it is until it is gone or heard again.
    if (place.kind === 'pinned') return this.#request.standbysOf(shard).includes(seat) && !this.#has(shard, seat, rank);
    let inZone = seats[owner]?.zone === place.zone ? 1 : 0;
    for (let other = 0; other < this.columns.length; other++) {
      const taken = this.columns[other]?.[shard] ?? NO_STANDBY;
      if (other === rank || taken === NO_STANDBY) continue;
      if (taken === seat) return false;
      if (seats[taken]?.zone === place.zone) inZone += 1;
    }
    return inZone < this.#perZone;
  }

  #has(shard: number, seat: number, rank: number): boolean {
    return this.columns.some((column, other) => other !== rank && column[shard] === seat);
  }

  /** The standbys of a seat by its weight, with so many more. */
  #level(seat: number, more: number): number {
    return ((this.#loads[seat] as number) + more) / (this.#request.seats[seat]?.weight || 1);
  }

  #pair(owner: number, seat: number): number {
    return this.#pairs?.[owner * this.#request.seats.length + seat] ?? 0;
  }

  #put(shard: number, rank: number, seat: number): void {
    this.#count(shard, { seat, by: 1 });
    (this.columns[rank] as Uint16Array)[shard] = seat;
  }

  #take(shard: number, rank: number, seat: number): void {
    this.#count(shard, { seat, by: -1 });
    (this.columns[rank] as Uint16Array)[shard] = NO_STANDBY;
  }

  #count(shard: number, { seat, by }: { readonly seat: number; readonly by: number }): void {
    this.#loads[seat] = (this.#loads[seat] as number) + by;
    const at = (this.#request.ownerOf[shard] as number) * this.#request.seats.length + seat;
    if (this.#pairs !== undefined) this.#pairs[at] = (this.#pairs[at] as number) + by;
  }
}
