/**
 * Does harm: every so often one fault of the families that this run has, never more than a cluster may be asked to survive for ever.
 * Each fault draws from a stream of its own, so that leaving one out does not change what the others draw (reliability.md 5.3).
 */
import { Chance } from './chance.ts';
import { PartitionNemesis } from './nemesis-network.ts';
import { drawSettings } from './nemesis-settings.ts';
import { type FaultFamily, type PlannedFault, SHRINKING } from './options.ts';
import type { SimulatedProcess } from './process.ts';
import type { EtcdHarm } from './simulated-etcd.ts';
import { calm, type Machine, type Simulation } from './simulation.ts';

export interface FaultDone {
  readonly number: number;
  readonly at: number;
  readonly family: FaultFamily;
  readonly machine: string;
}

/** A removal may be on its way for so long, or for as long as there are faults: until it has come, the member is one still. */
const REMOVAL_MS = 5_000;

export class Nemesis {
  readonly #simulation: Simulation;
  readonly #chance: Chance;
  readonly #leftOut: ReadonlySet<number>;
  readonly #partitions: PartitionNemesis;
  readonly #drained: WeakSet<SimulatedProcess> = new WeakSet();
  /** Removed by an operator, last at that time, and not let in again yet. */
  readonly #removed: Map<Machine, number> = new Map();
  /** In the order in which they were done. */
  readonly done: FaultDone[] = [];
  /** The same as a schedule has them, with those that found nobody to be done to. */
  readonly planned: PlannedFault[] = [];
  #number = 0;
  #beganAt = 0;
  #isOver = false;
  #isClosed = false;
  /** Which harm has taken a disk away, for both together might take too many. */
  #losses: 'freshDisk' | 'rot' | undefined;
  /** Whose disks may rot. */
  readonly #atlas: ReadonlySet<Machine>;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#chance = new Chance(simulation.options.seed, 'nemesis');
    this.#leftOut = new Set(simulation.options.faultsLeftOut);
    this.#atlas = drawAtlas(simulation);
    this.#partitions = new PartitionNemesis(simulation, (delayMs, act) => this.#after(delayMs, act));
  }

  begin(): void {
    if (this.#simulation.options.hasEtcd) this.#simulation.etcd.begin(etcdHarm(this.#simulation));
    const { network, options } = this.#simulation;
    network.options = options.network;
    this.#beganAt = this.#simulation.now;
    if (options.schedule === undefined) this.#next();
    else this.#follow(options.schedule, 0);
  }

  /** No further harm; what is broken is mended, who is down comes back. */
  end(): void {
    this.#simulation.etcd.end();
    this.#isOver = true;
    const { network, machines, now, options } = this.#simulation;
    const chance = new Chance(options.seed, 'nemesis/end');
    this.#partitions.end();
    network.options = calm(network.options);
    for (const machine of machines) {
      machine.slowness = 0;
      machine.directory.mend();
      machine.process?.slowDown(0);
      // What has gone bad unseen is seen while the others stand.
      if (machine.directory.isRotten) this.#simulation.crash(machine, 'killed');
      // A drained node stays without shards until it is started again.
      const isDrained = machine.process !== undefined && this.#drained.has(machine.process);
      if (isDrained && !machine.hasLeft) this.#simulation.crash(machine, 'killed');
      if (machine.process === undefined)
        this.#simulation.at(now + chance.between(0, 500), () => {
          if (!this.#isClosed) this.#restart(machine);
        });
    }
    this.#simulation.note('no more faults');
    this.#letAllIn();
  }

  /** Everybody is back: nothing that was planned happens any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Nobody who was removed waits to be let in again. */
  get isEverybodyIn(): boolean {
    return this.#removed.size === 0;
  }

  #next(): void {
    const { options, now, machines } = this.#simulation;
    if (options.faultEveryMs === Number.POSITIVE_INFINITY) return;
    this.#simulation.at(now + this.#chance.exponential(options.faultEveryMs), () => {
      if (this.#isOver) return;
      const number = this.#number++;
      const family = options.faults[this.#chance.below(options.faults.length)];
      const first = this.#chance.below(machines.length);
      const order = [...machines.slice(first), ...machines.slice(0, first)];
      const machine = order.find(({ process }) => process !== undefined)?.number ?? first;
      const at = this.#simulation.now - this.#beganAt;
      if (family !== undefined && !this.#leftOut.has(number)) this.#carryOut({ at, family, machine, number });
      this.#next();
    });
  }

  /** One event at a time, and one after the last, as when faults are drawn: every event draws its place among those of its instant. */
  #follow(schedule: readonly PlannedFault[], place: number): void {
    const fault = schedule[place];
    this.#simulation.at(this.#beganAt + (fault?.at ?? Number.POSITIVE_INFINITY), () => {
      if (this.#isOver || fault === undefined) return;
      this.#carryOut(fault);
      this.#follow(schedule, place + 1);
    });
  }

  #carryOut(fault: PlannedFault): void {
    const { options, now, machines, trace } = this.#simulation;
    const { family, number } = fault;
    this.planned.push(fault);
    const machine = machines[fault.machine];
    if (machine?.process === undefined) return;
    trace.count(family);
    this.done.push({ number, at: now, family, machine: machine.nodeId });
    this.#simulation.note(`fault ${number}: ${family} at ${machine.nodeId}`);
    this.#do(family, machine, new Chance(options.seed, `fault/${number}`));
  }

  #do(family: FaultFamily, machine: Machine, chance: Chance): void {
    const simulation = this.#simulation;
    const { process } = machine;
    if (process === undefined) return;
    switch (family) {
      case 'kill':
      case 'powerOff':
        this.#crash(machine, family === 'kill' ? 'killed' : 'poweredOff', chance);
        return;
      case 'powerCut':
        // Who has not heard of the cluster yet founds another while the voters of this one are down.
        if (simulation.machines.some((one) => mayFoundAnother(simulation, one))) return;
        for (const each of simulation.machines) this.#crash(each, 'poweredOff', chance);
        return;
      case 'newAddress':
        this.#crash(machine, 'killed', chance);
        machine.address += 1;
        return;
      case 'freshDisk':
        this.#freshDisk(machine, chance);
        return;
      case 'rot':
        this.#rot(chance);
        return;
      case 'pause':
      case 'suspend':
        process.pause(pauseMs(chance), family === 'pause' ? 'stopped' : 'suspended');
        return;
      case 'midTurnPause':
        process.pauseInNextTurn(pauseMs(chance));
        return;
      case 'clockStep':
        if (process.isPaused) return;
        process.clock.step(chance.between(-2_000, 2_000));
        process.post({ kind: 'loopDelay', p99Ms: 0 });
        return;
      case 'slowNode':
        process.slowDown(chance.between(5, 80));
        this.#after(chance.between(500, 6_000), () => process.slowDown(0));
        return;
      case 'split':
      case 'isolate':
      case 'oneWay':
      case 'bridge':
      case 'pairCut':
      case 'flap':
      case 'peerPortsOnly':
      case 'gossipPortsOnly':
        this.#partitions.do(family, machine, chance);
        return;
      case 'leave':
        simulation.leave(machine, () => this.#after(chance.between(1_000, 8_000), () => this.#restart(machine)));
        return;
      case 'stepDown':
        simulation.request(simulation.leader() ?? machine, { kind: 'stepDown' });
        return;
      case 'drain':
        this.#drain(machine, chance);
        return;
      case 'churn':
        if (simulation.options.hasEtcd) return;
        this.#churn(machine, chance);
        return;
      case 'configure': {
        const nodes = simulation.machines.map(({ nodeId }) => nodeId);
        const change = drawSettings(chance, nodes, simulation.options.shards);
        simulation.request(simulation.leader() ?? machine, { kind: 'configureShards', change });
        return;
      }
      case 'slowDisk':
        machine.slowness = chance.between(20, 200);
        this.#after(chance.between(500, 5_000), () => {
          machine.slowness = 0;
        });
        return;
      case 'failedWrite':
        if (machine.kind === 'voter') machine.directory.failNext();
        return;
      case 'fullDisk':
        if (machine.kind === 'voter') this.#fillDisk(machine, chance);
        return;
    }
  }

  /** It fills up, is full for a while, and somebody makes room. */
  #fillDisk({ directory }: Machine, chance: Chance): void {
    directory.setRoom('low');
    this.#after(chance.between(100, 2_000), () => {
      if (directory.room === 'low' && !this.#isOver) directory.setRoom('full');
    });
    this.#after(chance.between(1_000, 8_000), () => directory.setRoom('enough'));
  }

  #crash(machine: Machine, how: 'killed' | 'poweredOff', chance: Chance): void {
    this.#simulation.crash(machine, how);
    this.#after(chance.between(100, 8_000), () => this.#restart(machine));
  }

  /** Only once, and only beside others that can do without it and stay. */
  #freshDisk(machine: Machine, chance: Chance): void {
    const { machines } = this.#simulation;
    const voters = machines.filter(({ kind }) => kind === 'voter');
    const isWhole = voters.every(({ process, hasLeft }) => process !== undefined && !hasLeft);
    if (machine.kind !== 'voter' || !isWhole || this.#losses !== undefined || !this.#mayLoseDisks(machine, 1)) return;
    this.#losses = 'freshDisk';
    this.#simulation.crash(machine, 'killed');
    machine.directory.wipe();
    this.#simulation.note(`${machine.nodeId} has lost its disk`);
    this.#after(chance.between(100, 8_000), () => this.#restart(machine));
  }

  /** Where the atlas allows it a sector goes bad, which is found at the next start: a voter that runs reads no log. */
  #rot(chance: Chance): void {
    const machine = chance.pick([...this.#atlas].filter(({ process }) => process !== undefined));
    if (machine === undefined || this.#losses === 'freshDisk') return;
    if (!this.#mayLoseDisks(machine, this.#atlas.size) || !machine.directory.rot(chance)) return;
    this.#losses = 'rot';
    this.#simulation.trace.count('badSector');
    this.#simulation.note(`a sector of ${machine.nodeId} has gone bad`);
    if (chance.isHit(0.3)) return;
    const how = chance.isHit(0.5) ? 'killed' : 'poweredOff';
    this.#after(chance.between(10, 4_000), () => this.#crash(machine, how, chance));
  }

  /**
   * The loss of a majority's disks is out of scope: `count` machines at most lose theirs, so that many voters and as many again and one more
   * must there be. A leaving voter may turn one lost disk of three into one of two; and a fresh disk that finds nobody founds a cluster of its own.
   */
  #mayLoseDisks(machine: Machine, count: number): boolean {
    const { options } = this.#simulation;
    const isShrinking = SHRINKING.some((family) => options.faults.includes(family));
    const { voters } = this.#simulation.view(machine)?.configuration ?? { voters: [] };
    return !isShrinking && voters.length >= 2 * count + 1;
  }

  #drain(machine: Machine, chance: Chance): void {
    if (machine.process !== undefined) this.#drained.add(machine.process);
    this.#simulation.request(machine, { kind: 'drain' });
    // A drained node stays without shards until that is taken back, or it is started again.
    const isTakenBack = chance.isHit(0.5);
    this.#after(chance.between(100, 4_000), () => {
      if (machine.process === undefined || machine.hasLeft) return;
      if (!isTakenBack) this.#crash(machine, 'killed', chance);
      else {
        this.#drained.delete(machine.process);
        this.#simulation.request(machine, { kind: 'undrain' });
      }
    });
  }

  /** An operator takes a voter out and lets it in again. */
  #churn(machine: Machine, chance: Chance): void {
    const leader = this.#simulation.leader();
    if (leader === undefined || leader === machine || machine.kind !== 'voter') return;
    this.#removed.set(machine, this.#simulation.now);
    this.#simulation.request(leader, { kind: 'removeNode', node: machine.nodeId });
    this.#after(chance.between(500, 5_000), () => this.#letIn(machine));
  }

  #letIn(machine: Machine): void {
    const leader = this.#simulation.leader();
    if (leader === undefined) return;
    this.#simulation.request(leader, { kind: 'addNode', node: machine.nodeId }, (outcome) => {
      const isIn = outcome.kind === 'done' || (outcome.kind === 'refused' && outcome.code === 'ALREADY_MEMBER');
      const sinceMs = this.#simulation.now - (this.#removed.get(machine) ?? 0);
      if (isIn && this.#isOver && sinceMs > REMOVAL_MS) this.#removed.delete(machine);
    });
  }

  /** Until everybody is in; what was asked of a leader that fell is asked of the next. */
  #letAllIn(): void {
    if (this.#removed.size === 0) return;
    for (const machine of this.#removed.keys()) this.#letIn(machine);
    this.#simulation.at(this.#simulation.now + 1_500, () => this.#letAllIn());
  }

  #restart(machine: Machine): void {
    if (machine.process === undefined) this.#simulation.start(machine);
  }

  #after(delayMs: number, act: () => void): void {
    this.#simulation.at(this.#simulation.now + delayMs, () => {
      if (!this.#isClosed) act();
    });
  }
}

function pauseMs(chance: Chance): number {
  return chance.isHit(0.6) ? chance.between(10, 900) : chance.between(900, 6_000);
}

/** Less than half of the voters there will be. */
function drawAtlas({ options, machines }: Simulation): ReadonlySet<Machine> {
  const voters = machines.filter(({ kind }) => kind === 'voter');
  const count = Math.floor((Math.min(options.votersWanted, voters.length) - 1) / 2);
  return new Set(new Chance(options.seed, 'atlas').shuffled(voters).slice(0, Math.max(0, count)));
}

function mayFoundAnother({ options }: Simulation, { kind, directory }: Machine): boolean {
  return !options.hasEtcd && kind === 'voter' && !directory.hasCluster;
}

function etcdHarm({ options }: Simulation): EtcdHarm {
  const chance = new Chance(options.seed, 'etcd harm');
  return {
    loss: chance.isHit(0.5) ? chance.between(0, 0.1) : 0,
    outageEveryMs: chance.isHit(0.7) ? chance.between(1_000, 8_000) : Number.POSITIVE_INFINITY,
    outageForMs: chance.between(200, 4_000),
  };
}
