/**
 * Harm around leader leases: what they rest on breaks only when an old word of an election, a leader that is cut off and a lease that
 * still runs come together. So election messages are late by up to a second, leaders are cut off from some or all for about as long as
 * a lease runs, voters crash and are back at once, and transfers are given up while the word to campaign is still under way.
 */
import { randomBetween } from '../../src/base/random.ts';
import type { MemberId } from '../../src/model/ids.ts';
import type { RaftMessage } from '../../src/raft/messages.ts';
import { encodeRaftMessage } from '../../src/wire/raft/rpc.ts';
import type { Node, World } from './world.ts';

/** The words of an election; all others keep their pace. */
const ELECTION: ReadonlySet<RaftMessage['kind']> = new Set([
  'preVoteReq',
  'preVoteResp',
  'voteReq',
  'voteResp',
  'timeoutNow',
]);
const LATE_PART = 0.4;

export class LeaseNemesis {
  readonly #world: World;
  readonly #untilMs: number;

  constructor(world: World, untilMs: number) {
    this.#world = world;
    this.#untilMs = untilMs;
  }

  begin(): void {
    const world = this.#world;
    const { electionMs } = world.options.config;
    world.filter = (from, to, message) => {
      const isLate = world.now < this.#untilMs && ELECTION.has(message.kind) && world.random.next() < LATE_PART;
      if (!isLate) return true;
      const bytes = encodeRaftMessage(message);
      world.at(randomBetween(world.random, 5, 2 * electionMs), () => world.transmit(from, to, bytes));
      return false;
    };
    this.#every([0.2 * electionMs, electionMs], () => this.#cutOff());
    this.#every([electionMs, 3 * electionMs], () => this.#startAgain());
    this.#every([electionMs, 4 * electionMs], () => this.#giveUpTransfer());
  }

  #every([least, most]: readonly [number, number], act: () => void): void {
    const { random } = this.#world;
    const next = (): void => {
      if (this.#world.now >= this.#untilMs) return;
      act();
      this.#world.at(randomBetween(random, least, most), next);
    };
    this.#world.at(randomBetween(random, least, most), next);
  }

  /** The leader hears some of the others no more, and they do not hear it; now and then all are heard again. */
  #cutOff(): void {
    const { random } = this.#world;
    this.#world.heal();
    const leader = this.#world.leader();
    if (leader === undefined || random.next() < 0.4) return;
    const part = random.next() < 0.4 ? 1 : 0.5;
    for (const other of this.#others(leader)) if (random.next() < part) this.#separate(leader.id, other.id);
  }

  /** Whoever answered the leader last has forgotten it, and the leader does not know. */
  #startAgain(): void {
    const world = this.#world;
    const leader = world.leader();
    const follower = leader && this.#pick(this.#others(leader));
    if (leader === undefined || follower === undefined) return;
    world.crash(follower.id);
    for (const other of this.#others(leader)) this.#separate(leader.id, other.id);
    world.at(randomBetween(world.random, 1, 30), () => {
      if (world.nodes.get(follower.id) === follower) world.start(follower.id);
    });
  }

  /** The target hears nothing but the word to campaign, and that when the leader has its lease back from the others. */
  #giveUpTransfer(): void {
    const world = this.#world;
    const leader = world.leader();
    const target = leader && this.#pick(this.#others(leader));
    if (leader === undefined || target === undefined) return;
    const { electionMs } = world.options.config;
    world.heal();
    const late = world.filter;
    world.filter = (from, to, message) => {
      if (from !== leader.id || to !== target.id || message.kind !== 'timeoutNow')
        return late?.(from, to, message) ?? true;
      const bytes = encodeRaftMessage(message);
      this.#separate(leader.id, target.id);
      world.at(randomBetween(world.random, 2.1 * electionMs, 2.8 * electionMs), () => {
        world.heal();
        world.transmit(from, to, bytes);
        for (const other of this.#others(leader)) if (other !== target) this.#separate(leader.id, other.id);
        world.at(world.options.delayMs[1] + 1, () => this.#separate(leader.id, target.id));
      });
      world.filter = late;
      return false;
    };
    world.ask(leader.id, (requestId) => ({ kind: 'transferLeader', requestId, target: target.id }));
  }

  #others(node: Node): Node[] {
    return this.#world.running().filter((other) => other !== node);
  }

  #pick(nodes: readonly Node[]): Node | undefined {
    return nodes[Math.floor(this.#world.random.next() * nodes.length)];
  }

  #separate(a: MemberId, b: MemberId): void {
    if (this.#world.now >= this.#untilMs) return;
    this.#world.cut(a, b);
    this.#world.cut(b, a);
  }
}
