/**
 * SH-4 and SH-5: when a map is first seen committed, no process that loses a shard by it would still serve that shard. It has let go, or its
 * lease has run out, whatever it has heard: also when it is cut off, stood still, or its clock went wrong. SO-1 asks the same of the next owner's
 * first turn; this does not wait for the next owner.
 */
import type { ShardId } from '../../../src/model/ids.ts';
import type { NodeEvent } from '../../../src/model/node-event.ts';
import { type ShardMap, slotCount, slotOf } from '../../../src/model/shard-map.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

export class ReleasedFirst implements Checker {
  readonly #maps: WeakMap<SimulatedProcess, ShardMap> = new WeakMap();
  readonly #seen: Set<string> = new Set();
  /** A turn that changes the cluster may tell of a map of the one before. */
  readonly #clusterBefore: WeakMap<SimulatedProcess, string | undefined> = new WeakMap();

  afterTurn(_simulation: Simulation, process: SimulatedProcess): void {
    this.#clusterBefore.set(process, process.cluster.clusterId);
  }

  onEvent(simulation: Simulation, process: SimulatedProcess, event: NodeEvent): void {
    if (event.kind !== 'shardMapChanged') return;
    const { map } = event;
    this.#maps.set(process, map);
    const { clusterId } = process.cluster;
    const key = `${clusterId} ${map.committedAt}`;
    if (this.#seen.has(key) || this.#clusterBefore.get(process) !== clusterId) return;
    this.#seen.add(key);
    for (const other of simulation.processes())
      if (other !== process && other.cluster.clusterId === clusterId) this.#checkLoser(other, map);
  }

  #checkLoser(loser: SimulatedProcess, map: ShardMap): void {
    if (loser.holdingNow >= loser.cluster.leaseUntil) return;
    const own = this.#maps.get(loser);
    if (own === undefined || own.committedAt >= map.committedAt) return;
    const { boot } = loser.cluster.view(loser.clock.monotonic());
    for (let slot = 0; slot < slotCount(map); slot++) {
      const owner = map.owners[map.ownerOf[slot] ?? -1];
      if (owner === undefined || (owner.node === loser.name && owner.boot === boot)) continue;
      const isOlder = slot < map.shardCount;
      const shard = isOlder ? slot : slot - map.shardCount;
      const held = slotOf(own, shard, isOlder ? map.shardCount : map.nextShardCount) as ShardId | undefined;
      if (held === undefined || !loser.owns(held)) continue;
      throw new Violation(
        `SO-1, SH-4: map ${map.version} gives shard ${shard} to ${owner.node} while ${loser.name} serves it still (map ${own.version})`,
      );
    }
  }
}
