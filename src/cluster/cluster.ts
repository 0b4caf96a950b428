/**
 * The whole node as one machine: gossip, the replica of the agreed log, shard ownership and liveness, and the word that is
 * carried between them.
 *
 *   gossip (Serf over SWIM) ── who is around ──► affiliation ── found, follow, dissolve ──► replica (Raft, or a voter's stream)
 *        ▲                                          steward  ── one membership change at a time ──►  │ committed entries
 *        └── tags ── this node ── leave-taking             holding (leases, shard map) ◄──────────────┘
 *
 * Invariants: a step has no re-entry; entries are applied in log order in the step that brought them; a request is answered
 * exactly once; nothing is served without the lease that `holding` publishes. How a node stands is derived in standing.ts.
 */
import { unreachable } from '../base/assert.ts';
import type { Machine, MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import { randomBelow } from '../base/random.ts';
import { LIVENESS_SECRET_BYTES, Liveness } from '../liveness/liveness.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Boot, ClusterId, LogIndex, MemberId, RequestId, ShardId } from '../model/ids.ts';
import { memberId, stampOf } from '../model/ids.ts';
import type { RecoveredLog } from '../model/log.ts';
import type { NodeStats } from '../model/node-stats.ts';
import type { NodeView } from '../model/node-view.ts';
import type { ServingEdition } from '../model/shard-map.ts';
import { TAG_CLUSTER_ID, TAG_STAMP } from '../model/tags.ts';
import type { RaftEvent, RaftReadings } from '../raft/messages.ts';
import { Serf } from '../serf/serf.ts';
import { AddressBook } from './address-book.ts';
import { Affiliation } from './affiliation.ts';
import { Binding } from './binding.ts';
import { type ClusterConfig, ownTiming } from './config.ts';
import type { Core } from './core.ts';
import { type CoreHost, makeCore } from './core-parts.ts';
import { Founding } from './founding.ts';
import { isUnwritten, mintBoot } from './founding-log.ts';
import { Gossip } from './gossip.ts';
import { LeaveTaking } from './leave-taking.ts';
import { LivenessWatch } from './liveness-watch.ts';
import type { ClusterEffect, ClusterInput } from './messages.ts';
import { mergeFilterFor, Neighbourhood } from './neighbourhood.ts';
import { PostOffice } from './post-office.ts';
import { makeStats, makeView, type Parts, shardMapStatus } from './readings.ts';
import { Requests } from './requests.ts';
import { factsOf } from './standing-facts.ts';
import { type StandingFacts, StandingTracker, waitingOf } from './standing.ts';
import { SelfWatch } from './self-watch.ts';

export { foundingIn } from './agreed-state.ts';
export { mintClusterId } from './founding-log.ts';
export { copyOfLog, forcedState, logOfCopy, type RecoveredState, recoveredState } from './recovered-state.ts';

const HAS_FORGOTTEN =
  'what it had promised may be forgotten; set the data aside (funknode recover rejoin) and start again as a new member';

export class Cluster implements Machine<ClusterInput, ClusterEffect> {
  readonly #config: ClusterConfig;
  readonly #random: Random;
  readonly #recovered: RecoveredLog;
  /** The process before this one wrote which cluster it is of and nothing else: nobody may have heard of that cluster, and nothing was promised. */
  readonly #isBoundInName: boolean;
  readonly #serf: Serf;
  readonly #gossip: Gossip;
  readonly #neighbourhood: Neighbourhood;
  readonly #addressBook: AddressBook;
  readonly #founding: Founding;
  readonly #affiliation: Affiliation;
  readonly #binding: Binding;
  readonly #post: PostOffice;
  readonly #selfWatch: SelfWatch;
  readonly #leaveTaking: LeaveTaking;
  readonly #requests: Requests;
  readonly #livenessWatch: LivenessWatch;
  #core: Core;
  #endpoints: ReadonlyMap<string, Endpoint> = new Map();
  #isStarted = false;
  #lastRequestId = 0;
  readonly #standing: StandingTracker;

  constructor(config: ClusterConfig, recovered: RecoveredLog, clusterId: ClusterId | undefined, random: Random) {
    this.#config = config;
    this.#random = random;
    this.#recovered = recovered;
    this.#standing = new StandingTracker(config.startedAt);
    this.#serf = new Serf({ config: config.serf, random, mergeFilter: mergeFilterFor(config.clusterName) });
    this.#gossip = new Gossip(this.#serf, {
      onMembers: (now) => this.#onMembers(now),
      onJoinEnded: (endpoint, now) => {
        this.#neighbourhood.onJoinEnded(endpoint, now);
        this.#affiliation.hasten(now);
      },
      onLeft: (effects) => this.#leaveTaking.onLeftGossip(effects),
    });
    this.#neighbourhood = new Neighbourhood(
      this.#serf,
      { self: config.nodeId, clusterName: config.clusterName },
      random,
    );
    this.#addressBook = new AddressBook(this.#neighbourhood);
    this.#founding = new Founding(config.founding);
    this.#affiliation = new Affiliation(this.#founding, config.kind, config);
    const boundTo = isUnwritten(recovered) ? undefined : clusterId;
    this.#isBoundInName = boundTo !== clusterId;
    if (boundTo !== undefined) this.#affiliation.bind(boundTo);
    this.#post = this.#makePostOffice();
    this.#binding = this.#makeBinding();
    this.#selfWatch = new SelfWatch({
      core: () => this.#core,
      node: config.nodeId,
      binding: this.#binding,
      neighbourhood: this.#neighbourhood,
      electionMs: config.raft.electionMs,
      priority: config.leaderPriority,
      publish: (tags, now, effects) => this.#publish(tags, now, effects),
      nextRequestId: () => this.#nextRequestId(),
    });
    this.#leaveTaking = this.#makeLeaveTaking();
    this.#requests = new Requests({
      core: () => this.#core,
      gossip: this.#gossip,
      neighbourhood: this.#neighbourhood,
      leaveTaking: this.#leaveTaking,
    });
    const secret = Uint8Array.from({ length: LIVENESS_SECRET_BYTES }, () => randomBelow(random, 256));
    this.#livenessWatch = new LivenessWatch(new Liveness(config.liveness, secret));
    this.#core = this.#makeCore(memberId(config.nodeId, config.stamp), mintBoot(random), config.startedAt);
    this.#core.replica.clusterId = boundTo;
  }

  // The contract.

  step(input: ClusterInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#onInput(input, now, effects);
    this.#settle(now, effects);
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (!this.#isStarted) return;
    this.#gossip.tick(now, effects);
    this.#livenessWatch.tick(this.#core, now, effects);
    this.#core.kv.flush(now, effects);
    this.#core.replica.tick(now, effects);
    this.#core.kv.flushAnswers(effects);
    this.#core.holding.tick(now, effects);
    this.#settle(now, effects);
  }

  nextDeadline(): MonotonicMs {
    if (!this.#isStarted) return Number.POSITIVE_INFINITY;
    const { replica, holding, steward, permits, kv } = this.#core;
    return Math.min(
      kv.nextDeadline(),
      this.#serf.nextDeadline(),
      this.#livenessWatch.liveness.nextDeadline(),
      replica.nextDeadline(),
      this.#follows ? replica.nextFollowDeadline() : Number.POSITIVE_INFINITY,
      holding.nextDeadline(),
      steward.nextDeadline(),
      permits.nextDeadline(),
      this.#decides ? this.#affiliation.nextDeadline() : Number.POSITIVE_INFINITY,
      this.#leaveTaking.phase === undefined ? this.#neighbourhood.nextDeadline() : Number.POSITIVE_INFINITY,
      this.#leaveTaking.nextDeadline(),
      this.#addressBook.nextDeadline(),
      this.#leaveTaking.phase === undefined ? this.#selfWatch.nextDeadline() : Number.POSITIVE_INFINITY,
    );
  }

  check(): void {
    this.#serf.check();
    this.#livenessWatch.liveness.check();
    this.#core.replica.check();
    this.#core.holding.sharding.check();
  }

  // Readings, for the shell, in the turn in which they are asked.

  view(now: MonotonicMs): NodeView {
    const { state, stateSince, role } = this.#standing;
    const standing = { state, stateSince, role, waiting: waitingOf(this.#facts(now)) };
    return makeView({ config: this.#config, endpoints: this.#endpoints, parts: this.#parts(), standing }, now);
  }

  stats(): Pick<NodeStats, 'swim' | 'serf' | 'raft' | 'kv' | 'sharding' | 'liveness'> {
    return makeStats(this.#parts());
  }

  /** Until when this node may serve, by the monotonic clock; the reader subtracts what the wall clock jumped ahead. */
  get leaseUntil(): MonotonicMs {
    return this.#core.holding.leaseUntil;
  }

  /** The epoch under which this node owns `shard`, leaving the lease aside (O-1); undefined when it does not. */
  serving(shard: ShardId): LogIndex | undefined {
    return this.#leaveTaking.hasReleased ? undefined : this.#core.holding.sharding.serving(shard);
  }

  /** What the owner before handed over of a shard that has started here; once. */
  takeState(shard: ShardId, epoch: LogIndex): Uint8Array | undefined {
    return this.#core.holding.handOver.fetch(shard, epoch);
  }

  /** Another object whenever an answer of `serving` may be another; undefined when nothing is served any more. */
  get servingEdition(): ServingEdition | undefined {
    return this.#leaveTaking.hasReleased ? undefined : this.#core.holding.sharding.servingEdition;
  }

  get clusterId(): ClusterId | undefined {
    return this.#core.replica.clusterId;
  }

  /** How it stands in the Raft group, for whoever holds the group to its promises; undefined outside of it. */
  get raftStanding(): RaftReadings | undefined {
    return this.#core.replica.raft;
  }

  /** What clusterfunk's `ConfirmShardMap` would be answered; a success is then told as the input `confirmed`. */
  shardMapStatus(version: LogIndex): { readonly success: boolean; readonly currentIndex: number } {
    return shardMapStatus(this.#core, version);
  }

  /** The Raft member this node is. */
  get self(): MemberId {
    return this.#core.self;
  }

  // Inputs.

  #onInput(input: ClusterInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, holding } = this.#core;
    switch (input.kind) {
      case 'start':
        this.#start(input, now, effects);
        return;
      case 'datagram':
        if (input.channel === 'gossip') this.#gossip.step(input, now, effects);
        else this.#livenessWatch.onDatagram(input, this.#core, now, effects);
        return;
      case 'streamAccepted':
      case 'streamOpened':
      case 'streamBytes':
      case 'streamClosed':
      case 'keyringSaved':
        this.#gossip.step(input, now, effects);
        return;
      case 'peerFrame':
        this.#post.onFrame(input.bytes, now, effects);
        return;
      case 'peerUnreachable':
        replica.step({ kind: 'peerUnreachable', peer: input.peer }, now, effects);
        this.#core.kv.onPeerUnreachable(input.peer, now);
        return;
      case 'persisted':
      case 'persistFailed':
      case 'snapshotSaved':
      case 'snapshotRefused':
      case 'snapshotInstalled':
      case 'installRefused':
      case 'identified':
      case 'logReset':
      case 'room':
      case 'loopDelay':
        this.#selfWatch.step(input, now, effects);
        return;
      case 'clockJumped':
        // What is held ends first; then Raft tells what is left of the leader lease.
        holding.step({ kind: 'clockJumped', byMs: input.byMs }, now, effects);
        replica.step({ kind: 'clockJumped', byMs: input.byMs }, now, effects);
        return;
      case 'discovered':
        this.#neighbourhood.onDiscovered(input.gossip, input.searched, now);
        this.#affiliation.hasten(now);
        return;
      case 'released':
      case 'acquired':
        holding.onApplication(input, now, effects);
        return;
      case 'confirmed':
        holding.step({ kind: 'confirmed', node: input.node, version: input.version }, now, effects);
        return;
      case 'request':
        this.#requests.onRequest(input.requestId, input.request, now, effects);
        return;
      case 'etcd':
        replica.onEtcd(input.told, now, effects);
        return;
      case 'kvQuestions':
        this.#core.kv.onQuestions(input.questions, now, effects);
        return;
      default:
        unreachable(input);
    }
  }

  #start(input: Extract<ClusterInput, { kind: 'start' }>, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, self } = this.#core;
    this.#isStarted = true;
    this.#endpoints = input.endpoints;
    this.#neighbourhood.setTags(input.tags);
    this.#neighbourhood.setTags(this.#neighbourhood.tagsWith(this.#identityTags()));
    const { times } = input;
    const tags = new Map(this.#neighbourhood.tags);
    this.#gossip.step({ kind: 'start', tags, ...(times && { times }) }, now, effects);
    if (this.#config.etcd !== undefined) this.#binding.openEtcd(this.#config, now, effects);
    else if (this.#affiliation.isBound && this.#config.kind === 'voter')
      replica.open(self, this.#recovered, now, effects);
    if (this.#isBoundInName) this.#binding.startOver(effects);
    this.#affiliation.hasten(now);
  }

  // What holds the parts together, after every input.

  #settle(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (!this.#isStarted) return;
    if (this.#leaveTaking.phase === undefined) {
      this.#joinNext(now, effects);
      if (this.#decides) this.#binding.evaluate(now, effects);
    }
    const { replica, holding, steward, permits, self } = this.#core;
    if (this.#follows) {
      const { voters } = replica.state.configuration;
      const choice = {
        ...this.#neighbourhood.votersOf(replica.clusterId, voters),
        answeredAt: holding.sharding.answeredAt,
      };
      replica.follow(choice, now, effects);
    }
    this.#selfWatch.evaluate(this.#leaveTaking.phase !== undefined, now, effects);
    steward.tick(now, effects);
    permits.tick(now, effects);
    holding.refresh(this.#neighbourhood, now, effects);
    if (replica.stopReason !== undefined)
      effects.push({ kind: 'stop', reason: replica.stopReason, exitCode: replica.stopCode });
    this.#leaveTaking.evaluate(now, effects);
    this.#livenessWatch.refresh(this.#core, this.#neighbourhood, now, effects);
    this.#addressBook.tick(now, effects);
    const known = replica.knownLeader(self, now);
    this.#standing.onLeader(known, now, effects);
    if (this.#standing.evaluate(this.#facts(now), known.term, effects)) this.#livenessWatch.refreshSoon();
  }

  /** Which cluster it is of is this node's to find out, and not for an etcd to say. */
  get #decides(): boolean {
    return this.#leaveTaking.phase === undefined && this.#config.etcd === undefined;
  }

  /** Outside the Raft group, but of a cluster: the agreed state comes from a voter. */
  get #follows(): boolean {
    const { replica, self } = this.#core;
    const { phase } = this.#leaveTaking;
    if (this.#config.kind === 'non-member' || phase === 'leaving' || phase === 'gone') return false;
    return replica.clusterId !== undefined && (!replica.isInGroup(self) || this.#standing.isLost);
  }

  #joinNext(now: MonotonicMs, effects: ClusterEffect[]): void {
    const endpoint = this.#neighbourhood.nextJoin(now);
    if (endpoint === undefined) return;
    this.#gossip.tryJoin(endpoint, this.#nextRequestId(), now, effects);
  }

  #facts(now: MonotonicMs): StandingFacts {
    return factsOf({
      now,
      isStarted: this.#isStarted,
      config: this.#config,
      core: this.#core,
      standing: this.#standing,
      leaveTaking: this.#leaveTaking,
      affiliation: this.#affiliation,
      founding: this.#founding,
      neighbourhood: this.#neighbourhood,
    });
  }

  #onMembers(now: MonotonicMs): void {
    this.#neighbourhood.membersChanged();
    this.#affiliation.hasten(now);
    this.#core.steward.hasten(now);
    this.#livenessWatch.refreshSoon();
    this.#addressBook.onMembers(now);
  }

  // The parts.

  #makeCore(self: MemberId, boot: Boot, now: MonotonicMs): Core {
    const host: CoreHost = {
      config: this.#config,
      random: this.#random,
      neighbourhood: this.#neighbourhood,
      send: (to, message, effects) => this.#post.send(to, message, effects),
      onRaftEvent: (event, at, effects) => this.#onRaftEvent(event, at, effects),
      onBelongs: (cluster, at, effects) => this.#binding.onBelongs(cluster, at, effects),
      onRaftReply: (requestId, outcome, effects) => this.#requests.onRaftReply(requestId, outcome, effects),
      wallMs: (at) => this.#wallMs(at),
      onApplied: (effects) => this.#requests.onApplied(effects),
      nextRequestId: () => this.#nextRequestId(),
    };
    return makeCore(host, self, boot, now);
  }

  #makePostOffice(): PostOffice {
    return new PostOffice({
      core: () => this.#core,
      neighbourhood: this.#neighbourhood,
      bind: (clusterId, leader, effects) => this.#decides && this.#binding.bind(clusterId, leader, effects),
      onAnswer: (from, answer, now, effects) => {
        if (answer.kind === 'done') this.#leaveTaking.onRetired(from, now, effects);
        else if (answer.kind === 'description') this.#affiliation.onDescription(from, answer, now);
        else if (answer.kind === 'dissolution') this.#affiliation.onDissolution(from, answer, now);
      },
      dissolutionOf: (clusterId) => this.#affiliation.dissolutionOf(clusterId),
      onHeardFrom: (member, now) => this.#livenessWatch.onHeardFrom(member, now),
    });
  }

  #makeBinding(): Binding {
    return new Binding({
      core: () => this.#core,
      affiliation: this.#affiliation,
      neighbourhood: this.#neighbourhood,
      random: this.#random,
      kind: this.#config.kind,
      clusterName: this.#config.clusterName,
      shardCount: this.#config.sharding.shardCount,
      timing: ownTiming(this.#config),
      wallMs: (now) => this.#wallMs(now),
      send: (to, message, effects) => this.#post.send(to, message, effects),
      setClusterId: (clusterId, now, effects) => this.#setClusterId(clusterId, now, effects),
      rebuild: (self, now, effects) => {
        this.#core.kv.end('this node has left that cluster', effects);
        this.#core = this.#makeCore(self, mintBoot(this.#random), now);
        this.#livenessWatch.refreshSoon();
        this.#leaveTaking.onRebuilt(now, effects);
        this.#setClusterId(undefined, now, effects);
        this.#affiliation.hasten(now);
      },
    });
  }

  #makeLeaveTaking(): LeaveTaking {
    return new LeaveTaking({
      core: () => this.#core,
      neighbourhood: this.#neighbourhood,
      isAutoJoin: this.#config.isAutoJoin,
      ackTimeoutMs: this.#config.sharding.ackTimeoutMs,
      keepsShards: this.#config.sharding.restartGraceMs > 0,
      send: (to, message, effects) => this.#post.send(to, message, effects),
      leaveGossip: (now, effects) => {
        this.#gossip.leave(this.#nextRequestId(), now, effects);
      },
    });
  }

  #onRaftEvent(event: RaftEvent, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { holding, steward, permits } = this.#core;
    holding.onRaftEvent(event, now, effects);
    this.#livenessWatch.refreshSoon();
    if (event.kind === 'becameLeader' || event.kind === 'steppedDown') {
      steward.onRoleChanged(event.kind === 'becameLeader', now, effects);
      permits.onRoleChanged(event.kind === 'becameLeader', now, effects);
    } else if (event.kind === 'learnerCaughtUp') steward.onLearnerCaughtUp(event.member, now);
    else if (event.kind === 'dataLost')
      effects.push({ kind: 'stop', reason: `${event.reason}: ${HAS_FORGOTTEN}`, exitCode: 65 });
    else if (event.kind === 'configurationChanged') steward.onConfiguration(event, now, effects);
  }

  #setClusterId(clusterId: ClusterId | undefined, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#core.replica.clusterId = clusterId;
    this.#publish(this.#identityTags(), now, effects);
  }

  #publish(changes: ReadonlyMap<string, string | undefined>, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#neighbourhood.setTags(this.#neighbourhood.tagsWith(changes));
    this.#gossip.step({ kind: 'setTags', tags: new Map(this.#neighbourhood.tags) }, now, effects);
  }

  /** What of the tags follows from the cores. */
  #identityTags(): ReadonlyMap<string, string | undefined> {
    const { self, replica } = this.#core;
    return new Map<string, string | undefined>([
      [TAG_STAMP, stampOf(self)],
      [TAG_CLUSTER_ID, replica.clusterId],
    ]);
  }

  #wallMs(now: MonotonicMs): number {
    return this.#config.startedWallMs + (now - this.#config.startedAt);
  }

  #parts(): Parts {
    const { liveness } = this.#livenessWatch;
    const { room, ailment } = this.#selfWatch;
    return { ...this.#core, serf: this.#serf, neighbourhood: this.#neighbourhood, liveness, room, ailment };
  }

  /** Our own requests count downwards, the shell's upwards: they never meet. */
  #nextRequestId(): RequestId {
    this.#lastRequestId -= 1;
    return this.#lastRequestId as RequestId;
  }
}
