/**
 * Which cluster this node belongs to: none yet, one it heard of in gossip, or one that its data directory is bound to. Sees
 * to founding, to joining, and to what happens when two clusters of one name meet (product.md, How a cluster starts).
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { ClusterId, MemberId, NodeId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { NodeKind } from '../model/node-state.ts';
import type { Founding } from './founding.ts';
import type { Neighbourhood, Peer } from './neighbourhood.ts';
import type { Replica } from './replica.ts';

/** A second cluster must be seen this long before anything is concluded: tags of a node that changes sides arrive late. */
const CONFLICT_PATIENCE_MS = 1_000;
const DESCRIBE_EVERY_MS = 500;
const REMIND_MS = 60_000;
const EVALUATE_MS = 100;

/** What is to be done; the cluster does it. */
export type AffiliationStep =
  | { readonly kind: 'found' }
  | { readonly kind: 'follow'; readonly clusterId: ClusterId }
  | { readonly kind: 'forget' }
  | { readonly kind: 'ask'; readonly member: MemberId }
  | { readonly kind: 'dissolve'; readonly into: ClusterId }
  | { readonly kind: 'conflict'; readonly theirs: ClusterId; readonly node: NodeId };

/** Another cluster of our name, which neither side gives way to. */
export interface Conflict {
  readonly theirs: ClusterId;
  readonly node: NodeId;
  readonly since: MonotonicMs;
}

export interface OtherCluster {
  readonly clusterId: ClusterId | undefined;
  readonly voters: number;
  readonly isEmpty: boolean;
}

export class Affiliation {
  readonly #founding: Founding;
  readonly #kind: NodeKind;
  /** The directory is bound to `clusterId`. */
  #isBound = false;
  #clusterId: ClusterId | undefined;
  #conflictSince: MonotonicMs | undefined;
  #askAt: MonotonicMs = 0;
  #remindAt: MonotonicMs = 0;
  #other: OtherCluster | undefined;
  /** Whose description is awaited. */
  #asked: MemberId | undefined;
  #conflict: Conflict | undefined;
  /** What this node has dissolved. Others may still name it for a while, and nobody goes back. */
  #abandoned: ClusterId | undefined;
  #nextAt: MonotonicMs = 0;

  constructor(founding: Founding, kind: NodeKind) {
    this.#founding = founding;
    this.#kind = kind;
  }

  get clusterId(): ClusterId | undefined {
    return this.#clusterId;
  }

  get conflict(): Conflict | undefined {
    return this.#conflict;
  }

  get isBound(): boolean {
    return this.#isBound;
  }

  nextDeadline(): MonotonicMs {
    return this.#nextAt;
  }

  hasten(now: MonotonicMs): void {
    this.#nextAt = now;
  }

  bind(clusterId: ClusterId): void {
    this.#clusterId = clusterId;
    this.#isBound = true;
  }

  follow(clusterId: ClusterId): void {
    this.#clusterId = clusterId;
  }

  /** The data of our cluster is set aside. */
  dissolved(): void {
    this.#abandoned = this.#clusterId;
    this.forget();
  }

  forget(): void {
    this.#clusterId = undefined;
    this.#isBound = false;
    this.#conflictSince = undefined;
    this.#conflict = undefined;
    this.#other = undefined;
  }

