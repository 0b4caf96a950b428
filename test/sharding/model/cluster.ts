/**
 * Three voters and two non-voters under faults drawn from a seed, with the invariants of docs/ownership.md asked after every turn.
 * A run is a storm, then a calm in which the cluster must heal.
 */
import assert from 'node:assert/strict';
import { randomBelow, randomBetween, SeededRandom, shuffle } from '../../../src/base/random.ts';
import type { ShardId, Term } from '../../../src/model/ids.ts';
import type { Owner, ShardMap } from '../../../src/model/shard-map.ts';
import { type ShardingConfig, shardingConfig } from '../../../src/sharding/config.ts';
import type { ShardCommit, ShardingEffect } from '../../../src/sharding/messages.ts';
import { OWNERSHIP_RULES, type OwnershipRules } from '../../../src/sharding/rules.ts';
import type { Disk } from './consensus.ts';
import { Member, type Surroundings } from './member.ts';
import { CALM, Network, Timeline } from './world.ts';

const VOTERS = ['v1', 'v2', 'v3'];
const NON_VOTERS = ['x1', 'x2'];
const NAMES = [...VOTERS, ...NON_VOTERS];
const SHARDS = 7;

export interface RunOptions {
  readonly seed: number;
  readonly rules?: OwnershipRules;
  readonly config?: Partial<ShardingConfig>;
  /** True: nobody looks at the wall clock. */
  readonly ignoresJumps?: boolean;
  /** False: only what can be seen from outside counts, not the assertions of the machine itself. */
  readonly hasInsideChecks?: boolean;
  readonly stormMs?: number;
  readonly calmMs?: number;
}

export interface RunReport {
  readonly elections: number;
  readonly commits: number;
  readonly turns: number;
  readonly grants: number;
}

/** Runs one seed; throws what an invariant says when it does not hold. */
export function runSeed(options: RunOptions): RunReport {
  const cluster = new Cluster(options);
  cluster.hasInsideChecks = options.hasInsideChecks ?? true;
  cluster.storm(options.stormMs ?? 6_000);
  cluster.calm(options.calmMs ?? 4_500);
  return cluster.report();
}

export class Cluster implements Surroundings {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly leaders: Map<Term, string> = new Map();
  readonly voters: readonly string[] = VOTERS;
  readonly config: ShardingConfig;
  readonly ignoresJumps: boolean;
  readonly rules: OwnershipRules;
  hasInsideChecks = true;
  readonly #disks: Map<string, Disk> = new Map();
  /** Swarm: every seed has its own mix of faults. */
  readonly #mix: Map<string, number> = new Map();
  readonly #committed: Map<number, ShardMap> = new Map();
  #members: Member[] = [];
  #boots = 0;
  #isStormy = true;
  #turns = 0;
  #grants = 0;

