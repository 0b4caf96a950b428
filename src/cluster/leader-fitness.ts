/**
 * Whether this node should lead. A leader can go on committing through its followers while its own disk hangs or its event loop crawls, and
 * its heartbeats hide it; so it watches itself, tells the others by a tag, and hands leadership to somebody whom nothing ails. A healthy one
 * hands it to a voter that operators prefer. raft.md 11.6, 12.3, 12.4.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { Ailment } from '../model/ailment.ts';
import { type MemberId, nodeIdOf, type RequestId, type Term } from '../model/ids.ts';
import { TAG_AILMENT } from '../model/tags.ts';
import { type Core, notify } from './core.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';

/** A write that is not durable after this long is a sick disk (raft.md 12.4). */
const DISK_STALL_MS = 5_000;
/** An unfit leader tries so often to hand over: a try that fails costs its lease for a moment. */
const HANDOVER_MS = 5_000;
/** Nodes that share a disk or a machine fall ill at once: gossip tells so before leadership goes from one of them to another. */
const HEAR_OTHERS_MS = 500;
/** Lateness is told for ten seconds at a time, so others on the same busy machine may tell of theirs that much later. */
const HEAR_OTHERS_LOOP_MS = 12_000;
/** A preferred voter has been there for so long before it is handed leadership; in vain doubles it, up to the longest. */
const PREFER_MS = 10_000;
const PREFER_MAX_MS = 300_000;
/** While a map is pending, or members change, leadership stays where it is. */
const POSTPONE_MS = 1_000;

export interface LeaderFitnessHost {
  core(): Core;
  readonly neighbourhood: Neighbourhood;
  readonly electionMs: number;
  readonly priority: number;
  publish(tags: ReadonlyMap<string, string | undefined>, now: MonotonicMs, effects: ClusterEffect[]): void;
  nextRequestId(): RequestId;
}

interface Preference {
  readonly member: MemberId;
  readonly term: Term;
  waitMs: number;
  at: MonotonicMs;
}

export class LeaderFitness {
  readonly #host: LeaderFitnessHost;
  #isLoopLate = false;
  #ailment: Ailment | undefined;
  /** Not before this; undefined while there is no reason to hand over. */
  #handoverAt: MonotonicMs | undefined;
  #lastTryAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #preference: Preference | undefined;

  constructor(host: LeaderFitnessHost) {
    this.#host = host;
  }

  get ailment(): Ailment | undefined {
    return this.#ailment;
  }

  /** Late for half of the shortest election timeout; well again only at half of that, so that it does not flap. */
  onLoopDelay(p99Ms: number): void {
    this.#isLoopLate = p99Ms >= this.#host.electionMs / (this.#isLoopLate ? 4 : 2);
  }

  nextDeadline(): MonotonicMs {
    const { replica } = this.#host.core();
    const stalls = this.#ailment === 'disk' ? undefined : replica.raft?.unsyncedSince;
    return Math.min(
      stalls === undefined ? Number.POSITIVE_INFINITY : stalls + DISK_STALL_MS,
      (replica.isLeader ? this.#handoverAt : undefined) ?? Number.POSITIVE_INFINITY,
      this.#preference?.at ?? Number.POSITIVE_INFINITY,
    );
  }

  /** After every input of a node that has started. */
  evaluate(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica } = this.#host.core();
    const since = replica.raft?.unsyncedSince;
    const isStalled = since !== undefined && now - since >= DISK_STALL_MS;
    this.#setAilment(isStalled ? 'disk' : this.#isLoopLate ? 'loop' : undefined, now, effects);
    const isUnfit = this.#ailment !== undefined || replica.isShortOfRoom;
    if (!isUnfit) {
      this.#handoverAt = undefined;
      this.#prefer(now, effects);
      return;
    }
    this.#preference = undefined;
    const hearMs = this.#ailment === 'loop' ? HEAR_OTHERS_LOOP_MS : HEAR_OTHERS_MS;
    this.#handoverAt ??= Math.max(now + hearMs, this.#lastTryAt + HANDOVER_MS);
    if (replica.isLeader && now >= this.#handoverAt) this.#handOver(now, effects);
  }

  #setAilment(ailment: Ailment | undefined, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (ailment === this.#ailment) return;
    this.#ailment = ailment;
    this.#handoverAt = undefined;
    this.#host.publish(new Map([[TAG_AILMENT, ailment]]), now, effects);
    notify({ kind: 'ailmentChanged', ailment }, effects);
  }

  /** To somebody who is fit; when nobody is, it is no worse here than there. */
  #handOver(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#lastTryAt = now;
    this.#handoverAt = now + HANDOVER_MS;
    const { neighbourhood, core, nextRequestId } = this.#host;
    if (this.#fitOthers().length === 0) return;
    const request = { requestId: nextRequestId(), avoid: neighbourhood.unfit() };
    core().replica.step({ kind: 'transferLeader', ...request }, now, effects);
  }

  /** A settled leader hands over to a voter of higher priority that has stood ready for a while. */
  #prefer(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, holding } = this.#host.core();
    const { raft } = replica;
    const preferred = raft?.isReady === true ? this.#preferred() : undefined;
    if (raft === undefined || preferred === undefined) {
      this.#preference = undefined;
      return;
    }
    const before = this.#preference;
    if (before === undefined || before.member !== preferred || before.term !== raft.term) {
      this.#preference = { member: preferred, term: raft.term, waitMs: PREFER_MS, at: now + PREFER_MS };
      return;
    }
    if (now < before.at) return;
    const isBusy = holding.sharding.pendingVersion !== undefined || raft.configuration.votersOutgoing.length > 0;
    if (isBusy) {
      before.at = now + POSTPONE_MS;
      return;
    }
    before.waitMs = Math.min(2 * before.waitMs, PREFER_MAX_MS);
    before.at = now + before.waitMs;
    replica.step({ kind: 'transferLeader', requestId: this.#host.nextRequestId(), target: preferred }, now, effects);
  }

  /** The fit voter of the highest priority above our own; the smallest id of equals. */
  #preferred(): MemberId | undefined {
    let best: { readonly member: MemberId; readonly priority: number } | undefined;
    for (const member of this.#fitOthers()) {
      const priority = this.#host.neighbourhood.peer(nodeIdOf(member))?.priority ?? 0;
      if (priority > (best?.priority ?? this.#host.priority)) best = { member, priority };
    }
    return best?.member;
  }

  #fitOthers(): MemberId[] {
    const { neighbourhood, core } = this.#host;
    const { replica, self } = core();
    return replica.configuration.voters.filter((voter) => {
      const peer = neighbourhood.peer(nodeIdOf(voter));
      return (
        voter !== self && peer?.member === voter && peer.isAlive && !peer.isUnfit && !neighbourhood.isLeaving(peer.node)
      );
    });
  }
}
