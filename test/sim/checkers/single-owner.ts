/**
 * SO-1, ownership.md 7: no two (node, boot) pass the test of `owns()` for one shard at one true instant. A process begins to own only
 * in a turn of its own, so each turn compares it with all others: a few shards always, all of them when something has changed.
 */
import type { ShardId } from '../../../src/model/ids.ts';
import type { NodeEvent } from '../../../src/model/node-event.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

const SAMPLED = 3;

export class SingleOwner implements Checker {
  readonly #shards: number;
  readonly #seen: WeakMap<SimulatedProcess, boolean> = new WeakMap();
  #next = 0;

  constructor(shards: number) {
    this.#shards = shards;
  }

  onEvent(_simulation: Simulation, process: SimulatedProcess, event: NodeEvent): void {
    if (event.kind === 'shardMapChanged' || event.kind === 'shardMapProposed') this.#seen.delete(process);
  }

  afterTurn(simulation: Simulation, process: SimulatedProcess): void {
    const { cluster } = process;
    const isHeld = process.holdingNow < cluster.leaseUntil;
    if (this.#seen.get(process) !== isHeld) {
      this.#seen.set(process, isHeld);
      if (isHeld) for (let shard = 0; shard < this.#shards; shard++) this.#look(simulation, process, shard as ShardId);
      return;
    }
    if (!isHeld) return;
    for (let i = 0; i < SAMPLED; i++) {
      this.#next = (this.#next + 7) % this.#shards;
      this.#look(simulation, process, this.#next as ShardId);
    }
  }

  #look(simulation: Simulation, process: SimulatedProcess, shard: ShardId): void {
    if (!process.owns(shard)) return;
    for (const other of simulation.processes()) {
      if (other === process || other.cluster.clusterId !== process.cluster.clusterId || !other.owns(shard)) continue;
      throw new Violation(
        `SO-1: shard ${shard} is owned by ${process.name} (epoch ${process.cluster.serving(shard)}) and by ${other.name} (epoch ${other.cluster.serving(shard)})`,
      );
    }
  }
}
