/**
 * The leader's housekeeping: carries out what autopilot decides, what operators ask and what leaving nodes ask, one
 * membership change at a time (raft.md 9.2 rule 2).
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { MemberId, NodeId, RequestId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { MembershipChange, RaftEvent, RaftOutcome } from '../raft/messages.ts';
import { encodeCommand } from '../wire/command/command.ts';
import { type AutopilotFacts, heir, nextChange } from './autopilot.ts';
import { notify } from './core.ts';
import type { ClusterEffect, ClusterOutcome, ClusterRefusal } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Replica } from './replica.ts';

const EVALUATE_MS = 250;
const FOUNDING_MS = 60_000;
/** Operators and leaving nodes wait no longer than this. */
const REQUEST_MS = 10_000;
/**
 * A node that gave up its vote is not brought back while it is still on its way out: until gossip tells that it leaves. No longer, for
 * one that was killed meanwhile and has come back may be the only heir.
 */
const PARKED_MS = 2_500;
const REQUESTS_MAX = 256;
/** A voter that lacks more entries would not be of help at once. */
const LAG_MAX = 1_000;
/** A leader that leaves waits so long for the stop notices of the others: a node repeats its own every 250 ms. */
const HEAR_OTHERS_MS = 350;

export interface StewardHost {
  readonly self: MemberId;
  readonly replica: Replica;
  readonly neighbourhood: Neighbourhood;
  readonly votersWanted: number;
  readonly isAutoJoin: boolean;
  /** False where a standalone etcd keeps the log: then there is nothing to change. */
  readonly hasVoters: boolean;
  /** How long ago the cluster was founded, by this node's wall clock. */
  clusterAgeMs(now: MonotonicMs): number;
  nextRequestId(): RequestId;
}

type Wait =
  | { readonly kind: 'add'; readonly node: NodeId; readonly deadline: MonotonicMs; readonly done: Done }
  | { readonly kind: 'remove'; readonly member: MemberId; readonly deadline: MonotonicMs; readonly done: Done }
  | { readonly kind: 'retire'; readonly member: MemberId; readonly deadline: MonotonicMs; readonly done: Done };

/** Called exactly once with the outcome. */
export type Done = (outcome: ClusterOutcome, now: MonotonicMs, effects: ClusterEffect[]) => void;

export class Steward {
  readonly #host: StewardHost;
  readonly #caughtUp: Set<MemberId> = new Set();
  readonly #absentSince: Map<MemberId, MonotonicMs> = new Map();
  readonly #aliveSince: Map<MemberId, MonotonicMs> = new Map();
  readonly #parkedUntil: Map<MemberId, MonotonicMs> = new Map();
  #waits: Wait[] = [];
  #changing: RequestId | undefined;
  /** What is true if this node still leads: each waits for a read index. */
  readonly #confirming: Map<RequestId, { readonly outcome: ClusterOutcome; readonly done: Done }> = new Map();
  #lastChangeAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #evenSince: MonotonicMs | undefined;
  #resigningSince: MonotonicMs | undefined;
  #nextAt: MonotonicMs = Number.POSITIVE_INFINITY;
  /** This leader could do nothing yet: it looks again in the step that makes it ready. */
  #awaitsReadiness = false;

  constructor(host: StewardHost) {
    this.#host = host;
  }

  nextDeadline(): MonotonicMs {
    return this.#nextAt;
  }

