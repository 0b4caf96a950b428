/** What all roles share: persistent state, log, clock, and the ways out. The roles' own state hangs on `role`. */
import { assert } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import { randomBetween } from '../base/random.ts';
import type { LogIndex, MemberId, RequestId, Term } from '../model/ids.ts';
import type { RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { Timing } from '../model/timing.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { RaftConfig } from './config.ts';
import { HealthyClock } from './healthy-clock.ts';
import type { Leadership } from './leader.ts';
import { Log } from './log.ts';
import type { RaftEffect, RaftEvent, RaftMessage, RaftOutcome, RaftRefusal, RaftRole } from './messages.ts';
import type { Held } from './outbox.ts';
import { Outbox } from './outbox.ts';
import { isVoter } from './quorum.ts';
import type { Handover } from './transfer.ts';

/** A voter whose disk is nearly full lets all others campaign first, twice. */
const LOW_ROOM_FACTOR = 4;

export type Role =
  | { readonly kind: 'follower'; readonly leader: MemberId | undefined }
  | { readonly kind: 'preCandidate'; readonly votes: Map<MemberId, boolean> }
  | { readonly kind: 'candidate'; readonly votes: Map<MemberId, boolean> }
  | Leadership;

export interface Counters {
  electionsStarted: number;
  electionsWon: number;
  stepDowns: number;
  messagesSent: number;
  messagesReceived: number;
  messagesDropped: number;
  proposals: number;
  proposalsRefused: number;
  requestsTaken: number;
  requestsAnswered: number;
}

export class RaftState {
  config: RaftConfig;
  readonly self: MemberId;
  readonly random: Random;
  readonly log: Log;
  readonly outbox: Outbox;
  readonly clock: HealthyClock;
  readonly counters: Counters = {
    electionsStarted: 0,
    electionsWon: 0,
    stepDowns: 0,
    messagesSent: 0,
    messagesReceived: 0,
    messagesDropped: 0,
    proposals: 0,
    proposalsRefused: 0,
    requestsTaken: 0,
    requestsAnswered: 0,
  };

  term: Term;
  vote: MemberId | null;
  role: Role = { kind: 'follower', leader: undefined };
  commitIndex: LogIndex;
  /** Entries through here have left as `commit` effects. */
  emittedIndex: LogIndex;
  appliedIndex: LogIndex;

  /** Healthy time when a leader of whatever term was last heard. A fresh start counts as having heard one (P-71). */
  heardAt = 0;
  timerStartedAt = 0;
  timeoutMs: number;
  /** Lifeguard's idea: a loop that is late suspects itself first (raft.md 12.3). */
  timeoutFactor = 1;
  /** The newest term of which we heard the leader, and the highest commit index heard from it (ownership.md O-15). */
  heardCommit: { readonly term: Term; readonly leader: MemberId; readonly commit: LogIndex } | undefined;
  /** The highest cancelled transfer heard of in a term (raft.md section 8). */
  cancelledTransfer: { readonly term: Term; readonly seq: number } = { term: 0 as Term, seq: 0 };
  /** A received snapshot that replaces the log. */
  install: { readonly meta: SnapshotMeta; isAsked: boolean } | undefined;
  /** A transfer whose leader has stepped down and does not know yet who leads now. */
  handover: Handover | undefined;
  /** Where it is short, others should lead; where there is none, no entry is taken (raft.md 11.6). */
  room: StorageRoom = 'enough';
  isStopped = false;
  effects: RaftEffect[] = [];
  #announcedLeader: MemberId | undefined;
  #announcedTerm: Term;
  readonly #commitHint: LogIndex;

  constructor(config: RaftConfig, self: MemberId, recovered: RecoveredLog, random: Random, now: number) {
    this.config = config;
    this.self = self;
    this.random = random;
    this.log = new Log(recovered);
    this.outbox = new Outbox(this.log);
    this.clock = new HealthyClock(now);
    this.term = recovered.hardState.term;
    this.vote = recovered.hardState.vote;
    this.#announcedTerm = this.term;
    this.#commitHint = recovered.commitHint;
    assert(this.log.lastLog.term <= this.term, 'I-10: the last term in a recovered log is at most the current one');
    this.commitIndex = this.log.snapshotIndex;
    this.emittedIndex = this.commitIndex;
    this.appliedIndex = this.commitIndex;
    this.timeoutMs = this.drawTimeout();
  }

  get leader(): MemberId | undefined {
    if (this.role.kind === 'leader') return this.self;
    return this.role.kind === 'follower' ? this.role.leader : undefined;
  }

  get configuration(): Log['latest']['configuration'] {
    return this.log.latest.configuration;
  }

  /** Uniform in [E, 2E). Raft §9.3: drawn anew so that split votes do not repeat (P-38). */
  drawTimeout(): number {
    return randomBetween(this.random, this.config.electionMs, 2 * this.config.electionMs);
  }

  /** The cluster's times go before the node's own. */
  setTiming({ clockDrift, heartbeatMs, electionMs }: Timing): void {
    this.config = { ...this.config, clockDrift, heartbeatMs, electionMs };
    if (!this.isOnlyVoter) this.timeoutMs = this.drawTimeout();
  }

  restartTimer(): void {
    this.timerStartedAt = this.clock.healthyMs;
  }

  /** Healthy milliseconds until the election timer is due. */
  get timerLeftMs(): number {
    const factor = this.timeoutFactor * (this.room === 'low' ? LOW_ROOM_FACTOR : 1);
    return this.timerStartedAt + this.timeoutMs * factor - this.clock.healthyMs;
  }

  /** Within E of the last word from any leader no vote is given: stickiness, on which the leader lease rests (raft.md 4.4). */
  get isBoundToLeader(): boolean {
    return this.role.kind === 'leader' || this.clock.healthyMs - this.heardAt < this.config.electionMs;
  }

  /** The first E after a start, in which nothing overrides stickiness: what was promised before the restart is forgotten. */
  get isFreshlyStarted(): boolean {
    return this.clock.healthyMs < this.config.electionMs;
  }

  /**
   * A voter that is being removed may still lead until its removal is committed (dissertation 4.2.2; raft.md 9.2 rule 8): it may campaign
   * while any configuration that can be in force names it.
   */
  get mayCampaign(): boolean {
    if (this.install !== undefined || this.isStopped) return false;
    // The first entry of its term would find no room.
    if (this.room === 'full' && !this.isOnlyVoter) return false;
    if (isVoter(this.configuration, this.self) || isVoter(this.settledConfiguration.configuration, this.self))
      return true;
    const later = this.log.configurationsBetween(this.#settledIndex, this.log.lastIndex);
    return later.some(({ configuration }) => isVoter(configuration, this.self));
  }

  /** The newest configuration that is known to be committed, by now or before a restart. */
  get settledConfiguration(): Log['latest'] {
    return this.log.configurationAt(this.#settledIndex);
  }

  /** A commit index that was known before a restart decides nothing about entries; it only keeps a removed voter quiet. */
  get #settledIndex(): LogIndex {
    return Math.max(this.commitIndex, Math.min(this.#commitHint, this.log.lastIndex)) as LogIndex;
  }

  /** The only voter there is needs nobody's permission (ownership.md C-15). */
  get isOnlyVoter(): boolean {
    const { voters, votersOutgoing } = this.configuration;
    return voters.length === 1 && voters[0] === this.self && votersOutgoing.length === 0;
  }

  /** Term and vote are one record, always (P-2). */
  adoptTerm(term: Term, vote: MemberId | null): void {
    assert(
      term > this.term || (term === this.term && (this.vote === null || this.vote === vote)),
      'I-8: one vote per term',
    );
    assert(Number.isSafeInteger(term), 'a term is a safe integer');
    if (term === this.term && vote === this.vote) return;
    this.term = term;
    this.vote = vote;
    this.outbox.markHardState();
  }

  /** Changes the role and says so. */
  setRole(role: Role): void {
    const from = this.role.kind;
    assert(!(from === 'leader' && role.kind === 'candidate'), 'a leader does not campaign');
    assert(role.kind !== 'leader' || from === 'candidate', 'only a candidate becomes leader');
    this.role = role;
    if (from !== role.kind) this.notify({ kind: 'roleChanged', role: role.kind satisfies RaftRole, term: this.term });
    const leader = this.leader;
    if (leader === this.#announcedLeader && (leader === undefined || this.term === this.#announcedTerm)) return;
    this.#announcedLeader = leader;
    this.#announcedTerm = this.term;
    this.notify({ kind: 'leaderChanged', leader, term: this.term });
  }

  send(to: MemberId, message: RaftMessage): void {
    this.counters.messagesSent += 1;
    this.effects.push({ kind: 'send', to, message });
  }

  /** Sends once everything written so far is durable (raft.md 3.3 rule 2). */
  sendDurably(to: MemberId, message: RaftMessage): void {
    const held: Held = { kind: 'send', to, message };
    if (!this.outbox.hold(held)) this.send(to, message);
  }

  notify(event: RaftEvent): void {
    this.effects.push({ kind: 'notify', event });
  }

  drop(): void {
    this.counters.messagesDropped += 1;
  }

  /** The one answer of a request (I-22). */
  reply(requestId: RequestId, outcome: RaftOutcome): void {
    this.counters.requestsAnswered += 1;
    this.effects.push({ kind: 'reply', requestId, outcome });
  }

  refuse(requestId: RequestId, code: RaftRefusal, reason: string): void {
    this.reply(requestId, { kind: 'refused', code, reason, leader: this.leader });
  }

  /** Raises the commit index and says which configurations that settles. */
  commitTo(index: LogIndex): void {
    assert(index >= this.commitIndex && index <= this.log.lastIndex, 'I-7: the commit index rises, within the log');
    const settled = this.log.configurationsBetween(this.commitIndex, index);
    this.commitIndex = index;
    for (const record of settled) this.notify({ kind: 'configurationChanged', ...record, committed: true });
  }

  /** A configuration counts from here on. */
  announceConfiguration(): void {
    this.notify({
      kind: 'configurationChanged',
      ...this.log.latest,
      committed: this.log.latest.index <= this.commitIndex,
    });
  }
}
