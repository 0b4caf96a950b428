/** How a node stands: its state, its role and what it waits for, as pure functions of what is known in this turn. */
import type { MonotonicMs } from '../base/machine.ts';
import type { ClusterId, MemberId, NodeId, Term } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { NodeKind, NodeRole, NodeState } from '../model/node-state.ts';
import type { Waiting } from '../model/node-view.ts';
import type { Conflict } from './affiliation.ts';
import { notify } from './core.ts';
import type { DeparturePhase } from './departure.ts';
import type { ClusterEffect } from './messages.ts';
import type { KnownLeader } from './replica-host.ts';

/** A quorum is not missed before the first election had its time. */
const QUORUM_PATIENCE_MS = 1_000;

export interface EtcdFacts {
  readonly where: string;
  readonly isReachable: boolean;
  /** What came in place of its last answer that did not come. */
  readonly failure: string;
  /** Why it refuses what is asked of it. */
  readonly refusal: string | undefined;
}

export interface StandingFacts {
  readonly now: MonotonicMs;
  readonly self: MemberId;
  readonly kind: NodeKind;
  readonly isStarted: boolean;
  readonly departure: DeparturePhase | undefined;
  readonly isDraining: boolean;
  readonly clusterId: ClusterId | undefined;
  readonly leader: NodeId | undefined;
  readonly isLeader: boolean;
  readonly isInGroup: boolean;
  readonly configuration: Configuration;
  readonly hasMap: boolean;
  readonly isMapPending: boolean;
  readonly isInMap: boolean;
  readonly ownsShards: boolean;
  readonly holdsLease: boolean;
  /** Alive nodes of this cluster, ourselves left out. */
  readonly aliveOthers: () => readonly {
    readonly node: NodeId;
    readonly member: MemberId;
    readonly clusterId: ClusterId | undefined;
  }[];
  /** An operator removed this member. */
  readonly isExcluded: boolean;
  /** The standalone etcd that keeps the log, where there is one, and whether it answers. */
  readonly etcd: EtcdFacts | undefined;
  readonly conflict: Conflict | undefined;
  readonly leaderLostAt: MonotonicMs;
  readonly startedAt: MonotonicMs;
  readonly stateSince: MonotonicMs;
  readonly expect: number;
  readonly mayFound: boolean;
  /** The cluster that an earlier run followed, and that this one waits for. */
  readonly awaited: ClusterId | undefined;
}

/**
 * Longer than elections take. A member that hears of no leader for so long may have been removed while it was away, and nobody in the
 * group will tell it: it asks the others what was agreed meanwhile, as nodes outside the group do.
 */
const LOST_MS = 1_000;

/** Remembers how the node stood, and tells what has changed. */
export class StandingTracker {
  #state: NodeState = 'Starting';
  #stateSince: MonotonicMs;
  #role: NodeRole = 'Unknown';
  #leader: NodeId | undefined;
  #leaderChangedAt: MonotonicMs;
  #waitsFor: Waiting['reason'] | undefined;
  #isLost = false;

  constructor(now: MonotonicMs) {
    this.#stateSince = now;
    this.#leaderChangedAt = now;
  }

  get state(): NodeState {
    return this.#state;
  }

  get stateSince(): MonotonicMs {
    return this.#stateSince;
  }

  get role(): NodeRole {
    return this.#role;
  }

  get leader(): NodeId | undefined {
    return this.#leader;
  }

  get leaderChangedAt(): MonotonicMs {
    return this.#leaderChangedAt;
  }

  /** No leader was known for a while, as of the last turn. */
  get isLost(): boolean {
    return this.#isLost;
  }

