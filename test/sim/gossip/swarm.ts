/**
 * Histories of gossip that a seed draws: size, loss, duplication, and who is killed, started again, paused, cut off or told to leave.
 * All the time the checkers look on; then the faults end, and the living must agree within the bound of reliability.md G-1.
 */
import { strict as assert } from 'node:assert';
import type { SwimTiming } from '../../../src/swim/config.ts';
import { pushPullIntervalMs } from '../../../src/swim/push-pull.ts';
import { Chance } from '../chance.ts';
import { assertConverged, GossipCheckers, isAgreed, isConverged } from './checkers.ts';
import { LAN, suspicionBounds } from './theory.ts';
import type { GossipNode } from './node.ts';
import { GossipWorld } from './world.ts';

export interface SwarmLimits {
  readonly nodesLeast: number;
  readonly nodesMost: number;
  readonly lossMost: number;
}

export interface SwarmReport {
  readonly seed: number;
  readonly nodes: number;
  readonly loss: number;
  readonly faults: ReadonlyMap<string, number>;
  /** From the end of the faults until all held the same members for alive, ... */
  readonly healedMs: number;
  /** ... and in the same incarnations. */
  readonly agreedMs: number;
  readonly simulatedMs: number;
  readonly returns: number;
  readonly forgottenReturns: number;
  readonly events: number;
  readonly hash: string;
}

const SECOND = 1_000;
const TURN_MS = 500;
/** A restarted or cut off node asks again so often, as Serf's reconnect and rejoin do. */
const REJOIN_MS = 5_000;
/** A sleep in which the rows of those who died meanwhile are dropped everywhere else. */
const SLEEP_MS = 75_000;
const FORGIVEN_MS = 30_000;
const FAULTS = ['kill', 'start', 'pause', 'resume', 'leave', 'isolate', 'split', 'heal'] as const;
type Fault = (typeof FAULTS)[number];

/** G-1: two push/pull intervals and the longest suspicion; here and there a suspicion starts only with the second exchange. */
export function healBoundMs(timing: SwimTiming, nodes: number): number {
  return 2 * pushPullIntervalMs(timing.pushPullIntervalMs, nodes) + suspicionBounds(timing, nodes).maxMs;
}

/**
 * Incarnations that gossip missed spread by push/pull alone, one random pair at a time: an epidemic that doubles each interval at
 * best. Twice its expected length, and some, since the last to hear has the longest tail.
 */
export function agreeBoundMs(timing: SwimTiming, nodes: number): number {
  return (2 * Math.ceil(Math.log2(nodes)) + 4) * pushPullIntervalMs(timing.pushPullIntervalMs, nodes);
}

/**
 * Each prober meets the dead one once in a round of all members, so the three whose word counts have by then, though not every last one of them;
 * with them the suspicion lasts its shortest time. Probing and the spread of the news take the rest. Below what a suspicion that nobody confirms takes.
 */
export function deathBoundMs(timing: SwimTiming, nodes: number): number {
  const roundMs = Math.max(nodes, 8) * timing.probeIntervalMs;
  return roundMs + suspicionBounds(timing, nodes).minMs + 4 * timing.probeIntervalMs;
}

export function runSwarm(seed: number, limits: SwarmLimits): SwarmReport {
  return new Swarm(seed, limits).run();
}

class Swarm {
  readonly #seed: number;
  readonly #chance: Chance;
  readonly #world: GossipWorld;
  readonly #checkers: GossipCheckers;
  readonly #count: number;
  readonly #loss: number;
  readonly #faults: Map<string, number> = new Map();
  readonly #leftAt: Map<GossipNode, number> = new Map();
  readonly #pausedUntil: Map<GossipNode, number> = new Map();
  #healAt = 0;
  #rejoinAt = 0;

  constructor(seed: number, limits: SwarmLimits) {
    this.#seed = seed;
    this.#chance = new Chance(seed, 'gossip');
    this.#count = limits.nodesLeast + this.#chance.below(limits.nodesMost - limits.nodesLeast + 1);
    this.#loss = this.#chance.isHit(0.7) ? this.#chance.between(0, limits.lossMost) : 0;
    const duplication = this.#chance.isHit(0.3) ? 0.1 : 0;
    this.#world = new GossipWorld({ seed, duplication });
    this.#checkers = new GossipCheckers(this.#world);
  }

