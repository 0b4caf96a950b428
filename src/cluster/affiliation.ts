/**
 * Which cluster this node belongs to: none yet, one it heard of in gossip, or one that its data directory is bound to. Sees
 * to founding, to joining, and to what happens when two clusters of one name meet (product.md, How a cluster starts).
 */
import type { MonotonicMs } from '../base/machine.ts';
import { type Dissolution, DISSOLUTIONS_MAX } from '../model/dissolution.ts';
import type { ClusterId, MemberId, NodeId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { NodeKind } from '../model/node-state.ts';
import type { ClusterConfig } from './config.ts';
import type { Founding } from './founding.ts';
import type { Neighbourhood, Peer } from './neighbourhood.ts';
import type { Replica } from './replica.ts';

/** A second cluster must be seen this long before anything is concluded: tags of a node that changes sides arrive late. */
const CONFLICT_PATIENCE_MS = 1_000;
/** Who was taken in has the log by then, if its leader lives. */
const EMPTY_HANDED_PATIENCE_MS = 5_000;
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
  /** A voter of our cluster, as it was, lives on elsewhere: it may have dissolved it. */
  | { readonly kind: 'askFormer'; readonly member: MemberId }
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
  /** By members that this node was. */
  readonly #dissolutions: Dissolution[];
  /** What this node followed when it ran last. Its voters may only be late: nobody founds a second one beside it. */
  readonly #followed: ClusterId | undefined;
  /** The only voter of our cluster, by its own word: it has given it up. */
  #givenUpBy: MemberId | undefined;
  #askFormerAt: MonotonicMs = 0;
  #askedFormer: MemberId | undefined;
  #nextAt: MonotonicMs = 0;

  constructor(
    founding: Founding,
    kind: NodeKind,
    { dissolutions = [], followed }: Pick<ClusterConfig, 'dissolutions' | 'followed'> = {},
  ) {
    this.#founding = founding;
    this.#kind = kind;
    this.#dissolutions = [...dissolutions];
    this.#followed = followed;
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

  /** The cluster that an earlier run followed, and whose return this node awaits instead of founding another. */
  get awaited(): ClusterId | undefined {
    const followed = this.#followed;
    const isMoot = this.#clusterId !== undefined || this.#founding.isBootstrap;
    return isMoot || followed === undefined || this.#isBehindUs(followed) ? undefined : followed;
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

  /** The data of our cluster is set aside; `dissolution` when it was ours to dissolve. */
  dissolved(dissolution?: Dissolution): void {
    this.#abandoned = this.#clusterId;
    if (dissolution !== undefined) this.#dissolutions.push(dissolution);
    if (this.#dissolutions.length > DISSOLUTIONS_MAX) this.#dissolutions.shift();
    this.forget();
  }

  forget(): void {
    this.#clusterId = undefined;
    this.#isBound = false;
    this.#conflictSince = undefined;
    this.#conflict = undefined;
    this.#other = undefined;
    this.#givenUpBy = undefined;
  }

  dissolutionOf(clusterId: ClusterId): Dissolution | undefined {
    return this.#dissolutions.findLast((dissolution) => dissolution.clusterId === clusterId);
  }

  /** A node says as whom it gave up a cluster as its only voter: a word that counts from that node alone. */
  onDissolution(from: MemberId, { clusterId, member }: Dissolution, now: MonotonicMs): void {
    if (from !== this.#askedFormer || clusterId !== this.#clusterId || nodeIdOf(member) !== nodeIdOf(from)) return;
    this.#givenUpBy = member;
    this.hasten(now);
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
    const decided = mostPeopled(
      others.filter(({ clusterId }) => clusterId !== undefined && !this.#isBehindUs(clusterId)),
    );
    if (decided !== undefined) return { kind: 'follow', clusterId: decided };
    if (others.some(({ clusterId }) => clusterId !== undefined)) return undefined;
    if (this.#kind !== 'voter' || !this.#founding.mayFound || this.awaited !== undefined) return undefined;
    const undecided = others.filter((peer) => peer.kind === 'voter').map((peer) => peer.node);
    const facts = {
      self: nodeIdOf(self),
      undecided: [...undecided, nodeIdOf(self)],
      isSearched: neighbourhood.isSearched,
    };
    return this.#founding.evaluate(facts, now) ? { kind: 'found' } : undefined;
  }

  /** Nobody goes back to what it has left, nor to what it gave up before it was started again. */
  #isBehindUs(clusterId: ClusterId): boolean {
    return clusterId === this.#abandoned || this.dissolutionOf(clusterId) !== undefined;
  }

  /** Bound to nothing: when our cluster is no more, go where the others are. Who else follows it may not have noticed yet. */
  #reconsider(others: readonly Peer[], isLeft: boolean): AffiliationStep | undefined {
    // Whoever cannot vote only follows as we do: two of them would keep each other waiting for ever.
    const isPeopled = others.some((peer) => peer.clusterId === this.#clusterId && peer.kind === 'voter');
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
    const { voters, votersOutgoing } = replica.configuration;
    const named = [...voters, ...votersOutgoing];
    // A configuration that has not been committed may name others beside the only voter there was.
    if (this.#givenUpBy !== undefined && named.includes(this.#givenUpBy)) return { kind: 'dissolve', into: theirs };
    if (!voters.includes(self) && hasDissolved(voters, neighbourhood, this.#clusterId))
      return { kind: 'dissolve', into: theirs };
    // Taken in, and never given an entry: it has promised nothing, and whoever took it in may have dissolved the cluster since.
    const isEmptyHanded = replica.raft?.lastIndex === 0;
    if (isEmptyHanded && now - this.#conflictSince >= EMPTY_HANDED_PATIENCE_MS)
      return { kind: 'dissolve', into: theirs };
    if (!isOnlyVoter(replica.configuration, self))
      return this.#askFormer(named, neighbourhood, now) ?? this.#remind(theirs, stranger.node, now);
    // Somebody's keys would be lost with the data, and what is not applied yet may hold some.
    const isUnread = (replica.raft?.lastIndex ?? 0) > replica.state.appliedIndex;
    if (isUnread || !replica.state.kv.isUntouched) return this.#remind(theirs, stranger.node, now);
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

  /** Whoever votes in our cluster and is now a member of another under a new stamp; one after the other. */
  #askFormer(voters: readonly MemberId[], neighbourhood: Neighbourhood, now: MonotonicMs): AffiliationStep | undefined {
    if (now < this.#askFormerAt) return undefined;
    const moved = voters.flatMap((voter) => {
      const peer = neighbourhood.peer(nodeIdOf(voter));
      return peer?.isAlive === true && livesElsewhere(peer, voter, this.#clusterId) ? [peer.member] : [];
    });
    const last = this.#askedFormer === undefined ? -1 : moved.indexOf(this.#askedFormer);
    const member = moved[(last + 1) % moved.length];
    if (member === undefined) return undefined;
    this.#askFormerAt = now + DESCRIBE_EVERY_MS;
    this.#askedFormer = member;
    return { kind: 'askFormer', member };
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
    return peer?.isAlive === true && livesElsewhere(peer, voter, ours);
  });
}

function livesElsewhere(peer: Peer, voter: MemberId, ours: ClusterId | undefined): boolean {
  return peer.member !== voter && peer.clusterId !== ours;
}

/** It alone decides what is agreed: also nothing of a joint configuration is left to others. */
export function isOnlyVoter({ voters, votersOutgoing }: Configuration, self: MemberId): boolean {
  return voters.length === 1 && voters[0] === self && votersOutgoing.length === 0;
}
