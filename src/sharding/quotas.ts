/** How much each seat gets: its share of all shards by weight, and whole numbers next to it that cost the fewest moves. */
import { assert } from '../base/assert.ts';

/** Shares are quotients of weights: what is so close to a whole number is one. */
const ROUNDING = 1e-9;

export interface ShareRequest {
  /** Per seat: 0 for those that are given nothing. */
  readonly weights: readonly number[];
  /** Per seat: what it has for certain, and cannot have less of. */
  readonly floors: ArrayLike<number>;
  /** What there is to share, floors included. */
  readonly total: number;
}

/**
 * Shares by weight. A seat whose floor is above its share has that, and the others share what is left: the level rises until nobody is
 * below it that need not be.
 */
export function sharesOf({ weights, floors, total }: ShareRequest): number[] {
  const shares = weights.map((_, i) => floors[i] as number);
  const isFull = weights.map((weight) => weight === 0);
  for (;;) {
    let rest = total;
    let weight = 0;
    for (let i = 0; i < weights.length; i++) {
      if (isFull[i] === true) rest -= floors[i] as number;
      else weight += weights[i] as number;
    }
    let hasChanged = false;
    for (let i = 0; i < weights.length; i++) {
      if (isFull[i] === true) continue;
      const share = (rest * (weights[i] as number)) / weight;
      isFull[i] = share < (floors[i] as number) - ROUNDING;
      if (isFull[i] === true) hasChanged = true;
      shares[i] = isFull[i] === true ? (floors[i] as number) : share;
    }
    if (!hasChanged) return shares;
  }
}

export interface QuotaRequest {
  readonly shares: readonly number[];
  readonly total: number;
  /** Per seat: how many it has now that it may keep. */
  readonly held: ArrayLike<number>;
  /** Per seat: how many of the shards without an owner would rather come here than elsewhere. */
  readonly wanted?: ArrayLike<number>;
}

/**
 * Whole numbers, each next to its share. The odd shards stay with those that have more than the lower one already, so that they need not
 * move; then they go where they are wanted, then to the larger fractions, then to the first.
 */
export function quotasOf({ shares, total, held, wanted }: QuotaRequest): number[] {
  const quotas = shares.map((share) => Math.floor(share + ROUNDING));
  let odd = total;
  for (const quota of quotas) odd -= quota;
  const open: number[] = [];
  for (let i = 0; i < quotas.length; i++) {
    const quota = quotas[i] as number;
    if ((shares[i] as number) - quota <= ROUNDING) continue;
    if (odd > 0 && (held[i] as number) > quota) {
      quotas[i] = quota + 1;
      odd -= 1;
    } else open.push(i);
  }
  if (odd > 0) {
    for (const i of inOrder(open, { shares, quotas, held, wanted }).slice(0, odd))
      quotas[i] = (quotas[i] as number) + 1;
    odd -= Math.min(odd, open.length);
  }
  assert(odd === 0, 'the quotas are all that there is');
  return quotas;
}

/** Who is first in line for an odd shard. Most often all fractions are the same and nobody is wanted more, and the order is right as it is. */
function inOrder(
  open: number[],
  {
    shares,
    quotas,
    held,
    wanted,
  }: Pick<QuotaRequest, 'shares' | 'held'> & {
    readonly quotas: readonly number[];
    readonly wanted: ArrayLike<number> | undefined;
  },
): number[] {
  const first = shares[open[0] ?? 0];
  if (wanted === undefined && open.every((i) => shares[i] === first)) return open;
  const fraction = (i: number): number => (shares[i] as number) - (quotas[i] as number);
  const lacks = (i: number): number => Math.max(0, (quotas[i] as number) - (held[i] as number));
  const pull = (i: number): number => ((wanted?.[i] ?? 0) > lacks(i) ? 1 : 0);
  return open.sort((a, b) => {
    const byFraction = fraction(b) - fraction(a);
    return pull(b) - pull(a) || (Math.abs(byFraction) > ROUNDING ? byFraction : a - b);
  });
}
