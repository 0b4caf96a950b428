/** What an application reads of the active shard map. */
import type { NodeId, ShardId } from './model/ids.ts';
import { type Ownership, type ShardMap, slotOf, standbysOf } from './model/shard-map.ts';
import type { NodeHandle } from './runtime/node-handle.ts';

export interface ShardNumbering {
  /**
   * Of how many shards it is one. While the number of shards changes there are two numberings, and shards of both have owners; without
   * this the older one is meant, until the change is done.
   */
  readonly shardCount?: number;
}

export interface ShardReadings {
  /** The node that owns `shard` by the active map; undefined when there is no map or no such shard. */
  ownerOf(shard: number, of?: ShardNumbering): NodeId | undefined;
  /** The nodes that stand by for `shard`, the first in line first: whoever owns it sends them what they need. Empty when there are none. */
  standbysOf(shard: number, of?: ShardNumbering): NodeId[];
  /** As `FunkNode.owns`. Whoever changes the number of shards says which numbering is meant. */
  owns(shard: number, of?: ShardNumbering): Ownership | undefined;
  /** Of the numbering that is meant unless another is named. 0 before the first map. */
  readonly count: number;
  /** The number that the number of shards changes to; undefined when it does not change. */
  readonly nextCount: number | undefined;
}

/** `handleOf`: undefined before the node has started. */
export function shardReadings(handleOf: () => NodeHandle | undefined): ShardReadings {
  const mapOf = (): ShardMap | undefined => handleOf()?.view().shardMap;
  return {
    ownerOf: (shard, of) => {
      const map = mapOf();
      const slot = map === undefined ? undefined : slotOf(map, shard, of?.shardCount);
      return slot === undefined ? undefined : map?.owners[map.ownerOf[slot] ?? -1]?.node;
    },
    standbysOf: (shard, of) => {
      const map = mapOf();
      const slot = map === undefined ? undefined : slotOf(map, shard, of?.shardCount);
      return map === undefined || slot === undefined ? [] : standbysOf(map, slot).map(({ node }) => node);
    },
    owns: (shard, of) => {
      const handle = handleOf();
      return handle === undefined ? undefined : ownsOf(handle, shard, of);
    },
    get count() {
      return mapOf()?.shardCount ?? 0;
    },
    get nextCount() {
      return mapOf()?.nextShardCount;
    },
  };
}

/** Whether the node serves a shard of a numbering at this very instant. */
export function ownsOf(handle: NodeHandle, shard: number, of?: ShardNumbering): Ownership | undefined {
  if (of?.shardCount === undefined) return handle.owns(shard as ShardId);
  const before = handle.view().shardMap;
  const slot = before === undefined ? undefined : slotOf(before, shard, of.shardCount);
  if (slot === undefined) return undefined;
  const ownership = handle.owns(slot as ShardId);
  if (ownership === undefined) return undefined;
  // A node in another thread may have changed its numbering in between; then the answer is of another shard.
  const after = handle.view().shardMap;
  const isSame = after?.shardCount === before?.shardCount && after?.nextShardCount === before?.nextShardCount;
  return isSame ? { ...ownership, shard: shard as ShardId } : undefined;
}
