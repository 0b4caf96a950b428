/**
 * SO-1, ownership.md 7: no two (node, boot) pass the test of `owns()` for one shard at one true instant. A process begins to own only
 * in a turn of its own, so each turn compares it with all others: a few shards always, all of them when something has changed. While the
 * number of shards changes, a shard is one number of one numbering, wherever it stands in whose map.
 */
import type { ShardId } from '../../../src/model/ids.ts';
import type { NodeEvent } from '../../../src/model/node-event.ts';
import { type ShardMap, slotCount, slotOf } from '../../../src/model/shard-map.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

const SAMPLED = 3;

export class SingleOwner implements Checker {
  readonly #seen: WeakMap<SimulatedProcess, boolean> = new WeakMap();
  readonly #maps: WeakMap<SimulatedProcess, ShardMap> = new WeakMap();
  #next = 0;

  onEvent(_simulation: Simulation, process: SimulatedProcess, event: NodeEvent): void {
    if (event.kind === 'shardMapChanged') this.#maps.set(process, event.map);
    if (event.kind === 'shardMapChanged' || event.kind === 'shardMapProposed') this.#seen.delete(process);
  }

  afterTurn(simulation: Simulation, process: SimulatedProcess): void {
    const { cluster } = process;
    const isHeld = process.holdingNow < cluster.leaseUntil;
    const map = this.#maps.get(process);
    if (map === undefined) return;
    const slots = slotCount(map);
    if (this.#seen.get(process) !== isHeld) {
      this.#seen.set(process, isHeld);
      if (isHeld) for (let slot = 0; slot < slots; slot++) this.#look(simulation, process, map, slot);
      return;
    }
    if (!isHeld) return;
    for (let i = 0; i < SAMPLED; i++) {
      this.#next = (this.#next + 7) % slots;
      this.#look(simulation, process, map, this.#next);
    }
  }

  #look(simulation: Simulation, process: SimulatedProcess, map: ShardMap, slot: number): void {
    if (!process.owns(slot as ShardId)) return;
    const isOlder = slot < map.shardCount;
    const shard = isOlder ? slot : slot - map.shardCount;
    const count = isOlder ? map.shardCount : map.nextShardCount;
    for (const other of simulation.processes()) {
      if (other === process || other.cluster.clusterId !== process.cluster.clusterId) continue;
      const otherMap = this.#maps.get(other);
      const otherSlot = otherMap === undefined ? undefined : (slotOf(otherMap, shard, count) as ShardId | undefined);
      if (otherSlot === undefined || !other.owns(otherSlot)) continue;
      throw new Violation(
        `SO-1: shard ${shard} of ${count} is owned by ${process.name} (epoch ${process.cluster.serving(slot as ShardId)}) and by ${other.name} (epoch ${other.cluster.serving(otherSlot)})`,
      );
    }
  }
}