  run(): SwarmReport {
    const world = this.#world;
    world.grow(this.#count);
    world.loss = this.#loss;
    const harmUntil = world.now + this.#chance.between(40, 90) * SECOND;
    const everyTurns = 1 + this.#chance.below(6);
    for (let turn = 0; world.now < harmUntil; turn++) {
      if (turn % everyTurns === 0) this.#harm(this.#chance.pick(FAULTS) as Fault);
      this.#housekeeping();
      world.run(TURN_MS);
      this.#checkers.atRest(world);
    }
    const { healedMs, agreedMs } = this.#heal();
    this.#dieInPeace();
    const { returns, forgottenReturns, events } = this.#checkers;
    return {
      seed: this.#seed,
      nodes: this.#count,
      loss: this.#loss,
      faults: this.#faults,
      healedMs,
      agreedMs,
      simulatedMs: world.now,
      returns,
      forgottenReturns,
      events,
      hash: world.trace.text,
    };
  }

  #harm(fault: Fault): void {
    const world = this.#world;
    const up = world.up.filter((node) => !node.isPaused && !this.#leftAt.has(node));
    const node = up[this.#chance.below(up.length)];
    const isManyUp = up.length > Math.max(3, this.#count / 2);
    switch (fault) {
      case 'kill':
        if (node === undefined || !isManyUp) return;
        world.kill(node);
        break;
      case 'leave':
        if (node === undefined || !isManyUp) return;
        world.leave(node);
        this.#leftAt.set(node, world.now);
        break;
      case 'pause':
        if (node === undefined || !isManyUp) return;
        world.pause(node);
        this.#pausedUntil.set(node, world.now + this.#chance.between(300, this.#chance.isHit(0.2) ? SLEEP_MS : 20_000));
        break;
      case 'start': {
        const down = world.nodes.filter(({ isUp }) => !isUp);
        const gone = down[this.#chance.below(down.length)];
        if (gone === undefined) return;
        this.#join(world.start(Number(gone.name.slice(1))));
        break;
      }
      case 'isolate':
        if (node === undefined || this.#healAt > 0) return;
        world.partition((other) => (other === node ? 1 : 0));
        this.#healAt = world.now + this.#chance.between(1_000, 40_000);
        break;
      case 'split':
        if (this.#healAt > 0) return;
        world.partition((other) => Number(other.name.slice(1)) % 2);
        this.#healAt = world.now + this.#chance.between(1_000, 15_000);
        break;
      case 'resume':
      case 'heal':
        return;
    }
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + 1);
  }

  /** Pauses and cuts end; who left exits; who finds itself alone, or with fewer than half, asks to be let in. */
  #housekeeping(): void {
    const world = this.#world;
    for (const [node, until] of this.#pausedUntil) {
      if (until > world.now) continue;
      this.#pausedUntil.delete(node);
      world.resume(node);
    }
    for (const [node, at] of this.#leftAt) {
      if (world.now - at < 6 * SECOND) continue;
      this.#leftAt.delete(node);
      if (node.isUp) world.kill(node);
    }
    if (this.#healAt > 0 && this.#healAt <= world.now) {
      this.#healAt = 0;
      world.heal();
    }
    if (world.now < this.#rejoinAt) return;
    this.#rejoinAt = world.now + REJOIN_MS;
    for (const node of world.up) {
      if (!node.isPaused && !node.swim.isLeaving && node.swim.presentCount * 2 <= world.up.length) this.#join(node);
    }
  }

  #join(node: GossipNode): void {
    const others = this.#world.up.filter((other) => other !== node && !other.swim.isLeaving);
    const through = others[this.#chance.below(others.length)];
    if (through !== undefined) this.#world.join(node, through);
  }

  #heal(): { readonly healedMs: number; readonly agreedMs: number } {
    const world = this.#world;
    const begin = world.now;
    world.loss = 0;
    world.heal();
    for (const node of world.up) world.resume(node);
    for (const node of this.#leftAt.keys()) if (node.isUp) world.kill(node);
    this.#leftAt.clear();
    this.#healAt = 0;
    const settleMs = this.#runUntil(() => isAgreed(world), healBoundMs(LAN, this.#count), begin);
    const agreedMs = this.#runUntil(() => isConverged(world), agreeBoundMs(LAN, this.#count), begin);
    this.#checkers.atRest(world);
    return { healedMs: settleMs, agreedMs };
  }

  /**
   * G-5: when nothing else is wrong, a death is known to all before an unconfirmed suspicion would be over, for others confirm it; and for as long as
   * gossip goes to the dead, all can tell them that they are.
   */
  #dieInPeace(): void {
    const world = this.#world;
    // Whoever has had trouble lately gives others more time.
    world.run(FORGIVEN_MS);
    const victim = this.#chance.pick(world.up);
    if (victim === undefined || world.up.length < 4) return;
    world.kill(victim);
    const at = world.now;
    const holdsDead = ({ swim }: GossipNode): boolean => swim.member(victim.name)?.state === 'dead';
    const boundMs = deathBoundMs(LAN, world.up.length + 1);
    while (!world.up.every(holdsDead)) {
      assert.ok(world.now - at < boundMs, `G-5: not all know within ${boundMs} ms that ${victim.name} has died`);
      world.run(TURN_MS);
    }
    world.run(at + LAN.gossipToTheDeadMs - world.now);
    const forgetful = world.up.find((node) => !holdsDead(node));
    assert.equal(
      forgetful?.name,
      undefined,
      `G-5: ${forgetful?.name} has forgotten ${victim.name} while gossip still goes there`,
    );
  }

  #runUntil(isDone: () => boolean, boundMs: number, begin: number): number {
    const world = this.#world;
    while (!isDone()) {
      if (world.now - begin > boundMs) assertConverged(world);
      this.#housekeeping();
      world.run(SECOND);
    }
    return world.now - begin;
  }
}
