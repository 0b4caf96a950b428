/**
 * What the papers and the originals predict, as pure functions. Times in milliseconds, `n` counts all members, `loss` is the share
 * of datagrams lost.
 *
 * SWIM: Das, Gupta, Motivala, DSN 2002. Lifeguard: Dadgar, Phillips, Currey, 2017. The simulator: Serf's convergence page.
 */
import { retransmitLimit } from '../../../src/swim/broadcast-queue.ts';
import { SWIM_TIMING, type SwimTiming } from '../../../src/swim/config.ts';
import { suspicionMinMs, suspicionSpan, suspicionTimeoutMs } from '../../../src/swim/suspicion.ts';

export const LAN: SwimTiming = SWIM_TIMING.lan;

/** SWIM §3.1: the chance that a member is probed by nobody in a period is (1 - 1/(n-1))^(n-1); to be counted in whole periods. */
export function expectedDetectionPeriods(n: number): number {
  return 1 / (1 - (1 - 1 / (n - 1)) ** (n - 1));
}

/** The limit of it for large clusters: e/(e-1), about 1.58. */
export const DETECTION_PERIODS_LIMIT: number = Math.E / (Math.E - 1);

/**
 * How fast one informed member informs others: contacts per millisecond. memberlist sends news to `gossipNodes` per gossip interval,
 * and behind the ping and the ack that each member sends once per probe interval on average (SWIM's piggyback).
 */
export function contactRate(timing: SwimTiming, loss: number): number {
  return (timing.gossipNodes / timing.gossipIntervalMs + 2 / timing.probeIntervalMs) * (1 - loss);
}

/**
 * Expected time until `informed` of n members know, in a pure birth process with that rate: sum of 1/(rate * i * (n-i)/(n-1)).
 * For all of them about 2 ln(n)/rate: SWIM §4.1's O(log n).
 */
export function expectedSpreadMs(rate: number, n: number, informed: number): number {
  let sum = 0;
  for (let i = 1; i < informed; i++) sum += (n - 1) / (i * (n - i));
  return sum / rate;
}

/** Share of members that know after so many gossip rounds, by the logistic curve of Serf's convergence simulator. */
export function serfSimulatorShare(fanout: number, n: number, loss: number, rounds: number): number {
  const contact = (fanout / n) * (1 - loss) * 0.5;
  return 1 / (1 + (n + 1) * Math.exp(-contact * n * rounds));
}

/** When that curve reaches `share`. */
export function serfSimulatorMs(timing: SwimTiming, n: number, loss: number, share: number): number {
  const rounds = Math.log((n + 1) / (1 / share - 1)) / (timing.gossipNodes * (1 - loss) * 0.5);
  return rounds * timing.gossipIntervalMs;
}

/**
 * Share of members that a piece of news misses although each of its bearers sends it `retransmitLimit` times: the final size
 * of an epidemic, 1 - z = exp(-R z) (SWIM §4.1: n^-(2 lambda - 2) for its own counting).
 */
export function missedShare(timing: SwimTiming, n: number, loss: number): number {
  const contacts = retransmitLimit(timing.retransmitMult, n) * (1 - loss);
  let missed = Math.exp(-contacts);
  for (let i = 0; i < 50; i++) missed = Math.exp(-contacts * (1 - missed));
  return missed;
}

/**
 * Chance that the probe of a live member fails: the ping or its ack is lost, and on each of `helpers` ways one of four packets
 * (SWIM §3.1). Without the TCP ping.
 */
export function probeFailureChance(loss: number, helpers: number): number {
  return (1 - (1 - loss) ** 2) * (1 - (1 - loss) ** 4) ** helpers;
}

/** Lifeguard's suspicion, once enough others have confirmed it, and when nobody does. */
export function suspicionBounds(timing: SwimTiming, n: number): { readonly minMs: number; readonly maxMs: number } {
  const span = suspicionSpan(timing, n);
  return { minMs: suspicionMinMs(timing, n), maxMs: suspicionTimeoutMs(span, 0) };
}

/**
 * From death to the first verdict: the next probe of it comes after one interval on average (n-1 members probe it once per n-1
 * intervals each), is judged an interval later, and then the suspicion runs its minimum, confirmed in time.
 */
export function expectedVerdictMs(timing: SwimTiming, n: number): number {
  return 2 * timing.probeIntervalMs + suspicionMinMs(timing, n);
}

/** Datagrams that an idle member sends per second: a ping and an ack, on average; under loss the indirect ways as well. */
export function idleDatagramsPerSecond(timing: SwimTiming, loss: number): number {
  const perProbe = 1000 / timing.probeIntervalMs;
  const directFails = 1 - (1 - loss) ** 2;
  const arrives = 1 - loss;
  // A request to each helper, its ping, the target's ack, and the helper's ack or nack, as far as what causes them arrives.
  const perHelper = 1 + arrives + arrives ** 2 + arrives;
  return perProbe * (1 + arrives + directFails * timing.indirectChecks * perHelper);
}
