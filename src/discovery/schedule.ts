/** When to ask and when to speak: instants only, so that it can be told without waiting. */
import { type Random, randomBetween } from '../base/random.ts';

/** The first questions after a start, in milliseconds: dense, for nodes that start together must not miss each other. */
export const FIRST_QUERIES_MS: readonly number[] = [0, 100, 300, 550, 1500];
const BACKOFF_FACTOR = 2;
const FIRST_PAUSE_MS = 800;
const PAUSE_MIN_MS = 10_000;
const PAUSE_MAX_MS = 30_000;
/** Announced twice, a second apart (RFC 6762 §8.3). */
const ANNOUNCE_AGAIN_MS = 1000;
/** Answers of many responders must not collide (RFC 6762 §6): each waits a moment of its own. */
const ANSWER_DELAY_MS: readonly [number, number] = [20, 120];
/**
 * The same records go out at most so often. RFC 6762 §6 says one second; but an answer that is lost while nodes start together
 * must be said again before they decide that nobody is there.
 */
const ANSWER_PAUSE_MS = 250;
/** From the first question on: silence now means that nobody is there. */
const SEARCH_MS = 800;
/**
 * That many questions must have gone out by then, however late the timers are, and the last must have had its time: whoever heard it
 * answers within `ANSWER_PAUSE_MS`.
 */
const SEARCH_QUERIES = 4;
const SEARCH_AFTER_LAST_MS = 250;

export class Schedule {
  readonly #random: Random;
  readonly #startedAt: number;
  #asked = 0;
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  #nextQuery: number;
  #pause = FIRST_PAUSE_MS;
  #announceAt: number[] = [];
  #answerAt = Number.POSITIVE_INFINITY;
  #lastSpokenAt = Number.NEGATIVE_INFINITY;
  #isSearched = false;

  constructor(random: Random, now: number) {
    this.#random = random;
    this.#startedAt = now;
    this.#nextQuery = now;
  }

  /** Something about us is new. */
  announce(now: number): void {
    this.#announceAt = [now, now + ANNOUNCE_AGAIN_MS];
  }

  /** Somebody asks for what is ours. */
  answer(now: number): void {
    const [low, high] = ANSWER_DELAY_MS;
    const at = now + randomBetween(this.#random, low, high);
    this.#answerAt = Math.min(this.#answerAt, Math.max(at, this.#lastSpokenAt + ANSWER_PAUSE_MS));
  }

  /** Another has asked the same, and the answers go to everyone: ours can wait (RFC 6762 §7.3). Not during the search. */
  heardQuery(now: number): void {
    if (this.#asked > FIRST_QUERIES_MS.length) this.#putOff(now);
  }

  /** Whether to ask now. Asking again is put off further each time. */
  takeQuery(now: number): boolean {
    if (now < this.#nextQuery) return false;
    this.#asked++;
    this.#lastAskedAt = now;
    const planned = FIRST_QUERIES_MS[this.#asked];
    if (planned !== undefined) this.#nextQuery = Math.max(this.#startedAt + planned, now + 50);
    else this.#putOff(now);
    return true;
  }

  /** Whether to announce everything now. */
  takeAnnouncement(now: number): boolean {
    if ((this.#announceAt[0] ?? Number.POSITIVE_INFINITY) > now) return false;
    this.#announceAt.shift();
    this.#lastSpokenAt = now;
    this.#answerAt = Number.POSITIVE_INFINITY;
    return true;
  }

  /** Whether to give the gathered answers now. */
  takeAnswer(now: number): boolean {
    if (now < this.#answerAt) return false;
    this.#answerAt = Number.POSITIVE_INFINITY;
    this.#lastSpokenAt = now;
    return true;
  }

  /** True once: the search has run long enough that silence means absence. */
  takeSearched(now: number): boolean {
    if (this.#isSearched || now < this.#searchedAt()) return false;
    this.#isSearched = true;
    return true;
  }

  next(): number {
    return Math.min(
      this.#nextQuery,
      this.#announceAt[0] ?? Number.POSITIVE_INFINITY,
      this.#answerAt,
      this.#searchedAt(),
    );
  }

  #putOff(now: number): void {
    this.#pause = Math.min(this.#pause * BACKOFF_FACTOR, PAUSE_MAX_MS);
    const low = this.#pause >= PAUSE_MIN_MS ? PAUSE_MIN_MS : this.#pause * 0.8;
    this.#nextQuery = now + randomBetween(this.#random, low, this.#pause);
  }

  #searchedAt(): number {
    if (this.#isSearched || this.#asked < SEARCH_QUERIES) return Number.POSITIVE_INFINITY;
    if (this.#asked > SEARCH_QUERIES) return this.#startedAt + SEARCH_MS;
    return Math.max(this.#startedAt + SEARCH_MS, this.#lastAskedAt + SEARCH_AFTER_LAST_MS);
  }
}