  constructor(options: RunOptions) {
    const { seed } = options;
    this.config = shardingConfig({ shardCount: SHARDS, ownReleaseRetryMs: 1_500, flapHoldMs: 150, ...options.config });
    this.ignoresJumps = options.ignoresJumps ?? false;
    this.timeline = new Timeline(seed);
    this.network = new Network(this.timeline);
    this.rules = options.rules ?? OWNERSHIP_RULES;
    const mixing = new SeededRandom(seed ^ 0x5eed);
    for (const fault of Object.keys(this.#faults)) this.#mix.set(fault, mixing.next() < 0.5 ? mixing.next() : 0);
    const rough = mixing.next();
    this.network.weather = {
      loss: mixing.next() < 0.5 ? 0.1 * mixing.next() : 0,
      duplicates: mixing.next() < 0.5 ? 0.2 * mixing.next() : 0,
      slow: mixing.next() < 0.5 ? 0.05 * rough : 0,
      slowMs: mixing.next() < 0.5 ? 100 : 1_500,
    };
    for (const name of NAMES) this.startProcess(name);
  }

  members(): readonly Member[] {
    return this.#members;
  }

  midTurnPause(): number {
    return this.#isStormy ? 0.0005 * (this.#mix.get('pause') ?? 0) : 0;
  }

  slowRelease(): number {
    return this.#isStormy ? 0.3 * (this.#mix.get('drain') ?? 0) : 0;
  }

  report(): RunReport {
    return { elections: this.leaders.size, commits: this.#committed.size, turns: this.#turns, grants: this.#grants };
  }

  startProcess(name: string, rate: number = randomBetween(this.timeline.random, 0.98, 1.02)): Member {
    const disk = this.#disks.get(name) ?? { term: 0 as Term, log: [] };
    if (VOTERS.includes(name)) this.#disks.set(name, disk);
    this.#boots += 1;
    const own = VOTERS.includes(name) ? disk : { term: 0 as Term, log: [] };
    const member = new Member(this, { name, boot: this.#boots, rate, disk: own });
    this.#members = [...this.#members, member];
    member.start();
    return member;
  }

  kill(member: Member): void {
    member.kill();
    this.#members = this.#members.filter((other) => other !== member);
  }

  storm(ms: number): void {
    const end = this.timeline.now + ms;
    this.#scheduleFault(end);
    this.timeline.runUntil(end);
  }

  /** Faults end; everything that is down starts again; within the time given, all must be served, evenly, by everybody. */
  calm(ms: number): void {
    this.#isStormy = false;
    this.network.heal();
    this.network.weather = CALM;
    for (const name of NAMES) {
      const here = this.#members.filter((member) => member.name === name);
      for (const member of here.slice(1)) this.kill(member);
      if (here[0]?.isDraining === true) this.kill(here[0]);
      if (here[0] === undefined || here[0].isDraining) this.startProcess(name);
    }
    this.timeline.runUntil(this.timeline.now + ms);
    this.#checkHealed();
  }

  /** No faults from here on but those that a test inflicts. */
  quiet(): void {
    this.#isStormy = false;
    this.network.weather = CALM;
  }

  /** Shards that somebody serves at this instant. */
  served(): number[] {
    const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
    return shards.filter((shard) => this.#members.some((member) => member.owns(shard as ShardId) !== undefined));
  }

  /** Lets time pass until every shard is served; how long that took. */
  untilServed(): number {
    const start = this.timeline.now;
    while (this.served().length < SHARDS && this.timeline.now < start + 10_000) {
      this.timeline.runUntil(this.timeline.now + 1);
    }
    return this.timeline.now - start;
  }

  turned(member: Member): void {
    this.#turns += 1;
    if (this.hasInsideChecks) member.machine.check();
    this.#checkOneOwner(member);
    this.#checkMap(member);
  }

  effect(member: Member, effect: ShardingEffect): void {
    if (effect.kind === 'append' && effect.command.kind === 'shardCommit') this.#checkCommit(member, effect.command);
    if (effect.kind !== 'sendToHolder' || effect.message.kind !== 'grant') return;
    this.#grants += 1;
    const { leading, leaseUntil } = member.consensus;
    assert.ok(
      leading?.isReady === true && member.host.mono() < leaseUntil,
      'SO-4: only a ready leader with a lease grants',
    );
  }

  /** SO-1, SO-3. Only what has just turned can have begun to serve, so it is compared with all others. */
  #checkOneOwner(member: Member): void {
    if (member.holdsLease()) {
      for (const other of this.#members) {
        if (other === member || !other.holdsLease()) continue;
        for (let shard = 0; shard < SHARDS; shard++) {
          const both = member.owns(shard as ShardId) !== undefined && other.owns(shard as ShardId) !== undefined;
          assert.ok(!both, `SO-1: shard ${shard} is served by ${label(member)} and by ${label(other)}`);
        }
      }
    }
    const leases = this.#members.filter((one) => one.clock() < one.consensus.leaseUntil);
    assert.ok(leases.length <= 1, `SO-3: leader leases run at ${leases.map(label).join(' and ')}`);
  }

  /** SO-7 and SH-2: one map for one commit, and an epoch rises exactly when the owner changes. */
  #checkMap(member: Member): void {
    const map = member.machine.activeMap();
    if (map === undefined) return;
    const known = this.#committed.get(map.committedAt);
    if (known === map) return;
    if (known !== undefined) {
      assert.deepEqual(map, known, 'SH-2: one commit makes one map');
      return;
    }
    const before = [...this.#committed.values()].at(-1);
    this.#committed.set(map.committedAt, map);
    if (before === undefined) return;
    for (let shard = 0; shard < SHARDS; shard++) {
      const now: Owner | undefined = map.owners[map.ownerOf[shard] as number];
      const then: Owner | undefined = before.owners[before.ownerOf[shard] as number];
      const isSame: boolean = now?.node === then?.node && now?.boot === then?.boot;
      assert.equal(map.epochs[shard], isSame ? before.epochs[shard] : map.committedAt, 'SO-7: epochs rise with owners');
    }
  }

  /** SO-2: whoever a leader with a lease lets a map take shards from serves none of them any more. */
  #checkCommit(member: Member, commit: ShardCommit): void {
    if (member.host.mono() >= member.consensus.leaseUntil) return;
    const command = member.consensus.disk.log[commit.version - 1]?.command;
    const active = member.machine.activeMap();
    if (command?.kind !== 'shardPropose' || active === undefined) return;
    for (let shard = 0; shard < SHARDS; shard++) {
      const loser = active.owners[active.ownerOf[shard] as number];
      const winner = command.owners[command.ownerOf[shard] as number];
      if (loser === undefined || (loser.node === winner?.node && loser.boot === winner.boot)) continue;
      const serving = this.#members.find(({ name, boot }) => name === loser.node && boot === loser.boot);
      const serves = serving?.owns(shard as ShardId) !== undefined;
      assert.ok(!serves, `SO-2: ${loser.node} still serves shard ${shard} that ${label(member)} commits away`);
    }
  }

  #checkHealed(): void {
    const loads = this.#members.map((member) => {
      const served = Array.from({ length: SHARDS }, (_, shard) => member.owns(shard as ShardId));
      return served.filter((epoch) => epoch !== undefined).length;
    });
    const text = this.#members.map((member, i) => `${label(member)}: ${loads[i]}`).join(', ');
    const total = loads.reduce((sum, load) => sum + load, 0);
    assert.equal(total, SHARDS, `SH-7: after the calm every shard is served (${text})`);
    assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, `SH-7: after the calm loads are even (${text})`);
  }

