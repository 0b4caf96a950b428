/** One process of the model: a real Sharding, the oracle beside it, and the little of the shell that lies between. */
import { randomBetween, SeededRandom } from '../../../src/base/random.ts';
import type { Boot, LogIndex, NodeId, ShardId } from '../../../src/model/ids.ts';
import type { ShardingConfig } from '../../../src/sharding/config.ts';
import type { LeaseMessage, ShardingEffect, ShardingInput } from '../../../src/sharding/messages.ts';
import type { OwnershipRules } from '../../../src/sharding/rules.ts';
import { Sharding } from '../../../src/sharding/sharding.ts';
import { Consensus, type Disk } from './consensus.ts';
import type { Term } from '../../../src/model/ids.ts';
import { Host, type Network, type Timeline } from './world.ts';

const VIA_PATIENCE_MS = 180;

/** What a member shares with the cluster it is in. */
export interface Surroundings {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly leaders: Map<Term, string>;
  readonly voters: readonly string[];
  readonly config: ShardingConfig;
  readonly rules: OwnershipRules;
  readonly ignoresJumps: boolean;
  /** Chance that a turn ends in a pause before its effects are performed. */
  midTurnPause(): number;
  /** Chance that the application is slow to release, or never does. */
  slowRelease(): number;
  members(): readonly Member[];
  /** Called after every turn. */
  turned(member: Member): void;
  effect(member: Member, effect: ShardingEffect): void;
}

