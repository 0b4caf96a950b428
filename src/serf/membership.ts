/**
 * What Serf remembers of each member, and the rules by which intents and gossip change it. wire-gossip.md 14.
 *
 *          join                leave intent            gone
 *   (none) ----> alive  ---------------------> leaving ----> left
 *                  |  <--------------------- join intent      ^
 *                  | gone                                     | leave intent
 *                  +--------> failed -------------------------+
 *
 * A member that joins again is alive, whatever it was. A member's status time is the Lamport time of the last intent about it:
 * older intents change nothing.
 */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type Random, randomBelow } from '../base/random.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { Member, MemberStatus } from '../model/member.ts';
import type { SwimMember } from '../swim/messages.ts';
import { hostOfAddress } from '../wire/memberlist/address.ts';
import { decodeTags } from '../wire/serf/tags.ts';
import type { SerfConfig } from './config.ts';
import { IntentBuffer } from './intent-buffer.ts';
import { LamportClock } from './lamport-clock.ts';
import type { SerfEvent } from './messages.ts';
import type { TagDesk } from './tag-desk.ts';

/** One member as Serf holds it. */
export interface MemberRecord {
  readonly name: string;
  status: MemberStatus;
  /** Lamport time of the last intent that counted. */
  statusTime: number;
  address: Endpoint;
  addressBytes: Uint8Array;
  tags: ReadonlyMap<string, string>;
  /** Those of them that gossip carries, `fn.tags` included. */
  gossipedTags: ReadonlyMap<string, string>;
  tagsComplete: boolean;
  versions: readonly number[];
  /** Since when it has been present without a break. */
  presentSince: MonotonicMs;
  /** When it failed or left; meaningless while present. */
  goneAt: MonotonicMs;
  /** When a packet last came from its address; -Infinity for never. */
  heardAt: MonotonicMs;
  /** It is gone, but its latest intent says that it joins: gossip has not brought it yet. */
  isReturning: boolean;
  /** To be forgotten as soon as it is gone: a leave intent asked for it, and the member has not objected. */
  isDoomed: boolean;
  /** The public value; made when asked for, dropped at every change. */
  view: Member | undefined;
}

export interface LeaveIntentNews {
  readonly node: string;
  readonly lamportTime: number;
  readonly prune: boolean;
}

/** Who knows more of a member's tags than gossip says. */
export type TagReader = Pick<TagDesk, 'read' | 'onGone' | 'forget'>;

const NO_TAGS: ReadonlyMap<string, string> = new Map();

export class Membership {
  readonly clock: LamportClock = new LamportClock();
  readonly #config: SerfConfig;
  readonly #tags: TagReader;
  readonly #notify: (event: SerfEvent) => void;
  readonly #records: Map<string, MemberRecord> = new Map();
  /** Of present members: who sends from `host:port`. */
  readonly #byAddress: Map<string, MemberRecord> = new Map();
  readonly #intents: IntentBuffer;
  #list: readonly Member[] | undefined;

  constructor(config: SerfConfig, tags: TagReader, notify: (event: SerfEvent) => void) {
    this.#config = config;
    this.#tags = tags;
    this.#notify = notify;
    this.#intents = new IntentBuffer(config.recentIntentsMax);
  }

  /** Members of every status. */
  get count(): number {
    return this.#records.size;
  }

  get bufferedIntents(): number {
    return this.#intents.size;
  }

  get(name: string): MemberRecord | undefined {
    return this.#records.get(name);
  }

  records(): IterableIterator<MemberRecord> {
    return this.#records.values();
  }

