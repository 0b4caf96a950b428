/**
 * The maps of a cluster are one history: the same commit is the same map everywhere (SH-2), no process goes back (SH-3), and a shard's
 * epoch rises exactly when its owner pair changes (SO-7, ownership.md 7).
 */
import type { NodeEvent } from '../../../src/model/node-event.ts';
import { type ShardMap, sharedShards } from '../../../src/model/shard-map.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

interface Known {
  readonly map: ShardMap;
  readonly owners: readonly string[];
}

export class MapHistory implements Checker {
  readonly #byCluster: Map<string, Map<number, Known>> = new Map();
  readonly #newest: WeakMap<SimulatedProcess, { readonly owner: string; readonly at: number }> = new WeakMap();

  readonly #clusterBefore: WeakMap<SimulatedProcess, string> = new WeakMap();

  afterTurn(_simulation: Simulation, process: SimulatedProcess): void {
    this.#clusterBefore.set(process, process.cluster.clusterId ?? '');
  }

  onEvent(_simulation: Simulation, process: SimulatedProcess, event: NodeEvent): void {
    if (event.kind !== 'shardMapChanged') return;
    const { map } = event;
    const clusterId = process.cluster.clusterId ?? '';
    // A turn that changed the cluster may tell of a map of the one before, and the event does not say which.
    if (this.#clusterBefore.get(process) !== clusterId) return;
    const before = this.#newest.get(process);
    // A node that changes its cluster becomes another owner within its process.
    const owner = `${clusterId} ${process.cluster.view(process.clock.monotonic()).boot}`;
    if (before?.owner === owner && map.committedAt < before.at)
      throw new Violation(`SH-3: ${process.name} went from the map of ${before.at} back to that of ${map.committedAt}`);
    this.#newest.set(process, { owner, at: map.committedAt });
    const history = this.#byCluster.get(clusterId) ?? new Map<number, Known>();
    this.#byCluster.set(clusterId, history);
    const known = { map, owners: ownersOf(map) };
    const same = history.get(map.committedAt);
    if (same !== undefined) compareSame(same, known, process.name);
    else this.#insert(history, known, process.name);
  }

  #insert(history: Map<number, Known>, known: Known, name: string): void {
    const at = known.map.committedAt;
    const earlier = [...history.keys()].filter((other) => other < at);
    const later = [...history.keys()].filter((other) => other > at);
    history.set(at, known);
    if (earlier.length > 0) compareEpochs(history.get(Math.max(...earlier)) as Known, known, name);
    if (later.length > 0) compareEpochs(known, history.get(Math.min(...later)) as Known, name);
  }
}

function ownersOf(map: ShardMap): string[] {
  return Array.from(map.ownerOf, (index) => `${map.owners[index]?.node}#${map.owners[index]?.boot}`);
}

function compareSame(a: Known, b: Known, name: string): void {
  const isSame =
    a.map.version === b.map.version &&
    a.owners.every((owner, shard) => owner === b.owners[shard]) &&
    a.map.epochs.every((epoch, shard) => epoch === b.map.epochs[shard]);
  if (!isSame) throw new Violation(`SH-2: ${name} has another map at commit ${a.map.committedAt} than others`);
}

function compareEpochs(older: Known, newer: Known, name: string): void {
  const { committedAt, epochs } = newer.map;
  for (const { count, before, after } of sharedShards(older.map, newer.map))
    for (let i = 0; i < count; i++) {
      const epoch = epochs[after + i] ?? 0;
      const epochBefore = older.map.epochs[before + i] ?? 0;
      const isMoved = newer.owners[after + i] !== older.owners[before + i];
      const shard = `shard ${i} of ${count}`;
      if (epoch < epochBefore)
        throw new Violation(`SO-7: ${shard} went from epoch ${epochBefore} to ${epoch} at ${name}`);
      if (isMoved && epoch === epochBefore)
        throw new Violation(`SO-7: ${shard} changed its owner under epoch ${epoch} at ${name}`);
    }
  if (epochs.some((epoch) => epoch > committedAt)) throw new Violation('SO-7: a shard has an epoch from the future');
}