  onDescription(from: MemberId, other: OtherCluster, now: MonotonicMs): void {
    if (from !== this.#asked) return;
    this.#asked = undefined;
    this.#other = other;
    this.hasten(now);
  }

  /** At most one thing to do now. */
  evaluate(
    self: MemberId,
    neighbourhood: Neighbourhood,
    replica: Replica,
    now: MonotonicMs,
  ): AffiliationStep | undefined {
    if (now < this.#nextAt) return undefined;
    this.#nextAt = now + EVALUATE_MS;
    const others = neighbourhood.alive().filter((peer) => peer.member !== self);
    if (this.#clusterId === undefined) return this.#decide(self, others, neighbourhood, now);
    const strangers = others.filter((peer) => peer.clusterId !== undefined && peer.clusterId !== this.#clusterId);
    const isLeft = !this.#isBound && hasDissolved(replica.configuration.voters, neighbourhood, this.#clusterId);
    if (strangers.length === 0 && !isLeft) {
      this.#conflictSince = undefined;
      this.#conflict = undefined;
      this.#other = undefined;
      // Nothing to watch for: the next change of members hastens us.
      this.#nextAt = this.#isBound || this.#kind === 'non-member' ? Number.POSITIVE_INFINITY : now + 1_000;
      return undefined;
    }
    if (isLeft) this.#abandoned = this.#clusterId;
    if (!this.#isBound) return this.#reconsider(others, isLeft);
    return this.#onConflict(self, strangers, neighbourhood, replica, now);
  }

  #decide(
    self: MemberId,
    others: readonly Peer[],
    neighbourhood: Neighbourhood,
    now: MonotonicMs,
  ): AffiliationStep | undefined {
    const decided = mostPeopled(others.filter(({ clusterId }) => clusterId !== this.#abandoned));
    if (decided !== undefined) return { kind: 'follow', clusterId: decided };
    if (others.some(({ clusterId }) => clusterId !== undefined)) return undefined;
    if (this.#kind !== 'voter' || !this.#founding.mayFound) return undefined;
    const undecided = others.filter((peer) => peer.kind === 'voter').map((peer) => peer.node);
    const facts = {
      self: nodeIdOf(self),
      undecided: [...undecided, nodeIdOf(self)],
      isSearched: neighbourhood.isSearched,
    };
    return this.#founding.evaluate(facts, now) ? { kind: 'found' } : undefined;
  }

  /** Bound to nothing: when our cluster is no more, go where the others are. Who else follows it may not have noticed yet. */
  #reconsider(others: readonly Peer[], isLeft: boolean): AffiliationStep | undefined {
    const isPeopled = others.some((peer) => peer.clusterId === this.#clusterId);
    return isPeopled && !isLeft ? undefined : { kind: 'forget' };
  }

  #onConflict(
    self: MemberId,
    strangers: readonly Peer[],
    neighbourhood: Neighbourhood,
    replica: Replica,
    now: MonotonicMs,
  ): AffiliationStep | undefined {
    this.#conflictSince ??= now;
    if (now - this.#conflictSince < CONFLICT_PATIENCE_MS) return undefined;
    const stranger = strangers[0] as Peer;
    const theirs = stranger.clusterId as ClusterId;
    const { voters } = replica.configuration;
    if (!voters.includes(self)) {
      if (hasDissolved(voters, neighbourhood, this.#clusterId)) return { kind: 'dissolve', into: theirs };
      return this.#remind(theirs, stranger.node, now);
    }
    // Somebody's keys would be lost with the data.
    if (voters.length > 1 || !replica.state.kv.isUntouched) return this.#remind(theirs, stranger.node, now);
    const other = this.#other;
    if (other === undefined || other.clusterId !== theirs) return this.#ask(stranger, now);
    // An empty single-voter cluster gives way; of two such, the one with the larger id.
    const bothEmpty = other.voters <= 1 && other.isEmpty;
    if (!bothEmpty || (this.#clusterId as ClusterId) > theirs) return { kind: 'dissolve', into: theirs };
    // It is theirs to give way; when it has grown meanwhile, it is ours.
    return this.#ask(stranger, now);
  }

  #ask({ member }: Peer, now: MonotonicMs): AffiliationStep | undefined {
    if (now < this.#askAt) return undefined;
    this.#askAt = now + DESCRIBE_EVERY_MS;
    this.#asked = member;
    return { kind: 'ask', member };
  }

  #remind(theirs: ClusterId, node: NodeId, now: MonotonicMs): AffiliationStep | undefined {
    this.#conflict = { theirs, node, since: this.#conflict?.since ?? now };
    if (now < this.#remindAt) return undefined;
    this.#remindAt = now + REMIND_MS;
    return { kind: 'conflict', theirs, node };
  }
}

/** The cluster that most of them are of; of equals the smallest id. */
function mostPeopled(peers: readonly Peer[]): ClusterId | undefined {
  const counts = new Map<ClusterId, number>();
  for (const { clusterId } of peers)
    if (clusterId !== undefined) counts.set(clusterId, (counts.get(clusterId) ?? 0) + 1);
  let found: ClusterId | undefined;
  for (const [clusterId, count] of counts) {
    const best = found === undefined ? 0 : (counts.get(found) ?? 0);
    if (found === undefined || count > best || (count === best && clusterId < found)) found = clusterId;
  }
  return found;
}

/** Every voter of the configuration that we hold lives on in another cluster: ours is no more. */
function hasDissolved(voters: readonly MemberId[], neighbourhood: Neighbourhood, ours: ClusterId | undefined): boolean {
  if (voters.length === 0) return false;
  return voters.every((voter) => {
    const peer = neighbourhood.peer(nodeIdOf(voter));
    return peer?.isAlive === true && peer.member !== voter && peer.clusterId !== ours;
  });
}
