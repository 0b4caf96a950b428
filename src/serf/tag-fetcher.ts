/**
 * Fetches sets of tags that gossip only names: a few at a time, not all nodes at once, from the owner and from others that may hold the
 * same, again and again until the set is here or nobody names it any more.
 */
import { assert } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type Random, randomBelow } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { SwimRequest } from '../swim/messages.ts';
import { decodeTagSetMessage, encodeTagSetMessage, type TagDigest } from '../wire/serf/tag-set.ts';
import type { SerfEvent } from './messages.ts';

export interface TagSources {
  readonly owner: Endpoint;
  /** Other funknodes that are present. A plain Serf agent is never asked: it would log the question as an error. */
  readonly others: readonly Endpoint[];
}

export interface TagFetcherHost {
  readonly random: Random;
  /** How long one request may take. */
  readonly timeoutMs: number;
  /** Whom to ask for the tags of `node`; undefined when it is no funknode, or gone. */
  sources(node: string): TagSources | undefined;
  request(to: Endpoint, request: SwimRequest): void;
  notify(event: SerfEvent): void;
  /** Whether there is room for a set of `size` bytes. */
  mayHold(node: string, size: number): boolean;
  /** A set came. Answers what is wrong with it; undefined when it was taken. */
  accept(
    node: string,
    digest: TagDigest,
    carried: ReadonlyMap<string, string>,
    set: Uint8Array,
  ): { readonly problem: string; readonly isHostile: boolean } | undefined;
}

interface Want {
  readonly node: string;
  /** What gossip names: another text is another want. */
  readonly text: string;
  /** Undefined: given up. */
  readonly digest: TagDigest | undefined;
  /** The tags that gossip carries of the same node. */
  readonly carried: ReadonlyMap<string, string>;
  /** Why it was given up, until that was told. */
  untold: string | undefined;
  attempts: number;
}

/** Requests of ours that are open at a time, and that begin within a second. */
const OPEN_MAX = 8;
const BETWEEN_MS = 10;
/** All members hear of a change at once: per member, so much time over which their requests are spread, up to a limit. */
const SPREAD_PER_MEMBER_MS = 5;
const SPREAD_MAX_MS = 2_000;
/** After a request in vain, doubled each time. */
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 30_000;
/** From so many on, they are told. */
const TELL_FROM_ATTEMPTS = 4;
/** One warning at a time, however many members give reason for one. */
const BETWEEN_WARNINGS_MS = 30_000;
/** Around a set: message headers, and what sealing adds. */
const ANSWER_OVERHEAD_BYTES = 2_048;

export const NO_ROOM = 'the tags of others fill the room that this node has for them';

export class TagFetcher {
  readonly #host: TagFetcherHost;
  readonly #wants: Map<string, Want> = new Map();
  readonly #waiting: DeadlineHeap<string> = new DeadlineHeap();
  /** Came in this turn: no time is known to them yet. */
  #fresh: Want[] = [];
  #open = 0;
  #nextStartAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #nextWarningAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #unwarned = 0;
  /** Sets that came and were taken. */
  fetched = 0;
  /** Requests in vain. */
  failed = 0;
  /** Sets that came and were not what gossip names; among `failed`. */
  refused = 0;

  constructor(host: TagFetcherHost) {
    this.#host = host;
  }

  want(node: string, digest: TagDigest, carried: ReadonlyMap<string, string>): void {
    this.#add({ node, text: digest.text, digest, carried, untold: undefined, attempts: 0 });
  }

  /** There is nothing to fetch, for a reason worth telling. */
  giveUp(node: string, text: string, reason: string): void {
    this.#add({ node, text, digest: undefined, carried: new Map(), untold: reason, attempts: 0 });
  }

  forget(node: string): void {
    this.#wants.delete(node);
    this.#waiting.delete(node);
  }

