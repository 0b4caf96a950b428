/**
 * The orderly stop, step by step, each with its own patience: shards move away, the vote is given up, the lease is
 * released, gossip is left. Whatever cannot be had in time is skipped: a stop always ends.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { RequestId } from '../model/ids.ts';

/** Shards move away in two acknowledgements at most (a plan may be superseded once), and a round of the log each. */
const DRAIN_MS = 500;
const DRAIN_ACK_TIMEOUTS = 2;
const RETIRE_MS = 4_000;
const ASK_EVERY_MS = 250;
/** Serf's own leave is bounded by 5 s of broadcast and 1 s of propagation. */
const LEAVE_MS = 7_000;

export type DeparturePhase = 'draining' | 'retiring' | 'leaving' | 'gone';

export interface DepartureFacts {
  /** Other nodes could take this node's shards. */
  readonly hasCompany: boolean;
  /** It serves shards now, and others are to serve them before it goes. */
  readonly mustDrain: boolean;
  /** Its shards are to wait for it: whoever leads must hear that it goes, while there is somebody who leads it. */
  readonly mustReleaseFirst: boolean;
  /** No map names it: others serve what it did. */
  readonly isDrained: boolean;
  /** This node is in the Raft configuration, beside others that live, and may give up its place. */
  readonly mustRetire: boolean;
}

export type DepartureStep = 'drain' | 'stopServing' | 'askToRetire' | 'release' | 'leaveGossip' | 'done';

export class Departure {
  readonly requestId: RequestId;
  #phase: DeparturePhase = 'draining';
  #until: MonotonicMs;
  #askAt: MonotonicMs = 0;
  /** Undefined before the first look. Shards that it has let go of are not yet shards that others serve. */
  #mustDrain: boolean | undefined;
  #hasStoppedServing = false;

  constructor(requestId: RequestId, now: MonotonicMs, ackTimeoutMs: MonotonicMs) {
    this.requestId = requestId;
    this.#until = now + DRAIN_MS + DRAIN_ACK_TIMEOUTS * ackTimeoutMs;
  }

  get phase(): DeparturePhase {
    return this.#phase;
  }

  nextDeadline(): MonotonicMs {
    return this.#phase === 'retiring' ? Math.min(this.#askAt, this.#until) : this.#until;
  }

  /** What to do now, in order. Called in every turn of a node that leaves. */
  evaluate(facts: DepartureFacts, now: MonotonicMs): readonly DepartureStep[] {
    const steps: DepartureStep[] = [];
    if (this.#phase === 'draining') {
      if (this.#mustDrain === undefined) {
        this.#mustDrain = facts.hasCompany && facts.mustDrain;
        if (this.#mustDrain) steps.push('drain');
      }
      if (this.#mustDrain && facts.hasCompany && !facts.isDrained && now < this.#until) return steps;
      this.#phase = 'retiring';
      this.#until = now + RETIRE_MS;
    }
    if (this.#phase === 'retiring') {
      if (facts.mustReleaseFirst && !this.#hasStoppedServing) {
        this.#hasStoppedServing = true;
        steps.push('stopServing');
      }
      if (facts.mustRetire && now < this.#until) {
        if (now >= this.#askAt) {
          this.#askAt = now + ASK_EVERY_MS;
          steps.push('askToRetire');
        }
        return steps;
      }
      this.#phase = 'leaving';
      this.#until = now + LEAVE_MS;
      steps.push('release', 'leaveGossip');
      return steps;
    }
    if (this.#phase === 'leaving' && now >= this.#until) steps.push('done');
    return steps;
  }

  onLeftGossip(): void {
    this.#phase = 'gone';
  }
}
