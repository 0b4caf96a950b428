/**
 * Where requests to the coordination state come in and their answers go out. A leader gathers what changes something into entries of the
 * log; a member of the group reads by itself; everything else goes to whoever can do it, one hop, and a second one from a node that does
 * not know who leads (raft.md 6.5). What finds no leader waits for one, for as long as nothing of it can be in any log.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import type { LogIndex, MemberId, RequestId } from '../model/ids.ts';
import type { KvDeskStats } from '../model/node-stats.ts';
import type { KvReply } from '../model/kv.ts';
import type { Entry } from '../model/log.ts';
import type { RaftOutcome } from '../raft/messages.ts';
import { encodeKvItem } from '../wire/kv/batch.ts';
import { KV_REQUEST_BYTES_MAX } from '../wire/kv/limits.ts';
import { carried, type CarriedRequest } from '../wire/kv/request.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import { type Asker, KvAnswers, type OpenRequest, refused } from './kv-askers.ts';
import { KvForwarding } from './kv-forwarding.ts';
import { KvProposals } from './kv-proposals.ts';
import { KvReads } from './kv-reads.ts';
import type { ClusterEffect, KvQuestion } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Replica } from './replica.ts';

/** Beyond it a request is refused as BUSY (raft.md 6.3). */
const WAITING_MAX = 5_000;
/** Longer than an election after an election that failed. */
const PATIENCE_MS = 4_000;
/** Who leads is looked at anew this often while requests wait for it. */
const LOOK_MS = 20;
/** A request that was passed on so often goes no further. */
const HOPS_MAX = 2;
/** Sessions without a request for so long are ended, and how often that is looked at. */
const SESSION_IDLE_MS = 3_600_000;
const SESSION_SWEEP_MS = 30_000;

export interface KvDeskHost {
  readonly self: MemberId;
  readonly replica: Replica;
  readonly neighbourhood: Neighbourhood;
  readonly random: Random;
  readonly hasLeaseReads: boolean;
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  wallMs(now: MonotonicMs): number;
  nextRequestId(): RequestId;
}

export class KvDesk {
  readonly #host: KvDeskHost;
  readonly #answers: KvAnswers;
  readonly #proposals: KvProposals;
  readonly #reads: KvReads;
  readonly #forwarding: KvForwarding;
  /** They wait for somebody who can do them. */
  #parked: OpenRequest[] = [];
  #lookAt: MonotonicMs = Number.POSITIVE_INFINITY;
  #sweepAt: MonotonicMs = Number.POSITIVE_INFINITY;
  /** Whom requests were sent to last. */
  #leader: MemberId | undefined;

  constructor(host: KvDeskHost) {
    this.#host = host;
    this.#answers = new KvAnswers(host.send);
    const retry = (request: OpenRequest, now: MonotonicMs): void => this.#park(request, now);
    const { replica, random, hasLeaseReads } = host;
    const answers = this.#answers;
    const nextRequestId = (): RequestId => host.nextRequestId();
    this.#proposals = new KvProposals({ replica, answers, retry, nextRequestId, wallMs: (now) => host.wallMs(now) });
    this.#reads = new KvReads({ replica, answers, retry, nextRequestId, hasLeaseReads });
    this.#forwarding = new KvForwarding({ answers, random, retry, send: host.send });
  }

  get stats(): KvDeskStats {
    const { batches, items } = this.#proposals;
    const { quorum, lease, stale } = this.#reads.counts;
    return {
      ...this.#host.replica.state.kv.stats,
      waiting: this.#answers.open,
      proposed: items,
      batches,
      quorumReads: quorum,
      leaseReads: lease,
      staleReads: stale,
      forwarded: this.#forwarding.count,
      ...this.#answers.counts,
    };
  }

