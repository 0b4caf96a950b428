/**
 * Handing leadership over: bring the target level, tell it to campaign at once, and wait for its vote request. A transfer that is given
 * up must stay given up, because the word to campaign may still be under way; so each has a number, and the leader announces the highest
 * one it has cancelled. raft.md section 8; dissertation 3.10; P-73, P-75.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { MemberId, RequestId } from '../model/ids.ts';
import type { Leadership } from './leader.ts';
import type { RaftRefusal } from './messages.ts';
import type { Progress } from './progress.ts';
import type { RaftState } from './state.ts';

const TRANSFER_TIMEOUTS = 2;

interface Attempt {
  readonly target: MemberId;
  readonly seq: number;
  readonly giveUpAt: number;
  readonly requestIds: RequestId[];
  /** Healthy time when the target was last told to campaign. */
  toldAt: number | undefined;
}

/** Left behind by a leader that stepped down during a transfer: answered when the new leader is known. */
export interface Handover {
  readonly target: MemberId;
  readonly requestIds: readonly RequestId[];
  readonly deadline: MonotonicMs;
}

export class Transfer {
  readonly #state: RaftState;
  readonly #leadership: Leadership;
  #attempt: Attempt | undefined;
  #lastSeq = 0;
  #cancelled = 0;

  constructor(state: RaftState, leadership: Leadership) {
    this.#state = state;
    this.#leadership = leadership;
  }

  get isUnderWay(): boolean {
    return this.#attempt !== undefined;
  }

  /** The target may be campaigning already: the leader lease has ended (ownership.md O-4). */
  get hasToldTarget(): boolean {
    return this.#attempt?.toldAt !== undefined;
  }

  /** Repeated in every heartbeat and append. */
  get cancelledSeq(): number {
    return this.#cancelled;
  }

  get waitingCount(): number {
    return this.#attempt?.requestIds.length ?? 0;
  }

  request(requestId: RequestId, wanted: MemberId | undefined, avoid: readonly MemberId[] = []): void {
    const state = this.#state;
    const refuse = (code: RaftRefusal, reason: string): void => state.refuse(requestId, code, reason);
    if (wanted === state.self) return refuse('INVALID_CHANGE', 'the target leads already');
    if (!this.#leadership.isReady) return refuse('NOT_READY', 'the leader has not committed an entry of its term');
    const target = wanted ?? this.#bestTarget(avoid) ?? this.#bestTarget([]);
    if (target === undefined) return refuse('INVALID_CHANGE', 'no other voter was heard lately');
    if (!state.configuration.voters.includes(target)) return refuse('INVALID_CHANGE', `${target} is not a voter`);
    const progress = this.#leadership.progressOf(target);
    if (progress === undefined || !this.#wasHeard(progress))
      return refuse('INVALID_CHANGE', `${target} was not heard lately`);
    if (this.#attempt?.target === target) {
      this.#attempt.requestIds.push(requestId);
      return;
    }
    if (this.#attempt !== undefined) this.#cancel('TRANSFER_IN_PROGRESS', `replaced by a transfer to ${target}`);
    this.#lastSeq += 1;
    const giveUpAt = state.clock.healthyMs + TRANSFER_TIMEOUTS * state.config.electionMs;
    this.#attempt = { target, seq: this.#lastSeq, giveUpAt, requestIds: [requestId], toldAt: undefined };
    this.advance();
  }

  /** Tells the target to campaign once it has the whole log, and again once per election timeout. */
  advance(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const state = this.#state;
    const { healthyMs } = state.clock;
    if (healthyMs >= attempt.giveUpAt) return this.#cancel('TIMED_OUT', `${attempt.target} did not take over in time`);
    if (this.#leadership.progressOf(attempt.target)?.match !== state.log.lastIndex) return;
    if (attempt.toldAt !== undefined && healthyMs - attempt.toldAt < state.config.electionMs) return;
    attempt.toldAt = healthyMs;
    state.send(attempt.target, { kind: 'timeoutNow', term: state.term, transferSeq: attempt.seq });
  }

  /** The leader steps down: whether to the target, the next leader's word will tell. */
  leave(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    const { clock, config } = this.#state;
    const deadline = clock.now + TRANSFER_TIMEOUTS * config.electionMs;
    this.#state.handover = { target: attempt.target, requestIds: attempt.requestIds, deadline };
  }

  #cancel(code: RaftRefusal, reason: string): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    if (attempt.toldAt !== undefined) {
      this.#cancelled = attempt.seq;
      // The lease is claimed again from rounds that carry the cancellation, and from no older one.
      this.#leadership.rounds.voidForLease();
    }
    for (const requestId of attempt.requestIds) this.#state.refuse(requestId, code, reason);
  }

  /** The voter that lacks least, the smallest id of equals. */
  #bestTarget(avoid: readonly MemberId[]): MemberId | undefined {
    let best: Progress | undefined;
    for (const id of this.#state.configuration.voters) {
      if (avoid.includes(id)) continue;
      const progress = this.#leadership.progressOf(id);
      if (progress === undefined || !this.#wasHeard(progress)) continue;
      if (best === undefined || progress.match > best.match) best = progress;
    }
    return best?.id;
  }

  #wasHeard(progress: Progress): boolean {
    return this.#state.clock.healthyMs - progress.lastHeardAt <= this.#state.config.electionMs;
  }
}

/** Answers a transfer whose leader has stepped down, as soon as it can be answered. */
export function settleHandover(state: RaftState): void {
  const { handover } = state;
  if (handover === undefined) return;
  const { leader } = state;
  if (leader === undefined && state.clock.now < handover.deadline && !state.isStopped) return;
  state.handover = undefined;
  for (const requestId of handover.requestIds) {
    if (leader === handover.target) state.reply(requestId, { kind: 'transferred', to: handover.target });
    else
      state.reply(requestId, {
        kind: 'unknown',
        reason: 'leadership was lost, and not to the target as far as we know',
      });
  }
}
