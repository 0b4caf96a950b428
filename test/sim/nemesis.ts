/** Does harm: every so often one fault of the families that this run has, never more than a cluster may be asked to survive for ever. */
import { Chance } from './chance.ts';
import type { Ports } from './network.ts';
import type { FaultFamily } from './options.ts';
import type { SimulatedProcess } from './process.ts';
import type { Machine, Simulation } from './simulation.ts';

const BOTH: readonly Ports[] = ['gossip', 'peer'];

export class Nemesis {
  readonly #simulation: Simulation;
  readonly #chance: Chance;
  #isOver = false;
  #isClosed = false;
  #hasFreshDisk = false;
  readonly #drained: WeakSet<SimulatedProcess> = new WeakSet();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#chance = new Chance(simulation.options.seed, 'nemesis');
  }

  begin(): void {
    const { network, options } = this.#simulation;
    network.options = options.network;
    this.#next();
  }

  /** No further harm; what is broken is mended, who is down comes back. */
  end(): void {
    this.#isOver = true;
    const { network, machines, now } = this.#simulation;
    network.heal();
    network.options = { ...network.options, loss: 0, duplication: 0, lateness: 0 };
    for (const machine of machines) {
      machine.slowness = 0;
      // A drained node stays without shards until it is started again.
      const isDrained = machine.process !== undefined && this.#drained.has(machine.process);
      if (isDrained && !machine.hasLeft) this.#simulation.crash(machine, 'killed');
      if (machine.process === undefined)
        this.#simulation.at(now + this.#chance.between(0, 500), () => {
          if (!this.#isClosed) this.#restart(machine);
        });
    }
    this.#simulation.note('no more faults');
  }

  /** Everybody is back: nothing that was planned happens any more. */
  close(): void {
    this.#isClosed = true;
  }

  #next(): void {
    const { options, now } = this.#simulation;
    if (options.faultEveryMs === Number.POSITIVE_INFINITY) return;
    this.#simulation.at(now + this.#chance.exponential(options.faultEveryMs), () => {
      if (this.#isOver) return;
      const family = this.#chance.pick(options.faults);
      const machine = this.#chance.pick(this.#simulation.machines.filter(({ process }) => process !== undefined));
      if (family !== undefined && machine !== undefined) {
        this.#simulation.trace.count(family);
        this.#do(family, machine);
      }
      this.#next();
    });
  }

  #do(family: FaultFamily, machine: Machine): void {
    const simulation = this.#simulation;
    const { process } = machine;
    if (process === undefined) return;
    switch (family) {
      case 'kill':
      case 'powerOff':
        this.#crash(machine, family === 'kill' ? 'killed' : 'poweredOff');
        return;
      case 'newAddress':
        this.#crash(machine, 'killed');
        machine.address += 1;
        return;
      case 'freshDisk':
        this.#freshDisk(machine);
        return;
      case 'pause':
        this.#note(machine, 'stands still');
        process.pause(this.#pauseMs(), 'stopped');
        return;
      case 'midTurnPause':
        process.pauseInNextTurn(this.#pauseMs());
        return;
      case 'suspend':
        this.#note(machine, 'is suspended');
        process.pause(this.#pauseMs(), 'suspended');
        return;
      case 'clockStep':
        if (process.isPaused) return;
        process.clock.step(this.#chance.between(-2_000, 2_000));
        process.post({ kind: 'loopDelay', p99Ms: 0 });
        return;
      case 'split':
      case 'isolate':
      case 'oneWay':
      case 'peerPortsOnly':
      case 'gossipPortsOnly':
        this.#partition(family, machine);
        return;
      case 'leave':
        simulation.leave(machine, () => this.#later(1_000, 8_000, () => this.#restart(machine)));
        return;
      case 'stepDown':
        simulation.request(simulation.leader() ?? machine, { kind: 'stepDown' });
        return;
      case 'drain':
        this.#drain(machine);
        return;
      case 'slowDisk':
        machine.slowness = this.#chance.between(20, 200);
        this.#later(500, 5_000, () => {
          machine.slowness = 0;
        });
        return;
    }
  }

  #crash(machine: Machine, how: 'killed' | 'poweredOff'): void {
    this.#simulation.crash(machine, how);
    this.#later(100, 8_000, () => this.#restart(machine));
  }

  /**
   * Only once, and only beside others that can do without it and stay: the loss of a majority's disks is out of scope, and a leaving
   * voter may turn one lost disk of three into one of two.
   */
  #freshDisk(machine: Machine): void {
    const { machines } = this.#simulation;
    const voters = machines.filter(({ kind }) => kind === 'voter');
    const isWhole = voters.every(({ process, hasLeft }) => process !== undefined && !hasLeft);
    const { faults } = this.#simulation.options;
    if (machine.kind !== 'voter' || !isWhole || this.#hasFreshDisk || faults.includes('leave')) return;
    const { voters: members } = this.#simulation.view(machine)?.configuration ?? { voters: [] };
    if (members.length < 3) return;
    this.#hasFreshDisk = true;
    this.#simulation.crash(machine, 'killed');
    machine.directory.wipe();
    this.#note(machine, 'has lost its disk');
    this.#later(100, 8_000, () => this.#restart(machine));
  }

  #drain(machine: Machine): void {
    if (machine.process !== undefined) this.#drained.add(machine.process);
    this.#simulation.request(machine, { kind: 'drain' });
    // A drained node stays without shards until it is started again.
    this.#later(1_000, 4_000, () => {
      if (machine.process !== undefined && !machine.hasLeft) this.#crash(machine, 'killed');
    });
  }

  #partition(family: FaultFamily, machine: Machine): void {
    const { machines, network } = this.#simulation;
    const isIsolation = family === 'isolate' || family === 'oneWay';
    const group = new Set(
      machines
        .filter((other) => (isIsolation ? other === machine : this.#chance.isHit(0.5)))
        .map(({ number }) => number),
    );
    const ports: readonly Ports[] =
      family === 'peerPortsOnly' ? ['peer'] : family === 'gossipPortsOnly' ? ['gossip'] : BOTH;
    const ways = family === 'oneWay' ? (this.#chance.isHit(0.5) ? [true, false] : [false, true]) : [true, true];
    for (const { number: a } of machines)
      for (const { number: b } of machines) {
        if (group.has(a) === group.has(b)) continue;
        if (group.has(a) ? ways[0] : ways[1]) network.cut(a, b, ports);
      }
    this.#simulation.note(`${family}: ${[...group].join(',')} ${ways.join('/')} ${ports.join('+')}`);
    this.#later(200, 8_000, () => {
      network.heal();
      this.#simulation.note('the network is whole');
    });
  }

  #pauseMs(): number {
    return this.#chance.isHit(0.6) ? this.#chance.between(10, 900) : this.#chance.between(900, 6_000);
  }

  #restart(machine: Machine): void {
    if (machine.process === undefined) this.#simulation.start(machine);
  }

  #later(lowMs: number, highMs: number, act: () => void): void {
    const delay = this.#isOver ? lowMs : this.#chance.between(lowMs, highMs);
    this.#simulation.at(this.#simulation.now + delay, () => {
      if (!this.#isClosed) act();
    });
  }

  #note(machine: Machine, text: string): void {
    this.#simulation.note(`${machine.nodeId} ${text}`);
  }
}