  /** Look again in this turn: members, configuration or a learner have changed. */
  hasten(now: MonotonicMs): void {
    if (this.#host.replica.isLeader) this.#nextAt = Math.min(this.#nextAt, now);
  }

  onLearnerCaughtUp(member: MemberId, now: MonotonicMs): void {
    this.#caughtUp.add(member);
    this.hasten(now);
  }

  onConfiguration(
    { configuration, committed }: Extract<RaftEvent, { kind: 'configurationChanged' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    this.hasten(now);
    const { voters, votersOutgoing, learners } = configuration;
    // A joint step is told when it has been left.
    if (!committed || votersOutgoing.length > 0) return;
    notify({ kind: 'configurationChanged', voters: voters.map(nodeIdOf), learners: learners.map(nodeIdOf) }, effects);
  }

  onRoleChanged(isLeader: boolean, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#caughtUp.clear();
    this.#absentSince.clear();
    this.#changing = undefined;
    this.#evenSince = undefined;
    this.#resigningSince = undefined;
    this.#nextAt = isLeader ? now : Number.POSITIVE_INFINITY;
    if (!isLeader) this.#refuseAll('OUTCOME_UNKNOWN', 'leadership was lost before the request had ended', now, effects);
  }

  addNode(node: NodeId, done: Done, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, neighbourhood } = this.#host;
    const peer = neighbourhood.peer(node);
    if (!this.#host.hasVoters) {
      if (peer !== undefined && replica.state.isExcluded(peer.member)) {
        this.#propose(encodeCommand({ kind: 'include', member: peer.member }), now, effects);
        done({ kind: 'done', count: 1 }, now, effects);
      } else done(refusal('REFUSED', 'a standalone etcd keeps the log: no node votes'), now, effects);
      return;
    }
    const isVoter = replica.configuration.voters.some((voter) => nodeIdOf(voter) === node && peer?.member === voter);
    // One whose removal was asked for and could not be had yet is a voter still: asking for it takes the removal back.
    if (isVoter && !(peer !== undefined && replica.state.isExcluded(peer.member))) {
      this.#confirm(refusal('ALREADY_MEMBER', `node ${node} is a voter already`), done, now, effects);
      return;
    }
    if (peer === undefined || !peer.isAlive) {
      done(refusal('UNKNOWN_NODE', 'gossip knows no such node alive with an ep.raft tag'), now, effects);
      return;
    }
    if (peer.kind !== 'voter') {
      done(refusal('REFUSED', `node ${node} runs as ${peer.kind}: start it with --role voter`), now, effects);
      return;
    }
    if (replica.state.isExcluded(peer.member))
      this.#propose(encodeCommand({ kind: 'include', member: peer.member }), now, effects);
    this.#wait({ kind: 'add', node, deadline: now + REQUEST_MS, done }, now, effects);
  }

  removeNode(node: NodeId, done: Done, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, neighbourhood, self } = this.#host;
    const configured = membersOf(replica.configuration).find((member) => nodeIdOf(member) === node);
    const member = configured ?? neighbourhood.peer(node)?.member;
    const isGone = member !== undefined && configured === undefined && replica.state.isExcluded(member);
    if (member === undefined || isGone) {
      const why = isGone ? 'it was removed already' : 'neither gossip nor the voters know it';
      done(refusal('UNKNOWN_NODE', why), now, effects);
      return;
    }
    if (member === self) {
      done(refusal('REFUSED', 'it leads: step down first, then remove it'), now, effects);
      return;
    }
    this.#propose(encodeCommand({ kind: 'exclude', member }), now, effects);
    this.#wait({ kind: 'remove', member, deadline: now + REQUEST_MS, done }, now, effects);
  }

  /** A member stops in order: its vote goes, its data stays good. */
  retire(member: MemberId, done: Done, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#parkedUntil.set(member, now + PARKED_MS);
    // It asks again until it is heard: the newest asking is answered.
    this.#waits = this.#waits.filter((wait) => wait.kind !== 'retire' || wait.member !== member);
    this.#wait({ kind: 'retire', member, deadline: now + REQUEST_MS, done }, now, effects);
  }

