/**
 * Raft: one agreed log among a few voters. Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), with
 * pre-vote, leader stickiness, CheckQuorum, ReadIndex, leader lease, transfer and learners after Ongaro's dissertation and raft.md.
 *
 *   follower ──timer──▶ preCandidate ──quorum would──▶ candidate ──quorum did──▶ leader
 *      ▲                     │                             │                        │
 *      └──── newer term, a leader of this term, refused by a quorum, no quorum heard ┘
 *
 * The door: takes inputs, settles the term, hands on to the role. `step` gathers, `tick` acts on what is due and lets out what the
 * inputs of a turn have gathered, so that the entries of one turn share a write and an append. After any `step` the next deadline is
 * now: a shell calls `tick` at the end of each turn.
 *
 * Invariants: I-n of raft.md section 16; those marked C are asserted here and in the parts.
 */
import { assert, unreachable } from '../base/assert.ts';
import { crc32c } from '../base/crc32c.ts';
import { utf8 } from '../base/bytes.ts';
import type { Machine, MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { LogIndex, MemberId, RequestId, Term } from '../model/ids.ts';
import type { Configuration, RecoveredLog } from '../model/log.ts';
import type { RaftStats } from '../model/node-stats.ts';
import { onPreVoteResp, onVote, startCampaign, startPreVote } from './candidate.ts';
import type { RaftConfig } from './config.ts';
import { becomeFollower, onAppend, onHeartbeat } from './follower.ts';
import type { RaftEffect, RaftInput, RaftMessage, RaftReadings, RaftRole } from './messages.ts';
import type { Held } from './outbox.ts';
import { ForwardedReads } from './read-index.ts';
import { askForInstall, onCompacted, onSnapshotInstalled, onSnapshotReceived } from './snapshot.ts';
import { RaftState } from './state.ts';
import { settleHandover } from './transfer.ts';
import type { Caution } from './voting.ts';
import { cautionAfter, isUncancelled, mayAdoptVoteTerm, onPreVoteReq, onVoteReq } from './voting.ts';

/** Less than this is nothing: a sum of fractions may miss a deadline by a hair, and no sleep is that short. */
const TIMER_GRAIN_MS = 0.01;
/** How far a late event loop stretches its own election timeout (raft.md 12.3). */
const TIMEOUT_FACTOR_MAX = 8;

type Request = Extract<RaftInput, { requestId: RequestId }>;

export class Raft implements Machine<RaftInput, RaftEffect>, RaftReadings {
  readonly #state: RaftState;
  readonly #forwarded: ForwardedReads;
  readonly #caution: Caution | undefined;
  /** Inputs have come since the last tick. */
  #isFlushDue = true;

  /** `recovered` holds what the disk held; a founder gets a log whose first entry is its configuration. */
  constructor(config: RaftConfig, self: MemberId, recovered: RecoveredLog, random: Random, now: MonotonicMs) {
    this.#state = new RaftState(config, self, recovered, random, now);
    this.#forwarded = new ForwardedReads(this.#state);
    this.#caution = cautionAfter(recovered.tornTail, config.electionMs);
    // Nobody else's promise could be broken, and nobody else would campaign.
    if (this.#state.isOnlyVoter) this.#state.timeoutMs = 0;
  }

  get term(): Term {
    return this.#state.term;
  }

  get role(): RaftRole {
    return this.#state.role.kind;
  }

  get leader(): MemberId | undefined {
    return this.#state.leader;
  }

  get configuration(): Configuration {
    return this.#state.configuration;
  }

  /** The newest configuration is on this node's disk. */
  get isConfigurationDurable(): boolean {
    return this.#state.log.latest.index <= this.#state.outbox.durableIndex;
  }

  /** The newest configuration that is known to be committed, and its index: what a snapshot stores. */
  get committedConfiguration(): { readonly index: LogIndex; readonly configuration: Configuration } {
    return this.#state.log.configurationAt(this.#state.commitIndex);
  }

  get commitIndex(): LogIndex {
    return this.#state.commitIndex;
  }

  get lastIndex(): LogIndex {
    return this.#state.log.lastIndex;
  }

  get durableIndex(): LogIndex {
    return this.#state.outbox.durableIndex;
  }

  /** When the oldest write that is not durable yet was given to storage; undefined when all are (raft.md 12.4). */
  get unsyncedSince(): MonotonicMs | undefined {
    return this.#state.outbox.waitsSince;
  }

  /** Own `noop` of this term is committed and has left as a `commit` effect. */
  get isReady(): boolean {
    const { role } = this.#state;
    return role.kind === 'leader' && role.isReady;
  }

  get leaderLeaseUntil(): MonotonicMs {
    const { role } = this.#state;
    return role.kind === 'leader' ? role.leaseUntil() : Number.NEGATIVE_INFINITY;
  }

  /** The term of an entry we hold, for snapshot metadata; undefined when it is compacted away or beyond the log. */
  termAt(index: LogIndex): Term | undefined {
    return this.#state.log.termAt(index);
  }

  /** Compaction should keep this index and all above it, for the sake of snapshot streams in progress; Infinity when none is. */
  get compactFloor(): number {
    const { role } = this.#state;
    return role.kind === 'leader' ? role.compactFloor : Number.POSITIVE_INFINITY;
  }

  get stats(): RaftStats {
    const { counters, log, configuration, role, term, commitIndex, appliedIndex, outbox } = this.#state;
    const peers = role.kind === 'leader' ? role.peers : [];
    return {
      term,
      isLeader: role.kind === 'leader',
      commitIndex,
      appliedIndex,
      lastIndex: log.lastIndex,
      durableIndex: outbox.durableIndex,
      snapshotIndex: log.snapshotIndex,
      voters: configuration.voters.length,
      learners: configuration.learners.length,
      electionsStarted: counters.electionsStarted,
      electionsWon: counters.electionsWon,
      stepDowns: counters.stepDowns,
      messagesSent: counters.messagesSent,
      messagesReceived: counters.messagesReceived,
      messagesDropped: counters.messagesDropped,
      proposals: counters.proposals,
      proposalsRefused: counters.proposalsRefused,
      logBytes: log.bytes,
      lag: Object.fromEntries(peers.map((peer) => [nodeIdOf(peer.id), log.lastIndex - peer.match])),
    };
  }

  step(input: RaftInput, now: MonotonicMs, effects: RaftEffect[]): void {
    this.#enter(now, effects);
    if ('requestId' in input) this.#onRequest(input);
    else if (!this.#state.isStopped) this.#onHappening(input);
    this.#isFlushDue = true;
    this.#leave();
  }

  tick(now: MonotonicMs, effects: RaftEffect[]): void {
    this.#enter(now, effects);
    if (!this.#state.isStopped) {
      this.#actOnDeadlines();
      this.#flush();
    }
    this.#isFlushDue = false;
    this.#leave();
  }

  nextDeadline(): MonotonicMs {
    const state = this.#state;
    if (state.isStopped) return Number.POSITIVE_INFINITY;
    if (this.#isFlushDue) return state.clock.now;
    const waits = Math.min(this.#forwarded.nextDeadline(), state.handover?.deadline ?? Number.POSITIVE_INFINITY);
    return Math.min(waits, state.role.kind === 'leader' ? state.role.nextDeadline : this.#timerDeadline());
  }

  check(): void {
    const { log, outbox, commitIndex, emittedIndex, appliedIndex, role, counters, term } = this.#state;
    outbox.check();
    assert(log.lastLog.term <= term, 'I-10: the last term in the log is at most the current one');
    assert(appliedIndex <= emittedIndex, 'I-9: only what was emitted is applied');
    assert(
      emittedIndex <= Math.min(commitIndex, outbox.durableIndex),
      'I-9: only what is committed and durable is emitted',
    );
    assert(commitIndex <= log.lastIndex, 'I-9: the commit index is inside the log');
    assert(log.snapshotIndex <= emittedIndex && log.baseIndex <= log.snapshotIndex, 'I-9: the log meets its snapshot');
    assert(this.#state.config.batchesInFlightMax >= outbox.batchesInFlight, 'I-24: batches in flight are bounded');
    const waiting = this.#forwarded.count + (this.#state.handover?.requestIds.length ?? 0);
    const leading = role.kind === 'leader' ? role.waitingCount : 0;
    assert(
      counters.requestsTaken - counters.requestsAnswered === waiting + leading,
      'I-22: every request gets one answer',
    );
    if (role.kind === 'leader') role.check();
  }

  /** A short hash of all state that matters: two runs of one history end with the same (I-32). */
  digest(): number {
    const { term, vote, role, leader, commitIndex, emittedIndex, appliedIndex, log, outbox, clock, timeoutMs } =
      this.#state;
    const peers =
      role.kind === 'leader'
        ? role.peers.map((peer) => [peer.id, peer.state, peer.match, peer.next, peer.echoedSeq])
        : [];
    const lastEntries = Array.from({ length: Math.min(8, log.lastIndex - log.baseIndex) }, (_, i) => {
      const entry = log.entryAt(log.lastIndex - i);
      return [entry.term, entry.kind, crc32c(entry.data)];
    });
    const rest = [clock.healthyMs, this.#state.timerStartedAt, timeoutMs, this.#state.heardAt, this.#state.counters];
    const indexes = [commitIndex, emittedIndex, appliedIndex, log.baseIndex, log.lastIndex, outbox.durableIndex];
    return crc32c(utf8(JSON.stringify([term, vote, role.kind, leader, indexes, lastEntries, log.latest, peers, rest])));
  }

  #enter(now: MonotonicMs, effects: RaftEffect[]): void {
    this.#state.effects = effects;
    this.#state.clock.advance(now);
  }

  #leave(): void {
    settleHandover(this.#state);
    this.#state.clock.plan(this.nextDeadline());
    this.#state.effects = [];
  }

  #onRequest(input: Request): void {
    const state = this.#state;
    const { role } = state;
    state.counters.requestsTaken += 1;
    if (state.isStopped) return state.refuse(input.requestId, 'STOPPED', 'this node has stopped');
    if (role.kind !== 'leader') return this.#onRequestWithoutLeading(input);
    switch (input.kind) {
      case 'propose':
        return role.propose(input.requestId, input.items);
      case 'changeMembers':
        return role.changeMembers(input.requestId, input.change);
      case 'readIndex':
        return role.readIndex(input.requestId);
      case 'transferLeader':
        return role.transfer.request(input.requestId, input.target, input.avoid);
      default:
        return unreachable(input);
    }
  }

  #onRequestWithoutLeading(input: Request): void {
    const { leader } = this.#state;
    if (input.kind === 'readIndex' && leader !== undefined) return this.#forwarded.ask(input.requestId, leader);
    if (input.kind === 'propose') this.#state.counters.proposalsRefused += 1;
    this.#state.refuse(input.requestId, 'NOT_LEADER', leader === undefined ? 'no leader is known' : `${leader} leads`);
  }

  #onHappening(input: Exclude<RaftInput, Request>): void {
    const state = this.#state;
    const { role } = state;
    switch (input.kind) {
      case 'message':
        return this.#onMessage(input.from, input.message);
      case 'persisted':
        return this.#onPersisted(input.batchSeq);
      case 'persistFailed':
        return this.#stop(input.reason);
      case 'room':
        state.room = input.room;
        return;
      case 'applied':
        assert(
          input.index >= state.appliedIndex && input.index <= state.emittedIndex,
          'I-7: applying goes forward, through what was emitted',
        );
        state.appliedIndex = input.index;
        return;
      case 'compacted':
        return onCompacted(state, input.meta, input.firstIndex);
      case 'snapshotReceived':
        return this.#watchingLeader(() => onSnapshotReceived(state, input));
      case 'snapshotInstalled':
        return onSnapshotInstalled(state, input.meta);
      case 'installRefused':
        state.install = undefined;
        return;
      case 'peerUnreachable':
        if (role.kind === 'leader') role.onUnreachable(input.peer);
        return;
      case 'snapshotStatus':
        if (role.kind === 'leader') role.onSnapshotStatus(input.peer, input.ok);
        return;
      case 'loopDelay':
        state.timeoutFactor = Math.min(TIMEOUT_FACTOR_MAX, Math.max(1, input.p99Ms / state.config.heartbeatMs));
        return;
      case 'timing':
        return state.setTiming(input.timing);
      case 'clockJumped':
        if (role.kind === 'leader') role.rounds.shiftBack(input.byMs);
        return;
      default:
        return unreachable(input);
    }
  }

  #onMessage(from: MemberId, message: RaftMessage): void {
    const state = this.#state;
    state.counters.messagesReceived += 1;
    if (from === state.self) return state.drop();
    this.#watchingLeader(() => {
      if (this.#settleTerm(from, message)) this.#dispatch(from, message);
    });
  }

  /** A read that was sent to a leader who leads no more will not be answered. */
  #watchingLeader(act: () => void): void {
    const { leader, term } = this.#state;
    act();
    const state = this.#state;
    if (state.isStopped) this.#forwarded.abandon('STOPPED', 'this node has stopped');
    else if (state.leader !== leader || state.term !== term)
      this.#forwarded.abandon('NOT_LEADER', 'the leader has changed');
  }

  /** The term rule (raft.md 4.2): true when the message is to be looked at further. */
  #settleTerm(from: MemberId, message: RaftMessage): boolean {
    const state = this.#state;
    // Pre-votes name the term they are about; only a refusal can teach us a newer one.
    if (message.kind === 'preVoteReq') return true;
    if (message.kind === 'preVoteResp' && (message.granted || message.term <= state.term)) return true;
    if (message.term < state.term) {
      this.#onOldTerm(from, message);
      return false;
    }
    if (message.term === state.term) return true;
    if (message.kind === 'voteReq' && !mayAdoptVoteTerm(state, message)) {
      // Stickiness: not even the term is taken over, or a cut-off node that returns would unseat the leader (P-13).
      state.drop();
      return false;
    }
    const leader = message.kind === 'appendReq' || message.kind === 'heartbeat' ? from : undefined;
    becomeFollower(state, { term: message.term, leader: undefined, reason: 'a newer term' });
    return leader !== undefined || message.kind === 'voteReq' || message.kind === 'timeoutNow';
  }

  #onOldTerm(from: MemberId, message: RaftMessage): void {
    const state = this.#state;
    const { term } = state;
    switch (message.kind) {
      case 'appendReq': {
        const rejectedPrev = message.prev.index;
        // A leader that was outrun learns the newer term and moves on.
        return state.sendDurably(from, {
          kind: 'appendRejected',
          term,
          rejectedPrev,
          hint: state.log.lastLog,
          readSeq: 0,
        });
      }
      case 'heartbeat':
        return state.send(from, { kind: 'heartbeatResp', term, readSeq: 0, durableLast: state.outbox.durableIndex });
      case 'voteReq':
        return onVoteReq(state, from, message, this.#caution);
      case 'preVoteReq':
      case 'preVoteResp':
      case 'voteResp':
      case 'appendOk':
      case 'appendRejected':
      case 'heartbeatResp':
      case 'timeoutNow':
      case 'readIndexReq':
      case 'readIndexResp':
        return state.drop();
      default:
        return unreachable(message);
    }
  }

  #dispatch(from: MemberId, message: RaftMessage): void {
    const state = this.#state;
    const { role } = state;
    switch (message.kind) {
      case 'preVoteReq':
        return onPreVoteReq(state, from, message, this.#caution);
      case 'preVoteResp':
        return onPreVoteResp(state, from, message);
      case 'voteReq':
        return onVoteReq(state, from, message, this.#caution);
      case 'voteResp':
        return onVote(state, from, message.granted);
      case 'appendReq':
        return onAppend(state, from, message);
      case 'heartbeat':
        return onHeartbeat(state, from, message);
      case 'appendOk':
      case 'appendRejected':
      case 'heartbeatResp':
        return role.kind === 'leader' ? role.onPeerAnswer(from, message) : state.drop();
      case 'timeoutNow':
        return this.#onTimeoutNow(from, message.transferSeq);
      case 'readIndexReq':
        if (role.kind === 'leader') return role.onReadIndexReq(from, message.id);
        return state.send(from, {
          kind: 'readIndexResp',
          term: state.term,
          id: message.id,
          index: 0 as LogIndex,
          ok: false,
        });
      case 'readIndexResp':
        return this.#forwarded.onAnswer(from, message);
      default:
        return unreachable(message);
    }
  }

  /** Skips pre-vote. A transfer that its leader has cancelled is not obeyed (P-75), nor one from before a restart. */
  #onTimeoutNow(from: MemberId, seq: number): void {
    const state = this.#state;
    const { role, term } = state;
    const isFromLeader = role.kind === 'follower' && (role.leader === undefined || role.leader === from);
    if (!isFromLeader || !state.mayCampaign || state.isFreshlyStarted || seq === 0) return state.drop();
    if (!isUncancelled(state, { term, seq })) return state.drop();
    startCampaign(state, seq);
  }

  #onPersisted(batchSeq: number): void {
    const state = this.#state;
    const { underTerm, held } = state.outbox.persisted(batchSeq);
    this.#release(held);
    // Ours under this term only: an entry of an older term at the same index may have been another one (P-9).
    if (state.role.kind === 'leader' && underTerm === state.term) state.role.onSelfDurable(state.outbox.durableIndex);
  }

  #release(held: readonly Held[]): void {
    const state = this.#state;
    for (const item of held) {
      // What was promised in a term that is over is nobody's business any more.
      if (item.kind === 'send') {
        const isCurrent = item.message.term === state.term || item.message.kind === 'preVoteResp';
        if (isCurrent) state.send(item.to, item.message);
      } else if (item.term === state.term) {
        onVote(state, state.self, true);
      }
    }
  }

  /** A write that failed may or may not be there: the one safe thing is silence (raft.md 11.6). */
  #stop(reason: string): void {
    const state = this.#state;
    if (state.role.kind === 'leader') {
      becomeFollower(state, { term: state.term, leader: undefined, reason });
    }
    this.#forwarded.abandon('STOPPED', reason);
    state.isStopped = true;
    state.effects.push({ kind: 'stop', reason });
  }

  #actOnDeadlines(): void {
    const state = this.#state;
    this.#forwarded.tick();
    if (state.role.kind === 'leader') return state.role.tick();
    if (state.timerLeftMs > TIMER_GRAIN_MS || !state.mayCampaign) return;
    if (this.#isCautious() && !state.isOnlyVoter) return;
    this.#watchingLeader(() => startPreVote(state));
  }

  /** After a torn tail this node may lack what it has acknowledged: for a while it does not offer itself. */
  #isCautious(): boolean {
    return this.#caution !== undefined && this.#state.clock.healthyMs < this.#caution.untilHealthyMs;
  }

  /** Lets out what the turn has gathered. */
  #flush(): void {
    const state = this.#state;
    this.#emitCommitted();
    if (state.role.kind === 'leader') state.role.flush();
    const hardState = { term: state.term, vote: state.vote };
    const input = { hardState, commitHint: state.commitIndex, now: state.clock.now };
    const batch = state.outbox.takeBatch(input, state.config.batchesInFlightMax);
    if (batch !== undefined) state.effects.push({ kind: 'persist', batch });
    askForInstall(state);
  }

  #emitCommitted(): void {
    const state = this.#state;
    const through = Math.min(state.commitIndex, state.outbox.durableIndex) as LogIndex;
    if (through <= state.emittedIndex) return;
    const entries = state.log.slice(state.emittedIndex + 1, through);
    state.emittedIndex = through;
    state.effects.push({ kind: 'commit', entries });
    if (state.role.kind === 'leader') state.role.onEmitted();
  }

  #timerDeadline(): MonotonicMs {
    const state = this.#state;
    if (!state.mayCampaign) return Number.POSITIVE_INFINITY;
    const cautionLeftMs =
      this.#isCautious() && !state.isOnlyVoter ? (this.#caution?.untilHealthyMs ?? 0) - state.clock.healthyMs : 0;
    const leftMs = Math.max(state.timerLeftMs, cautionLeftMs);
    return state.clock.now + state.clock.sleepFor(Math.max(0, leftMs), state.config.electionMs / 2);
  }
}
