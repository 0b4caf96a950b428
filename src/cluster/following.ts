/**
 * How nodes outside the Raft group keep up with what it agrees on (product.md: non-voters follow any voter). The follower
 * asks every 100 ms for what lies above its applied index; the voter answers at once and pushes what it applies between.
 */
import type { MonotonicMs } from '../base/machine.ts';
import { randomBelow, type Random } from '../base/random.ts';
import type { LogIndex, MemberId } from '../model/ids.ts';
import type { Entry } from '../model/log.ts';

export const FOLLOW_INTERVAL_MS = 100;
/** No word for this long: another voter is tried (ownership.md O-16). */
const SILENT_MS = 180;
/** What a newly chosen voter gets until an answer of the leader has come through it. */
const FIRST_ANSWER_MS = 500;
/** A follower that was not heard for this long is forgotten; it asks again when it lives. */
const FOLLOWER_FORGOTTEN_MS = 1_000;
/** To a follower that takes nothing in, what it lacks is sent again after this long. */
const RESEND_MS = 200;
/** Who has never been answered does not know who votes: it asks one after the other, about a round trip apart. */
const SEEK_INTERVAL_MS = 30;
/** Followers per voter. Three voters carry three thousand non-voters. */
const FOLLOWERS_MAX = 2_048;
const RECENT_ENTRIES_MAX = 2_000;
const RECENT_BYTES_MAX = 8 * 1024 * 1024;
const PUSH_ENTRIES_MAX = 512;
const PUSH_BYTES_MAX = 512 * 1024;

interface Follower {
  appliedIndex: LogIndex;
  sentIndex: LogIndex;
  /** When it last had nothing outstanding, took something in, or was sent what it lacks again. What is pushed meanwhile does not count. */
  progressAt: MonotonicMs;
  heardAt: MonotonicMs;
}

/** The voter's side. */
export class FollowServer {
  readonly #followers: Map<MemberId, Follower> = new Map();
  readonly #recent: Entry[] = [];
  #recentBytes = 0;

  get size(): number {
    return this.#followers.size;
  }

  remember(entry: Entry): void {
    this.#recent.push(entry);
    this.#recentBytes += entry.data.length;
    while (this.#recent.length > RECENT_ENTRIES_MAX || this.#recentBytes > RECENT_BYTES_MAX) {
      const dropped = this.#recent.shift();
      this.#recentBytes -= dropped?.data.length ?? 0;
    }
  }

  /** After the state was replaced by a snapshot the entries before it prove nothing. */
  forgetEntries(): void {
    this.#recent.length = 0;
    this.#recentBytes = 0;
  }

