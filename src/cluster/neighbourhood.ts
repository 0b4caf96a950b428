/**
 * Who is around: reads Serf's members as nodes of a cluster, keeps this node's own tags, and sees to it that gossip is
 * joined and stays joined.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { formatEndpoint, parseEndpoint, sameEndpoint } from '../model/endpoint.ts';
import type { ClusterId, MemberId, NodeId } from '../model/ids.ts';
import { isClusterId, isNodeId, isStamp, memberId, nodeIdOf } from '../model/ids.ts';
import type { Member } from '../model/member.ts';
import type { NodeKind } from '../model/node-state.ts';
import {
  TAG_AILMENT,
  TAG_CLUSTER_ID,
  TAG_EP_LIVENESS,
  TAG_EP_RAFT,
  TAG_PRIORITY,
  TAG_ROLE,
  TAG_SERVICE_NAME,
  TAG_STAMP,
  TAG_STORAGE,
  TAG_WEIGHT,
  TAG_ZONE,
} from '../model/tags.ts';
import { NODE_WEIGHT_MAX, NODE_WEIGHT_MIN } from '../model/shard-settings.ts';
import type { Serf } from '../serf/serf.ts';
import type { NodeTraits } from '../sharding/messages.ts';

/** Addresses that others told us of and that are not members yet. */
const FOUND_MAX = 256;
/** A found address that does not answer is tried again after this, doubled each time up to the longest. */
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 15_000;
/** A failed cluster member is asked to join again this often, one at a time: a healed split is one gossip ring again at once. */
const REJOIN_MS = 1_000;

/** Of either sign. */
export const LEADER_PRIORITY_MAX = 100;
/** Gossip tables are compared with somebody at most this often when one of them must be old. */
const COMPARE_MS = 1_000;

/** A gossip member that is a funknode of our cluster's name. */
export interface Peer {
  readonly node: NodeId;
  readonly member: MemberId;
  readonly kind: NodeKind;
  readonly clusterId: ClusterId | undefined;
  readonly raft: Endpoint;
  readonly liveness: Endpoint | undefined;
  readonly isAlive: boolean;
  /** Its disk has no room for the log, or something ails it: it should not lead. */
  readonly isUnfit: boolean;
  /** How much its operator wants it to lead: {@link LEADER_PRIORITY_MAX} at most, as far below 0 at least. */
  readonly priority: number;
}

interface Found {
  readonly endpoint: Endpoint;
  isTrying: boolean;
  retryMs: number;
  nextAt: MonotonicMs;
}

export class Neighbourhood {
  readonly #serf: Serf;
  readonly #random: Random;
  readonly #self: NodeId;
  readonly #clusterName: string;
  readonly #tags: Map<string, string> = new Map();
  readonly #found: Map<string, Found> = new Map();
  #peers: Peer[] | undefined;
  #traits: ReadonlyMap<NodeId, NodeTraits> | undefined;
  #isSearched = false;
  #rejoinAt: MonotonicMs = 0;
  #isTableOld = false;
  #compareAt: MonotonicMs = 0;

  constructor(serf: Serf, own: { self: NodeId; clusterName: string }, random: Random) {
    this.#serf = serf;
    this.#self = own.self;
    this.#clusterName = own.clusterName;
    this.#random = random;
  }

  /** Call when Serf reported any change of members. */
  membersChanged(): void {
    this.#peers = undefined;
    this.#traits = undefined;
  }

