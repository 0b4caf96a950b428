/**
 * The tags of members, whole. Gossip carries 512 bytes of them; of a larger set it names a digest, and the set itself is fetched from its
 * owner, or from another funknode that holds it (tag-fetcher.ts). wire/serf/tag-set.ts has the form.
 *
 * Until a set is here a member is shown with what gossip says, over what was known of it before: a set that changed is mostly the old one,
 * and observers of endpoints must not see all of them go and come again with every change.
 */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { TagStats } from '../model/node-stats.ts';
import { TAG_SET } from '../model/tags.ts';
import {
  checkTags,
  decodeTagSetMessage,
  encodeTagSetMessage,
  gossipedTags,
  parseDigest,
  type TagDigest,
  type TagSetRequest,
  verifyTagSet,
} from '../wire/serf/tag-set.ts';
import { encodeTags } from '../wire/serf/tags.ts';
import { NO_ROOM, TagFetcher, type TagFetcherHost } from './tag-fetcher.ts';

export interface TagDeskHost extends Omit<TagFetcherHost, 'accept' | 'mayHold'> {
  readonly selfName: string;
  /** Of one node's set, ours or another's. */
  readonly bytesMax: number;
  /** Of all sets that are held. */
  readonly heldBytesMax: number;
  /** The set of this member has come: it is to be read again. */
  changed(node: string): void;
}

/** What is known of a member's tags. */
export interface TagReading {
  readonly tags: ReadonlyMap<string, string>;
  /** False: there are more, which are not here yet. */
  readonly isComplete: boolean;
}

interface HeldSet {
  readonly digest: TagDigest;
  readonly tags: ReadonlyMap<string, string>;
}

/** Answers within a second that this node gives; who asks beyond them is told to ask elsewhere. */
const ANSWERS_PER_SECOND = 200;

const NO_TAGS: ReadonlyMap<string, string> = new Map();

export class TagDesk {
  readonly #host: TagDeskHost;
  readonly #fetcher: TagFetcher;
  /** By member. */
  readonly #held: Map<string, HeldSet> = new Map();
  #heldBytes = 0;
  #own: ReadonlyMap<string, string> = NO_TAGS;
  #ownDigest: TagDigest | undefined;
  #answers = 0;
  #answersSince: MonotonicMs = Number.NEGATIVE_INFINITY;
  #answered = 0;

