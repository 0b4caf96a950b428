/**
 * Everything the thread of a node tells its application, in order. What an application that does not keep up has not taken waits here,
 * up to a limit: then the oldest events and log lines are forgotten, and it is told how many. Answers and the like are never forgotten.
 */
import { compactBytes } from '../base/bytes.ts';
import type { NodeEvent } from '../model/node-event.ts';
import { type FromThread, WORD_TAKEN, WORD_WAITS } from './thread-messages.ts';

/** On its way to the application, in the weight of `weightOf`. */
const UNTAKEN_MAX = 1_000;
/** Waiting behind it. As many as streams keep for a slow subscriber. */
const WAITING_MAX = 10_000;
/** What is left when some of it is forgotten. */
const WAITING_AFTERWARDS = 9_000;
/** An event that names many shards weighs as much as so many others. */
const SHARDS_PER_UNIT = 64;

export class ThreadOutlet {
  readonly #words: Int32Array;
  readonly #post: (notice: FromThread) => void;
  #waiting: FromThread[] = [];
  #waitingWeight = 0;
  #postedWeight = 0;
  #events = 0;
  #forgottenEvents = 0;
  #forgottenUpTo = 0;
  #forgottenLines = 0;

  constructor(words: SharedArrayBuffer, post: (notice: FromThread) => void) {
    this.#words = new Int32Array(words);
    this.#post = post;
  }

  /** The number of the newest event. */
  get seq(): number {
    return this.#events;
  }

  tellEvent(event: NodeEvent): void {
    this.#events += 1;
    this.send({ kind: 'event', seq: this.#events, event: compacted(event) });
  }

  send(notice: FromThread): void {
    if (this.#waiting.length === 0 && this.#hasRoom) {
      this.#postNow(notice);
      return;
    }
    this.#waiting.push(notice);
    this.#waitingWeight += weightOf(notice);
    if (this.#waitingWeight > WAITING_MAX) this.#forgetOldest();
    Atomics.store(this.#words, WORD_WAITS, 1);
    // The application may have taken the last of it just before it could see that more waits.
    if (this.#hasRoom) this.flush();
  }

  /** Takes back what waits and is of no use any more. */
  withdraw(isUseless: (notice: FromThread) => boolean): FromThread[] {
    const useless = this.#waiting.filter(isUseless);
    if (useless.length === 0) return useless;
    this.#waiting = this.#waiting.filter((notice) => !useless.includes(notice));
    for (const notice of useless) this.#waitingWeight -= weightOf(notice);
    return useless;
  }

  /** The application has caught up. */
  flush(): void {
    this.#tellForgotten();
    while (this.#hasRoom) {
      const notice = this.#waiting.shift();
      if (notice === undefined) return;
      this.#waitingWeight -= weightOf(notice);
      this.#postNow(notice);
    }
    Atomics.store(this.#words, WORD_WAITS, 1);
  }

  get #hasRoom(): boolean {
    return ((this.#postedWeight - Atomics.load(this.#words, WORD_TAKEN)) | 0) < UNTAKEN_MAX;
  }

  #postNow(notice: FromThread): void {
    this.#postedWeight = (this.#postedWeight + weightOf(notice)) | 0;
    this.#post(notice);
  }

  /** A part of all at once: to look for the oldest costs as much as there are. */
  #forgetOldest(): void {
    this.#waiting = this.#waiting.filter((notice) => {
      if (this.#waitingWeight <= WAITING_AFTERWARDS || !isForgettable(notice)) return true;
      this.#waitingWeight -= weightOf(notice);
      if (notice.kind === 'event') {
        this.#forgottenEvents += 1;
        this.#forgottenUpTo = notice.seq;
      } else this.#forgottenLines += 1;
      return false;
    });
  }

  #tellForgotten(): void {
    if (this.#forgottenEvents > 0) {
      const event: NodeEvent = { kind: 'eventsForgotten', count: this.#forgottenEvents };
      this.#postNow({ kind: 'event', seq: this.#forgottenUpTo, event });
    }
    if (this.#forgottenLines > 0) {
      const fields = { count: this.#forgottenLines };
      this.#postNow({ kind: 'log', rooms: [], level: 'warn', event: 'linesForgotten', fields });
    }
    this.#forgottenEvents = 0;
    this.#forgottenLines = 0;
  }
}

/** The application's end: what was taken makes room for more. */
export class ThreadIntake {
  readonly #words: Int32Array;
  readonly #askForMore: () => void;

  constructor(words: SharedArrayBuffer, askForMore: () => void) {
    this.#words = new Int32Array(words);
    this.#askForMore = askForMore;
  }

  taken(notice: FromThread): void {
    Atomics.add(this.#words, WORD_TAKEN, weightOf(notice));
    if (Atomics.load(this.#words, WORD_WAITS) === 0) return;
    Atomics.store(this.#words, WORD_WAITS, 0);
    this.#askForMore();
  }
}

/** The last event says that the node has stopped. */
function isForgettable(notice: FromThread): boolean {
  return notice.kind === 'log' || (notice.kind === 'event' && notice.event.kind !== 'stopped');
}

function weightOf(notice: FromThread): number {
  return 1 + Math.floor(shardsIn(notice) / SHARDS_PER_UNIT);
}

function shardsIn(notice: FromThread): number {
  if (notice.kind === 'release' || notice.kind === 'acquire') return notice.call.shards.length;
  if (notice.kind !== 'event') return 0;
  const { event } = notice;
  if (event.kind === 'shardsReleasing' || event.kind === 'shardsStarted') return event.shards.length;
  return event.kind === 'shardMapChanged' ? event.map.shardCount : 0;
}

function compacted(event: NodeEvent): NodeEvent {
  return 'payload' in event ? { ...event, payload: compactBytes(event.payload) } : event;
}
