/**
 * Carries word between the replica and shard ownership: who leads, what was applied, and the lease messages on their way to
 * the leader and back (ownership.md O-16: nodes outside the group renew through the voter they follow).
 */
import { unreachable } from '../base/assert.ts';
import { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Boot, LogIndex, MemberId, NodeId, RequestId, ShardId, Term } from '../model/ids.ts';
import { NO_INDEX, nodeIdOf } from '../model/ids.ts';
import type { Configuration, Entry } from '../model/log.ts';
import { describeTiming, isSameTiming, type Timing } from '../model/timing.ts';
import type { RaftEvent } from '../raft/messages.ts';
import type { NodeTraits, ShardingEffect, ShardingInput } from '../sharding/messages.ts';
import type { Sharding } from '../sharding/sharding.ts';
import { encodeCommand } from '../wire/command/command.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import { decodeLeaseMessage, encodeLeaseMessage } from '../wire/sharding/lease.ts';
import { decodeShardCommand, encodeShardCommand } from '../wire/sharding/map-entry.ts';
import { notify } from './core.ts';
import { HandOver, type HandOverAck, type HandOverMessage } from './hand-over.ts';
import type { ClusterEffect, ClusterInput } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Replica } from './replica.ts';

/** Ways back to holders that renew through a voter. One per non-voter. */
const ROUTES_MAX = 8_192;

export interface HoldingHost {
  readonly self: MemberId;
  readonly boot: Boot;
  readonly replica: Replica;
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  /** The Raft member that a node is now, as gossip knows it. */
  memberOf(node: NodeId): MemberId | undefined;
  nextRequestId(): RequestId;
  readonly clusterName: string;
  /** What this node's options say; the founder's count. */
  readonly ownTiming: Timing;
  /** The application may hold a shard for a while; without a hook the release is done at once. */
  readonly hasReleaseHook: boolean;
  /** The application is told what it gets. */
  readonly hasAcquireHook: boolean;
}

/** What ownership was told last. */
interface Told {
  leader: NodeId | undefined;
  term: number;
  lease: MonotonicMs;
  /** Undefined: not yet in this leadership. */
  isSettled: boolean | undefined;
  isReady: boolean;
}

export class Holding {
  readonly #sharding: Sharding;
  readonly #host: HoldingHost;
  readonly #routes: Map<NodeId, MemberId> = new Map();
  readonly #handOver: HandOver;
  #leaseUntil: MonotonicMs = Number.NEGATIVE_INFINITY;
  #told: Told = { leader: '' as NodeId, term: -1, lease: Number.NaN, isSettled: undefined, isReady: false };
  #election: Extract<RaftEvent, { kind: 'becameLeader' }> | undefined;
  #predecessor: NodeId | undefined;
  /** The cluster's, as far as it has been adopted. */
  #timing: Timing | undefined;
  #expected = '';
  #traits: ReadonlyMap<NodeId, NodeTraits> | undefined;
  /** The node released its lease for good, or drained: told once. */
  isDrained = false;