  #scheduleFault(end: number): void {
    const { random } = this.timeline;
    this.timeline.after(randomBetween(random, 20, 500), () => {
      if (this.timeline.now >= end) return;
      if (this.#members.length === 0) {
        this.#scheduleFault(end);
        return;
      }
      const faults = Object.entries(this.#faults).filter(([name]) => (this.#mix.get(name) ?? 0) > 0);
      const sum = faults.reduce((total, [name]) => total + (this.#mix.get(name) ?? 0), 0);
      let draw = random.next() * sum;
      for (const [name, inflict] of faults) {
        draw -= this.#mix.get(name) ?? 0;
        if (draw > 0) continue;
        inflict();
        break;
      }
      this.#scheduleFault(end);
    });
  }

  #any(): Member {
    return this.#members[randomBelow(this.timeline.random, this.#members.length)] as Member;
  }

  #leader(): Member {
    return this.#members.find((member) => member.consensus.leading !== undefined) ?? this.#any();
  }

  readonly #faults: Readonly<Record<string, () => void>> = {
    pause: () => this.#any().host.pause(this.#duration()),
    pauseLeader: () => this.#leader().host.pause(this.#duration()),
    suspend: () => this.#any().host.suspend(this.#duration()),
    restart: () => this.#restart(this.#any()),
    restartLeader: () => this.#restart(this.#leader()),
    cutOneWay: () => {
      const [from, to] = this.#two();
      this.network.cut(from, to);
      this.#healLater();
    },
    isolate: () => {
      const name = this.timeline.random.next() < 0.5 ? this.#leader().name : this.#any().name;
      for (const other of NAMES) {
        this.network.cut(name, other);
        this.network.cut(other, name);
      }
      this.#healLater();
    },
    twin: () => this.#startTwin(),
    drain: () => this.#drain(this.#any()),
    transfer: () => {
      const leader = this.#leader();
      leader.run(() => leader.consensus.transfer());
    },
    falseAlarm: () => {
      const node = this.#any().name as never;
      const judge = this.#leader();
      judge.run(() => judge.feed({ kind: 'livenessChanged', node, alive: false }));
      this.timeline.after(100, () => judge.run(() => judge.feed({ kind: 'livenessChanged', node, alive: true })));
    },
  };

  #duration(): number {
    const { random } = this.timeline;
    return random.next() < 0.5 ? randomBetween(random, 10, 300) : randomBetween(random, 300, 2_000);
  }

  #two(): readonly [string, string] {
    const [from, to] = shuffle(this.timeline.random, [...NAMES]);
    return [from as string, to as string];
  }

  #healLater(): void {
    this.timeline.after(this.#duration(), () => this.network.heal());
  }

  #restart(member: Member): void {
    if (this.#members.length < 2) return;
    this.kill(member);
    this.timeline.after(randomBetween(this.timeline.random, 1, 1_500), () => this.#startAgain(member.name));
  }

  #startAgain(name: string): void {
    const isHere = this.#members.some((member) => member.name === name);
    if (this.#isStormy && !(isHere && VOTERS.includes(name))) this.startProcess(name);
  }

  /** A second process of a non-voter's id. No lock keeps the two apart. */
  #startTwin(): void {
    const { random } = this.timeline;
    const name = NON_VOTERS[randomBelow(random, NON_VOTERS.length)] as string;
    if (this.#members.filter((member) => member.name === name).length > 1) return;
    const twin = this.startProcess(name);
    this.timeline.after(randomBetween(random, 100, 2_500), () => {
      if (this.#members.includes(twin) && this.#isStormy) this.kill(twin);
    });
    const older = this.#members.find((member) => member.name === name && member !== twin);
    if (older !== undefined && random.next() < 0.5) older.host.pause(this.#duration());
  }

  #drain(member: Member): void {
    if (member.isDraining) return;
    member.isDraining = true;
    member.run(() => member.feed({ kind: 'drain' }));
    const isTakenBack = this.timeline.random.next() < 0.3;
    this.timeline.after(randomBetween(this.timeline.random, 300, 1_500), () => {
      if (!this.#isStormy) return;
      if (isTakenBack) {
        member.isDraining = false;
        member.run(() => member.feed({ kind: 'undrain' }));
        return;
      }
      member.run(() => {
        member.feed({ kind: 'stopping' });
        this.timeline.after(5, () => {
          if (!this.#members.includes(member) || !this.#isStormy) return;
          this.kill(member);
          this.timeline.after(randomBetween(this.timeline.random, 1, 800), () => this.#startAgain(member.name));
        });
      });
    });
  }
}

function label(member: Member): string {
  return `${member.name}#${member.boot}`;
}
