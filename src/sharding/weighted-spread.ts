/**
 * Shards of different costs, and shards that belong or must not be somewhere. Whoever has more than its share and one of its shards beyond
 * gives it, the costliest first that leaves it at its share; what has no owner goes, the costliest first, to who is furthest below. With
 * shards of one cost the shares are whole numbers, and no fewer moves would do; with several costs the fewest moves are a packing problem
 * that nobody solves, and the loads come within one shard of the share in about as few (test/sharding/spread.test.ts compares).
 */
import type { Seat } from './seats.ts';
import { quotasOf, sharesOf } from './quotas.ts';

const ROUNDING = 1e-9;
const NOWHERE = -1;

export interface WeightedSpread {
  readonly seats: readonly Seat[];
  /** Per shard: the seat of its present owner, or -1. */
  readonly before: Int32Array;
  /** Per shard: what it costs. */
  readonly costs: Uint32Array;
  /** Per shard: the seat it belongs on, or -1. */
  readonly pinnedTo: Int32Array;
  readonly isForbidden: (shard: number, seat: number) => boolean;
  /** Seats of a shard's standbys. */
  readonly standbysOf: (shard: number) => readonly number[];
}

/** Per shard: its seat. */
export function spreadByWeight(spread: WeightedSpread): Uint16Array {
  const table = new Table(spread);
  table.placeOrphans();
  table.fillTheLow();
  return Uint16Array.from(table.seatOf);
}

class Table {
  readonly seatOf: Int32Array;
  readonly #spread: WeightedSpread;
  readonly #loads: Float64Array;
  readonly #targets: readonly number[];
  /** Shards that may go elsewhere, by seat. */
  readonly #movable: Set<number>[];
  /** Shards without an owner, by what they cost. */
  readonly #orphans: Map<number, number[]> = new Map();
  #highestCost = 1;

  constructor(spread: WeightedSpread) {
    this.#spread = spread;
    const { seats, costs } = spread;
    this.seatOf = new Int32Array(costs.length).fill(NOWHERE);
    this.#loads = new Float64Array(seats.length);
    this.#movable = seats.map(() => new Set());
    const fixed = this.#placeFixed();
    for (let shard = 0; shard < costs.length; shard++) {
      if (this.seatOf[shard] === NOWHERE) this.#placeFree(shard);
    }
    this.#targets = this.#makeTargets(fixed);
    for (let seat = 0; seat < seats.length; seat++) this.#shed(seat);
  }