  withStatus(status: MemberStatus): MemberRecord[] {
    return [...this.#records.values()].filter((record) => record.status === status);
  }

  /** The present member that sends and receives at `address`. */
  at(address: Endpoint): MemberRecord | undefined {
    return this.#byAddress.get(formatEndpoint(address));
  }

  /** The same by the bytes of an IP, plain or IPv4-mapped. */
  atBytes(addressBytes: Uint8Array, port: number): MemberRecord | undefined {
    const host = hostOfAddress(addressBytes);
    return host === undefined ? undefined : this.at({ host, port });
  }

  view(record: MemberRecord): Member {
    record.view ??= {
      name: record.name,
      address: record.address,
      status: record.status,
      tags: record.tags,
      tagsComplete: record.tagsComplete,
      versions: record.versions,
    };
    return record.view;
  }

  /** All members, in the order they were first seen. The same array until something changes. */
  list(): readonly Member[] {
    this.#list ??= [...this.#records.values()].map((record) => this.view(record));
    return this.#list;
  }

  /** Gossip says that the member is there. */
  onJoined(member: SwimMember, now: MonotonicMs): void {
    const held = this.#records.get(member.name);
    const record = held ?? this.#create(member.name, now);
    const isBack = held === undefined || !isPresent(held);
    if (held === undefined) this.#applyBufferedIntent(record);
    else {
      if (isBack) held.presentSince = now;
      held.status = 'alive';
      held.isReturning = false;
      held.isDoomed = false;
    }
    this.#adopt(record, member, isBack);
    this.#tell('memberJoined', record);
  }

  onUpdated(member: SwimMember): void {
    const record = this.#records.get(member.name);
    if (record === undefined) return;
    this.#adopt(record, member, false);
    this.#tell('memberUpdated', record);
  }

  /** More is known of a member's tags than gossip says. */
  onTags(name: string): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    this.#readTags(record, false);
    if (isPresent(record)) this.#tell('memberUpdated', record);
    else this.#changed(record);
  }

  /**
   * Gossip says that the member is gone. It left when its intent says so, or when it took leave of gossip itself (`hasSaidSo`), though the
   * intent may have missed us; else it failed.
   */
  onGone(name: string, hasSaidSo: boolean, now: MonotonicMs): void {
    const record = this.#records.get(name);
    if (record === undefined || !isPresent(record)) return;
    record.status = record.status === 'leaving' || hasSaidSo ? 'left' : 'failed';
    record.goneAt = now;
    this.#dropAddress(record);
    this.#tags.onGone(name);
    this.#tell(record.status === 'left' ? 'memberLeft' : 'memberFailed', record);
    if (record.isDoomed) this.#erase(record);
  }

  /** Answers whether the intent is news, to be spread further. */
  onJoinIntent(node: string, lamportTime: number, now: MonotonicMs): boolean {
    this.clock.witness(lamportTime);
    const record = this.#records.get(node);
    if (record === undefined) return this.#intents.offer(node, { kind: 'join', lamportTime, at: now });
    if (lamportTime <= record.statusTime) return false;
    record.statusTime = lamportTime;
    if (record.status === 'leaving') {
      this.#setStatus(record, 'alive');
      record.isDoomed = false;
    }
    record.isReturning = !isPresent(record);
    return true;
  }

  /**
   * Answers `news` when the intent is to be spread further, and `refute` when it is about ourselves, who are staying:
   * `isStaying` says so.
   */
  onLeaveIntent(intent: LeaveIntentNews, isStaying: boolean, now: MonotonicMs): 'news' | 'old' | 'refute' {
    const { node, lamportTime } = intent;
    this.clock.witness(lamportTime);
    const record = this.#records.get(node);
    if (record === undefined) {
      return this.#intents.offer(node, { kind: 'leave', lamportTime, at: now }) ? 'news' : 'old';
    }
    if (lamportTime <= record.statusTime) return 'old';
    if (isStaying) return 'refute';
    record.statusTime = lamportTime;
    record.isReturning = false;
    if (record.status === 'alive') this.#setStatus(record, 'leaving');
    else if (record.status === 'failed') {
      this.#setStatus(record, 'left');
      this.#tell('memberLeft', record);
    }
    if (intent.prune) {
      if (isPresent(record)) record.isDoomed = true;
      else this.#erase(record);
    }
    return 'news';
  }

  /** A packet came from this address. */
  heardFrom(address: Endpoint, now: MonotonicMs): void {
    const record = this.at(address);
    if (record !== undefined) record.heardAt = now;
  }