  constructor(host: TagDeskHost) {
    this.#host = host;
    this.#fetcher = new TagFetcher({
      random: host.random,
      timeoutMs: host.timeoutMs,
      sources: (node) => host.sources(node),
      request: (to, request) => host.request(to, request),
      notify: (event) => host.notify(event),
      mayHold: (node, size) => this.#mayHold(node, size),
      accept: (node, digest, carried, set) => this.#accept(node, digest, carried, set),
    });
  }

  get stats(): Readonly<TagStats> {
    const { fetched, failed, refused } = this.#fetcher;
    const { size: sets } = this.#held;
    return { sets, setBytes: this.#heldBytes, fetched, failed, refused, answered: this.#answered };
  }

  /** Our own tags from now on; answers what gossip is to carry. The caller has asked {@link checkTags}. */
  setOwn(tags: ReadonlyMap<string, string>): Uint8Array {
    const problem = checkTags(tags, this.#host.bytesMax);
    assert(problem === undefined, problem ?? 'tags can be published');
    const { meta, digest } = gossipedTags(tags);
    this.#own = new Map(tags);
    this.#ownDigest = digest;
    return meta;
  }

  /** The tags of a member of which gossip says `gossiped`. `isNew`: it was not there before, so nothing of old counts. */
  read(node: string, gossiped: ReadonlyMap<string, string>, isNew: boolean): TagReading {
    if (node === this.#host.selfName) return this.#readSelf(gossiped);
    const text = gossiped.get(TAG_SET);
    const held = this.#held.get(node);
    if (text === undefined) {
      this.forget(node);
      return { tags: gossiped, isComplete: true };
    }
    if (held?.digest.text === text) {
      this.#fetcher.forget(node);
      return { tags: held.tags, isComplete: true };
    }
    const digest = parseDigest(text);
    if (digest === undefined || digest.size > this.#host.bytesMax) {
      this.forget(node);
      const reason =
        digest === undefined
          ? 'it names them in a way that this version does not know'
          : `they have ${digest.size} bytes, and this node takes ${this.#host.bytesMax}`;
      this.#fetcher.giveUp(node, text, reason);
      return { tags: gossiped, isComplete: false };
    }
    this.#fetcher.want(node, digest, gossiped);
    if (isNew) this.#drop(node);
    const known = isNew ? undefined : held?.tags;
    return { tags: known === undefined ? gossiped : new Map([...known, ...gossiped]), isComplete: false };
  }

  /** It answers nobody any more; what it said stays to be shown. */
  onGone(node: string): void {
    this.#fetcher.forget(node);
  }

  forget(node: string): void {
    this.#fetcher.forget(node);
    this.#drop(node);
  }

  /** The answer to a peer that asks for a set; undefined when the message is no such question. */
  answer(bytes: Uint8Array, now: MonotonicMs): Uint8Array | undefined {
    const message = decodeTagSetMessage(bytes);
    if (message?.kind !== 'tagSetRequest') return undefined;
    const tags = this.#mayAnswer(now) ? this.#find(message) : undefined;
    if (tags !== undefined) this.#answered += 1;
    const set = tags === undefined ? undefined : encodeTags(tags);
    return encodeTagSetMessage({ kind: 'tagSetAnswer', digest: message.digest, set });
  }

  /** Asks for what is wanted and due. To be called at the end of every turn. */
  pump(now: MonotonicMs): void {
    this.#fetcher.pump(now);
  }

  nextDeadline(): MonotonicMs {
    return this.#fetcher.nextDeadline();
  }

  check(): void {
    this.#fetcher.check();
    let bytes = 0;
    for (const { digest } of this.#held.values()) bytes += digest.size;
    assert(bytes === this.#heldBytes, 'bytes of held sets are counted');
    assert(bytes <= this.#host.heldBytesMax, 'held sets keep their limit');
  }

  #readSelf(gossiped: ReadonlyMap<string, string>): TagReading {
    // Word of an earlier process of ours, until ours has replaced it.
    const isOurs = gossiped.get(TAG_SET) === this.#ownDigest?.text;
    return { tags: isOurs ? this.#own : gossiped, isComplete: isOurs };
  }

  #find({ node, digest }: TagSetRequest): ReadonlyMap<string, string> | undefined {
    if (node === this.#host.selfName) return digest === this.#ownDigest?.text ? this.#own : undefined;
    const held = this.#held.get(node);
    return held?.digest.text === digest ? held.tags : undefined;
  }

  #mayAnswer(now: MonotonicMs): boolean {
    if (now - this.#answersSince >= 1_000) {
      this.#answersSince = now;
      this.#answers = 0;
    }
    this.#answers += 1;
    return this.#answers <= ANSWERS_PER_SECOND;
  }

  #mayHold(node: string, size: number): boolean {
    return this.#heldBytes - (this.#held.get(node)?.digest.size ?? 0) + size <= this.#host.heldBytesMax;
  }

  /** Undefined when the set is taken; else what is wrong with it. */
  #accept(
    node: string,
    digest: TagDigest,
    carried: ReadonlyMap<string, string>,
    set: Uint8Array,
  ): { readonly problem: string; readonly isHostile: boolean } | undefined {
    const tags = verifyTagSet(set, digest, carried);
    if (typeof tags === 'string') return { problem: tags, isHostile: true };
    if (!this.#mayHold(node, digest.size)) return { problem: NO_ROOM, isHostile: false };
    this.#drop(node);
    this.#held.set(node, { digest, tags });
    this.#heldBytes += digest.size;
    this.#host.changed(node);
    return undefined;
  }

  #drop(node: string): void {
    this.#heldBytes -= this.#held.get(node)?.digest.size ?? 0;
    this.#held.delete(node);
  }
}