  onLeader({ leader, term }: KnownLeader, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#isLost = leader === undefined && leader === this.#leader && now - this.#leaderChangedAt >= LOST_MS;
    if (leader === this.#leader) return;
    const before = this.#leader;
    this.#leader = leader;
    this.#leaderChangedAt = now;
    if (leader !== undefined) notify({ kind: 'leaderChanged', leader, term }, effects);
    else if (before !== undefined) notify({ kind: 'leaderLost', leader: before, term }, effects);
  }

  /** True when the role has changed. */
  evaluate(facts: StandingFacts, term: Term, effects: ClusterEffect[]): boolean {
    const role = roleOf(facts);
    const isNewRole = role !== this.#role;
    if (isNewRole) notify({ kind: 'roleChanged', from: this.#role, to: role, term }, effects);
    this.#role = role;
    const state = stateOf(facts);
    if (state !== this.#state) {
      notify({ kind: 'stateChanged', from: this.#state, to: state }, effects);
      this.#state = state;
      this.#stateSince = facts.now;
    }
    const waiting = waitingOf(facts);
    if (waiting !== undefined && waiting.reason !== this.#waitsFor)
      notify({ kind: 'waiting', text: waiting.advice }, effects);
    this.#waitsFor = waiting?.reason;
    return isNewRole;
  }
}

export function stateOf(facts: StandingFacts): NodeState {
  if (facts.departure !== undefined) return facts.departure === 'draining' ? 'Draining' : 'Stopping';
  if (!facts.isStarted) return 'Starting';
  if (facts.isDraining) return 'Draining';
  if (facts.kind === 'non-member') {
    return facts.aliveOthers().some((other) => other.clusterId !== undefined) ? 'Operational' : 'Joining';
  }
  if (facts.clusterId === undefined) return 'Joining';
  if (facts.leader === undefined) return facts.hasMap || facts.configuration.voters.length > 0 ? 'Voting' : 'Joining';
  if (!facts.hasMap || facts.isMapPending) return 'Resharding';
  if (!facts.ownsShards) return 'Operational';
  if (!facts.isInMap) return 'Joining';
  // Without a lease nobody has confirmed for a while that the leader we know of still leads.
  return facts.holdsLease ? 'Operational' : 'Voting';
}

export function roleOf(facts: StandingFacts): NodeRole {
  if (facts.kind === 'non-member') return 'NonMember';
  if (facts.isLeader) return 'Leader';
  const { voters, votersOutgoing } = facts.configuration;
  if (facts.isInGroup && (voters.includes(facts.self) || votersOutgoing.includes(facts.self))) return 'Follower';
  return facts.clusterId === undefined ? 'Unknown' : 'NonVoter';
}

/** What the node cannot go on without, whom it waits for, and what an operator can do. */
export function waitingOf(facts: StandingFacts): Waiting | undefined {
  if (!facts.isStarted || facts.departure !== undefined || facts.kind === 'non-member') return undefined;
  if (facts.etcd !== undefined && !facts.isExcluded) return waitingForEtcd(facts, facts.etcd);
  if (facts.clusterId === undefined) return waitingForMembers(facts);
  if (facts.isExcluded) {
    const advice = `an operator removed this node: funkctl node add ${nodeIdOf(facts.self)} brings it back`;
    return { reason: 'members', nodes: [], since: facts.stateSince, advice };
  }
  if (facts.leader !== undefined || facts.now - facts.leaderLostAt < QUORUM_PATIENCE_MS) return conflictOf(facts);
  const alive = new Set(facts.aliveOthers().map((other) => other.member));
  const missing = facts.configuration.voters.filter((voter) => voter !== facts.self && !alive.has(voter));
  if (missing.length === 0) {
    return {
      reason: 'leader',
      nodes: facts.configuration.voters.map(nodeIdOf),
      since: facts.leaderLostAt,
      advice: 'the voters are there and elect a leader; if this lasts, check that the Raft ports are reachable',
    };
  }
  const nodes = missing.map(nodeIdOf);
  return { reason: 'quorum', nodes, since: facts.leaderLostAt, advice: quorumAdvice(facts, nodes) };
}

function waitingForEtcd(
  facts: StandingFacts,
  { where, isReachable, failure, refusal }: EtcdFacts,
): Waiting | undefined {
  const since = Math.max(facts.leaderLostAt, facts.startedAt);
  if (refusal !== undefined) {
    const advice = `etcd at ${where} refuses what it is asked for, and nothing is agreed on without it: ${refusal}`;
    return { reason: 'quorum', nodes: [], since, advice };
  }
  if (facts.now - since < QUORUM_PATIENCE_MS) return undefined;
  if (facts.leader !== undefined) return waitingForGossip(facts, facts.leader, since);
  if (!isReachable) {
    const advice = `etcd at ${where} does not answer, and nothing is agreed on without it (${failure}): start it, or check --etcd-endpoints`;
    return { reason: 'quorum', nodes: [], since, advice };
  }
  const advice = `nobody leads: the next leader comes when etcd at ${where} has let the seat of the last one go (--etcd-lease)`;
  return { reason: 'leader', nodes: [], since, advice };
}

/** etcd tells who leads, and gossip where. */
function waitingForGossip(facts: StandingFacts, leader: NodeId, since: MonotonicMs): Waiting | undefined {
  const isThere = facts.isLeader || facts.aliveOthers().some(({ node }) => node === leader);
  if (isThere || facts.now - since < 3 * QUORUM_PATIENCE_MS) return conflictOf(facts);
  const advice = `${leader} leads, and gossip does not know it: name a node that it does by --join, or use --zeroconf`;
  return { reason: 'members', nodes: [leader], since, advice };
}

/** Whoever sees nobody, and does not look by mDNS, may be the one that is lost: the others run where its data does not know them. */
function quorumAdvice({ configuration, aliveOthers, mayFound }: StandingFacts, missing: readonly NodeId[]): string {
  const { voters } = configuration;
  const needed = `${Math.floor(voters.length / 2) + 1} of ${voters.length} voters are needed`;
  const advice = `start ${missing.join(', ')} again: ${needed}`;
  if (mayFound || aliveOthers().length > 0) return advice;
  return `${advice}; if they run, but at other addresses than before, name one by --join or use --zeroconf`;
}

function conflictOf({ conflict }: StandingFacts): Waiting | undefined {
  if (conflict === undefined) return undefined;
  const { theirs, node, since } = conflict;
  const advice = `node ${node} is of another cluster (${theirs}) of this name: rename one (--cluster-name), or stop its nodes, move their data aside and start them again`;
  return { reason: 'conflict', nodes: [node], since, advice };
}

function waitingForMembers(facts: StandingFacts): Waiting | undefined {
  if (facts.now - facts.startedAt < QUORUM_PATIENCE_MS * 3) return undefined;
  const nodes = facts.aliveOthers().map((other) => other.node);
  if (facts.kind !== 'voter') {
    return {
      reason: 'members',
      nodes,
      since: facts.startedAt,
      advice: 'no voter of this cluster was found yet: start one, or check --join and --cluster-name',
    };
  }
  if (facts.awaited !== undefined) {
    return {
      reason: 'members',
      nodes,
      since: facts.startedAt,
      advice: `no voter of cluster ${facts.awaited}, which this node was of, is here yet: start one; if all are gone for ever, --bootstrap on one node founds a new cluster`,
    };
  }
  if (facts.expect > 0) {
    return {
      reason: 'members',
      nodes,
      since: facts.startedAt,
      advice: `${nodes.length + 1} of ${facts.expect} expected nodes are here`,
    };
  }
  const advice = facts.mayFound
    ? 'the smallest node id founds the cluster as soon as the neighbourhood is quiet'
    : 'nobody that answered has a cluster: start one node with --bootstrap, or all with --bootstrap-expect N';
  return { reason: 'members', nodes, since: facts.startedAt, advice };
}