  nextDeadline(): MonotonicMs {
    const isDue = this.#proposals.isWaiting || this.#reads.isWaiting || this.#forwarding.isWaiting;
    if (isDue || !this.#answers.isEmpty) return Number.NEGATIVE_INFINITY;
    return Math.min(this.#lookAt, this.#sweepAt, this.#forwarding.nextDeadline());
  }

  onQuestions(questions: readonly KvQuestion[], now: MonotonicMs, effects: ClusterEffect[]): void {
    for (const { requestId, request } of questions)
      this.#take({ kind: 'local', requestId }, carried(request), 0, now, effects);
  }

  onPeerMessage(
    from: MemberId,
    message: Extract<PeerMessage, { kind: 'kvAsk' | 'kvAnswer' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    if (message.kind === 'kvAnswer') return this.#forwarding.onAnswers(from, message.answers, now);
    for (const { id, request } of message.asks)
      this.#take({ kind: 'peer', from, id }, request, message.hops, now, effects);
  }

  onPeerUnreachable(peer: MemberId, now: MonotonicMs): void {
    this.#forwarding.onLost(peer, now);
  }

  /** True when the reply was to one of our own requests. */
  onRaftReply(requestId: RequestId, outcome: RaftOutcome, now: MonotonicMs): boolean {
    return this.#proposals.onRaftReply(requestId, outcome, now) || this.#reads.onRaftReply(requestId, outcome, now);
  }

  onReplies(entry: Entry, replies: readonly KvReply[]): void {
    this.#proposals.onApplied(entry, replies);
  }

  onApplied(index: LogIndex): void {
    this.#reads.onApplied(index);
  }

  onImage(index: LogIndex): void {
    this.#proposals.onImage(index);
    this.#reads.onApplied(index);
  }

  /** Before Raft acts: what the turn has gathered goes to it. */
  flush(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#watchLeader(now);
    this.#forwarding.tick(now);
    this.#lookAgain(now, effects);
    this.#sweepSessions(now);
    this.#proposals.flush(now, effects);
    this.#reads.flush(now, effects);
    this.#forwarding.flush(effects);
  }

  /** After Raft has acted: what is answered leaves. */
  flushAnswers(effects: ClusterEffect[]): void {
    this.#answers.flush(effects);
  }

  /** This node leaves the cluster whose state it was. */
  end(reason: string, effects: ClusterEffect[]): void {
    this.#proposals.end(reason);
    this.#reads.end(reason);
    this.#forwarding.end(reason);
    for (const { asker } of this.#parked.splice(0)) this.#answers.give(asker, refused('NOT_A_MEMBER', reason));
    this.#answers.flush(effects);
  }

  #take(asker: Asker, request: CarriedRequest, hops: number, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (request.kind === 'item' && request.item.length > KV_REQUEST_BYTES_MAX) {
      const reason = `a request may have ${KV_REQUEST_BYTES_MAX} bytes`;
      return this.#answers.giveUncounted(asker, refused('TOO_LARGE', reason));
    }
    if (this.#answers.open >= WAITING_MAX)
      return this.#answers.giveUncounted(asker, refused('BUSY', `${WAITING_MAX} requests wait here already`));
    this.#answers.open += 1;
    const open: OpenRequest = { asker, request, hops, deadline: now + PATIENCE_MS };
    if (!this.#place(open, now, effects)) this.#park(open, now);
  }

  /** To where it can be done; false when that is not known now. */
  #place(open: OpenRequest, now: MonotonicMs, effects: ClusterEffect[]): boolean {
    const { self, replica } = this.#host;
    const { request } = open;
    const isInGroup = replica.isInGroup(self);
    if (request.kind === 'read' && request.consistency === 'stale' && replica.state.founding !== undefined) {
      this.#reads.serveStale(open);
      return true;
    }
    if (replica.isLeader || (isInGroup && request.kind === 'read')) {
      if (request.kind === 'read') this.#reads.add(open);
      else this.#proposals.add(open);
      return true;
    }
    if (open.hops >= HOPS_MAX) {
      this.#answers.give(open.asker, refused('NO_LEADER', 'this node does not lead'));
      return true;
    }
    const to = isInGroup ? replica.raft?.leader : this.#outsideTarget(now);
    if (to === undefined || to === self) return false;
    this.#forwarding.forward(open, to, now, effects);
    return true;
  }

  /** For a node outside of the group: the leader when it is known, else any voter. */
  #outsideTarget(now: MonotonicMs): MemberId | undefined {
    const { self, replica, neighbourhood, random } = this.#host;
    const { leader } = replica.knownLeader(self, now);
    const led = leader === undefined ? undefined : neighbourhood.peer(leader);
    if (led?.isAlive === true && led.clusterId === replica.clusterId) return led.member;
    const { known, possible } = neighbourhood.votersOf(replica.clusterId, replica.state.configuration.voters);
    const pool = known.length > 0 ? known : possible;
    return pool[randomBelow(random, Math.max(1, pool.length))];
  }

  #park(request: OpenRequest, now: MonotonicMs): void {
    this.#parked.push(request);
    this.#lookAt = Math.min(this.#lookAt, now + LOOK_MS);
  }

  #lookAgain(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (now < this.#lookAt) return;
    this.#lookAt = Number.POSITIVE_INFINITY;
    const parked = this.#parked;
    this.#parked = [];
    for (const open of parked) {
      if (now >= open.deadline) this.#answers.give(open.asker, refused('NO_LEADER', 'no leader was found in time'));
      else if (!this.#place(open, now, effects)) this.#park(open, now);
    }
  }

  /** What was sent to a leader that leads no more is not waited for long. */
  #watchLeader(now: MonotonicMs): void {
    const leader = this.#host.replica.raft?.leader;
    if (leader === this.#leader) return;
    if (this.#leader !== undefined) this.#forwarding.onLost(this.#leader, now);
    this.#leader = leader;
    if (this.#parked.length > 0) this.#lookAt = now;
    this.#sweepAt = this.#host.replica.isLeader ? now + SESSION_SWEEP_MS : Number.POSITIVE_INFINITY;
  }

  /** raft.md 6.4: by an entry, so that all replicas end them at the same place. */
  #sweepSessions(now: MonotonicMs): void {
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + SESSION_SWEEP_MS;
    const { replica } = this.#host;
    if (replica.raft?.isReady !== true || replica.state.kv.idleMs(this.#host.wallMs(now)) <= SESSION_IDLE_MS) return;
    const item = encodeKvItem({ kind: 'expireSessions', term: replica.raft.term, idleMs: SESSION_IDLE_MS });
    this.#answers.open += 1;
    this.#proposals.add({ asker: { kind: 'nobody' }, request: { kind: 'item', item }, hops: HOPS_MAX, deadline: now });
  }
}
