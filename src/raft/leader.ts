/**
 * Leading: everything that exists only while this node leads its term. raft.md sections 4.5, 4.6, 5, 6, 7.4 and 9; Raft §5.3, §5.4.
 *
 * The order in a term: elected, a `noop` of the own term is appended, it is committed and leaves as a `commit` effect, and from then on
 * the leader is *ready*: only now it reads, changes members, and holds a lease.
 */
import { assert } from '../base/assert.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { NO_INDEX } from '../model/ids.ts';
import type { LogIndex, MemberId, RequestId } from '../model/ids.ts';
import type { Configuration, EntryKind } from '../model/log.ts';
import { encodeConfiguration } from '../wire/raft/entry.ts';
import { leaderLeaseMs } from './config.ts';
import { becomeFollower, leaseRestedOn } from './follower.ts';
import { leftJoint, planChange } from './membership.ts';
import type { MembershipChange, RaftMessage, RaftRefusal } from './messages.ts';
import { Progress } from './progress.ts';
import { hasQuorum, isJoint, isMember, isVoter, membersOf, quorumValue } from './quorum.ts';
import { ReadBarriers } from './read-index.ts';
import { onAppendOk, onAppendRejected, onContact, replicateTo } from './replication.ts';
import { Rounds } from './rounds.ts';
import type { RaftState } from './state.ts';
import { Transfer } from './transfer.ts';

/** How many election timeouts a member that was dropped is still told so. */
const DEPARTURE_TIMEOUTS = 4;

/** What is not written here may be committed by the others, but nobody should build on that. */
const FULL = 'the disk of this node is full';
/** More than the heartbeat rounds of a leader lease. */
const ROUNDS_KEPT = 16;

type PeerAnswer = Extract<RaftMessage, { kind: 'appendOk' | 'appendRejected' | 'heartbeatResp' }>;

interface Proposal {
  readonly requestId: RequestId;
  readonly first: LogIndex;
  readonly last: LogIndex;
}

/** The last needed vote has been counted in this step. */
export function becomeLeader(state: RaftState): void {
  const restedOnLease = leaseRestedOn(state, state.log.lastLog.term);
  const leadership = new Leadership(state);
  state.setRole(leadership);
  state.counters.electionsWon += 1;
  state.notify({
    kind: 'becameLeader',
    term: state.term,
    electedAt: state.clock.now,
    restedOnLease,
    noopIndex: leadership.noopIndex,
  });
}

export class Leadership {
  readonly kind = 'leader';
  readonly noopIndex: LogIndex;
  readonly rounds: Rounds = new Rounds();
  readonly transfer: Transfer;
  readonly #state: RaftState;
  readonly #reads: ReadBarriers;
  /** Sorted by id, so that effects do not depend on history. */
  #peers: Progress[] = [];
  #byId: ReadonlyMap<MemberId, Progress> = new Map();
  /** Our own contribution to commits: durable, under this term (I-12). */
  #selfMatch: LogIndex;
  #proposals: Proposal[] = [];
  #change: { readonly requestId: RequestId; readonly index: LogIndex } | undefined;
  #nextHeartbeatAt: MonotonicMs;

  constructor(state: RaftState) {
    this.#state = state;
    this.transfer = new Transfer(state, this);
    this.#reads = new ReadBarriers(state);
    this.#selfMatch = state.outbox.durableIndex;
    this.#nextHeartbeatAt = state.clock.now + state.config.heartbeatMs;
    this.#alignPeers();
    // Its answers count from here, and so does the time in which the voters are to be heard.
    this.rounds.begin(state.clock.now);
    this.noopIndex = this.#append('noop', EMPTY_BYTES);
  }

  /** The own `noop` is committed and has left to be applied. */
  get isReady(): boolean {
    return this.#state.emittedIndex >= this.noopIndex;
  }

  get nextDeadline(): MonotonicMs {
    return this.#nextHeartbeatAt;
  }

  get peers(): readonly Progress[] {
    return this.#peers;
  }