  /** Nodes of our cluster's name that Serf knows, dead ones included, ourselves included; sorted by id. */
  peers(): readonly Peer[] {
    this.#peers ??= this.#serf
      .members()
      .map((member) => this.#peerOf(member))
      .filter((peer) => peer !== undefined)
      .sort((a, b) => (a.node < b.node ? -1 : 1));
    return this.#peers;
  }

  alive(): readonly Peer[] {
    return this.peers().filter((peer) => peer.isAlive);
  }

  peer(node: NodeId): Peer | undefined {
    return this.peers().find((peer) => peer.node === node);
  }

  /** Those who should not lead. */
  unfit(): MemberId[] {
    return this.peers()
      .filter((peer) => peer.isUnfit)
      .map((peer) => peer.member);
  }

  /** Where a Raft member is reached; undefined when gossip does not know it under that stamp. */
  raftEndpoint(member: MemberId): Endpoint | undefined {
    const peer = this.peer(nodeIdOf(member));
    return peer?.member === member ? peer.raft : undefined;
  }

  /** Whom a node outside the group may follow: the voters it knows of, and whoever could be one. */
  votersOf(clusterId: ClusterId | undefined, voters: readonly MemberId[]): { known: MemberId[]; possible: MemberId[] } {
    // The tag of one that has just joined may not have come round yet: whoever is of no other cluster may be of ours.
    const isOurs = (peer: Peer): boolean => peer.clusterId === clusterId || peer.clusterId === undefined;
    const all = this.peers().filter((peer) => peer.kind === 'voter' && isOurs(peer) && peer.node !== this.#self);
    const alive = all.filter((peer) => peer.isAlive);
    // Gossip may be cut where the way to the voters is not: whether one of them answers is then asked of themselves.
    const likely = alive.length > 0 ? alive : all.filter(({ member }) => !this.hasLeft(member));
    const members = likely.map((peer) => peer.member);
    return { known: members.filter((member) => voters.includes(member)), possible: members };
  }

  /** Who may come to own shards of that cluster: its nodes, and those that are of none yet; ourselves included. */
  gathering(clusterId: ClusterId | undefined): NodeId[] {
    return this.alive()
      .filter((peer) => peer.kind !== 'non-member' && (peer.clusterId ?? clusterId) === clusterId)
      .map((peer) => peer.node);
  }

  /** What the nodes say of themselves that bears on the spread of shards, dead ones included; the same object until it may be different. */
  traits(): ReadonlyMap<NodeId, NodeTraits> {
    this.#traits ??= new Map(
      this.peers().map(({ node }) => {
        const tags = this.#serf.member(node)?.tags;
        const said = Number(tags?.get(TAG_WEIGHT) ?? 1);
        const weight = said >= NODE_WEIGHT_MIN && said <= NODE_WEIGHT_MAX ? said : 1;
        return [node, { weight, zone: tags?.get(TAG_ZONE) ?? '' }];
      }),
    );
    return this.#traits;
  }

  /** Gossip addresses of nodes that are likely to be there after a restart of ours. */
  addressesToRemember(): Endpoint[] {
    return this.alive()
      .filter((peer) => peer.node !== this.#self && peer.kind !== 'non-member')
      .map((peer) => this.#serf.member(peer.node)?.address)
      .filter((address) => address !== undefined);
  }

  /** It left gossip in order. */
  hasLeft(member: MemberId): boolean {
    const node = nodeIdOf(member);
    return this.peer(node)?.member === member && this.#serf.member(node)?.status === 'left';
  }

  /** It has told gossip that it goes. */
  isLeaving(node: NodeId): boolean {
    return this.#serf.member(node)?.status === 'leaving';
  }

  get tags(): ReadonlyMap<string, string> {
    return this.#tags;
  }

  /** What the tags would be after `changes`. */
  tagsWith(changes: ReadonlyMap<string, string | undefined>): Map<string, string> {
    const tags = new Map(this.#tags);
    for (const [name, value] of changes) {
      if (value === undefined) tags.delete(name);
      else tags.set(name, value);
    }
    return tags;
  }

  /** Remembers new tags; the caller hands them to Serf. False when nothing changes. */
  setTags(tags: ReadonlyMap<string, string>): boolean {
    const isSame = tags.size === this.#tags.size && [...tags].every(([name, value]) => this.#tags.get(name) === value);
    if (isSame) return false;
    this.#tags.clear();
    for (const [name, value] of tags) this.#tags.set(name, value);
    return true;
  }

  // Finding others.

  onDiscovered(gossip: readonly Endpoint[], searched: boolean, now: MonotonicMs): void {
    this.#isSearched ||= searched;
    for (const endpoint of gossip) {
      const key = formatEndpoint(endpoint);
      if (this.#found.has(key)) continue;
      if (this.#found.size >= FOUND_MAX) this.#forgetLeastLikely();
      this.#found.set(key, { endpoint, isTrying: false, retryMs: RETRY_MIN_MS, nextAt: now });
    }
  }

  /** The search has run its time and nobody that it found is still to be asked for the first time. */
  get isSearched(): boolean {
    if (!this.#isSearched) return false;
    for (const found of this.#found.values())
      if (found.retryMs === RETRY_MIN_MS && !this.#isMember(found)) return false;
    return true;
  }

  /** The next address to push/pull with, if one is due. */
  nextJoin(now: MonotonicMs): Endpoint | undefined {
    for (const [key, found] of this.#found) {
      if (this.#isMember(found)) {
        this.#found.delete(key);
        continue;
      }
      if (found.isTrying || now < found.nextAt) continue;
      found.isTrying = true;
      return found.endpoint;
    }
    return this.#nextCompare(now) ?? this.#nextRejoin(now);
  }

  /**
   * A member speaks to us that gossip calls gone or does not know: its coming was told while we could not hear, and without us asking
   * it would stay unanswered until the next push/pull.
   */
  onHeardFrom(member: MemberId, now: MonotonicMs): void {
    const peer = this.peer(nodeIdOf(member));
    if (peer?.member === member && peer.isAlive) return;
    if (this.#isTableOld) return;
    this.#isTableOld = true;
    this.#compareAt = Math.max(this.#compareAt, now);
  }

  onJoinEnded(endpoint: Endpoint, now: MonotonicMs): void {
    const found = this.#found.get(formatEndpoint(endpoint));
    if (found === undefined) return;
    found.isTrying = false;
    found.retryMs = Math.min(found.retryMs * 2, RETRY_MAX_MS);
    found.nextAt = now + found.retryMs;
  }

  nextDeadline(): MonotonicMs {
    let next = this.#hasFailed() ? this.#rejoinAt : Number.POSITIVE_INFINITY;
    if (this.#isTableOld) next = Math.min(next, this.#compareAt);
    for (const found of this.#found.values()) if (!found.isTrying) next = Math.min(next, found.nextAt);
    return next;
  }

  #nextCompare(now: MonotonicMs): Endpoint | undefined {
    if (!this.#isTableOld || now < this.#compareAt) return undefined;
    this.#isTableOld = false;
    this.#compareAt = now + COMPARE_MS;
    const addresses = this.addressesToRemember();
    return addresses[randomBelow(this.#random, addresses.length)];
  }

  #nextRejoin(now: MonotonicMs): Endpoint | undefined {
    if (now < this.#rejoinAt || !this.#hasFailed()) return undefined;
    const failed = this.#serf
      .members()
      .filter((member) => member.status === 'failed' && this.#peerOf(member) !== undefined);
    if (failed.length === 0) return undefined;
    this.#rejoinAt = now + REJOIN_MS * (0.75 + this.#random.next() / 2);
    return failed[randomBelow(this.#random, failed.length)]?.address;
  }

  #hasFailed(): boolean {
    return this.peers().some((peer) => !peer.isAlive && this.#serf.member(peer.node)?.status === 'failed');
  }

  /** The address that has been asked in vain for longest makes room: addresses change, and those of the past never answer. */
  #forgetLeastLikely(): void {
    let least: [key: string, retryMs: number] | undefined;
    for (const [key, { retryMs }] of this.#found) if (least === undefined || retryMs > least[1]) least = [key, retryMs];
    if (least !== undefined) this.#found.delete(least[0]);
  }

  #isMember(found: Found): boolean {
    return this.#serf.members().some((member) => isPresent(member) && sameEndpoint(member.address, found.endpoint));
  }

  #peerOf(member: Member): Peer | undefined {
    if (!isNodeId(member.name) || member.tags.get(TAG_SERVICE_NAME) !== this.#clusterName) return undefined;
    const raft = parseEndpoint(member.tags.get(TAG_EP_RAFT) ?? '');
    const stamp = member.tags.get(TAG_STAMP) ?? '';
    const kind = kindOf(member.tags.get(TAG_ROLE));
    if (raft === undefined || !isStamp(stamp) || kind === undefined) return undefined;
    const clusterId = member.tags.get(TAG_CLUSTER_ID);
    return {
      node: member.name,
      member: memberId(member.name, stamp),
      kind,
      clusterId: clusterId !== undefined && isClusterId(clusterId) ? clusterId : undefined,
      raft,
      liveness: parseEndpoint(member.tags.get(TAG_EP_LIVENESS) ?? ''),
      isAlive: isPresent(member) || member.name === this.#self,
      isUnfit: member.tags.has(TAG_STORAGE) || member.tags.has(TAG_AILMENT),
      priority: priorityOf(member.tags.get(TAG_PRIORITY)),
    };
  }
}

/** Who is refused at gossip join: nodes of a cluster of another name. Plain Serf agents and seeds are welcome. */
export function mergeFilterFor(clusterName: string): (tags: ReadonlyMap<string, string>) => string | undefined {
  return (tags) => {
    const name = tags.get(TAG_SERVICE_NAME);
    if (!tags.has(TAG_EP_RAFT) || name === undefined || name === clusterName) return undefined;
    return `it is of cluster "${name}", not "${clusterName}"`;
  };
}

function isPresent(member: Member): boolean {
  return member.status === 'alive' || member.status === 'leaving';
}

/** What cannot be one counts as 0: tags come from anybody. */
function priorityOf(text: string | undefined): number {
  const priority = /^-?\d{1,3}$/.test(text ?? '') ? Number(text) : 0;
  return Math.abs(priority) <= LEADER_PRIORITY_MAX ? priority : 0;
}

function kindOf(text: string | undefined): NodeKind | undefined {
  return text === 'voter' || text === 'non-voter' || text === 'non-member' ? text : undefined;
}