  /**
   * This node leads and wants to go: somebody else shall lead. Called again until it does not lead any more. Others may be on
   * their way out as well; they are heard first, so that leadership is not handed to and fro between nodes that all leave.
   */
  resign(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#resigningSince ??= now;
    this.#nextAt = now;
    if (now - this.#resigningSince < HEAR_OTHERS_MS) return;
    const { replica, neighbourhood, self } = this.#host;
    if (!this.#host.hasVoters) {
      replica.step({ kind: 'transferLeader', requestId: this.#host.nextRequestId() }, now, effects);
      return;
    }
    const { voters } = replica.configuration;
    const facts = this.#facts(now);
    const heirs = voters.filter(
      (voter) => voter !== self && !facts.retiring.has(voter) && facts.absentForMs(voter) === 0,
    );
    const avoid = neighbourhood.unfit();
    const fit = heirs.filter((voter) => !avoid.includes(voter));
    const target = mostWanted(fit, neighbourhood) ?? heirs[0];
    if (target !== undefined) {
      replica.step({ kind: 'transferLeader', requestId: this.#host.nextRequestId(), target }, now, effects);
      return;
    }
    const next = voters.length === 1 ? heir(facts) : undefined;
    if (next !== undefined) this.#change({ kind: 'promote', member: next }, now, effects);
  }

  /** Nobody is left whom the leadership could go to. */
  isLast(now: MonotonicMs): boolean {
    const { replica, self } = this.#host;
    if (replica.configuration.voters.some((voter) => voter !== self)) return false;
    const { candidates, retiring } = this.#facts(now);
    // Who gave up its vote and is not leaving, as gossip tells, has been started again: it is the heir as soon as it may be asked.
    const isGoing = (member: MemberId): boolean => retiring.has(member) && !this.#isBack(member);
    return !candidates.some(({ member }) => member !== self && !isGoing(member));
  }

  /** Why members may change soon, in words; undefined when every voter is there and nothing is to be done. */
  unsteady(now: MonotonicMs): string | undefined {
    const { replica, neighbourhood } = this.#host;
    if (!this.#leadsForSure(now)) return 'this node is not sure that it still leads';
    const { voters, votersOutgoing } = replica.configuration;
    for (const voter of [...voters, ...votersOutgoing]) {
      if (voter === this.#host.self) continue;
      const peer = neighbourhood.peer(nodeIdOf(voter));
      if (peer === undefined || peer.member !== voter || !peer.isAlive) return `voter ${nodeIdOf(voter)} is not there`;
      if (neighbourhood.isLeaving(peer.node)) return `voter ${nodeIdOf(voter)} is leaving`;
      const lag = replica.raft?.stats.lag[nodeIdOf(voter)] ?? 0;
      if (lag > LAG_MAX) return `voter ${nodeIdOf(voter)} lacks ${lag} entries of the log`;
    }
    const isChanging = this.#changing !== undefined || this.#waits.length > 0 || votersOutgoing.length > 0;
    if (isChanging || this.#nextChange(now) !== undefined) return 'voters are changing';
    return undefined;
  }

  /** True when the reply was to one of our own requests. */
  onRaftReply(requestId: RequestId, outcome: RaftOutcome, now: MonotonicMs, effects: ClusterEffect[]): boolean {
    const confirming = this.#confirming.get(requestId);
    if (confirming !== undefined) {
      this.#confirming.delete(requestId);
      const isConfirmed = outcome.kind === 'readReady';
      const other = refusal('OUTCOME_UNKNOWN', 'this node could not make sure that it still leads');
      confirming.done(isConfirmed ? confirming.outcome : other, now, effects);
      return true;
    }
    if (requestId !== this.#changing) return false;
    this.#changing = undefined;
    if (outcome.kind === 'changed') {
      this.#lastChangeAt = now;
      this.#nextAt = now;
    }
    return true;
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica } = this.#host;
    const isReady = replica.raft?.isReady === true;
    if (now < this.#nextAt && !(this.#awaitsReadiness && isReady)) return;
    this.#nextAt = now + EVALUATE_MS;
    this.#awaitsReadiness = false;
    if (!replica.isLeader) {
      this.#nextAt = Number.POSITIVE_INFINITY;
      return;
    }
    this.#observe(now);
    this.#settle(now, effects);
    this.#awaitsReadiness = !isReady;
    // What room is left is for what cannot wait: shards whose holder is gone.
    if (!isReady || this.#changing !== undefined || replica.isShortOfRoom) return;
    const change = this.#nextChange(now);
    if (change !== undefined) this.#change(change, now, effects);
  }

  #nextChange(now: MonotonicMs): MembershipChange | undefined {
    return this.#host.hasVoters ? nextChange(this.#facts(now)) : undefined;
  }

  #change(change: MembershipChange, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#changing !== undefined) return;
    this.#changing = this.#host.nextRequestId();
    this.#host.replica.step({ kind: 'changeMembers', requestId: this.#changing, change }, now, effects);
  }

  /** It was dropped as it had asked, and neither goes nor is kept out. */
  #isBack(member: MemberId): boolean {
    const isAsking = this.#waits.some((wait) => wait.kind === 'retire' && wait.member === member);
    return this.#parkedUntil.has(member) && !isAsking && !this.#host.replica.state.isExcluded(member);
  }

  #propose(bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#host.replica.step({ kind: 'propose', requestId: this.#host.nextRequestId(), items: [bytes] }, now, effects);
  }

  #wait(wait: Wait, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#waits.length >= REQUESTS_MAX) {
      wait.done(refusal('REFUSED', 'too many membership requests at once'), now, effects);
      return;
    }
    this.#waits.push(wait);
    this.#nextAt = now;
  }

  /** Answers whoever got what was asked for, or whose time is up. */
  #settle(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica } = this.#host;
    const { voters } = replica.configuration;
    const members = membersOf(replica.configuration);
    const isCommitted = this.#changing === undefined;
    const left: Wait[] = [];
    for (const wait of this.#waits) {
      const isDone =
        wait.kind === 'add'
          ? voters.some((voter) => nodeIdOf(voter) === wait.node && !replica.state.isExcluded(voter))
          : !members.includes(wait.member) && (wait.kind === 'retire' || replica.state.isExcluded(wait.member));
      if (isDone && isCommitted && wait.kind === 'add')
        this.#confirm({ kind: 'done', count: 1 }, wait.done, now, effects);
      else if (isDone && isCommitted) wait.done({ kind: 'done', count: 1 }, now, effects);
      else if (now >= wait.deadline)
        wait.done(refusal('OUTCOME_UNKNOWN', 'not finished in time; it may still happen'), now, effects);
      else left.push(wait);
    }
    this.#waits = left;
  }

  /**
   * What is configured here is what the cluster has agreed on only while this node leads: a leader that was cut off may have a successor
   * that changed it. So a quorum is asked first (raft.md 7.1).
   */
  #confirm(outcome: ClusterOutcome, done: Done, now: MonotonicMs, effects: ClusterEffect[]): void {
    const requestId = this.#host.nextRequestId();
    this.#confirming.set(requestId, { outcome, done });
    this.#host.replica.step({ kind: 'readIndex', requestId }, now, effects);
  }

  /** What is configured here is what the cluster has agreed on, as long as all clocks keep their rate. */
  #leadsForSure(now: MonotonicMs): boolean {
    const { raft } = this.#host.replica;
    return raft?.isReady === true && now < raft.leaderLeaseUntil;
  }

  #refuseAll(code: ClusterRefusal, reason: string, now: MonotonicMs, effects: ClusterEffect[]): void {
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) wait.done(refusal(code, reason), now, effects);
  }

  #observe(now: MonotonicMs): void {
    const { replica, neighbourhood } = this.#host;
    const { voters } = replica.configuration;
    this.#evenSince = voters.length % 2 === 0 ? (this.#evenSince ?? now) : undefined;
    const alive = new Set(neighbourhood.alive().map((peer) => peer.member));
    for (const member of alive) if (!this.#aliveSince.has(member)) this.#aliveSince.set(member, now);
    for (const member of this.#aliveSince.keys()) if (!alive.has(member)) this.#aliveSince.delete(member);
    for (const member of membersOf(replica.configuration)) {
      if (alive.has(member)) this.#absentSince.delete(member);
      else if (!this.#absentSince.has(member)) this.#absentSince.set(member, now);
    }
    for (const [member, until] of this.#parkedUntil) {
      if (now >= until || !alive.has(member)) this.#parkedUntil.delete(member);
    }
  }

  #facts(now: MonotonicMs): AutopilotFacts {
    const { self, replica, neighbourhood, votersWanted, isAutoJoin } = this.#host;
    const clusterId = replica.clusterId;
    // A leader that wants to go, and has heard of all that go with it, takes whoever is left.
    const hasHeardOthers = this.#resigningSince !== undefined && now - this.#resigningSince >= HEAR_OTHERS_MS;
    const retiring = new Set<MemberId>(hasHeardOthers ? [] : this.#parkedUntil.keys());
    for (const wait of this.#waits) if (wait.kind === 'retire') retiring.add(wait.member);
    for (const member of membersOf(replica.configuration)) if (replica.state.isExcluded(member)) retiring.add(member);
    if (this.#resigningSince !== undefined) retiring.add(self);
    const candidates = neighbourhood
      .alive()
      .filter((peer) => peer.kind === 'voter' && (peer.clusterId === undefined || peer.clusterId === clusterId))
      .filter((peer) => !replica.state.isExcluded(peer.member) && !neighbourhood.isLeaving(peer.node))
      .map((peer) => ({ member: peer.member, aliveSince: this.#aliveSince.get(peer.member) ?? now }))
      .sort((a, b) => a.aliveSince - b.aliveSince || (a.member < b.member ? -1 : 1));
    return {
      self,
      now,
      configuration: replica.configuration,
      votersWanted,
      isAutoJoin,
      candidates,
      isCaughtUp: (member) => this.#caughtUp.has(member),
      absentForMs: (member) => this.#absentFor(member, now),
      retiring,
      wanted: new Set(this.#waits.flatMap((wait) => (wait.kind === 'add' ? [wait.node] : []))),
      isFounding: this.#host.clusterAgeMs(now) < FOUNDING_MS,
      lastChangeAt: this.#lastChangeAt,
      evenSince: this.#evenSince,
    };
  }

  #absentFor(member: MemberId, now: MonotonicMs): number {
    const since = this.#absentSince.get(member);
    if (since === undefined) return 0;
    // Whoever said goodbye is gone for good, or comes back by itself.
    return this.#host.neighbourhood.hasLeft(member) ? Number.POSITIVE_INFINITY : Math.max(1, now - since);
  }
}

export function refusal(code: ClusterRefusal, reason: string, leader?: NodeId): ClusterOutcome {
  return { kind: 'refused', code, reason, leader };
}

/** The one of highest priority, the first of equals. */
function mostWanted(voters: readonly MemberId[], neighbourhood: Neighbourhood): MemberId | undefined {
  const priority = (voter: MemberId): number => neighbourhood.peer(nodeIdOf(voter))?.priority ?? 0;
  return voters.reduce<MemberId | undefined>(
    (best, voter) => (best === undefined || priority(voter) > priority(best) ? voter : best),
    undefined,
  );
}

function membersOf(configuration: Configuration): MemberId[] {
  return [...new Set([...configuration.voters, ...configuration.votersOutgoing, ...configuration.learners])];
}
