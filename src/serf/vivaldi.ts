/**
 * Network coordinates: points whose distance estimates the round trip between two nodes. Vivaldi with heights (Dabek et al., 2004,
 * §5.4), with the adjustment term and gravity of Ledlie et al. (2007, §4 and §5), in the arithmetic of Serf. wire-gossip.md 18.3.
 *
 * All numbers are seconds. The order of the operations is part of the format: peers that see the same samples hold the same
 * coordinate to the last bit.
 */
import type { Random } from '../base/random.ts';
import type { NetworkCoordinate } from '../model/gossip-request.ts';

export const DIMENSIONS = 8;
/** The error of a node that knows nothing, and the largest there is. */
export const ERROR_MAX = 1.5;
export const HEIGHT_MIN = 1e-5;
/** How much one sample moves the error, and the point. Dabek §3.3: c_e and c_c. */
const ERROR_SHARE = 0.25;
const FORCE_SHARE = 0.25;
/** How strongly points are drawn to the origin, lest the whole cloud drifts. Ledlie §5. */
const GRAVITY_RHO = 150;
const ZERO_BELOW = 1e-6;
const NS_PER_S = 1e9;

/** A node that has measured nothing: at the origin. */
export const START: NetworkCoordinate = {
  vec: new Array<number>(DIMENSIONS).fill(0),
  error: ERROR_MAX,
  adjustment: 0,
  height: HEIGHT_MIN,
};

/** Whether all components are numbers. */
export function isFiniteCoordinate({ vec, error, adjustment, height }: NetworkCoordinate): boolean {
  return vec.every(Number.isFinite) && Number.isFinite(error) && Number.isFinite(adjustment) && Number.isFinite(height);
}

/** The estimate without the adjustment terms. */
export function rawDistance(a: NetworkCoordinate, b: NetworkCoordinate): number {
  return magnitude(difference(a.vec, b.vec)) + a.height + b.height;
}

/** The estimated round trip in seconds, in whole nanoseconds as Serf's durations are. */
export function distance(a: NetworkCoordinate, b: NetworkCoordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  const ns = Math.trunc((adjusted > 0 ? adjusted : raw) * NS_PER_S);
  // Go's Duration.Seconds(): whole seconds and the rest are converted apart.
  return Math.trunc(ns / NS_PER_S) + (ns % NS_PER_S) / NS_PER_S;
}

/** Our coordinate after a round trip of `seconds` to `peer`. Dabek, figure 4. */
export function pulled(
  own: NetworkCoordinate,
  peer: NetworkCoordinate,
  seconds: number,
  random: Random,
): NetworkCoordinate {
  const estimate = distance(own, peer);
  const measured = Math.max(seconds, ZERO_BELOW);
  const wrongness = Math.abs(estimate - measured) / measured;
  const weight = own.error / Math.max(own.error + peer.error, ZERO_BELOW);
  const error = ERROR_SHARE * weight * wrongness + own.error * (1 - ERROR_SHARE * weight);
  const force = FORCE_SHARE * weight * (measured - estimate);
  return pushed({ ...own, error: Math.min(error, ERROR_MAX) }, force, peer, random);
}

/** Drawn a little towards the origin, the more the farther it is away. */
export function grounded(own: NetworkCoordinate, random: Random): NetworkCoordinate {
  const away = distance(START, own);
  return pushed(own, -1 * (away / GRAVITY_RHO) ** 2, START, random);
}

/** Moved by `force` along the line away from `other`. */
function pushed(own: NetworkCoordinate, force: number, other: NetworkCoordinate, random: Random): NetworkCoordinate {
  const { unit, length } = direction(own.vec, other.vec, random);
  const vec = own.vec.map((part, at) => part + (unit[at] as number) * force);
  if (length <= ZERO_BELOW) return { ...own, vec };
  const height = ((own.height + other.height) * force) / length + own.height;
  return { ...own, vec, height: Math.max(height, HEIGHT_MIN) };
}

/** From `to` to `from`; two nodes at one point part in any direction. */
function direction(
  from: readonly number[],
  to: readonly number[],
  random: Random,
): { readonly unit: readonly number[]; readonly length: number } {
  const line = difference(from, to);
  const length = magnitude(line);
  if (length > ZERO_BELOW) return { unit: scaled(line, 1 / length), length };
  const chance = from.map(() => random.next() - 0.5);
  const size = magnitude(chance);
  if (size > ZERO_BELOW) return { unit: scaled(chance, 1 / size), length: 0 };
  return { unit: from.map((_, at) => (at === 0 ? 1 : 0)), length: 0 };
}

function difference(a: readonly number[], b: readonly number[]): number[] {
  return a.map((part, at) => part - (b[at] as number));
}

function scaled(vec: readonly number[], factor: number): number[] {
  return vec.map((part) => part * factor);
}

function magnitude(vec: readonly number[]): number {
  let sum = 0;
  for (const part of vec) sum += part * part;
  return Math.sqrt(sum);
}