  /** Forgets members and intents whose time is up. wire-gossip.md 14.6. */
  reap(now: MonotonicMs): void {
    for (const record of [...this.#records.values()]) {
      if (isPresent(record)) continue;
      const timeoutMs = record.status === 'failed' ? this.#config.reconnectTimeoutMs : this.#config.tombstoneTimeoutMs;
      if (now - record.goneAt > timeoutMs) this.#erase(record);
    }
    this.#intents.forgetBefore(now - this.#config.recentIntentTimeoutMs);
  }

  /** A failed member to be dialled, now and then: the more likely, the more have failed. */
  drawFailed(random: Random): Endpoint | undefined {
    const failed = this.withStatus('failed');
    const present = this.count - failed.length - this.withStatus('left').length;
    if (failed.length === 0 || random.next() > failed.length / Math.max(1, present)) return undefined;
    return failed[randomBelow(random, failed.length)]?.address;
  }

  checkPresence(members: readonly SwimMember[]): void {
    let present = 0;
    for (const { name, state } of members) {
      if (state !== 'alive' && state !== 'suspect') continue;
      present += 1;
      const record = this.#records.get(name);
      assert(record !== undefined && isPresent(record), 'whoever is present for SWIM has a record that says so');
    }
    const recorded = [...this.#records.values()].filter(isPresent).length;
    assert(recorded === present, 'whoever is recorded as present is so for SWIM');
  }

  check(): void {
    this.#intents.check();
    assert(this.#records.size <= this.#config.membersMax, 'the member table keeps its limit');
    let present = 0;
    for (const [name, record] of this.#records) {
      assert(record.name === name, 'a member is found under its name');
      assert(record.status !== 'none', 'a known member has a status');
      assert(this.clock.time > record.statusTime, 'the clock is later than every intent it has seen');
      if (isPresent(record)) present += 1;
    }
    assert(this.#byAddress.size <= present, 'only present members are found by address');
  }

  #create(name: string, now: MonotonicMs): MemberRecord {
    if (this.#records.size >= this.#config.membersMax) this.#makeRoom();
    const record: MemberRecord = {
      name,
      status: 'alive',
      statusTime: 0,
      address: { host: '', port: 0 },
      addressBytes: new Uint8Array(0),
      tags: NO_TAGS,
      gossipedTags: NO_TAGS,
      tagsComplete: true,
      versions: [],
      presentSince: now,
      goneAt: now,
      heardAt: Number.NEGATIVE_INFINITY,
      isReturning: false,
      isDoomed: false,
      view: undefined,
    };
    this.#records.set(name, record);
    return record;
  }

  #applyBufferedIntent(record: MemberRecord): void {
    const intent = this.#intents.get(record.name);
    if (intent === undefined) return;
    record.statusTime = intent.lamportTime;
    if (intent.kind === 'leave') record.status = 'leaving';
  }

  #adopt(record: MemberRecord, member: SwimMember, isBack: boolean): void {
    this.#dropAddress(record);
    record.address = member.address;
    record.addressBytes = member.addressBytes;
    // Tags that cannot be read are none, as real agents have it; gossip keeps the bytes.
    record.gossipedTags = decodeTags(member.meta) ?? NO_TAGS;
    this.#readTags(record, isBack);
    record.versions = [...member.versions];
    this.#byAddress.set(formatEndpoint(record.address), record);
    this.#changed(record);
  }

  #readTags(record: MemberRecord, isBack: boolean): void {
    const { tags, isComplete } = this.#tags.read(record.name, record.gossipedTags, isBack);
    record.tags = tags;
    record.tagsComplete = isComplete;
  }

  #setStatus(record: MemberRecord, status: MemberStatus): void {
    record.status = status;
    this.#changed(record);
  }

  #changed(record: MemberRecord): void {
    record.view = undefined;
    this.#list = undefined;
  }

  #tell(
    kind: 'memberJoined' | 'memberLeft' | 'memberFailed' | 'memberUpdated' | 'memberReaped',
    record: MemberRecord,
  ): void {
    this.#changed(record);
    this.#notify({ kind, member: this.view(record) });
  }

  #erase(record: MemberRecord): void {
    this.#dropAddress(record);
    this.#records.delete(record.name);
    this.#tags.forget(record.name);
    this.#tell('memberReaped', record);
  }

  #dropAddress(record: MemberRecord): void {
    const key = formatEndpoint(record.address);
    if (this.#byAddress.get(key) === record) this.#byAddress.delete(key);
  }

  /** A member that left is missed less than one that failed, and among equals the one that is gone for longest. */
  #makeRoom(): void {
    let victim: MemberRecord | undefined;
    for (const record of this.#records.values()) {
      if (isPresent(record)) continue;
      if (victim === undefined || rank(record) < rank(victim)) victim = record;
      else if (rank(record) === rank(victim) && record.goneAt < victim.goneAt) victim = record;
    }
    assert(victim !== undefined, 'there are more records than members present');
    this.#erase(victim);
  }
}

/** Whether gossip holds the member alive: leaving members are still there. */
export function isPresent(record: MemberRecord): boolean {
  return record.status === 'alive' || record.status === 'leaving';
}

function rank(record: MemberRecord): number {
  return record.status === 'left' ? 0 : 1;
}
