/** The last maps that this node has had, so that a watcher that comes back is told what has changed since. */
import type { ShardMap } from '../model/shard-map.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';

/** Each holds 100 kilobytes at 10,000 shards; a rolling restart of a few nodes is within it. */
export const MAPS_KEPT = 16;

export class MapHistory implements Disposable {
  readonly #maps: ShardMap[] = [];
  readonly #unsubscribe: () => void;

  constructor(handle: NodeHandle) {
    const { shardMap } = handle.view();
    if (shardMap !== undefined) this.#maps.push(shardMap);
    this.#unsubscribe = handle.subscribe((event) => {
      if (event.kind !== 'shardMapChanged') return;
      this.#maps.push(event.map);
      if (this.#maps.length > MAPS_KEPT) this.#maps.shift();
    });
  }

  /** Undefined when it was never here, or is too old. */
  ofVersion(version: number): ShardMap | undefined {
    return this.#maps.find((map) => map.version === version);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