  /** False when there is no room for one more. */
  onFollow(from: MemberId, appliedIndex: LogIndex, now: MonotonicMs): boolean {
    const known = this.#followers.get(from);
    if (known !== undefined) {
      known.heardAt = now;
      if (appliedIndex > known.appliedIndex) {
        known.appliedIndex = appliedIndex;
        known.progressAt = now;
      }
      if (appliedIndex < known.sentIndex && now - known.progressAt < RESEND_MS) return true;
      known.sentIndex = appliedIndex;
      known.progressAt = now;
      return true;
    }
    if (this.#followers.size >= FOLLOWERS_MAX && this.present(now).length >= FOLLOWERS_MAX) return false;
    this.#followers.set(from, { appliedIndex, sentIndex: appliedIndex, progressAt: now, heardAt: now });
    return true;
  }

  /** What `to` lacks of what is remembered; undefined when that begins too late and it needs the whole image. */
  take(to: MemberId, lastApplied: LogIndex, now: MonotonicMs): readonly Entry[] | undefined {
    const follower = this.#followers.get(to);
    if (follower === undefined || follower.sentIndex >= lastApplied) return [];
    const first = this.#recent[0]?.index ?? lastApplied + 1;
    if (follower.sentIndex + 1 < first) return undefined;
    const entries: Entry[] = [];
    let bytes = 0;
    for (let i = follower.sentIndex + 1 - first; i < this.#recent.length; i++) {
      const entry = this.#recent[i] as Entry;
      if (entries.length >= PUSH_ENTRIES_MAX || (entries.length > 0 && bytes + entry.data.length > PUSH_BYTES_MAX))
        break;
      entries.push(entry);
      bytes += entry.data.length;
    }
    if (follower.sentIndex <= follower.appliedIndex) follower.progressAt = now;
    follower.sentIndex = entries.at(-1)?.index ?? follower.sentIndex;
    return entries;
  }

  /** Whom to push to, after those that fell silent are forgotten. */
  present(now: MonotonicMs): MemberId[] {
    for (const [member, follower] of this.#followers) {
      if (now - follower.heardAt > FOLLOWER_FORGOTTEN_MS) this.#followers.delete(member);
    }
    return [...this.#followers.keys()];
  }
}

export interface FollowChoice {
  /** Voters by the newest configuration that is known here. It may be an old one: they are tried first, not alone. */
  readonly known: readonly MemberId[];
  /** Whoever could be a voter. */
  readonly possible: readonly MemberId[];
  /** When the leader last answered a renewal of ours: a voter that is cut off from it is no good (O-16). */
  readonly answeredAt: MonotonicMs;
}

/** The follower's side: whom it follows, and when to turn elsewhere. */
export class FollowClient {
  readonly #random: Random;
  #followed: MemberId | undefined;
  #heardAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #chosenAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** Choices in a row that were never heard. */
  #misses = 0;
  #nextAskAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  get followed(): MemberId | undefined {
    return this.#followed;
  }

  /** When a followed voter last answered. */
  get heardAt(): MonotonicMs {
    return this.#heardAt;
  }

  nextDeadline(): MonotonicMs {
    return this.#nextAskAt;
  }

  /** False when the answer comes from somebody that is not followed (any more). The first answer of all decides who is. */
  onHeard(from: MemberId, now: MonotonicMs): boolean {
    if (this.#isSeeking) this.#followed = from;
    if (from !== this.#followed) return false;
    this.#heardAt = now;
    return true;
  }

  get #isSeeking(): boolean {
    return this.#heardAt === Number.NEGATIVE_INFINITY;
  }

  /** Ask again at once: there is more to come. */
  hasten(now: MonotonicMs): void {
    this.#nextAskAt = now;
  }

  /** A voter that was just chosen has to bring the whole state before the leader can answer through it. */
  #isSilent(answeredAt: MonotonicMs, now: MonotonicMs): boolean {
    const isMute = now - Math.max(this.#heardAt, this.#chosenAt) > SILENT_MS;
    const isUnanswered = now - Math.max(answeredAt, this.#chosenAt + FIRST_ANSWER_MS - SILENT_MS) > SILENT_MS;
    return isMute || isUnanswered;
  }

  /** Whom to ask now, if it is time; chooses another voter when the followed one is silent, cut off or gone. */
  poll({ known, possible, answeredAt }: FollowChoice, now: MonotonicMs): MemberId | undefined {
    if (now < this.#nextAskAt) return undefined;
    this.#nextAskAt = now + (this.#isSeeking ? SEEK_INTERVAL_MS : FOLLOW_INTERVAL_MS);
    if (
      this.#followed === undefined ||
      this.#isSeeking ||
      this.#isSilent(answeredAt, now) ||
      !possible.includes(this.#followed)
    ) {
      this.#misses = this.#heardAt > this.#chosenAt ? 0 : this.#misses + 1;
      const wanted = this.#misses <= known.length && known.length > 0 ? known : possible;
      const others = wanted.filter((voter) => voter !== this.#followed);
      const pool = others.length > 0 ? others : wanted;
      this.#followed = pool[randomBelow(this.#random, pool.length)];
      this.#chosenAt = now;
    }
    return this.#followed;
  }
}

/** Entries that continue `appliedIndex` without a gap; what was applied already is skipped. */
export function continuing(entries: readonly Entry[], appliedIndex: LogIndex): readonly Entry[] {
  const start = entries.findIndex((entry) => entry.index === appliedIndex + 1);
  return start < 0 ? [] : entries.slice(start);
}
