/** What a leader knows about one peer, and what it may send to it. raft.md 5.1; the states are those of etcd's progress tracker. */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { NO_INDEX } from '../model/ids.ts';
import type { LogIndex, MemberId } from '../model/ids.ts';

export interface WindowLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

export type ProgressState =
  /** Where the logs meet is not known: one append, then wait for its answer or for the next heartbeat's. */
  | { readonly kind: 'probe'; sent: boolean }
  /** Appends follow each other without waiting, as far as the window allows. */
  | { readonly kind: 'replicate' }
  /** What it lacks is compacted away: nothing is sent until it has a snapshot. */
  | { readonly kind: 'snapshot'; readonly index: LogIndex; readonly since: MonotonicMs };

interface CatchUp {
  /** A round replicates what the leader's log held when the round began (raft.md 9.3). */
  target: LogIndex;
  startedAt: MonotonicMs;
  lastRoundWasShort: boolean;
}

export class Progress {
  readonly id: MemberId;
  state: ProgressState = { kind: 'probe', sent: false };
  /** Durable there. Never falls within a term (I-11). */
  match: LogIndex = NO_INDEX;
  next: LogIndex;
  sentCommit: LogIndex = NO_INDEX;
  /** Healthy time of the last answer in this term. */
  lastHeardAt: number;
  /** The newest round it has echoed. */
  echoedSeq = 0;
  /** Set on a member that a configuration has dropped: it is still told so, until it knows or that healthy time comes. */
  departure: { readonly index: LogIndex; readonly untilHealthyMs: number } | undefined;
  #inFlight: { readonly lastIndex: LogIndex; readonly bytes: number }[] = [];
  #inFlightBytes = 0;
  #catchUp: CatchUp | undefined;

  constructor(id: MemberId, next: LogIndex, healthyMs: number) {
    this.id = id;
    this.next = next;
    this.lastHeardAt = healthyMs;
  }

  get inFlightMessages(): number {
    return this.#inFlight.length;
  }

  /** Something was sent that the peer has not acknowledged. */
  get isAwaiting(): boolean {
    return this.match + 1 < this.next;
  }

  isFull(limits: WindowLimits): boolean {
    return this.#inFlight.length >= limits.inflightMessagesMax || this.#inFlightBytes >= limits.inflightBytesMax;
  }

  /** From `next`, or from where the logs are known to meet. */
  becomeProbe(next: LogIndex = NO_INDEX): void {
    this.state = { kind: 'probe', sent: false };
    this.next = Math.max(next, this.match + 1) as LogIndex;
    this.#clearWindow();
  }

  becomeReplicate(): void {
    this.state = { kind: 'replicate' };
    this.next = (this.match + 1) as LogIndex;
    this.#clearWindow();
  }

  becomeSnapshot(index: LogIndex, now: MonotonicMs): void {
    this.state = { kind: 'snapshot', index, since: now };
    this.#clearWindow();
  }

  /** Entries through `lastIndex` have left. */
  sent(lastIndex: LogIndex, bytes: number): void {
    this.next = (lastIndex + 1) as LogIndex;
    this.#inFlight.push({ lastIndex, bytes });
    this.#inFlightBytes += bytes;
  }

  /** Whether `match` tells something new. A late answer never takes anything back (P-15). */
  acknowledge(match: LogIndex): boolean {
    let freed = 0;
    for (const sent of this.#inFlight) {
      if (sent.lastIndex > match) break;
      this.#inFlightBytes -= sent.bytes;
      freed += 1;
    }
    this.#inFlight.splice(0, freed);
    if (match <= this.match) return false;
    this.match = match;
    this.next = Math.max(this.next, match + 1) as LogIndex;
    return true;
  }

  startCatchUp(target: LogIndex, now: MonotonicMs): void {
    this.#catchUp ??= { target, startedAt: now, lastRoundWasShort: false };
  }

  stopCatchUp(): void {
    this.#catchUp = undefined;
  }

  /** Ends the round when `match` has reached its target and starts the next one; true when the peer is caught up by this. */
  advanceCatchUp(lastIndex: LogIndex, now: MonotonicMs, roundMsMax: number): boolean {
    const round = this.#catchUp;
    if (round === undefined || this.match < round.target) return false;
    const was = round.lastRoundWasShort;
    const isShort = now - round.startedAt < roundMsMax;
    this.#catchUp = { target: lastIndex, startedAt: now, lastRoundWasShort: isShort };
    return isShort && !was;
  }

  /** The last round was short, and the present one has not become long meanwhile. */
  isCaughtUp(now: MonotonicMs, roundMsMax: number): boolean {
    const round = this.#catchUp;
    if (round === undefined || !round.lastRoundWasShort || this.state.kind !== 'replicate') return false;
    return this.match >= round.target || now - round.startedAt < roundMsMax;
  }

  /** A dropped member knows that it is one, or was told long enough. */
  hasDeparted(healthyMs: number): boolean {
    const { departure } = this;
    if (departure === undefined) return false;
    return (
      healthyMs >= departure.untilHealthyMs || (this.match >= departure.index && this.sentCommit >= departure.index)
    );
  }

  check(lastIndex: LogIndex, limits: WindowLimits): void {
    assert(this.match < this.next, 'I-11: match is below next');
    assert(this.next <= lastIndex + 1, 'next is at most one beyond the log');
    assert(this.#inFlight.length <= limits.inflightMessagesMax, 'I-24: the window holds');
    assert(this.state.kind === 'replicate' || this.#inFlight.length === 0, 'only replication has a window');
  }

  #clearWindow(): void {
    this.#inFlight = [];
    this.#inFlightBytes = 0;
  }
}