  placeOrphans(): void {
    while (this.#orphans.size > 0) {
      const cost = Math.max(...this.#orphans.keys());
      const shards = this.#orphans.get(cost) as number[];
      const shard = shards.pop() as number;
      if (shards.length === 0) this.#orphans.delete(cost);
      const seat = this.#bestFor(shard);
      this.#put(shard, seat);
      // Where it may be there is no room: it stays there, and others make room for it.
      if (this.#lack(seat) <= -cost + ROUNDING) this.#movable[seat]?.delete(shard);
      this.#shed(seat);
    }
  }

  /** A seat may be left further below its share than any shard is heavy, when nobody is far enough above theirs to have given. */
  fillTheLow(): void {
    const { seats, costs } = this.#spread;
    for (let turns = 0; turns < costs.length; turns++) {
      const low = argBest(seats, (_, i) => (this.#isOpen(i) ? this.#lack(i) : Number.NEGATIVE_INFINITY));
      if (low < 0 || this.#lack(low) <= this.#highestCost + ROUNDING) return;
      const high = argBest(seats, (_, i) => (this.#isOpen(i) ? -this.#lack(i) : Number.NEGATIVE_INFINITY));
      const given = [...(this.#movable[high] ?? [])].filter((shard) => !this.#spread.isForbidden(shard, low));
      const shard = argBest(given, (candidate) => costs[candidate] as number);
      if (high < 0 || this.#lack(high) >= -ROUNDING || shard < 0) return;
      this.#take(given[shard] as number);
      this.#put(given[shard] as number, low);
    }
  }

  /** Shards that have no choice; returns what they cost, by seat. */
  #placeFixed(): Float64Array {
    const { seats, before, costs, pinnedTo } = this.#spread;
    for (let shard = 0; shard < costs.length; shard++) {
      const cost = costs[shard] as number;
      if (cost > this.#highestCost) this.#highestCost = cost;
      const now = before[shard] as number;
      const seat = seats[now]?.kind === 'pinned' ? now : (pinnedTo[shard] as number);
      if (seat < 0) continue;
      this.seatOf[shard] = seat;
      this.#loads[seat] = (this.#loads[seat] as number) + cost;
    }
    return this.#loads.slice();
  }

  #placeFree(shard: number): void {
    const seat = this.#spread.before[shard] as number;
    const mayStay = seat >= 0 && this.#isOpen(seat) && !this.#spread.isForbidden(shard, seat);
    if (mayStay) this.#put(shard, seat);
    else this.#orphan(shard);
  }

  /** What each seat should come to: whole numbers when all shards cost the same. */
  #makeTargets(floors: Float64Array): number[] {
    const { seats, costs } = this.#spread;
    let total = 0;
    for (const cost of costs) total += cost;
    const shares = sharesOf({ weights: seats.map((seat) => seat.weight), floors, total });
    return this.#highestCost === 1 ? quotasOf({ shares, total, held: this.#loads }) : shares;
  }

  /** Gives away what this seat has above its target, as long as one of its shards is not more than that. */
  #shed(seat: number): void {
    const { costs, before } = this.#spread;
    let excess = -this.#lack(seat);
    if (excess < 1 - ROUNDING) return;
    const isNew = (shard: number): number => (before[shard] === seat ? 0 : 1);
    const shards = [...(this.#movable[seat] ?? [])].sort(
      (a, b) => (costs[b] as number) - (costs[a] as number) || isNew(b) - isNew(a) || a - b,
    );
    for (const shard of shards) {
      const cost = costs[shard] as number;
      if (cost > excess + ROUNDING) continue;
      this.#take(shard);
      this.#orphan(shard);
      excess -= cost;
    }
  }

  /** A standby of it that is below its target; else whoever is furthest below, among those where it may be. */
  #bestFor(shard: number): number {
    const { seats, standbysOf, isForbidden } = this.#spread;
    const mayBe = (seat: number): boolean => this.#isOpen(seat) && !isForbidden(shard, seat);
    for (const seat of standbysOf(shard)) if (mayBe(seat) && this.#lack(seat) > ROUNDING) return seat;
    const best = argBest(seats, (_, i) => (mayBe(i) ? this.#lack(i) : Number.NEGATIVE_INFINITY));
    // Nowhere at all is no answer: a shard that is not served is worse than one that is where it should not be.
    return best >= 0 ? best : argBest(seats, (_, i) => (this.#isOpen(i) ? this.#lack(i) : Number.NEGATIVE_INFINITY));
  }

  #lack(seat: number): number {
    return (this.#targets[seat] as number) - (this.#loads[seat] as number);
  }

  #isOpen(seat: number): boolean {
    return this.#spread.seats[seat]?.kind === 'candidate';
  }

  #put(shard: number, seat: number): void {
    this.seatOf[shard] = seat;
    this.#loads[seat] = (this.#loads[seat] as number) + (this.#spread.costs[shard] as number);
    this.#movable[seat]?.add(shard);
  }

  #take(shard: number): void {
    const seat = this.seatOf[shard] as number;
    this.#loads[seat] = (this.#loads[seat] as number) - (this.#spread.costs[shard] as number);
    this.#movable[seat]?.delete(shard);
    this.seatOf[shard] = NOWHERE;
  }

  #orphan(shard: number): void {
    const cost = this.#spread.costs[shard] as number;
    const shards = this.#orphans.get(cost);
    if (shards === undefined) this.#orphans.set(cost, [shard]);
    else shards.push(shard);
  }
}

/** The index of the first item of the highest worth; -1 when none is above minus infinity. */
function argBest<T>(items: readonly T[], worth: (item: T, index: number) => number): number {
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < items.length; i++) {
    const value = worth(items[i] as T, i);
    if (value <= highest) continue;
    highest = value;
    best = i;
  }
  return best;
}
