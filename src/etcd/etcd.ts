/**
 * Agreement through a standalone etcd, in Raft's place: one log, one leader, and the same answers to the same requests, so that everything
 * above need not know which it is. etcd keeps the log and lets one node write; every node reads it there.
 *
 * Invariants: entries are told in order and once; only who holds the seat writes; `leaderLeaseUntil` ends before etcd lets another take it.
 */
import { assert } from '../base/assert.ts';
import { fromUtf8, utf8 } from '../base/bytes.ts';
import { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import { isMemberId, NO_INDEX, NO_TERM } from '../model/ids.ts';
import type { ClusterId, LogIndex, MemberId, RequestId, Term } from '../model/ids.ts';
import { type Configuration, EMPTY_CONFIGURATION, type Entry, type LogId, type SnapshotMeta } from '../model/log.ts';
import type { RaftStats } from '../model/node-stats.ts';
import type { RaftInput, RaftOutcome, RaftReadings, RaftRole } from '../raft/messages.ts';
import type { EtcdLogConfig } from './config.ts';
import { decodeIndex, Layout } from './layout.ts';
import { LogTail } from './log-tail.ts';
import { ETCD_COMMAND_BYTES_MAX, LogWriter } from './log-writer.ts';
import type { EtcdAnswer, EtcdInput, EtcdKeyValue, EtcdLogEffect } from './messages.ts';
import { Questions } from './questions.ts';
import { Seat } from './seat.ts';

/** Longer than two polls of the tail. */
const SILENT_MS = 2_500;
/** Somebody else should have taken a leadership that was given away by then. */
const TRANSFER_MS = 5_000;
const NO_VOTERS = 'agreement is in a standalone etcd: there are no voters to change';

interface Transfer {
  readonly requestId: RequestId;
  readonly deadline: MonotonicMs;
}

interface Leadership {
  readonly term: Term;
  readonly writer: LogWriter;
  readonly noopIndex: LogIndex;
  isReady: boolean;
}

export class EtcdLog implements RaftReadings {
  readonly #config: EtcdLogConfig;
  readonly #self: MemberId;
  readonly #layout: Layout;
  readonly #questions: Questions = new Questions();
  readonly #tail: LogTail;
  readonly #seat: Seat;
  #clusterId: ClusterId | undefined;
  /** What this node would found: it is not founded before etcd says so. */
  #founds: ClusterId | undefined;
  #term: Term = NO_TERM;
  /** Who sits there by the key; only believed while etcd is heard. */
  #seated: MemberId | undefined;
  #leader: MemberId | undefined;
  #leadership: Leadership | undefined;
  /** This node has given that leadership up, and its key may stand yet. */
  #abandoned: Term = NO_TERM;
  #commitIndex: LogIndex = NO_INDEX;
  #transfers: Transfer[] = [];
  #isHeard = false;
  #isStopped = false;
  /** Who leads is not known any more when etcd has been silent for so long. */
  readonly #silentMs: number;
  readonly #counters = { electionsWon: 0, stepDowns: 0, proposals: 0, proposalsRefused: 0 };

  constructor(config: EtcdLogConfig, self: MemberId, random: Random) {
    this.#config = config;
    this.#self = self;
    this.#layout = new Layout(config.prefix);
    const { ttlSeconds, clockDrift } = config;
    const mayLead = (): boolean => config.mayLead();
    this.#silentMs = Math.max(SILENT_MS, ttlSeconds * 1_000);
    const layout = this.#layout;
    const questions = this.#questions;
    this.#seat = new Seat({ ttlSeconds, mayLead, clockDrift, name: utf8(self) }, { layout, questions, random });
    this.#tail = new LogTail(layout, questions, {
      onCluster: (clusterId, effects) => this.#onCluster(clusterId, effects),
      onImage: (lastLog, bytes, effects) => this.#onImage(lastLog, bytes, effects),
      onEntries: (entries, now, effects) => this.#onEntries(entries, now, effects),
      onLeader: (leader, now, effects) => this.#onLeader(leader, now, effects),
      onBroken: (reason, effects) => this.#break(reason, effects),
    });
  }

  // Readings.

  get term(): Term {
    return this.#term;
  }

  get role(): RaftRole {
    return this.#leadership === undefined ? 'follower' : 'leader';
  }

  get leader(): MemberId | undefined {
    return this.#leader;
  }

  /** There are no voters. */
  get configuration(): Configuration {
    return EMPTY_CONFIGURATION;
  }

  get isConfigurationDurable(): boolean {
    return true;
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex;
  }

  get lastIndex(): LogIndex {
    return this.#leadership?.writer.lastIndex ?? this.#commitIndex;
  }

  get durableIndex(): LogIndex {
    return this.#commitIndex;
  }

  /** No disk of this node is written to. */
  get unsyncedSince(): MonotonicMs | undefined {
    return undefined;
  }

  get isReady(): boolean {
    return this.#leadership?.isReady === true;
  }

  get leaderLeaseUntil(): MonotonicMs {
    return this.#leadership === undefined ? Number.NEGATIVE_INFINITY : this.#seat.until;
  }

  /** No snapshot of this node is streamed. */
  get compactFloor(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** etcd has answered lately. */
  get isReachable(): boolean {
    return this.#isHeard;
  }

  /** What came in place of its last answer that did not come. */
  get failure(): string {
    return this.#questions.failure;
  }

  /** Why it refuses what is asked of it; undefined when it does not. */
  get refusal(): string | undefined {
    return this.#questions.refusal;
  }

  /** This node leads, and no image is on its way. */
  get takesImage(): boolean {
    return this.#leadership?.isReady === true && !this.#leadership.writer.keepsImage;
  }

  get stats(): RaftStats {
    const { electionsWon, stepDowns, proposals, proposalsRefused } = this.#counters;
    return {
      term: this.#term,
      isLeader: this.#leadership !== undefined,
      commitIndex: this.#commitIndex,
      appliedIndex: this.#commitIndex,
      lastIndex: this.lastIndex,
      durableIndex: this.#commitIndex,
      snapshotIndex: NO_INDEX,
      voters: 0,
      learners: 0,
      electionsStarted: this.#seat.tries,
      electionsWon,
      stepDowns,
      messagesSent: 0,
      messagesReceived: 0,
      messagesDropped: 0,
      proposals,
      proposalsRefused,
      logBytes: 0,
      lag: {},
    };
  }

  // Inputs.

  step(input: RaftInput, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (this.#isStopped) {
      if ('requestId' in input) this.#refuse(input.requestId, 'STOPPED', 'this node has stopped', effects);
      return;
    }
    switch (input.kind) {
      case 'propose':
        this.#onPropose(input, now, effects);
        break;
      case 'readIndex':
        this.#onReadIndex(input.requestId, effects);
        break;
      case 'transferLeader':
        this.#onTransfer(input.requestId, now, effects);
        break;
      case 'changeMembers':
        this.#refuse(input.requestId, 'INVALID_CHANGE', NO_VOTERS, effects);
        break;
      case 'persistFailed':
        this.#stop(input.reason, now, effects);
        break;
      case 'timing':
        this.#seat.clockDrift = input.timing.clockDrift;
        break;
      case 'clockJumped':
        this.#seat.onClockJumped(input.byMs);
        break;
      default:
    }
    this.tick(now, effects);
  }

  onEtcd(input: EtcdInput, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (this.#isStopped) return;
    if (input.kind === 'etcdAnswer') this.#questions.onAnswer(input.ask, input.answer, now, effects);
    else if (input.kind === 'etcdEvents') this.#tail.onEvents(input, now, effects);
    else this.#tail.onWatchEnded(input, now);
    const { wentBack } = this.#questions;
    if (wentBack !== undefined)
      this.#break(`${wentBack}: it was restored from older data, and nodes have seen more`, effects);
    this.tick(now, effects);
  }

  tick(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (this.#isStopped) return;
    this.#tail.tick(now, effects);
    if (this.#leadership !== undefined && now >= this.#seat.until)
      this.#stepDown('etcd has not confirmed the leadership in time', now, effects);
    else if (this.#leadership !== undefined && !this.#config.mayLead())
      this.#stepDown('this node may not lead any more', now, effects);
    this.#seat.tick(now, effects);
    this.#leadership?.writer.tick(now, effects);
    this.#isHeard = now - this.#questions.heardAt <= this.#silentMs;
    this.#settleLeader(effects);
    this.#settleTransfers(now, effects);
  }

  nextDeadline(): MonotonicMs {
    if (this.#isStopped) return Number.POSITIVE_INFINITY;
    const silence = this.#isHeard ? this.#questions.heardAt + this.#silentMs + 1 : Number.POSITIVE_INFINITY;
    return Math.min(
      this.#tail.nextDeadline(),
      this.#seat.nextDeadline(),
      this.#leadership === undefined ? Number.POSITIVE_INFINITY : this.#seat.until,
      this.#leadership?.writer.nextDeadline() ?? Number.POSITIVE_INFINITY,
      this.#transfers[0]?.deadline ?? Number.POSITIVE_INFINITY,
      silence,
    );
  }

  check(): void {
    assert(this.#commitIndex <= this.lastIndex, 'I-9: the commit index is inside the log');
    assert(this.#commitIndex === this.#tail.lastIndex, 'what the log tells is what is committed');
    assert(this.#leadership === undefined || this.#leadership.term === this.#term, 'a leader leads its own term');
  }

  /** Keeps the agreed state beside the log, which may then be shorter. Only while it {@link takesImage}. */
  keepImage(meta: SnapshotMeta, bytes: Uint8Array, now: MonotonicMs): void {
    assert(this.takesImage, 'a leader writes one image at a time');
    this.#leadership?.writer.keepImage(meta, bytes, now);
  }

  // What etcd tells.

  #onCluster(clusterId: ClusterId, effects: EtcdLogEffect[]): void {
    if (this.#clusterId === clusterId) return;
    if (this.#clusterId !== undefined) {
      this.#break(`cluster ${clusterId} has taken the place of ${this.#clusterId}`, effects);
      return;
    }
    this.#clusterId = clusterId;
    effects.push({ kind: 'belongs', clusterId, isFounder: clusterId === this.#founds });
  }

  #onImage(lastLog: LogId, bytes: Uint8Array, effects: EtcdLogEffect[]): void {
    if (this.#clusterId === undefined) return this.#break('there is an image, and no cluster', effects);
    this.#commitIndex = lastLog.index;
    const configuration = EMPTY_CONFIGURATION;
    const meta = { clusterId: this.#clusterId, lastLog, configuration, configurationIndex: NO_INDEX };
    effects.push({ kind: 'image', meta, bytes });
  }

  #onEntries(entries: readonly Entry[], now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#commitIndex = (entries.at(-1) as Entry).index;
    effects.push({ kind: 'commit', entries });
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    for (const entry of entries) {
      if (entry.term !== leadership.term) {
        this.#stepDown('another writes the log', now, effects);
        return;
      }
      const requestId = leadership.writer.onAgreed(entry);
      if (entry.index >= leadership.noopIndex) leadership.isReady = true;
      if (requestId !== undefined)
        this.#reply(requestId, { kind: 'committed', term: entry.term, indexes: [entry.index] }, effects);
    }
  }

  #onLeader(leader: EtcdKeyValue | undefined, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const name = leader === undefined ? undefined : nameIn(leader);
    if (leader !== undefined && name === undefined) {
      this.#break('the seat is taken by something that is no node, or for ever', effects);
      return;
    }
    const term = (leader?.createRevision ?? this.#term) as Term;
    this.#seat.onSeat(leader, now, effects);
    if (this.#leadership !== undefined && (leader === undefined || term !== this.#leadership.term))
      this.#stepDown('the seat in etcd was lost', now, effects);
    this.#term = term;
    this.#seated = name;
    const isNew = this.#leadership === undefined && term !== this.#abandoned;
    if (leader !== undefined && isNew && this.#seat.isOurs(leader)) {
      if (now < this.#seat.until) this.#lead(term, now, effects);
      // The word came too late: the seat shall not be kept with nobody on it.
      else this.#seat.vacate(now, effects);
    }
    this.#settleLeader(effects);
  }

  #lead(term: Term, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    this.#counters.electionsWon += 1;
    const lastIndex = this.#tail.lastIndex;
    const founding = lastIndex === NO_INDEX ? this.#config.found() : undefined;
    const founds = founding === undefined ? undefined : (this.#clusterId ?? founding.clusterId);
    const writer = new LogWriter(
      { term, lastIndex, founds },
      {
        layout: this.#layout,
        questions: this.#questions,
        onDeposed: (at, out) => this.#stepDown('etcd says that another leads', at, out),
      },
    );
    this.#founds = founds;
    if (founding !== undefined) writer.append('command', founding.command, undefined, now);
    writer.append('noop', new Uint8Array(0), undefined, now);
    const noopIndex = writer.lastIndex;
    this.#leadership = { term, writer, noopIndex, isReady: false };
    effects.push(
      { kind: 'notify', event: { kind: 'roleChanged', role: 'leader', term } },
      {
        kind: 'notify',
        event: { kind: 'becameLeader', term, electedAt: now, restedOnLease: undefined, noopIndex },
      },
    );
  }

  #settleLeader(effects: EtcdLogEffect[]): void {
    const isLed = this.#isHeard && this.#term !== this.#abandoned;
    const leader = this.#leadership === undefined ? (isLed ? this.#seated : undefined) : this.#self;
    // The key may still name this node after a restart of its process: as nobody, for it does not lead.
    const known = leader === this.#self && this.#leadership === undefined ? undefined : leader;
    if (known === this.#leader) return;
    this.#leader = known;
    effects.push({ kind: 'notify', event: { kind: 'leaderChanged', leader: known, term: this.#term } });
  }

  // What is asked.

  #onPropose(
    { requestId, items }: Extract<RaftInput, { kind: 'propose' }>,
    now: MonotonicMs,
    effects: EtcdLogEffect[],
  ): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return this.#refuse(requestId, 'NOT_LEADER', 'this node does not lead', effects);
    if (leadership.writer.isFull) return this.#refuse(requestId, 'BUSY', 'etcd is not fast enough', effects);
    if (items.some((item) => item.length > ETCD_COMMAND_BYTES_MAX)) {
      const reason = `a command may have ${ETCD_COMMAND_BYTES_MAX} bytes where etcd keeps the log`;
      return this.#refuse(requestId, 'TOO_LARGE', reason, effects);
    }
    this.#counters.proposals += 1;
    for (const item of items) leadership.writer.append('command', item, requestId, now);
  }

  /** How far the log reaches now, which may be further than this node has heard of. */
  #onReadIndex(requestId: RequestId, effects: EtcdLogEffect[]): void {
    const onAnswer = (answer: EtcdAnswer, _now: MonotonicMs, out: EtcdLogEffect[]): void => {
      const end = answer.kind === 'range' ? answer.kvs[0]?.value : undefined;
      const index = end === undefined ? undefined : indexIn(end);
      if (index !== undefined) this.#reply(requestId, { kind: 'readReady', index }, out);
      else this.#refuse(requestId, 'TIMED_OUT', 'etcd did not say how far the log reaches', out);
    };
    const { end } = this.#layout;
    this.#questions.ask({ kind: 'range', range: { from: end, to: `${end}\0` }, limit: 1 }, onAnswer, effects);
  }

  #onTransfer(requestId: RequestId, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (this.#leadership === undefined) {
      this.#refuse(requestId, 'NOT_LEADER', 'this node does not lead', effects);
      return;
    }
    this.#transfers.push({ requestId, deadline: now + TRANSFER_MS });
    this.#stepDown('leadership was given away', now, effects);
  }

  #settleTransfers(now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (this.#transfers.length === 0) return;
    const to = this.#leader;
    const left: Transfer[] = [];
    for (const transfer of this.#transfers) {
      const { requestId, deadline } = transfer;
      if (to !== undefined && to !== this.#self) this.#reply(requestId, { kind: 'transferred', to }, effects);
      else if (to === this.#self || now >= deadline)
        this.#refuse(requestId, 'TIMED_OUT', 'nobody else has taken the leadership', effects);
      else left.push(transfer);
    }
    this.#transfers = left;
  }

  /** Nothing rests on this leadership any more when others hear of its end. */
  #stepDown(reason: string, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const leadership = this.#leadership;
    if (leadership === undefined) return;
    this.#leadership = undefined;
    this.#abandoned = leadership.term;
    this.#counters.stepDowns += 1;
    for (const { requestId, mayBeWritten } of leadership.writer.end()) {
      if (mayBeWritten) this.#reply(requestId, { kind: 'unknown', reason }, effects);
      else this.#refuse(requestId, 'NOT_LEADER', reason, effects);
    }
    if (leadership.writer.keepsImage) effects.push({ kind: 'imageGivenUp' });
    const { term } = leadership;
    effects.push(
      { kind: 'notify', event: { kind: 'steppedDown', term, reason } },
      { kind: 'notify', event: { kind: 'roleChanged', role: 'follower', term } },
    );
    this.#settleLeader(effects);
    this.#seat.vacate(now, effects);
  }

  #stop(reason: string, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    if (this.#isStopped) return;
    this.#stepDown(reason, now, effects);
    for (const { requestId } of this.#transfers) this.#refuse(requestId, 'STOPPED', reason, effects);
    this.#transfers = [];
    this.#isStopped = true;
  }

  #break(reason: string, effects: EtcdLogEffect[]): void {
    const { where, prefix } = this.#config;
    effects.push({ kind: 'stop', reason: `etcd at ${where}, below ${prefix}: ${reason}` });
    this.#isStopped = true;
  }

  #refuse(
    requestId: RequestId,
    code: Extract<RaftOutcome, { kind: 'refused' }>['code'],
    reason: string,
    effects: EtcdLogEffect[],
  ): void {
    this.#counters.proposalsRefused += 1;
    this.#reply(requestId, { kind: 'refused', code, reason, leader: this.#leader }, effects);
  }

  #reply(requestId: RequestId, outcome: RaftOutcome, effects: EtcdLogEffect[]): void {
    effects.push({ kind: 'reply', requestId, outcome });
  }
}

/** Who sits there. Undefined for what no node of ours has written: a node is named, and leaves with its lease. */
function nameIn({ value, lease }: EtcdKeyValue): MemberId | undefined {
  const name = decoded(() => fromUtf8(value));
  return name !== undefined && lease !== 0 && isMemberId(name) ? name : undefined;
}

function indexIn(value: Uint8Array): LogIndex | undefined {
  return decoded(() => decodeIndex(value));
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undefined;
  }
}
