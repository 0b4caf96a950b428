/** The node on its way out: takes the steps of {@link Departure} in the world, and answers who asked for a drain. */
import type { MonotonicMs } from '../base/machine.ts';
import type { MemberId, RequestId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import { type Core, notify } from './core.ts';
import { Departure, type DeparturePhase, type DepartureStep } from './departure.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { refusal } from './steward.ts';

export interface LeaveTakingHost {
  core(): Core;
  readonly neighbourhood: Neighbourhood;
  readonly isAutoJoin: boolean;
  /** What the application may take to release (O-20). */
  readonly ackTimeoutMs: number;
  /** What it serves is kept for its return: it goes without moving shards away. */
  readonly keepsShards: boolean;
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  leaveGossip(now: MonotonicMs, effects: ClusterEffect[]): void;
}

/** So long the leader goes on telling a member that it dropped (raft.md 9.2), with room for a slow disk. */
const OWN_LOG_MS = 1_500;

const VOTE_KEPT =
  'leaving with a vote that nobody took in time: until this node is back or removed, the others need more of themselves for a quorum';

export class LeaveTaking {
  readonly #host: LeaveTakingHost;
  readonly #drains: Set<RequestId> = new Set();
  #departure: Departure | undefined;
  #isDraining = false;
  /** When the leader said that this member is out of the group. */
  #droppedAt: MonotonicMs | undefined;
  #isRetired = false;
  /** The leader that was asked last. */
  #asked: MemberId | undefined;

  constructor(host: LeaveTakingHost) {
    this.#host = host;
  }

  /** The lease is given up: nothing is served any more, whatever maps say. */
  get hasReleased(): boolean {
    return this.phase === 'leaving' || this.phase === 'gone';
  }

  get phase(): DeparturePhase | undefined {
    return this.#departure?.phase;
  }

  /** Told to give its shards away, or on its way out. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  nextDeadline(): MonotonicMs {
    return this.#departure?.nextDeadline() ?? Number.POSITIVE_INFINITY;
  }

  leave(requestId: RequestId, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#departure === undefined) this.#departure = new Departure(requestId, now, this.#host.ackTimeoutMs);
    else effects.push({ kind: 'reply', requestId, outcome: refusal('REFUSED', 'the node is leaving already') });
  }

  drain(requestId: RequestId, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (!this.#hasCompany()) {
      effects.push({
        kind: 'reply',
        requestId,
        outcome: refusal('REFUSED', 'no other node is there to take the shards'),
      });
      return;
    }
    this.#isDraining = true;
    this.#drains.add(requestId);
    this.#host.core().holding.step({ kind: 'drain' }, now, effects);
  }

  /** Takes a drain back: this node is given shards again. Done, too, when nobody had asked for one. */
  undrain(requestId: RequestId, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#departure !== undefined) {
      effects.push({ kind: 'reply', requestId, outcome: refusal('REFUSED', 'the node is leaving') });
      return;
    }
    this.#isDraining = false;
    for (const waiting of this.#drains) {
      const outcome = refusal('REFUSED', 'the drain was taken back');
      effects.push({ kind: 'reply', requestId: waiting, outcome });
    }
    this.#drains.clear();
    this.#host.core().holding.undrain(now, effects);
    effects.push({ kind: 'reply', requestId, outcome: { kind: 'done', count: 1 } });
  }

  /** The leader has taken this member out of the group. */
  onRetired(from: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#departure === undefined || from !== this.#asked) return;
    this.#droppedAt ??= now;
    this.#settleRetirement(now, effects);
  }

  /**
   * The leader knows it first, for it needs no word of a member that it drops. This node's own disk should know it as well: started
   * alone, it would else wait for a quorum of voters of long ago, and be taken for one that can stand alone.
   */
  #settleRetirement(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#droppedAt === undefined || this.#isRetired) return;
    const { replica, self } = this.#host.core();
    if (replica.wouldReturnToGroup(self) && now - this.#droppedAt < OWN_LOG_MS) return;
    this.#isRetired = true;
    replica.fallSilent('the vote was given up', now, effects);
  }

  /** There are new cores: they know nothing of a drain that was asked for. */
  onRebuilt(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#isDraining) this.#host.core().holding.step({ kind: 'drain' }, now, effects);
  }

  evaluate(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#answerDrains(effects);
    if (this.#departure === undefined) return;
    this.#settleRetirement(now, effects);
    const { holding, replica } = this.#host.core();
    const facts = {
      hasCompany: this.#hasCompany(),
      mustDrain: holding.sharding.ownedCount > 0 && !this.#host.keepsShards,
      mustReleaseFirst: this.#host.keepsShards && !replica.isLeader && replica.raft?.leader !== undefined,
      isDrained: holding.isDrained,
      mustRetire: this.#mustRetire(now),
    };
    for (const step of this.#departure.evaluate(facts, now)) {
      if (step === 'release' && facts.mustRetire) notify({ kind: 'warning', text: VOTE_KEPT }, effects);
      this.#take(step, this.#departure, now, effects);
    }
  }

  /** Gossip was left: the last thing. */
  onLeftGossip(effects: ClusterEffect[]): void {
    const departure = this.#departure;
    if (departure === undefined || departure.phase === 'gone') return;
    departure.onLeftGossip();
    effects.push({ kind: 'reply', requestId: departure.requestId, outcome: { kind: 'done', count: 1 } });
  }

  #take(step: DepartureStep, departure: Departure, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, holding, steward, self } = this.#host.core();
    if (step === 'drain') {
      this.#isDraining = true;
      holding.step({ kind: 'drain' }, now, effects);
    } else if (step === 'stopServing') holding.step({ kind: 'stopping' }, now, effects);
    else if (step === 'askToRetire') {
      const leader = replica.raft?.leader;
      if (replica.isLeader) steward.resign(now, effects);
      else if (leader !== undefined) {
        this.#asked = leader;
        this.#host.send(leader, { kind: 'request', id: departure.requestId, ask: 'retire' }, effects);
      }
    } else if (step === 'release') {
      holding.step({ kind: 'stopping' }, now, effects);
      if (this.#host.isAutoJoin) replica.forgetMembership(self, now, effects);
    } else if (step === 'leaveGossip') this.#host.leaveGossip(now, effects);
    else this.onLeftGossip(effects);
  }

  #mustRetire(now: MonotonicMs): boolean {
    const { replica, self, steward } = this.#host.core();
    // Others need not wait for the end of its lease in etcd.
    if (replica.etcd !== undefined) return replica.isLeader;
    if (!this.#host.isAutoJoin || this.#isRetired) return false;
    if (this.#droppedAt !== undefined) return true;
    if (!replica.isInGroup(self)) return false;
    if (replica.isLeader) return !steward.isLast(now);
    const { voters, votersOutgoing, learners } = replica.configuration;
    return [...voters, ...votersOutgoing, ...learners].some((member) => {
      const peer = this.#host.neighbourhood.peer(nodeIdOf(member));
      return member !== self && peer?.member === member && peer.isAlive;
    });
  }

  #hasCompany(): boolean {
    const { replica, self } = this.#host.core();
    return this.#host.neighbourhood
      .alive()
      .some((peer) => peer.member !== self && peer.kind !== 'non-member' && peer.clusterId === replica.clusterId);
  }

  #answerDrains(effects: ClusterEffect[]): void {
    if (this.#drains.size === 0 || !this.#host.core().holding.isDrained) return;
    for (const requestId of this.#drains)
      effects.push({ kind: 'reply', requestId, outcome: { kind: 'done', count: 1 } });
    this.#drains.clear();
  }
}
