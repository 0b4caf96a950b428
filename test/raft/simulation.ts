/**
 * One seeded run: first a time of faults and work, with every check after every turn, then calm, in which the cluster must heal. Which
 * sorts of fault a seed has is drawn as well: all at once would hide each other (swarm testing, Groce et al. 2012).
 */
import { assert } from '../../src/base/assert.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { randomBelow, randomBetween } from '../../src/base/random.ts';
import type { LogIndex, MemberId, RequestId } from '../../src/model/ids.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import type { RaftConfig } from '../../src/raft/config.ts';
import type { MembershipChange } from '../../src/raft/messages.ts';
import type { Raft } from '../../src/raft/raft.ts';
import { isJoint, isMember } from '../../src/raft/quorum.ts';
import { LeaseNemesis } from './lease-nemesis.ts';
import { CALM_WORLD, World, nameOf } from './world.ts';
import type { Node, WorldOptions } from './world.ts';

export interface RunResult {
  readonly committed: number;
  readonly leaders: number;
  readonly turns: number;
  readonly changes: number;
  readonly digest: string;
}

export interface RunOptions {
  readonly faultMs: number;
  readonly raft?: typeof Raft;
  /** All harm is about what leader leases rest on (lease-nemesis.ts), instead of what the seed draws. */
  readonly isAboutLeases?: boolean;
}

type Fault =
  | 'loss'
  | 'delay'
  | 'partition'
  | 'crash'
  | 'pause'
  | 'replay'
  | 'members'
  | 'transfer'
  | 'compaction'
  | 'slowDisk';
const FAULTS: readonly Fault[] = [
  'loss',
  'delay',
  'partition',
  'crash',
  'pause',
  'replay',
  'members',
  'transfer',
  'compaction',
  'slowDisk',
];
/** Small limits, so that their edges are met. */
const TIGHT_CONFIG: RaftConfig = {
  ...DEFAULT_RAFT_CONFIG,
  appendEntriesMax: 3,
  inflightMessagesMax: 3,
  readRoundsMax: 2,
};
/** A leader exists within ten of the longest election timeouts once all is calm (I-27). */
const HEAL_MS = 5_000;

