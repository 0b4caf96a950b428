/**
 * One watched peer: its questions under way and the counter that decides over it (features A11). A miss counts up, an echo
 * counts down, within plus and minus `retries`; a peer dies at plus `retries` and lives again at zero. An echo that comes
 * after its deadline takes its miss back: the deadline is a guess from earlier round trips, the echo is a fact, and a link
 * that has become slow must not look dead for ever.
 */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { isEchoOf, isWholeEcho } from '../wire/liveness/packet.ts';
import type { LivenessConfig } from './config.ts';

interface Question {
  readonly bytes: Uint8Array;
  readonly sentAt: MonotonicMs;
  /** Infinity once the miss is counted. */
  missAt: MonotonicMs;
}

export type Verdict = 'alive' | 'dead' | 'unchanged';

export class WatchedPeer {
  readonly id: string;
  readonly #config: LivenessConfig;
  /** Oldest first. */
  #questions: Question[] = [];
  #endpoint: Endpoint;
  #counter = 0;
  #alive = true;
  #averageMs: number | undefined;
  #nextAt: MonotonicMs;
  #askedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** It has once echoed a whole question, so it is no clusterfunk and two bytes are not enough any more. */
  #echoesWhole = false;

  constructor(id: string, endpoint: Endpoint, config: LivenessConfig, now: MonotonicMs) {
    this.id = id;
    this.#endpoint = endpoint;
    this.#config = config;
    this.#nextAt = now;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** When this peer next wants {@link judge} or {@link ask}. */
  get wakeAt(): MonotonicMs {
    let at = this.#nextAt;
    for (const question of this.#questions) at = Math.min(at, question.missAt);
    return at;
  }

  isAskedAt(now: MonotonicMs): boolean {
    return this.#nextAt <= now;
  }

  /** Another address: what is known of the way there is worth nothing, what is known of the peer stays. */
  move(endpoint: Endpoint, now: MonotonicMs): void {
    this.#endpoint = endpoint;
    this.#questions = [];
    this.#averageMs = undefined;
    this.#echoesWhole = false;
    this.#counter = this.#alive ? 0 : this.#config.retries;
    this.#nextAt = now;
  }

  /** Notes that `bytes` go out now. */
  ask(bytes: Uint8Array, now: MonotonicMs): void {
    this.#questions.push({ bytes, sentAt: now, missAt: now + this.#deadlineMs() });
    if (this.#questions.length > this.#config.questionsKeptMax) this.#questions.shift();
    this.#askedAt = now;
    this.#nextAt = now + (this.#isGivenUp() ? this.#config.deadIntervalMs : this.#config.intervalMs);
  }

  /**
   * It spoke to us by another way: no question is needed before it has been silent for an interval. Asked it is all the same, now and
   * then, so that this way too is known to work. In doubt nothing is put off. True when the next question has moved.
   */
  onHeard(now: MonotonicMs): boolean {
    const { intervalMs, deadIntervalMs, retries } = this.#config;
    if (!this.#alive || this.#counter > -retries) return false;
    const nextAt = Math.min(now + intervalMs, this.#askedAt + deadIntervalMs);
    // Moving it for every word would cost more than it spares.
    if (nextAt - this.#nextAt < intervalMs / 3) return false;
    this.#nextAt = nextAt;
    return true;
  }

  /** Counts the questions whose time is over. */
  judge(now: MonotonicMs): Verdict {
    let verdict: Verdict = 'unchanged';
    for (const question of this.#questions) {
      if (question.missAt > now) continue;
      question.missAt = Number.POSITIVE_INFINITY;
      if (this.#onMiss(question, now)) verdict = 'dead';
    }
    return verdict;
  }

  /** Undefined when `bytes` answer none of the questions under way. */
  onEcho(bytes: Uint8Array, now: MonotonicMs): Verdict | undefined {
    const whole = isWholeEcho(bytes);
    if (!whole && this.#echoesWhole) return undefined;
    const position = this.#questions.findIndex((question) => isEchoOf(bytes, question.bytes));
    const question = this.#questions[position];
    if (question === undefined) return undefined;
    this.#questions.splice(position, 1);
    this.#echoesWhole ||= whole;
    this.#learn(now - question.sentAt);
    const isLate = question.missAt === Number.POSITIVE_INFINITY;
    this.#counter = Math.max(-this.#config.retries, this.#counter - (isLate ? 2 : 1));
    if (this.#alive) return 'unchanged';
    this.#nextAt = Math.min(this.#nextAt, now + this.#config.intervalMs);
    if (this.#counter > 0) return 'unchanged';
    this.#alive = true;
    return 'alive';
  }

  /** Our own process stood still: what was due in the meantime gets a fresh interval for the echoes that wait in the socket. */
  forgivePause(now: MonotonicMs): void {
    for (const question of this.#questions) {
      if (question.missAt !== Number.POSITIVE_INFINITY) {
        question.missAt = Math.max(question.missAt, now + this.#config.intervalMs);
      }
    }
  }

  check(): void {
    const { retries, questionsKeptMax } = this.#config;
    assert(Math.abs(this.#counter) <= retries, 'the counter of a peer stays within plus and minus retries');
    assert(!this.#alive || this.#counter < retries, 'a peer at the limit is dead');
    assert(this.#alive || this.#counter > 0, 'a peer at zero is alive');
    assert(this.#questions.length <= questionsKeptMax, 'the questions under way stay bounded');
  }

  /** True when this miss was its death. */
  #onMiss(question: Question, now: MonotonicMs): boolean {
    const { retries, intervalMs, deadIntervalMs } = this.#config;
    this.#counter = Math.min(retries, this.#counter + 1);
    if (this.#counter === retries) this.#nextAt = now + deadIntervalMs;
    // Asking faster while in doubt makes a death known after about retries intervals, credit and all.
    else this.#nextAt = Math.min(this.#nextAt, Math.max(now, question.sentAt + intervalMs / 2));
    if (!this.#alive || this.#counter < retries) return false;
    this.#alive = false;
    return true;
  }

  #isGivenUp(): boolean {
    return this.#counter === this.#config.retries;
  }

  #learn(roundTripMs: number): void {
    const weight = this.#config.averageWeight;
    this.#averageMs =
      this.#averageMs === undefined ? roundTripMs : this.#averageMs * (1 - weight) + roundTripMs * weight;
  }

  #deadlineMs(): number {
    const { intervalMs, deadIntervalMs, deadlineFactor, deadlineMinMs } = this.#config;
    if (this.#averageMs === undefined) return Math.max(intervalMs, deadlineMinMs);
    return Math.min(deadIntervalMs, Math.max(deadlineMinMs, this.#averageMs * deadlineFactor));
  }
}
