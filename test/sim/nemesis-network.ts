/** Partitions of every shape: halves, one alone, one way only, two halves with a bridge, one pair, and a link that comes and goes. */
import type { Chance } from './chance.ts';
import type { Ports } from './network.ts';
import type { FaultFamily } from './options.ts';
import type { Machine, Simulation } from './simulation.ts';

const BOTH: readonly Ports[] = ['gossip', 'peer'];

export type PartitionFamily = Extract<
  FaultFamily,
  'split' | 'isolate' | 'oneWay' | 'bridge' | 'pairCut' | 'flap' | 'peerPortsOnly' | 'gossipPortsOnly'
>;

export class PartitionNemesis {
  readonly #simulation: Simulation;
  readonly #after: (delayMs: number, act: () => void) => void;
  #isOver = false;

  constructor(simulation: Simulation, after: (delayMs: number, act: () => void) => void) {
    this.#simulation = simulation;
    this.#after = after;
  }

  end(): void {
    this.#isOver = true;
    this.#simulation.network.heal();
  }

  do(family: PartitionFamily, machine: Machine, chance: Chance): void {
    const { machines } = this.#simulation;
    if (family === 'flap') {
      this.#flap(machine, chance, this.#simulation.now + chance.between(1_000, 6_000));
      return;
    }
    if (family === 'pairCut') this.#cutPair(machine, chance);
    else if (family === 'bridge') {
      const left = halfOf(machines, chance);
      this.#cut(left, ([a, b]) => a !== machine && b !== machine, { ways: [true, true], ports: BOTH });
    } else {
      const isIsolation = family === 'isolate' || family === 'oneWay';
      const group = isIsolation ? new Set([machine]) : halfOf(machines, chance);
      const ports: readonly Ports[] =
        family === 'peerPortsOnly' ? ['peer'] : family === 'gossipPortsOnly' ? ['gossip'] : BOTH;
      const ways = family === 'oneWay' ? oneWay(chance) : ([true, true] as const);
      this.#cut(group, () => true, { ways, ports });
    }
    this.#after(chance.between(200, 8_000), () => {
      this.#simulation.network.heal();
      this.#simulation.note('the network is whole');
    });
  }

  #cut(
    group: ReadonlySet<Machine>,
    isMeant: (pair: readonly [Machine, Machine]) => boolean,
    { ways, ports }: { readonly ways: readonly [boolean, boolean]; readonly ports: readonly Ports[] },
  ): void {
    const { machines, network } = this.#simulation;
    for (const a of machines)
      for (const b of machines) {
        if (group.has(a) === group.has(b) || !isMeant([a, b])) continue;
        if (group.has(a) ? ways[0] : ways[1]) network.cut(a.number, b.number, ports);
      }
    const names = [...group].map(({ nodeId }) => nodeId).join(',');
    this.#simulation.note(`cut off: ${names} ${ways.join('/')} ${ports.join('+')}`);
  }

  /** Two do not hear each other while everybody else hears both (P-37); mostly the leader is one of them. */
  #cutPair(machine: Machine, chance: Chance): void {
    const { machines, network } = this.#simulation;
    const leader = chance.isHit(0.7) ? this.#simulation.leader() : undefined;
    const other = leader ?? machines[chance.below(machines.length)];
    if (other === undefined || other === machine) return;
    network.cut(machine.number, other.number, BOTH);
    network.cut(other.number, machine.number, BOTH);
    this.#simulation.note(`cut off: ${machine.nodeId} from ${other.nodeId}`);
  }

  #flap(machine: Machine, chance: Chance, until: number): void {
    const { machines, network, now } = this.#simulation;
    if (this.#isOver || now >= until) return;
    for (const other of machines)
      if (other !== machine) {
        network.cut(machine.number, other.number, BOTH);
        network.cut(other.number, machine.number, BOTH);
      }
    this.#after(chance.between(20, 600), () => {
      for (const other of machines) network.mend(machine.number, other.number);
      this.#after(chance.between(20, 600), () => this.#flap(machine, chance, until));
    });
  }
}

function halfOf(machines: readonly Machine[], chance: Chance): ReadonlySet<Machine> {
  return new Set(machines.filter(() => chance.isHit(0.5)));
}

function oneWay(chance: Chance): readonly [boolean, boolean] {
  return chance.isHit(0.5) ? [true, false] : [false, true];
}
