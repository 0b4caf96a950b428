/**
 * How the number of shards changes: the map has two numberings for a while, the older and the next, and every shard of both has an owner, an
 * epoch and a lease behind it like any other. Nothing else in the protocol knows of it. docs/ownership.md section 10.
 *
 *   [a] -> [a b]   begun: settings name b as the next        [a b] -> [b]   done: settings name b as what is to be
 *   [a b] -> [a]   taken back: settings name no next one
 */
import type { ShardMap } from '../model/shard-map.ts';
import type { ShardSettings } from '../model/shard-settings.ts';

export type Numbering = Pick<ShardMap, 'shardCount' | 'nextShardCount'>;

/** The next map's numbering, given the present one's and what is agreed on. One step at a time: no shard is passed over. */
export function numberingAfter({ shardCount, nextShardCount }: Numbering, settings: ShardSettings): Numbering {
  if (nextShardCount === undefined) {
    const isBegun = settings.nextShardCount !== 0 && settings.nextShardCount !== shardCount;
    return isBegun ? { shardCount, nextShardCount: settings.nextShardCount } : { shardCount };
  }
  if (settings.nextShardCount === nextShardCount) return { shardCount, nextShardCount };
  return { shardCount: settings.shardCount === nextShardCount ? nextShardCount : shardCount };
}