export function runSeed(seed: number, options: RunOptions): RunResult {
  const run = new Run(seed, options);
  try {
    return run.go();
  } catch (error) {
    const faults = [...run.faults].join(' ');
    throw new Error(`seed ${seed} at ${run.world.now.toFixed(1)} ms with ${faults}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

class Run {
  readonly world: World;
  readonly faults: ReadonlySet<Fault>;
  readonly #faultMs: number;
  readonly #isAboutLeases: boolean;
  #stamp = 1;
  #proposed = 0;
  #quietUntil = 0;

  constructor(seed: number, { faultMs, raft, isAboutLeases = false }: RunOptions) {
    const base: WorldOptions = { ...CALM_WORLD, seed, rateError: 0.02, ...(raft === undefined ? {} : { raft }) };
    const draw = new World(base).random;
    const drawn = FAULTS.filter(() => draw.next() < 0.5);
    this.faults = new Set(isAboutLeases ? [] : drawn);
    this.#isAboutLeases = isAboutLeases;
    this.#faultMs = faultMs;
    const isSlow = this.faults.has('delay');
    this.world = new World({
      ...base,
      delayMs: isSlow ? [0.1, randomBetween(draw, 20, 600)] : [0.1, 3],
      diskMs: this.faults.has('slowDisk') ? [0.1, randomBetween(draw, 5, 80)] : [0.1, 1],
      loss: this.faults.has('loss') ? randomBetween(draw, 0.01, 0.25) : 0,
      duplicates: this.faults.has('replay') ? 0.1 : 0,
      lateFlush: draw.next() < 0.5 ? 0.3 : 0,
      ...(draw.next() < 0.5 ? { config: TIGHT_CONFIG } : {}),
    });
    const sizes = isAboutLeases ? [3, 3, 3, 4, 5] : [1, 2, 3, 3, 3, 3, 4, 5, 5];
    const voters = ['n1', 'n2', 'n3', 'n4', 'n5'].slice(0, sizes[randomBelow(draw, sizes.length)]);
    this.world.found(voters);
  }

  go(): RunResult {
    const { world } = this;
    this.#every([5, 40], () => {
      if (world.now < this.#quietUntil) return;
      this.#propose();
      // Some traps are armed only when traffic stops: then a follower that is cut off still has the newest log.
      if (world.random.next() < 0.03) this.#quietUntil = world.now + randomBetween(world.random, 200, 1_500);
    });
    this.#every([10, 80], () => this.#read());
    if (this.faults.has('partition')) this.#every([300, 2_000], () => this.#partition());
    if (this.faults.has('crash')) this.#every([200, 2_500], () => this.#crash());
    if (this.faults.has('pause')) this.#every([200, 2_000], () => this.#pause());
    if (this.faults.has('replay')) this.#every([20, 200], () => this.#replay());
    if (this.faults.has('members')) this.#every([50, 400], () => this.#changeMembers());
    if (this.faults.has('transfer')) this.#every([200, 1_500], () => this.#transfer());
    if (this.faults.has('compaction')) this.#every([50, 500], () => this.#compact());
    if (this.#isAboutLeases) new LeaseNemesis(world, this.#faultMs).begin();
    world.advance(this.#faultMs);
    this.#heal();
    return {
      committed: world.checks.committedThrough,
      leaders: world.checks.leaders.size,
      turns: world.turns,
      changes: this.#stamp - 1,
      digest: world
        .running()
        .map((node) => node.raft?.digest())
        .join(' '),
    };
  }

  #every([least, most]: readonly [number, number], act: () => void): void {
    const next = (): void => {
      if (this.world.now >= this.#faultMs) return;
      act();
      this.world.at(randomBetween(this.world.random, least, most), next);
    };
    this.world.at(randomBetween(this.world.random, least, most), next);
  }

  #any(): Node | undefined {
    const nodes = this.world.running();
    return nodes[randomBelow(this.world.random, nodes.length)];
  }

  /** Mostly the leader as the world sees it. */
  #target(): Node | undefined {
    return this.world.random.next() < 0.8 ? (this.world.leader() ?? this.#any()) : this.#any();
  }

  #propose(): void {
    const node = this.#target();
    if (node === undefined) return;
    const items = Array.from({ length: 1 + randomBelow(this.world.random, 3) }, () =>
      utf8(`command ${++this.#proposed}`),
    );
    this.world.ask(node.id, (requestId) => ({ kind: 'propose', requestId, items }));
  }

  #read(): void {
    const node = this.#any();
    if (node !== undefined) this.world.ask(node.id, (requestId) => ({ kind: 'readIndex', requestId }));
  }

  #partition(): void {
    const { world } = this;
    world.heal();
    const kind = randomBelow(world.random, 5);
    const ids = [...world.nodes.keys()];
    const some = ids.filter(() => world.random.next() < 0.4);
    if (kind === 1) world.partition([some]);
    if (kind === 2) for (const from of some) for (const to of ids) if (world.random.next() < 0.5) world.cut(from, to);
    const leader = world.leader()?.id;
    if (kind === 4 && leader !== undefined) this.#bridge(leader);
    if (kind === 3 && leader !== undefined) world.partition([[leader, ...some.slice(0, 1)]]);
  }

  /** The leader and one other do not hear each other, and the rest hears both (the Cloudflare case, P-37). */
  #bridge(leader: MemberId): void {
    const other = this.#any();
    if (other === undefined || other.id === leader) return;
    this.world.cut(leader, other.id);
    this.world.cut(other.id, leader);
  }

  #crash(): void {
    const { world } = this;
    const node = world.random.next() < 0.4 ? world.leader() : this.#any();
    if (node === undefined) return;
    world.crash(node.id);
    world.at(randomBetween(world.random, 1, world.random.next() < 0.5 ? 60 : 1_500), () => this.#restart(node));
  }

  #restart(node: Node): void {
    if (this.world.nodes.get(node.id) === node) this.world.start(node.id);
  }

  #pause(): void {
    const { world } = this;
    const node = world.random.next() < 0.5 ? world.leader() : this.#any();
    if (node !== undefined && node.pausedUntil <= world.now) world.pause(node.id, randomBetween(world.random, 10, 900));
  }

  #replay(): void {
    const { recent, random } = this.world;
    const old = recent[randomBelow(random, recent.length)];
    if (old !== undefined) this.world.transmit(old.from, old.to, old.bytes);
  }

  #transfer(): void {
    const node = this.world.leader();
    if (node !== undefined) this.world.ask(node.id, (requestId) => ({ kind: 'transferLeader', requestId }));
  }

  #compact(): void {
    const node = this.#any();
    if (node !== undefined) this.world.compact(node.id, randomBelow(this.world.random, 20));
  }

  #changeMembers(): void {
    const { world } = this;
    const leader = world.leader();
    const configuration = leader?.raft?.configuration;
    if (leader === undefined || configuration === undefined) return;
    const { voters, learners } = configuration;
    const draw = world.random.next();
    const learner = learners[randomBelow(world.random, learners.length)];
    const voter = voters.filter((id) => id !== leader.id)[randomBelow(world.random, voters.length)];
    const doomed = voters.filter((id) => id !== leader.id && world.random.next() < 0.3);
    if (world.random.next() < 0.4) this.#change(leader, { kind: 'exchange', promote: learners, remove: doomed });
    else if (learner !== undefined && draw < 0.5) this.#change(leader, { kind: 'promote', member: learner });
    else if (voters.length + learners.length < 5 && draw < 0.7) this.#addLearner(leader);
    else if (voter !== undefined && voters.length > 1)
      this.#change(leader, { kind: draw < 0.85 ? 'remove' : 'demote', member: voter });
  }

  /** A new node, or a known name with an empty disk: another member. */
  #addLearner(leader: Node): void {
    this.#stamp += 1;
    const node = this.world.addNode(`n${1 + randomBelow(this.world.random, 5)}.${this.#stamp}`);
    this.world.start(node.id);
    this.#change(leader, { kind: 'addLearner', member: node.id });
  }

  #change(leader: Node, change: MembershipChange): void {
    this.world.ask(leader.id, (requestId) => ({ kind: 'changeMembers', requestId, change }));
  }

  /** No more faults: a leader, a committed write, and equal logs wherever the configuration reaches. */
  #heal(): void {
    const { world } = this;
    world.heal();
    for (const node of world.nodes.values()) world.start(node.id);
    const calm = world as { options: WorldOptions };
    calm.options = { ...world.options, loss: 0, delayMs: [0.1, 3], diskMs: [0.1, 1], duplicates: 0 };
    let written: RequestId | undefined;
    const isDone = (): boolean => {
      const leader = world.leader();
      if (leader?.raft?.isReady !== true) return false;
      if (
        written === undefined ||
        world.outcomeOf(written)?.kind === 'refused' ||
        world.outcomeOf(written)?.kind === 'unknown'
      ) {
        written = world.ask(leader.id, (requestId) => ({ kind: 'propose', requestId, items: [utf8('calm')] }));
      }
      // A joint configuration is a way, not a place to stay.
      const isSettled = !isJoint(leader.raft.configuration);
      return isSettled && world.outcomeOf(written)?.kind === 'committed' && this.#areEqual(leader);
    };
    world.advance(1_000); // The longest pause has ended.
    assert(world.advanceUntil(isDone, HEAL_MS), `I-27: not healed: ${this.#describe()}`);
    world.advance(3 * world.options.config.electionMs); // Forwarded reads have had their time.
    for (const [requestId, asked] of world.asked) {
      const node = world.nodes.get(asked.node);
      if (node?.life !== asked.life) continue;
      assert(asked.outcome !== undefined, `I-22: request ${requestId} (${asked.input.kind}) was never answered`);
    }
  }

  #areEqual(leader: Node): boolean {
    const { raft } = leader;
    if (raft === undefined) return false;
    return this.world.running().every((node) => {
      if (node.raft === undefined || !isMember(raft.configuration, node.id)) return true;
      return (
        node.raft.commitIndex === raft.lastIndex && node.appliedIndex === raft.lastIndex && this.#meets(node.raft, raft)
      );
    });
  }

  #meets(raft: Raft, other: Raft): boolean {
    const last = raft.lastIndex as LogIndex;
    return last === other.lastIndex && raft.termAt(last) === other.termAt(last);
  }

  #describe(): string {
    return this.world
      .running()
      .map(
        ({ id, raft }) =>
          `${nameOf(id)} ${raft?.role} t${raft?.term} c${raft?.commitIndex} l${raft?.lastIndex} v[${raft?.configuration.voters.map(nameOf).join()}]`,
      )
      .join('; ');
  }
}
