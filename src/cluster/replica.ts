/**
 * This node's copy of what the cluster agreed on: a Raft member where it is one, a follower's stream where it is not, and
 * the state both feed. Committed entries are applied here, in log order, in the step that brought them.
 */
import { assert, present, unreachable } from '../base/assert.ts';
import { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { EtcdLog } from '../etcd/etcd.ts';
import type { EtcdInput, EtcdLogEffect } from '../etcd/messages.ts';
import type { ClusterId, LogIndex, MemberId } from '../model/ids.ts';
import { NO_INDEX, NO_TERM, nodeIdOf } from '../model/ids.ts';
import type { Configuration, Entry, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import type { Timing } from '../model/timing.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { RaftConfig } from '../raft/config.ts';
import type { RaftInput } from '../raft/messages.ts';
import { Raft } from '../raft/raft.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import { decodeRaftMessage, encodeRaftMessage } from '../wire/raft/rpc.ts';
import { AgreedState, foundingIn, problemOfImage } from './agreed-state.ts';
import { FollowDesk } from './follow-desk.ts';
import { continuing, type FollowChoice, FollowClient } from './following.ts';
import type { Consensus } from './consensus.ts';
import type { ClusterEffect } from './messages.ts';
import { isNamed, type KnownLeader, type ReplicaHost, type ReplicaMessage } from './replica-host.ts';
import { type SnapshotPolicy, SnapshotSchedule } from './snapshot-schedule.ts';
import { DIGEST_ENTRIES, DigestDesk } from './state-digests.ts';
import { SnapshotStreams } from './snapshot-streams.ts';
import { type SnapshotChunk, SnapshotReceiver, unreadable } from './snapshot-transfer.ts';

/** Longer than an election and than a change of the followed voter: whoever was not heard for so long does not lead us. */
const LEADER_SILENT_MS = 1_000;

export class Replica {
  readonly state: AgreedState = new AgreedState();
  readonly #config: RaftConfig;
  readonly #host: ReplicaHost;
  readonly #random: Random;
  readonly #desk: FollowDesk;
  readonly #client: FollowClient;
  readonly #streams: SnapshotStreams;
  readonly #receiver: SnapshotReceiver = new SnapshotReceiver();
  readonly #digests: DigestDesk;
  #self: MemberId | undefined;
  #raft: Consensus | undefined;
  /** The same, where a standalone etcd keeps the log. Set when it is opened. */
  etcd: EtcdLog | undefined;
  #followedLeader: KnownLeader = { leader: undefined, term: NO_TERM };
  #pendingInstall: { meta: SnapshotMeta; bytes: Uint8Array } | undefined;
  readonly #schedule: SnapshotSchedule;
  #room: StorageRoom = 'enough';
  #emittedIndex: LogIndex = NO_INDEX;
  #isInstalling = false;
  #isSilent = false;
  #leaderHeardAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** A leader speaks to this member, or it leads, as of the last tick. */
  #isLed = false;
  #stopReason: string | undefined;
  /** What the own log says of the founding, applied or not. */
  timing: Timing | undefined;
  messagesSent = 0;
  messagesReceived = 0;
  messagesDropped = 0;

  constructor(config: RaftConfig, policy: SnapshotPolicy, host: ReplicaHost, random: Random) {
    this.#config = config;
    this.#host = host;
    this.#random = random;
    this.#client = new FollowClient(random);
    this.#streams = new SnapshotStreams({
      copy: () => this.copy(),
      term: () => this.#raft?.term ?? NO_TERM,
      send: host.send,
      onStatus: (peer, ok, now, effects) => this.step({ kind: 'snapshotStatus', peer, ok }, now, effects),
    });
    this.#desk = new FollowDesk({
      state: this.state,
      raft: () => this.#raft,
      isSendingTo: (to) => this.#streams.isSendingTo(to),
      streamTo: (to, now, effects) => this.#streams.begin({ to, forRaft: false }, now, effects),
      send: host.send,
    });
    this.#schedule = new SnapshotSchedule(policy, random);
    this.#digests = new DigestDesk(this, host.send, policy.digests ?? DIGEST_ENTRIES);
  }

  /** The member that opened the log. */
  get self(): MemberId | undefined {
    return this.#self;
  }

  get raft(): Consensus | undefined {
    return this.#raft;
  }

  get stopReason(): string | undefined {
    return this.#stopReason;
  }

  /** What of this node ends it: its software (EX_SOFTWARE), or the data in etcd (EX_DATAERR). */
  get stopCode(): number {
    return this.etcd === undefined ? 70 : 65;
  }

  get snapshotIndex(): LogIndex {
    return this.#schedule.index;
  }

  get followed(): MemberId | undefined {
    return this.#client.followed;
  }

  /** The newest configuration known here: the log's, else the applied one. */
  get configuration(): Configuration {
    const own = this.#raft?.configuration;
    return own === undefined || own.voters.length === 0 || this.#isOutrun ? this.state.configuration : own;
  }

  /** Whether the log comes to this node at first hand. */
  isInGroup(self: MemberId): boolean {
    return this.etcd !== undefined || (this.#raft !== undefined && isNamed(this.configuration, self));
  }

  /** Whether this node, started from its own disk, would take itself for a member of the group. */
  wouldReturnToGroup(self: MemberId): boolean {
    const raft = this.#raft;
    return raft !== undefined && (isNamed(raft.configuration, self) || !raft.isConfigurationDurable);
  }

  /**
   * The group has gone on without this member; its disk shall know it, too, before it leaves. What was agreed takes the place of the log, if it
   * reaches as far: nothing that this member may have promised is lost.
   */
  forgetMembership(self: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    const copy = this.copy();
    const isDropped = this.#isOutrun && !isNamed(this.state.configuration, self) && this.wouldReturnToGroup(self);
    if (copy === undefined || !isDropped || (this.#raft?.lastIndex ?? 0) > this.state.appliedIndex) return;
    this.fallSilent('the vote was taken', now, effects);
    effects.push({ kind: 'installSnapshot', ...copy });
  }

  /** What was agreed came by another way than the log, and no leader speaks to this member: the group may have gone on without it. */
  get #isOutrun(): boolean {
    const raft = this.#raft;
    return raft !== undefined && !this.#isLed && this.state.appliedIndex > raft.commitIndex;
  }

  /** Learners have no election timer: they keep the name of a dead leader. */
  #isLedAt(now: MonotonicMs): boolean {
    if (this.#raft?.leader === undefined) return false;
    return this.isLeader || this.etcd !== undefined || now - this.#leaderHeardAt <= LEADER_SILENT_MS;
  }

  get isLeader(): boolean {
    return this.#raft?.role === 'leader';
  }

  knownLeader(self: MemberId, now: MonotonicMs): KnownLeader {
    const raft = this.#raft;
    if (raft === undefined || !this.isInGroup(self)) {
      const isFresh = now - this.#client.heardAt <= LEADER_SILENT_MS;
      return isFresh ? this.#followedLeader : { leader: undefined, term: this.#followedLeader.term };
    }
    return { leader: this.#isLedAt(now) && raft.leader ? nodeIdOf(raft.leader) : undefined, term: raft.term };
  }

  /** Opens the log as a member of the group. Its entries are applied as Raft commits them. */
  open(self: MemberId, recovered: RecoveredLog, now: MonotonicMs, effects: ClusterEffect[]): void {
    assert(this.#raft === undefined, 'a replica opens its log once');
    if (recovered.snapshot !== undefined && recovered.snapshot.meta.lastLog.index > this.state.appliedIndex) {
      this.#schedule.index = recovered.snapshot.meta.lastLog.index;
      this.#restore(recovered.snapshot.meta, recovered.snapshot.bytes, now, effects);
    }
    this.#self = self;
    this.timing = foundingIn(recovered)?.timing;
    this.#raft = new Raft(this.#config, self, recovered, this.#random, now);
    this.#raft.step({ kind: 'room', room: this.#room }, now, []);
    this.tick(now, effects);
  }

  /** Reads the log that a standalone etcd keeps, and leads if it can. */
  openEtcd(self: MemberId, log: EtcdLog, now: MonotonicMs, effects: ClusterEffect[]): void {
    assert(this.#raft === undefined, 'a replica opens its log once');
    this.#self = self;
    this.#raft = log;
    this.etcd = log;
    this.tick(now, effects);
  }

  onEtcd(input: EtcdInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.etcd === undefined || this.#isSilent) return;
    const out: EtcdLogEffect[] = [];
    this.etcd.onEtcd(input, now, out);
    this.#perform(out, now, effects);
  }

  /**
   * This member gave up its place and goes: whatever Raft says from now on is not for it any more. It stops leading, if it led, and
   * answers whoever waits.
   */
  fallSilent(reason: string, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#isSilent) return;
    const out: EtcdLogEffect[] = [];
    this.#raft?.step({ kind: 'persistFailed', reason }, now, out);
    this.#isSilent = true;
    const last = out.filter((effect) => effect.kind !== 'stop');
    this.#perform(last, now, effects);
  }

  step(input: RaftInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#raft === undefined || (this.#isSilent && !('requestId' in input))) return;
    const out: EtcdLogEffect[] = [];
    this.#raft.step(input, now, out);
    this.#perform(out, now, effects);
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#isLed = this.#isLedAt(now);
    if (this.#raft !== undefined && !this.#isSilent) {
      const out: EtcdLogEffect[] = [];
      this.#raft.tick(now, out);
      this.#perform(out, now, effects);
    }
    this.#streams.tick(now, effects);
  }

  nextDeadline(): MonotonicMs {
    const raft = this.#isSilent ? undefined : this.#raft;
    return Math.min(raft?.nextDeadline() ?? Number.POSITIVE_INFINITY, this.#streams.nextDeadline());
  }

  /** When {@link follow} is next wanted, for a node outside the group. */
  nextFollowDeadline(): MonotonicMs {
    return this.#client.nextDeadline();
  }

  /** Asks a voter for news, when it is time. */
  follow(choice: FollowChoice, now: MonotonicMs, effects: ClusterEffect[]): void {
    const voter = this.#client.poll(choice, now);
    if (voter !== undefined) this.#host.send(voter, { kind: 'follow', appliedIndex: this.state.appliedIndex }, effects);
  }

  check(): void {
    this.#raft?.check();
  }

  onPeerMessage(from: MemberId, message: ReplicaMessage, now: MonotonicMs, effects: ClusterEffect[]): void {
    switch (message.kind) {
      case 'raft':
        this.#onRaftBytes(from, message.bytes, now, effects);
        return;
      case 'follow':
        this.#desk.onFollow(from, message.appliedIndex, now, effects);
        return;
      case 'followEntries':
        this.#onFollowEntries(from, message, now, effects);
        return;
      case 'snapshotChunk':
        this.#onSnapshotChunk(from, message, now, effects);
        return;
      case 'snapshotAck':
        this.#streams.onAck(from, message, now, effects);
        return;
      case 'digest':
      case 'digestDiffers':
        this.#stopReason ??= this.#digests.onMessage(from, message, effects);
        return;
      default:
        unreachable(message);
    }
  }

  /** A snapshot that `saveSnapshot` asked for is durable. */
  onSnapshotSaved(meta: SnapshotMeta, firstIndex: LogIndex, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#schedule.onSaved(meta.lastLog.index);
    this.step({ kind: 'compacted', meta, firstIndex }, now, effects);
  }

  /** There was no room for it. */
  onSnapshotRefused(): void {
    this.#schedule.onRefused(this.state.appliedIndex);
  }

  /** There was no room for the install that was asked for: the log stays, and the leader offers its snapshot again. */
  onInstallRefused(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#pendingInstall = undefined;
    this.#isInstalling = false;
    this.step({ kind: 'installRefused' }, now, effects);
  }

  /** How much the log may still grow. When it is short, the log gives back what it can. */
  setRoom(room: StorageRoom, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#room === room) return;
    this.#room = room;
    this.step({ kind: 'room', room }, now, effects);
    if (room === 'enough' || this.#raft === undefined) return;
    this.#schedule.hasten();
    this.#maybeSnapshot(now, effects);
  }

  get isShortOfRoom(): boolean {
    return this.#room !== 'enough';
  }

  /** The install that `installSnapshot` asked for is durable: only now the state may change to it. */
  onSnapshotInstalled(meta: SnapshotMeta, now: MonotonicMs, effects: ClusterEffect[]): void {
    const pending = this.#pendingInstall;
    if (pending === undefined || pending.meta.lastLog.index !== meta.lastLog.index) return;
    this.#pendingInstall = undefined;
    this.#isInstalling = false;
    this.#schedule.index = meta.lastLog.index;
    if (meta.lastLog.index > this.state.appliedIndex) this.#restore(meta, pending.bytes, now, effects);
    this.step({ kind: 'snapshotInstalled', meta }, now, effects);
  }

  #onRaftBytes(from: MemberId, bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#raft === undefined) return;
    const message = decodeRaftMessage(bytes);
    if (message instanceof DecodeError) {
      this.messagesDropped += 1;
      return;
    }
    this.messagesReceived += 1;
    this.step({ kind: 'message', from, message }, now, effects);
    // Looked at afterwards, so that the first word of a new leader counts.
    if (from === this.#raft.leader) this.#leaderHeardAt = now;
  }

  #perform(out: readonly EtcdLogEffect[], now: MonotonicMs, effects: ClusterEffect[]): void {
    for (const effect of out) this.#performOne(effect, now, effects);
  }

  #performOne(effect: EtcdLogEffect, now: MonotonicMs, effects: ClusterEffect[]): void {
    switch (effect.kind) {
      case 'persist':
        effects.push({ kind: 'persist', batch: effect.batch });
        return;
      case 'send':
        this.messagesSent += 1;
        this.#host.send(effect.to, { kind: 'raft', bytes: encodeRaftMessage(effect.message) }, effects);
        return;
      case 'commit':
        this.#apply(effect.entries, now, effects);
        return;
      case 'reply':
        this.#host.onRaftReply(effect.requestId, effect.outcome, now, effects);
        return;
      case 'streamSnapshot':
        this.#streams.begin({ to: effect.to, forRaft: true }, now, effects);
        return;
      case 'installSnapshot': {
        const pending = present(this.#pendingInstall, 'a snapshot is installed only after it has come');
        this.#isInstalling = true;
        effects.push({ kind: 'installSnapshot', meta: pending.meta, bytes: pending.bytes });
        return;
      }
      case 'notify':
        this.#host.onRaftEvent(effect.event, now, effects);
        return;
      case 'stop':
        this.#stopReason = effect.reason;
        return;
      case 'askEtcd':
      case 'watchEtcd':
      case 'unwatchEtcd':
        effects.push({ kind: 'etcd', request: effect });
        return;
      case 'belongs':
        this.#host.onBelongs(effect, now, effects);
        return;
      case 'image':
        if (effect.meta.lastLog.index > this.state.appliedIndex) this.#restore(effect.meta, effect.bytes, now, effects);
        this.#schedule.index = effect.meta.lastLog.index;
        return;
      case 'imageKept':
        this.#schedule.onSaved(effect.index);
        return;
      case 'imageGivenUp':
        this.#schedule.onRefused(this.state.appliedIndex);
        return;
      default:
        unreachable(effect);
    }
  }

  #apply(entries: readonly Entry[], now: MonotonicMs, effects: ClusterEffect[]): void {
    let last = this.state.appliedIndex;
    for (const entry of entries) {
      last = entry.index;
      // A node that followed before it became a member has applied these already.
      if (entry.index > this.state.appliedIndex) this.#applyOne(entry, now, effects);
    }
    this.#host.onApplied(this.state.appliedIndex, now, effects);
    this.step({ kind: 'applied', index: last }, now, effects);
    this.#desk.push(now, effects);
    this.#emittedIndex = last;
    this.#maybeSnapshot(now, effects);
  }

  #applyOne(entry: Entry, now: MonotonicMs, effects: ClusterEffect[]): void {
    const applied = this.state.apply(entry);
    this.#desk.remember(entry);
    this.#schedule.onEntry(entry.data.length);
    this.#host.onCommand(entry, applied, now, effects);
    if (this.#digests.isDue(entry.index))
      this.#stopReason ??= this.#digests.onApplied(entry.index, this.state.digest(this.#host.shardImage()), effects);
  }

  /**
   * An answer to what we asked as a follower. A member that a leader speaks to takes its state from its log alone: an answer that comes
   * late must not change under a leader what it has planned by.
   */
  #isFollowAnswer(from: MemberId, now: MonotonicMs): boolean {
    return !this.#isLedAt(now) && this.#client.onHeard(from, now);
  }

  #onFollowEntries(
    from: MemberId,
    message: Extract<PeerMessage, { kind: 'followEntries' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    if (!this.#isFollowAnswer(from, now)) return;
    this.#followedLeader = { leader: message.leader, term: message.term };
    const entries = continuing(message.entries, this.state.appliedIndex);
    if (entries.length > 0) {
      for (const entry of entries) this.#applyOne(entry, now, effects);
      this.#host.onApplied(this.state.appliedIndex, now, effects);
      if (this.state.appliedIndex < message.commitIndex) this.#client.hasten(now);
    } else if (message.entries.length > 0 && (message.entries[0]?.index ?? 0) > this.state.appliedIndex + 1) {
      this.#client.hasten(now);
    }
  }

  #onSnapshotChunk(from: MemberId, chunk: SnapshotChunk, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (!chunk.forRaft && !this.#isFollowAnswer(from, now)) return;
    const { wanted, complete } = this.#receiver.onChunk(from, chunk);
    this.#host.send(from, { kind: 'snapshotAck', index: chunk.meta.lastLog.index, offset: wanted }, effects);
    if (complete === undefined) return;
    if (chunk.forRaft && this.#isInstalling) return; // One at a time: the next one is asked for when it is still needed.
    if (chunk.forRaft) {
      // Before it takes the place of the log: what was installed and cannot be read would stop every start from now on.
      const problem = problemOfImage(complete);
      if (problem !== undefined) {
        if (from === this.#raft?.leader) this.#stopReason = unreadable(chunk.meta, problem);
        else this.messagesDropped += 1;
        return;
      }
      this.#pendingInstall = { meta: chunk.meta, bytes: complete };
      this.step({ kind: 'snapshotReceived', from, term: chunk.term, meta: chunk.meta }, now, effects);
    } else if (chunk.meta.lastLog.index > this.state.appliedIndex) {
      this.#restore(chunk.meta, complete, now, effects);
      this.#client.hasten(now);
    }
  }

  #restore(meta: SnapshotMeta, bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    try {
      const shardImage = this.state.restore(meta, bytes);
      this.#desk.forgetEntries();
      this.#digests.onRestored();
      this.#host.onImage(meta.lastLog.index, shardImage, now, effects);
    } catch (error) {
      // Its checksum held, so it is what the sender meant: a version of the image that we do not know.
      if (!(error instanceof DecodeError)) throw error;
      this.#stopReason = unreadable(meta, error);
    }
  }

  #maybeSnapshot(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { appliedIndex } = this.state;
    // A node that followed before it was a member is ahead of its log, and what is being installed is newer than what is saved.
    const isBeside = this.#emittedIndex !== appliedIndex || this.#isInstalling;
    if (isBeside || !this.#schedule.isDue(appliedIndex) || this.etcd?.takesImage === false) return;
    const copy = this.copy();
    if (copy === undefined) return;
    if (this.etcd !== undefined) {
      this.#schedule.begin(appliedIndex);
      this.etcd.keepImage(copy.meta, copy.bytes, now);
      return;
    }
    // Streams under way still need what follows the snapshot that they carry.
    const floor = this.#raft?.compactFloor ?? Number.POSITIVE_INFINITY;
    const keepFrom = Math.max(1, Math.min(floor, this.#schedule.begin(appliedIndex))) as LogIndex;
    effects.push({ kind: 'saveSnapshot', ...copy, keepFrom });
  }

  /** The agreed state as it is here now; undefined while there is none. */
  copy(): { readonly meta: SnapshotMeta; readonly bytes: Uint8Array } | undefined {
    if (this.clusterId === undefined || this.state.appliedIndex === NO_INDEX) return undefined;
    return { meta: this.state.metaFor(this.clusterId), bytes: this.state.image(this.#host.shardImage()) };
  }

  /** Set by the owner as soon as the node belongs to a cluster. */
  clusterId: ClusterId | undefined;
}