  pump(now: MonotonicMs): void {
    for (const want of this.#fresh.splice(0)) {
      if (this.#wants.get(want.node) !== want) continue;
      if (want.untold !== undefined) this.#warn(want.node, want.untold, now);
      else this.#waiting.set(want.node, now + this.#spread(want.node));
      want.untold = undefined;
    }
    while (this.#open < OPEN_MAX && this.#nextStartAt <= now) {
      const node = this.#waiting.popDue(now);
      if (node === undefined) return;
      this.#start(this.#wants.get(node), now);
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#open >= OPEN_MAX ? Number.POSITIVE_INFINITY : Math.max(this.#waiting.next(), this.#nextStartAt);
  }

  check(): void {
    assert(this.#open >= 0 && this.#open <= OPEN_MAX, 'few requests are open at a time');
    assert(this.#fresh.length === 0, 'every turn ends with a time for everything wanted');
    assert(this.#waiting.size <= this.#wants.size, 'what is waited for is wanted');
  }

  #add(want: Want): void {
    const known = this.#wants.get(want.node);
    if (known?.text === want.text) return;
    this.#waiting.delete(want.node);
    this.#wants.set(want.node, want);
    this.#fresh.push(want);
  }

  /** The first to hear ask the owner at once, and those who come later may ask them too. */
  #spread(node: string): number {
    const members = this.#host.sources(node)?.others.length ?? 0;
    return this.#host.random.next() * Math.min(SPREAD_MAX_MS, members * SPREAD_PER_MEMBER_MS);
  }

  #start(want: Want | undefined, now: MonotonicMs): void {
    const digest = want?.digest;
    if (want === undefined || digest === undefined) return;
    const sources = this.#host.sources(want.node);
    if (sources === undefined) return this.#onFailed(want, 'nobody is there who speaks this protocol', now);
    if (!this.#host.mayHold(want.node, digest.size)) return this.#onFailed(want, NO_ROOM, now);
    this.#open += 1;
    this.#nextStartAt = now + BETWEEN_MS;
    // Once ended, whatever was asked before is of the past.
    const end = (): boolean => {
      this.#open -= 1;
      return this.#wants.get(want.node) === want;
    };
    this.#host.request(this.#choose(sources, want.attempts), {
      bytes: encodeTagSetMessage({ kind: 'tagSetRequest', node: want.node, digest: digest.text }),
      deadline: now + this.#host.timeoutMs,
      answerBytesMax: digest.size + ANSWER_OVERHEAD_BYTES,
      client: {
        onAnswer: (bytes, at) => {
          if (end()) this.#onAnswer(want, digest, bytes, at);
        },
        onFailed: (reason, at) => {
          if (end()) this.#onFailed(want, reason, at);
        },
      },
    });
  }

  /** The owner first, then in turn with the others: it may be out of reach for us alone. */
  #choose({ owner, others }: TagSources, attempts: number): Endpoint {
    const other = attempts % 2 === 0 ? undefined : others[randomBelow(this.#host.random, Math.max(1, others.length))];
    return other ?? owner;
  }

  #onAnswer(want: Want, digest: TagDigest, bytes: Uint8Array, now: MonotonicMs): void {
    const answer = decodeTagSetMessage(bytes);
    if (answer?.kind !== 'tagSetAnswer' || answer.digest !== digest.text) {
      this.refused += 1;
      return this.#onFailed(want, 'the answer is none to what was asked', now);
    }
    if (answer.set === undefined) return this.#onFailed(want, 'the node that was asked does not have them', now);
    const refusal = this.#host.accept(want.node, digest, want.carried, answer.set);
    if (refusal === undefined) {
      this.fetched += 1;
      this.forget(want.node);
      return;
    }
    if (refusal.isHostile) this.refused += 1;
    const text = refusal.isHostile
      ? `the set that came is not the one that gossip names: ${refusal.problem}`
      : undefined;
    this.#onFailed(want, text ?? refusal.problem, now);
    if (text !== undefined) this.#warn(want.node, text, now);
  }

  #onFailed(want: Want, reason: string, now: MonotonicMs): void {
    this.failed += 1;
    want.attempts += 1;
    const backOffMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(want.attempts - 1, 16));
    this.#waiting.set(want.node, now + backOffMs * (0.5 + this.#host.random.next()));
    if (want.attempts >= TELL_FROM_ATTEMPTS) this.#warn(want.node, `after ${want.attempts} attempts: ${reason}`, now);
  }

  #warn(node: string, reason: string, now: MonotonicMs): void {
    if (now < this.#nextWarningAt) {
      this.#unwarned += 1;
      return;
    }
    this.#nextWarningAt = now + BETWEEN_WARNINGS_MS;
    this.#host.notify({ kind: 'tagsMissing', node, reason, unwarned: this.#unwarned });
    this.#unwarned = 0;
  }
}
