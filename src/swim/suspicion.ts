/**
 * Lifeguard's suspicion timer: long at first, shorter with every independent accuser. wire-gossip.md 9.4; Lifeguard §3
 * (Dadgar, Phillips, Currey: "Lifeguard: Local Health Awareness for More Accurate Failure Detection").
 */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';

export interface SuspicionTiming {
  readonly suspicionMult: number;
  readonly suspicionMaxTimeoutMult: number;
  readonly probeIntervalMs: number;
}

export interface SuspicionSpan {
  /** Confirmations after which the timeout is at its minimum. */
  readonly confirmationsWanted: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** How long a member of a cluster of `memberCount` has to refute. */
export function suspicionSpan(timing: SuspicionTiming, memberCount: number): SuspicionSpan {
  const wanted = timing.suspicionMult - 2;
  const minMs = suspicionMinMs(timing, memberCount);
  // Too few others could confirm: then the minimum must do from the start.
  const confirmationsWanted = memberCount - 2 < wanted ? 0 : wanted;
  return { confirmationsWanted, minMs, maxMs: minMs * timing.suspicionMaxTimeoutMult };
}

export function suspicionMinMs(timing: SuspicionTiming, memberCount: number): number {
  const scale = Math.floor(1_000 * Math.max(1, Math.log10(Math.max(1, memberCount))));
  return (timing.suspicionMult * scale * timing.probeIntervalMs) / 1_000;
}

/** The timeout, counted from the start, after `confirmations` of the wanted ones. */
export function suspicionTimeoutMs(span: SuspicionSpan, confirmations: number): number {
  const { confirmationsWanted, minMs, maxMs } = span;
  if (confirmationsWanted < 1) return minMs;
  const share = Math.log(confirmations + 1) / Math.log(confirmationsWanted + 1);
  // memberlist reckons in seconds and cuts to whole milliseconds.
  const totalMs = Math.floor((1_000 * (maxMs - share * (maxMs - minMs))) / 1_000);
  return Math.max(minMs, totalMs);
}

/** One member's suspicion. The owner keeps its deadline. */
export class Suspicion {
  readonly #span: SuspicionSpan;
  readonly #accusers: Set<string>;
  #startedAt: MonotonicMs;
  #confirmations = 0;

  constructor(firstAccuser: string, span: SuspicionSpan, now: MonotonicMs) {
    this.#span = span;
    this.#accusers = new Set([firstAccuser]);
    this.#startedAt = now;
  }

  get deadline(): MonotonicMs {
    return this.#startedAt + suspicionTimeoutMs(this.#span, this.#confirmations);
  }

  /** Whether `accuser` is a new one that still shortens the time. The first accuser never counts. */
  confirm(accuser: string): boolean {
    if (this.#confirmations >= this.#span.confirmationsWanted || this.#accusers.has(accuser)) return false;
    this.#accusers.add(accuser);
    this.#confirmations += 1;
    return true;
  }

  /** Time in which we could not have heard a refutation does not count. */
  postpone(byMs: number): void {
    assert(byMs >= 0, 'a suspicion is postponed, never hurried');
    this.#startedAt += byMs;
  }
}