  /** The lowest index that a snapshot stream in progress makes worth keeping; Infinity when there is none. */
  get compactFloor(): number {
    return Math.min(
      ...this.#peers.map((peer) => (peer.state.kind === 'snapshot' ? peer.state.index + 1 : Number.POSITIVE_INFINITY)),
    );
  }

  /** Requests that this leadership still owes an answer. */
  get waitingCount(): number {
    return (
      this.#proposals.length +
      (this.#change === undefined ? 0 : 1) +
      this.#reads.localCount +
      this.transfer.waitingCount
    );
  }

  progressOf(member: MemberId): Progress | undefined {
    return this.#byId.get(member);
  }

  /** raft.md 7.2: from the instant the newest round that a quorum echoed began. The only voter needs no echo (C-15). */
  leaseUntil(): MonotonicMs {
    if (!this.isReady || this.transfer.hasToldTarget) return Number.NEGATIVE_INFINITY;
    const seq = this.#quorumSeq();
    const from = seq === Number.POSITIVE_INFINITY ? this.#state.clock.now : this.rounds.leaseFrom(seq);
    return from + leaderLeaseMs(this.#state.config);
  }

  propose(requestId: RequestId, items: readonly Uint8Array[]): void {
    const state = this.#state;
    assert(items.length > 0, 'a proposal has items');
    const refusal = this.#proposalRefusal(items);
    if (refusal !== undefined) {
      state.counters.proposalsRefused += 1;
      return state.refuse(requestId, refusal.code, refusal.reason);
    }
    state.counters.proposals += 1;
    const first = (state.log.lastIndex + 1) as LogIndex;
    for (const item of items) this.#append('command', item);
    this.#proposals.push({ requestId, first, last: state.log.lastIndex });
  }

  changeMembers(requestId: RequestId, change: MembershipChange): void {
    const state = this.#state;
    const { latest } = state.log;
    if (state.room === 'full') return state.refuse(requestId, 'STORAGE_FULL', FULL);
    if (this.transfer.isUnderWay)
      return state.refuse(requestId, 'TRANSFER_IN_PROGRESS', 'leadership is being handed over');
    // Both are the guard of raft.md 9.2 rule 2. Without the first, two leaders could commit by majorities that do not meet (P-32).
    if (!this.isReady) return state.refuse(requestId, 'NOT_READY', 'the leader has not committed an entry of its term');
    // A change that is committed and has not yet left to be applied still owes its answer.
    if (latest.index > state.commitIndex || this.#change !== undefined) {
      return state.refuse(requestId, 'CONFIG_PENDING', 'another change is not committed yet');
    }
    const plan = planChange(latest.configuration, change, {
      leader: state.self,
      learnersMax: state.config.learnersMax,
      isCaughtUp: (learner) => this.#isCaughtUp(learner),
    });
    if (plan.kind === 'refused') return state.refuse(requestId, plan.code, plan.reason);
    if (plan.kind === 'none') return state.reply(requestId, { kind: 'changed', configuration: latest.configuration });
    // It would count at once and could not be committed: a group that has a majority now would have none until somebody comes back.
    if (!this.#hearsQuorum(plan.configuration))
      return state.refuse(requestId, 'NOT_READY', 'of the voters that would be, no majority was heard lately');
    this.#change = { requestId, index: this.#configure(plan.configuration) };
    this.advanceCommit();
  }

  /** It counts from here on, committed or not (raft.md 9.1). */
  #configure(configuration: Configuration): LogIndex {
    const index = this.#append('config', encodeConfiguration(configuration));
    this.#alignPeers();
    this.#state.announceConfiguration();
    return index;
  }

  /**
   * raft.md 9.2 rule 4: what is joint and committed is left by the leader itself, whoever entered it. A leader that is in the outgoing
   * half only does so too, and goes when that is committed.
   */
  #leaveJoint(): void {
    const { log, commitIndex } = this.#state;
    const { configuration, index } = log.latest;
    const isCommitted = index <= commitIndex && this.noopIndex <= commitIndex;
    if (!isJoint(configuration) || !isCommitted || this.transfer.isUnderWay) return;
    const left = this.#configure(leftJoint(configuration));
    // Whoever asked for the change is answered when all of it is done.
    if (this.#change?.index === index) this.#change = { ...this.#change, index: left };
    this.advanceCommit();
  }

  readIndex(requestId: RequestId): void {
    if (!this.#reads.ask({ kind: 'local', requestId })) this.#state.refuse(requestId, 'BUSY', 'too many reads wait');
  }

  onReadIndexReq(from: MemberId, id: number): void {
    const { term } = this.#state;
    if (this.#reads.ask({ kind: 'remote', from, id })) return;
    this.#state.send(from, { kind: 'readIndexResp', term, id, index: NO_INDEX, ok: false });
  }

  onPeerAnswer(from: MemberId, message: PeerAnswer): void {
    const state = this.#state;
    const peer = this.#byId.get(from);
    if (peer === undefined || message.readSeq > this.rounds.newest) return state.drop();
    peer.lastHeardAt = state.clock.healthyMs;
    peer.echoedSeq = Math.max(peer.echoedSeq, message.readSeq);
    if (message.kind === 'appendOk') {
      onAppendOk(state, peer, message);
      this.advanceCommit();
    } else if (message.kind === 'appendRejected') {
      onAppendRejected(state, peer, message);
    } else {
      onContact(state, this, peer);
    }
    if (state.role !== this) return;
    this.#reads.confirm(this.#quorumSeq());
    this.transfer.advance();
  }

  onUnreachable(member: MemberId): void {
    const peer = this.#byId.get(member);
    if (peer?.state.kind === 'replicate') peer.becomeProbe();
  }

  onSnapshotStatus(member: MemberId, ok: boolean): void {
    const peer = this.#byId.get(member);
    if (peer?.state.kind !== 'snapshot') return;
    peer.becomeProbe(ok ? ((peer.state.index + 1) as LogIndex) : NO_INDEX);
    // Its acknowledgement or the next heartbeat's answer goes on from here.
    peer.state = { kind: 'probe', sent: true };
  }

  /** Our own disk is level with `durableIndex`, by a write of this term. */
  onSelfDurable(durableIndex: LogIndex): void {
    this.#selfMatch = durableIndex;
    this.advanceCommit();
  }

  /** Acts on what is due: a heartbeat round, and the checks that come with it. */
  tick(): void {
    const state = this.#state;
    const { now, healthyMs } = state.clock;
    if (now < this.#nextHeartbeatAt) return;
    this.#nextHeartbeatAt = now + state.config.heartbeatMs;
    if (!this.#hearsQuorum()) {
      // CheckQuorum, with a clock per peer (raft.md 4.5).
      return becomeFollower(state, { term: state.term, leader: undefined, reason: 'no quorum of voters was heard' });
    }
    this.transfer.advance();
    this.#leaveJoint();
    if (state.role !== this) return;
    if (this.#peers.some((peer) => peer.hasDeparted(healthyMs))) this.#alignPeers();
    for (const peer of this.#peers) {
      const isOverdue = peer.state.kind === 'snapshot' && now - peer.state.since >= state.config.snapshotTimeoutMs;
      if (isOverdue) peer.becomeProbe();
    }
    // The newest few stay in any case: while this node is the only voter, those of learners count as soon as one is promoted.
    this.rounds.forgetBefore(Math.min(this.#quorumSeq(), this.rounds.newest - ROUNDS_KEPT));
    this.#beginRound();
  }

  /** The end of a turn: reads of the turn share a round, entries of the turn share an append per peer. */
  flush(): void {
    if (this.isReady && this.#reads.wantsRound) {
      this.#reads.begin(this.rounds.newest + 1);
      this.#beginRound();
      this.#reads.confirm(this.#quorumSeq());
    }
    for (const peer of this.#peers) replicateTo(this.#state, this, peer);
  }

  /** Entries through `emittedIndex` have left to be applied: those who proposed them are answered. */
  onEmitted(): void {
    const { emittedIndex } = this.#state;
    let done = 0;
    for (const proposal of this.#proposals) {
      if (proposal.last > emittedIndex) break;
      this.#replyCommitted(proposal);
      done += 1;
    }
    this.#proposals.splice(0, done);
    if (this.#change !== undefined && this.#change.index <= emittedIndex) this.#replyChanged(this.#change);
  }

  /** raft.md 6.1: a majority has it durably, and it is of our own term (Raft §5.4.2, figure 8; P-8). */
  advanceCommit(): void {
    const state = this.#state;
    const reached = quorumValue(state.configuration, (member) => this.#matchOf(member));
    if (reached <= state.commitIndex || state.log.termAt(reached) !== state.term) return;
    state.commitTo(reached as LogIndex);
    this.#leaveJoint();
    if (state.role !== this) return;
    const { latest } = state.log;
    if (latest.index <= state.commitIndex && !isVoter(latest.configuration, state.self)) {
      // E-9, P-33. Told to the others first, so that they need not find out by an election what is committed.
      for (const peer of this.#peers) replicateTo(state, this, peer);
      becomeFollower(state, { term: state.term, leader: undefined, reason: 'no longer a voter' });
    }
  }

  /** Everything that was waiting here gets its one answer (I-22, P-65). The role has changed already. */
  resign(reason: string): void {
    const state = this.#state;
    state.counters.stepDowns += 1;
    state.notify({ kind: 'steppedDown', term: state.term, reason });
    for (const proposal of this.#proposals) {
      if (proposal.last <= state.commitIndex) this.#replyCommitted(proposal);
      else state.reply(proposal.requestId, { kind: 'unknown', reason: `leadership was lost: ${reason}` });
    }
    this.#proposals = [];
    if (this.#change !== undefined && this.#change.index <= state.commitIndex) this.#replyChanged(this.#change);
    else if (this.#change !== undefined) {
      state.reply(this.#change.requestId, { kind: 'unknown', reason: `leadership was lost: ${reason}` });
      this.#change = undefined;
    }
    this.#reads.abandon();
    this.transfer.leave();
  }

  check(): void {
    const { log, config, commitIndex, configuration, outbox } = this.#state;
    for (const peer of this.#peers) peer.check(log.lastIndex, config);
    assert(this.#selfMatch <= outbox.durableIndex, 'I-12: what a leader counts of itself is durable');
    assert(
      log.termAt(this.noopIndex) === this.#state.term || this.noopIndex < log.firstIndex,
      'I-2: a leader keeps its own entries',
    );
    assert(
      log.configurationsBetween(Math.max(commitIndex, this.noopIndex) as LogIndex, log.lastIndex).length <= 1,
      'I-15: a leader has one configuration under way at a time',
    );
    const members = membersOf(configuration).filter((member) => member !== this.#state.self);
    assert(
      members.every((member) => this.#byId.has(member)),
      'every member has its progress',
    );
    assert(this.#proposals.length <= config.waitingRequestsMax, 'I-24: waiting proposals are bounded');
  }

  #append(kind: EntryKind, data: Uint8Array): LogIndex {
    const { log, term } = this.#state;
    const index = (log.lastIndex + 1) as LogIndex;
    log.append({ index, term, kind, data });
    return index;
  }

  #proposalRefusal(items: readonly Uint8Array[]): { readonly code: RaftRefusal; readonly reason: string } | undefined {
    const { config, log, commitIndex, appliedIndex } = this.#state;
    if (this.#state.room === 'full') return { code: 'STORAGE_FULL', reason: FULL };
    if (this.transfer.isUnderWay) return { code: 'TRANSFER_IN_PROGRESS', reason: 'leadership is being handed over' };
    if (items.some((item) => item.length > config.commandBytesMax)) {
      return { code: 'TOO_LARGE', reason: `a command may have ${config.commandBytesMax} bytes` };
    }
    const bytes = items.reduce((sum, item) => sum + item.length, 0);
    const isBusy =
      this.#proposals.length >= config.waitingRequestsMax ||
      log.lastIndex - commitIndex + items.length > config.uncommittedEntriesMax ||
      log.bytesBetween(commitIndex, log.lastIndex) + bytes > config.uncommittedBytesMax ||
      log.bytesBetween(appliedIndex, commitIndex) > config.unappliedBytesMax;
    return isBusy ? { code: 'BUSY', reason: 'too much is proposed and not yet committed and applied' } : undefined;
  }

  #replyCommitted(proposal: Proposal): void {
    const count = proposal.last - proposal.first + 1;
    const indexes = Array.from({ length: count }, (_, i) => (proposal.first + i) as LogIndex);
    const { term } = this.#state.log.entryAt(proposal.last);
    this.#state.reply(proposal.requestId, { kind: 'committed', term, indexes });
  }

  #replyChanged(change: { readonly requestId: RequestId; readonly index: LogIndex }): void {
    this.#change = undefined;
    const { configuration } = this.#state.log.configurationAt(change.index);
    this.#state.reply(change.requestId, { kind: 'changed', configuration });
  }

  #matchOf(member: MemberId): number {
    return member === this.#state.self ? this.#selfMatch : (this.#byId.get(member)?.match ?? 0);
  }

  /** The newest round that a quorum has echoed; Infinity when this node is the only voter. */
  #quorumSeq(): number {
    const { self, configuration } = this.#state;
    return quorumValue(configuration, (member) =>
      member === self ? Number.POSITIVE_INFINITY : (this.#byId.get(member)?.echoedSeq ?? 0),
    );
  }

  #hearsQuorum(of: Configuration = this.#state.configuration): boolean {
    const { self, clock, config } = this.#state;
    return hasQuorum(of, (member) => {
      const heardAt = this.#byId.get(member)?.lastHeardAt ?? Number.NEGATIVE_INFINITY;
      return member === self || clock.healthyMs - heardAt <= config.electionMs;
    });
  }

  #isCaughtUp(learner: MemberId): boolean {
    const { clock, config } = this.#state;
    const peer = this.#byId.get(learner);
    if (peer === undefined || clock.healthyMs - peer.lastHeardAt > config.electionMs) return false;
    return peer.isCaughtUp(clock.now, config.electionMs);
  }

  #beginRound(): void {
    const state = this.#state;
    const readSeq = this.rounds.begin(state.clock.now);
    const cancelledTransfers = this.transfer.cancelledSeq;
    for (const peer of this.#peers) {
      // No further than what the peer is known to have: a heartbeat verifies nothing.
      const commit = Math.min(peer.match, state.commitIndex) as LogIndex;
      peer.sentCommit = Math.max(peer.sentCommit, commit) as LogIndex;
      state.send(peer.id, { kind: 'heartbeat', term: state.term, commit, readSeq, cancelledTransfers });
    }
  }

  /** Progress for everyone in the newest configuration, and for those it dropped until they know. */
  #alignPeers(): void {
    const { log, self, configuration, clock, config } = this.#state;
    const kept = this.#peers.filter((peer) => isMember(configuration, peer.id) || !peer.hasDeparted(clock.healthyMs));
    for (const id of membersOf(configuration)) {
      if (id === self || kept.some((peer) => peer.id === id)) continue;
      kept.push(new Progress(id, (log.lastIndex + 1) as LogIndex, clock.healthyMs));
    }
    for (const peer of kept) {
      const untilHealthyMs = clock.healthyMs + DEPARTURE_TIMEOUTS * config.electionMs;
      if (isMember(configuration, peer.id)) peer.departure = undefined;
      else peer.departure ??= { index: log.latest.index, untilHealthyMs };
      if (configuration.learners.includes(peer.id)) peer.startCatchUp(log.lastIndex, clock.now);
      else peer.stopCatchUp();
    }
    this.#peers = kept.sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#byId = new Map(this.#peers.map((peer) => [peer.id, peer]));
  }
}