export class Member {
  readonly name: string;
  readonly boot: Boot;
  readonly isVoter: boolean;
  readonly host: Host;
  readonly machine: Sharding;
  readonly consensus: Consensus;
  isDraining = false;
  #via: string;
  #viaSince = 0;
  readonly #routes: Map<NodeId, string> = new Map();
  readonly #world: Surroundings;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(
    world: Surroundings,
    identity: { readonly name: string; readonly boot: number; readonly rate: number; readonly disk: Disk },
  ) {
    const { timeline } = world;
    this.#world = world;
    this.name = identity.name;
    this.boot = identity.boot as Boot;
    this.isVoter = world.voters.includes(identity.name);
    this.host = new Host(timeline, identity.rate);
    this.#via = world.voters[Math.floor(timeline.random.next() * world.voters.length)] as string;
    this.machine = new Sharding(
      world.config,
      { node: this.name as NodeId, boot: this.boot, dirLocked: this.isVoter },
      new SeededRandom(Math.floor(timeline.random.next() * 1e9)),
      this.host.mono(),
      world.rules,
    );
    this.consensus = new Consensus(world, this, () => world.members(), world.voters, identity.disk);
  }

  start(): void {
    this.consensus.start();
    this.run(() => this.feed({ kind: 'votersChanged', nodes: this.#world.voters as readonly NodeId[] }));
    if (!this.isVoter) this.#watchVia();
  }

  kill(): void {
    this.host.isAlive = false;
  }

  /** A turn: what the clocks say first, then the thunk, then all that is due. */
  run(thunk: () => void): void {
    this.host.run(() => {
      const jump = this.host.takeJump();
      if (jump >= 5 && !this.#world.ignoresJumps) {
        this.feed({ kind: 'clockJumped', byMs: jump });
        this.consensus.onJump(jump);
      }
      thunk();
      if (this.host.mono() >= this.machine.nextDeadline()) this.#tick();
      this.#world.turned(this);
      this.#arm();
    });
  }

  feed(input: ShardingInput): void {
    const effects: ShardingEffect[] = [];
    this.machine.step(input, this.host.mono(), effects);
    this.#perform(effects);
  }

  /** O-1 with the lease, as the shell's `owns` reads it at this true instant. */
  owns(shard: ShardId): LogIndex | undefined {
    return this.holdsLease() ? this.machine.serving(shard) : undefined;
  }

  holdsLease(): boolean {
    return this.host.isAlive && this.clock() < this.machine.leaseUntil;
  }

  /** What a question asked now is held against: the monotonic clock, and what the wall clock has gained on it. */
  clock(): number {
    return this.host.mono() + (this.#world.ignoresJumps ? 0 : Math.max(0, this.host.jump() - 5));
  }

  /** A voter passes on what it has applied to the non-voters that follow it. */
  relay(leader: string): void {
    if (!this.isVoter) return;
    for (const peer of this.#world.members()) {
      if (peer.isVoter || peer.#via !== this.name || leader === '') continue;
      this.#world.network.send(this.name, peer.name, () =>
        peer.run(() => peer.consensus.onAppend(this.consensus.pass())),
      );
    }
  }

  /** Instead of a long stretch of log, now and then, a snapshot of somebody who has applied more. */
  trySnapshot(commit: number): void {
    const { random } = this.#world.timeline;
    if (random.next() < 0.5) return;
    const { applied } = this.consensus;
    const source = this.#world
      .members()
      .find(({ consensus }) => consensus.applied > applied && consensus.applied <= commit);
    if (source === undefined) return;
    this.consensus.applied = source.consensus.applied;
    this.feed({ kind: 'imageInstalled', index: source.consensus.applied as LogIndex, image: source.machine.image() });
  }

  #tick(): void {
    const effects: ShardingEffect[] = [];
    this.machine.tick(this.host.mono(), effects);
    this.#perform(effects);
  }

  #arm(): void {
    const deadline = this.machine.nextDeadline();
    if (deadline === Number.POSITIVE_INFINITY) return;
    const { timeline } = this.#world;
    const at = timeline.now + Math.max(0, deadline - this.host.mono()) / this.host.rate + 1e-6;
    if (at >= this.#wakeAt && this.#wakeAt >= timeline.now) return;
    this.#wakeAt = at;
    timeline.at(at, () => {
      if (this.#wakeAt !== at) return;
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.run(() => undefined);
    });
  }

  #perform(effects: readonly ShardingEffect[]): void {
    const { random } = this.#world.timeline;
    for (const effect of effects) this.#world.effect(this, effect);
    if (random.next() < this.#world.midTurnPause()) {
      this.host.pause(randomBetween(random, 10, 1_500), () => this.#performAll(effects));
      return;
    }
    this.#performAll(effects);
  }

  #performAll(effects: readonly ShardingEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'sendToLeader':
          this.#sendToLeader(effect.message);
          break;
        case 'sendToHolder':
          this.#sendToHolder(effect.node, effect.message);
          break;
        case 'append':
          this.consensus.append(effect.command);
          break;
        case 'release':
          this.#release(effect.version);
          break;
        case 'releaseOver':
        case 'start':
        case 'publishLease':
        case 'notify':
          break;
      }
    }
  }

  #release(version: LogIndex): void {
    const { timeline } = this.#world;
    const isSlow = timeline.random.next() < this.#world.slowRelease();
    if (isSlow && timeline.random.next() < 0.3) return;
    const delay = isSlow ? randomBetween(timeline.random, 200, 900) : randomBetween(timeline.random, 0, 10);
    timeline.after(delay, () => this.run(() => this.feed({ kind: 'released', version })));
  }

  #sendToLeader(message: LeaseMessage): void {
    const first = this.isVoter ? this.consensus.leader : this.#via;
    if (first === undefined) return;
    this.#toName(this.name, first, (peer) => peer.#onLease(message, this.name));
  }

  /** For the leader itself, or to be relayed to the one that this voter knows (O-16). */
  #onLease(message: LeaseMessage, via: string): void {
    if (this.consensus.leading !== undefined) {
      this.#routes.set(message.node, via);
      this.feed({ kind: 'received', message });
      return;
    }
    const { leader } = this.consensus;
    if (leader !== undefined && via === message.node) {
      this.#toName(this.name, leader, (peer) => {
        if (peer.consensus.leading !== undefined) peer.#onLease(message, this.name);
      });
    }
  }

  #sendToHolder(holder: NodeId, message: LeaseMessage): void {
    const via = this.#routes.get(holder) ?? holder;
    const deliver = (peer: Member): void => peer.feed({ kind: 'received', message });
    if (via === holder) this.#toName(this.name, holder, deliver);
    else this.#toName(this.name, via, (relay) => relay.#toName(relay.name, holder, deliver));
  }

  #toName(from: string, to: string, arrive: (peer: Member) => void): void {
    this.#world.network.send(from, to, () => {
      for (const peer of this.#world.members()) if (peer.name === to) peer.run(() => arrive(peer));
    });
  }

  /** O-16: no answer for too long, so another voter. */
  #watchVia(): void {
    this.#world.timeline.after(60, () => {
      if (!this.host.isAlive) return;
      this.host.run(() => {
        const now = this.host.mono();
        if (now - Math.max(this.machine.answeredAt, this.#viaSince) > VIA_PATIENCE_MS) {
          const { voters } = this.#world;
          this.#via = voters[(voters.indexOf(this.#via) + 1) % voters.length] as string;
          this.#viaSince = now;
        }
      });
      this.#watchVia();
    });
  }
}