  constructor(sharding: Sharding, host: HoldingHost) {
    this.#sharding = sharding;
    this.#host = host;
    this.#handOver = new HandOver({
      node: nodeIdOf(host.self),
      boot: host.boot,
      takesStates: host.hasAcquireHook,
      send: (to, message, effects) => {
        const member = host.memberOf(to);
        if (member !== undefined) host.send(member, message, effects);
      },
    });
  }

  get sharding(): Sharding {
    return this.#sharding;
  }

  get boot(): Boot {
    return this.#host.boot;
  }

  /** What `owns()` compares with both clocks. */
  get leaseUntil(): MonotonicMs {
    return this.#leaseUntil;
  }

  get handOver(): HandOver {
    return this.#handOver;
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#sharding.nextDeadline(), this.#handOver.nextDeadline());
  }

  step(input: ShardingInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    const out: ShardingEffect[] = [];
    this.#sharding.step(input, now, out);
    this.#perform(out, now, effects);
    if (input.kind === 'applied' || input.kind === 'imageInstalled') this.#followMaps();
  }

  /** The application has released, and what it hands over leaves first, as far as there is time for it; or it is ready to serve. */
  onApplication(
    input: Extract<ClusterInput, { kind: 'released' | 'acquired' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    if (input.kind === 'acquired') this.step(input, now, effects);
    else if (!this.#handOver.begin(input, now, effects))
      this.step({ kind: 'released', version: input.version }, now, effects);
  }

  onHandOver(from: MemberId, message: HandOverMessage, effects: ClusterEffect[]): void {
    this.#handOver.onPieces(nodeIdOf(from), message, effects);
  }

  onHandOverAck(from: MemberId, ack: HandOverAck, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#handOver.onAck(nodeIdOf(from), ack, now, effects);
    this.#settleHandOver(now, effects);
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    const out: ShardingEffect[] = [];
    this.#sharding.tick(now, out);
    this.#perform(out, now, effects);
    this.#settleHandOver(now, effects);
  }

  undrain(now: MonotonicMs, effects: ClusterEffect[]): void {
    this.isDrained = false;
    this.step({ kind: 'undrain' }, now, effects);
  }

  #settleHandOver(now: MonotonicMs, effects: ClusterEffect[]): void {
    const version = this.#handOver.tick(now, effects);
    if (version !== undefined) this.step({ kind: 'released', version }, now, effects);
  }

  #followMaps(): void {
    const active = this.#sharding.activeMap();
    const { boot } = this.#host;
    const node = nodeIdOf(this.#host.self);
    this.#handOver.onMaps(this.#sharding.pendingVersion ?? active?.version ?? NO_INDEX, (shard: ShardId) => {
      const owner = active?.owners[active.ownerOf[shard] as number];
      return owner?.node === node && owner.boot === boot;
    });
  }

  onRaftEvent(event: RaftEvent, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (event.kind === 'becameLeader') {
      this.#election = event;
      this.#routes.clear();
      // No event tells of a configuration that a restart found in a snapshot (O-13 rests on it).
      this.#tellVoters(this.#host.replica.configuration, now, effects);
      this.#tellLeadership(false, now, effects);
    } else if (event.kind === 'steppedDown') {
      this.#election = undefined;
      this.#tellLeadership(false, now, effects);
    } else if (event.kind === 'leaderChanged' && event.leader !== undefined && event.leader !== this.#host.self) {
      this.#predecessor = nodeIdOf(event.leader);
    } else if (event.kind === 'configurationChanged') {
      this.#tellVoters(event.configuration, now, effects);
    }
  }

  onShardCommand(entry: Entry, bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    const command = decodeShardCommand(bytes, this.#sharding.activeMap());
    if (command instanceof DecodeError) {
      // Others have applied it: whoever passes over it has another map than they, and another idea of who serves what.
      const reason = `the log has an entry about shards at ${entry.index} that this version cannot read (${command.message})`;
      effects.push({ kind: 'stop', reason: `${reason}: start a newer one`, exitCode: 70 });
      return;
    }
    // Written by somebody who believed himself leader of another term (raft.md 6.5).
    if (command.term !== entry.term) return;
    this.step({ kind: 'applied', index: entry.index, term: entry.term, command }, now, effects);
  }

  onApplied(index: LogIndex, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.step({ kind: 'appliedTo', index }, now, effects);
    const election = this.#election;
    if (election !== undefined && !this.#told.isReady && index >= election.noopIndex) {
      this.#told.isReady = true;
      this.#tellLeadership(true, now, effects);
    }
  }

  /** Tells ownership what has changed around it since the last turn. Cheap when nothing has. */
  refresh(neighbourhood: Neighbourhood, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#adoptTiming(now, effects);
    this.#refreshReplica(now, effects);
    if (this.#election !== undefined) this.#refreshTraits(neighbourhood.traits(), now, effects);
    if (this.#election === undefined || this.#sharding.activeMap() !== undefined) return;
    const nodes = neighbourhood.gathering(this.#host.replica.clusterId);
    const told = nodes.join(' ');
    if (told === this.#expected) return;
    this.#expected = told;
    this.step({ kind: 'expected', nodes }, now, effects);
  }

  /** Holder and leader must count one lease alike, or a shard has two owners: what was founded goes before what this node was told. */
  #adoptTiming(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, ownTiming } = this.#host;
    const { founding } = replica.state;
    const timing = founding?.timing ?? replica.timing;
    // Two clusters of other names that were told the same place in etcd would take the shards from each other.
    if (replica.etcd !== undefined && founding !== undefined && founding.clusterName !== this.#host.clusterName) {
      const reason = `below --etcd-prefix lies the cluster "${founding.clusterName}", and this node is of "${this.#host.clusterName}"`;
      effects.push({ kind: 'stop', reason, exitCode: 78 });
    }
    if (timing === undefined || timing === this.#timing) return;
    const before = this.#timing ?? ownTiming;
    this.#timing = timing;
    if (isSameTiming(timing, before)) return;
    this.step({ kind: 'timing', ...timing }, now, effects);
    replica.step({ kind: 'timing', timing }, now, effects);
    const [theirs, ours] = [describeTiming(timing), describeTiming(ownTiming)];
    const text = `this node goes by the times that its cluster was founded with, ${theirs}, and not by its own: ${ours}`;
    notify({ kind: 'warning', text }, effects);
  }

  /** Members change often, and what they say of themselves hardly ever. */
  #refreshTraits(traits: ReadonlyMap<NodeId, NodeTraits>, now: MonotonicMs, effects: ClusterEffect[]): void {
    const told = this.#traits;
    if (traits === told) return;
    this.#traits = traits;
    const isSame =
      told?.size === traits.size &&
      [...traits].every(
        ([node, { weight, zone }]) => told.get(node)?.weight === weight && told.get(node)?.zone === zone,
      );
    if (!isSame) this.step({ kind: 'traits', nodes: traits }, now, effects);
  }

  #refreshReplica(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, self } = this.#host;
    const known = replica.knownLeader(self, now);
    const { leader } = known;
    if (leader !== this.#told.leader || known.term !== this.#told.term) {
      this.#told.leader = leader;
      this.#told.term = known.term;
      this.step({ kind: 'leaderKnown', leader, term: known.term }, now, effects);
    }
    if (this.#election === undefined) return;
    const lease = replica.raft?.leaderLeaseUntil ?? Number.NEGATIVE_INFINITY;
    if (lease !== this.#told.lease) {
      this.#told.lease = lease;
      this.step({ kind: 'leaderLease', until: lease }, now, effects);
    }
    const isSettled = replica.raft !== undefined && replica.raft.lastIndex === replica.state.appliedIndex;
    if (isSettled !== this.#told.isSettled) {
      this.#told.isSettled = isSettled;
      this.step({ kind: 'logSettled', settled: isSettled }, now, effects);
    }
  }

  /** A frame of the group has been answered in this step. */
  onRaftFrame(from: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#election === undefined && this.#host.replica.raft?.leader === from)
      this.step({ kind: 'leaderHeard' }, now, effects);
  }

  /** A lease message came from `from`, for us or to be passed on. */
  onLeaseFrame(
    from: MemberId,
    message: { bytes: Uint8Array; relayFor: NodeId | undefined },
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    const lease = decodeLeaseMessage(message.bytes);
    if (lease instanceof DecodeError) {
      notify({ kind: 'dropped', where: 'peer', reason: 'lease message' }, effects);
      return;
    }
    const isUpward = lease.kind === 'renew' || lease.kind === 'release';
    if (!isUpward) {
      if (lease.node === nodeIdOf(this.#host.self)) this.step({ kind: 'received', message: lease }, now, effects);
      else this.#passDown(lease.node, message.bytes, effects);
      return;
    }
    if (!this.#maySpeakFor(lease.node, from, message.relayFor)) return;
    if (this.#isExcluded(lease.node)) return;
    if (this.#election === undefined) {
      if (message.relayFor === undefined) this.#passUp(lease.node, message.bytes, effects);
      return;
    }
    this.#remember(lease.node, from);
    this.step({ kind: 'received', message: lease }, now, effects);
  }

  /** Nobody renews in another's name, but for members of the group, who must say so (O-16). */
  #maySpeakFor(holder: NodeId, from: MemberId, relayFor: NodeId | undefined): boolean {
    if (relayFor === undefined) return nodeIdOf(from) === holder;
    return relayFor === holder && this.#host.replica.isInGroup(from);
  }

  /** An operator removed it: it gets no lease, so its shards move as those of a dead node do. */
  #isExcluded(node: NodeId): boolean {
    const member = this.#host.memberOf(node);
    return member !== undefined && this.#host.replica.state.isExcluded(member);
  }

  #perform(out: readonly ShardingEffect[], now: MonotonicMs, effects: ClusterEffect[]): void {
    for (const effect of out) this.#performOne(effect, now, effects);
  }

  #performOne(effect: ShardingEffect, now: MonotonicMs, effects: ClusterEffect[]): void {
    const host = this.#host;
    switch (effect.kind) {
      case 'sendToLeader': {
        const way = this.#wayToLeader();
        const bytes = encodeLeaseMessage(effect.message);
        // A leader holds by its leader lease; what it asked just before it led needs no answer (O-3).
        if (way !== undefined && way !== host.self)
          host.send(way, { kind: 'lease', bytes, relayFor: undefined }, effects);
        return;
      }
      case 'sendToHolder': {
        const way = this.#routes.get(effect.node) ?? host.memberOf(effect.node);
        if (way === undefined) return;
        const relayFor = nodeIdOf(way) === effect.node ? undefined : effect.node;
        host.send(way, { kind: 'lease', bytes: encodeLeaseMessage(effect.message), relayFor }, effects);
        return;
      }
      case 'append':
        this.#append(
          encodeCommand({ kind: 'shard', bytes: encodeShardCommand(effect.command, this.#sharding.activeMap()) }),
          now,
          effects,
        );
        return;
      case 'release':
        this.#handOver.onRelease(effect);
        notify({ ...effect, kind: 'shardsReleasing' }, effects);
        if (!host.hasReleaseHook) this.step({ kind: 'released', version: effect.version }, now, effects);
        return;
      case 'releaseOver':
        this.#handOver.onReleaseOver(effect.version);
        notify({ ...effect, kind: 'shardsReleaseOver' }, effects);
        return;
      case 'start':
        this.#handOver.onStart(effect, this.#sharding.activeMap()?.version ?? NO_INDEX);
        notify({ ...effect, kind: 'shardsStarted' }, effects);
        return;
      case 'publishLease':
        this.#leaseUntil = effect.until;
        return;
      case 'notify':
        this.#tellEvent(effect.event, effects);
        return;
      default:
        unreachable(effect);
    }
  }

  #tellEvent(event: Extract<ShardingEffect, { kind: 'notify' }>['event'], effects: ClusterEffect[]): void {
    switch (event.kind) {
      case 'mapProposed':
        notify({ kind: 'shardMapProposed', version: event.version }, effects);
        return;
      case 'mapChanged':
        notify({ kind: 'shardMapChanged', map: event.map }, effects);
        return;
      case 'leaseGained':
      case 'leaseLost':
        notify({ kind: event.kind }, effects);
        return;
      case 'refused':
        if (event.reason === 'idInUse') {
          notify(
            {
              kind: 'warning',
              text: 'another process of this node id holds shards: waiting until its lease has run out',
            },
            effects,
          );
        }
        return;
      case 'drained':
        this.isDrained = true;
        return;
      case 'held': {
        const { node, deaths, forMs } = event;
        const text = `node ${node} has died ${deaths} times in five minutes: it is given no shards for ${Math.ceil(forMs / 1_000)} s`;
        notify({ kind: 'warning', text }, effects);
        return;
      }
      case 'clocksApart': {
        const apart =
          "the leader's clock and this node's do not run alike (--clock-drift): no shard is served here until they do";
        const text = event.isApart ? apart : "the leader's clock and this node's run alike again";
        notify({ kind: 'warning', text }, effects);
        return;
      }
      case 'proposalVoided':
      case 'holderGone':
        return;
      default:
        unreachable(event);
    }
  }

  #tellVoters({ voters }: Configuration, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.step({ kind: 'votersChanged', nodes: voters.map(nodeIdOf) }, now, effects);
  }

  #tellLeadership(isReady: boolean, now: MonotonicMs, effects: ClusterEffect[]): void {
    const election = this.#election;
    // A new leader's own shards pass from its grant to its leader lease in one step (O-3): it must know how far that reaches.
    const until = isReady ? this.#host.replica.raft?.leaderLeaseUntil : undefined;
    if (until !== undefined) this.step({ kind: 'leaderLease', until }, now, effects);
    this.#told = { ...this.#told, lease: Number.NaN, isSettled: undefined, isReady };
    this.step(
      {
        kind: 'leadership',
        isLeader: election !== undefined,
        isReady: election !== undefined && isReady,
        term: (election?.term ?? 0) as Term,
        electedAt: election?.electedAt ?? Number.NEGATIVE_INFINITY,
        restedOnLease: election?.restedOnLease === undefined ? undefined : nodeIdOf(election.restedOnLease),
        predecessor: election === undefined ? undefined : this.#predecessor,
      },
      now,
      effects,
    );
    this.#refreshReplica(now, effects);
  }

  /** Refused when this node does not lead any more; the coordinator asks again by its own deadlines. */
  #append(bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#host.replica.step({ kind: 'propose', requestId: this.#host.nextRequestId(), items: [bytes] }, now, effects);
  }

  #wayToLeader(): MemberId | undefined {
    const { replica, self } = this.#host;
    if (replica.isInGroup(self)) return replica.raft?.leader;
    return replica.followed;
  }

  #passUp(holder: NodeId, bytes: Uint8Array, effects: ClusterEffect[]): void {
    const leader = this.#host.replica.raft?.leader;
    if (leader === undefined || leader === this.#host.self) return;
    this.#host.send(leader, { kind: 'lease', bytes, relayFor: holder }, effects);
  }

  #passDown(holder: NodeId, bytes: Uint8Array, effects: ClusterEffect[]): void {
    const member = this.#host.memberOf(holder);
    if (member !== undefined) this.#host.send(member, { kind: 'lease', bytes, relayFor: undefined }, effects);
  }

  #remember(holder: NodeId, way: MemberId): void {
    if (!this.#routes.has(holder) && this.#routes.size >= ROUTES_MAX) return;
    this.#routes.set(holder, way);
  }
}
