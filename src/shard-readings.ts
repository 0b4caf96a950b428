/** What an application reads of the active shard map. */
import type { NodeId, ShardId } from './model/ids.ts';
import type { Ownership } from './model/shard-map.ts';
import type { NodeHandle } from './runtime/node-handle.ts';

export interface ShardReadings {
  /** The node that owns `shard` by the active map; undefined when there is no map or no such shard. */
  ownerOf(shard: number): NodeId | undefined;
  owns(shard: number): Ownership | undefined;
  /** 0 before the first map. */
  readonly count: number;
}

/** `handleOf`: undefined before the node has started. */
export function shardReadings(handleOf: () => NodeHandle | undefined): ShardReadings {
  return {
    ownerOf: (shard) => {
      const map = handleOf()?.view().shardMap;
      const index = map?.ownerOf[shard];
      return index === undefined ? undefined : map?.owners[index]?.node;
    },
    owns: (shard) => handleOf()?.owns(shard as ShardId),
    get count() {
      return handleOf()?.view().shardMap?.shardCount ?? 0;
    },
  };
}
