/**
 * The coordinate of this node, what it learns from acks, and the newest coordinate heard of every member. wire-gossip.md 18.3.
 *
 * A sample is taken in only when it can be true: everything else is counted as rejected, and changes nothing. Beyond Serf, a
 * coordinate farther from the origin than the longest round trip that is believed is refused too: one lying member would otherwise
 * move this node out of the cloud by one ack.
 */
import { assert } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type { NetworkCoordinate } from '../model/gossip-request.ts';
import type { CoordinateStats } from '../model/node-stats.ts';
import { decodeCoordinatePayload, encodeCoordinatePayload } from '../wire/serf/coordinate.ts';
import { DIMENSIONS, distance, grounded, isFiniteCoordinate, pulled, rawDistance, START } from './vivaldi.ts';

/** Ledlie §3: the median of the last few samples hides single slow ones. */
const LATENCIES_KEPT = 3;
const ADJUSTMENT_WINDOW = 20;
/** Serf's limit on a round trip that is believed. */
export const ROUND_TRIP_SECONDS_MAX = 10;
/** No honest node is farther from the origin, since no longer round trip is learnt from. */
const PART_SECONDS_MAX = ROUND_TRIP_SECONDS_MAX;

export class Coordinates {
  readonly #selfName: string;
  readonly #random: Random;
  #own: NetworkCoordinate;
  /** Of members by name; at most one per member, since erased members are forgotten. */
  readonly #cache: Map<string, NetworkCoordinate> = new Map();
  /** The last round trips per member, oldest first. */
  readonly #latencies: Map<string, number[]> = new Map();
  readonly #samples: number[] = new Array<number>(ADJUSTMENT_WINDOW).fill(0);
  #sampleAt = 0;
  #rejected = 0;
  #resets = 0;
  #movedSeconds = 0;

  constructor(selfName: string, random: Random, start: NetworkCoordinate = START) {
    this.#own = start;
    this.#selfName = selfName;
    this.#random = random;
  }

  get own(): NetworkCoordinate {
    return this.#own;
  }

  get stats(): CoordinateStats {
    const { error, adjustment, height } = this.#own;
    return {
      error,
      adjustmentMs: adjustment * 1_000,
      heightMs: height * 1_000,
      movedMs: this.#movedSeconds * 1_000,
      known: this.#cache.size,
      rejected: this.#rejected,
      resets: this.#resets,
    };
  }

  /** Of this node or a member that has told it; undefined for others. */
  of(name: string): NetworkCoordinate | undefined {
    return name === this.#selfName ? this.#own : this.#cache.get(name);
  }

  /** For our acks. */
  get payload(): Uint8Array {
    return encodeCoordinatePayload(this.#own);
  }

  /** Of a direct ping to the member `name`. Without a round trip the member's coordinate is kept, and ours stays what it is. */
  onAck(name: string, payload: Uint8Array, roundTripMs: number | undefined): void {
    const read = decodeCoordinatePayload(payload);
    if (read.kind !== 'coordinate') this.#rejected += 1;
    else if (roundTripMs === undefined) this.#keep(name, read.coordinate);
    else this.learn(name, read.coordinate, roundTripMs / 1_000);
  }

  /** Learns from an ack of `name` that came after `seconds`. False: it was rejected. */
  learn(name: string, peer: NetworkCoordinate, seconds: number): boolean {
    if (!isCredible(peer) || !(seconds >= 0 && seconds <= ROUND_TRIP_SECONDS_MAX)) {
      this.#rejected += 1;
      return false;
    }
    const before = this.#own;
    const filtered = this.#median(name, seconds);
    const moved = pulled(before, peer, filtered, this.#random);
    const adjusted = { ...moved, adjustment: this.#adjustment(filtered - rawDistance(moved, peer)) };
    const next = grounded(adjusted, this.#random);
    if (isFiniteCoordinate(next)) this.#own = next;
    else {
      this.#own = START;
      this.#resets += 1;
    }
    this.#movedSeconds = distance(before, this.#own);
    this.#cache.set(name, peer);
    return true;
  }

  #keep(name: string, peer: NetworkCoordinate): void {
    if (isCredible(peer)) this.#cache.set(name, peer);
    else this.#rejected += 1;
  }

  /** The member was erased. */
  forget(name: string): void {
    this.#cache.delete(name);
    this.#latencies.delete(name);
  }

  check(isMember: (name: string) => boolean): void {
    for (const name of this.#cache.keys()) assert(isMember(name), 'coordinates are kept of members only');
    for (const name of this.#latencies.keys()) assert(this.#cache.has(name), 'latencies are kept of measured members');
    assert(isFiniteCoordinate(this.#own), 'the own coordinate is made of numbers');
  }

  #median(name: string, seconds: number): number {
    const samples = this.#latencies.get(name) ?? [];
    samples.push(seconds);
    if (samples.length > LATENCIES_KEPT) samples.shift();
    this.#latencies.set(name, samples);
    const sorted = [...samples].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] as number;
  }

  /** Half the mean of what the estimates were short of lately; samples that are still missing count as none. */
  #adjustment(sample: number): number {
    this.#samples[this.#sampleAt] = sample;
    this.#sampleAt = (this.#sampleAt + 1) % ADJUSTMENT_WINDOW;
    let sum = 0;
    for (const short of this.#samples) sum += short;
    return sum / (2 * ADJUSTMENT_WINDOW);
  }
}

function isCredible(peer: NetworkCoordinate): boolean {
  if (peer.vec.length !== DIMENSIONS || !isFiniteCoordinate(peer)) return false;
  const isNear = [...peer.vec, peer.adjustment, peer.height].every((part) => Math.abs(part) <= PART_SECONDS_MAX);
  // A negative error would make its word weigh more than ours ever can; heights are at least the minimum, whatever it is there.
  return isNear && peer.error >= 0 && peer.height >= 0;
}
