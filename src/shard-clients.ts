/** Clients that know the cluster: the parts of `routing/client/` with chance from the system. */
import { SystemRandom } from './runtime/system-random.ts';
import { ShardCalls, type ShardCallsOptions } from './routing/client/shard-calls.ts';
import { ShardFetch, type ShardFetchOptions } from './routing/client/shard-fetch.ts';

/**
 * Makes any client class of grpc-js go straight to the owner of each request's shard:
 *
 * ```ts
 * const calls = shardCalls({
 *   source: reader, endpoint: 'shop', credentials: credentials.createInsecure(),
 *   shardOf: { '/shop.Shop/Buy': (order, count) => shardOfString((order as Order).customer, count) },
 * });
 * const shop = new ShopClient('unused', credentials.createInsecure(), calls.clientOptions());
 * ```
 *
 * A call waits, within its deadline, while nobody can be asked, and is sent again only when no application has seen it.
 */
export function shardCalls(options: Omit<ShardCallsOptions, 'random'>): ShardCalls {
  return new ShardCalls({ ...options, random: new SystemRandom() });
}

/** `fetch` of a path at the owner of a request's shard: see {@link ShardFetch.fetch}. */
export function shardFetch(options: Omit<ShardFetchOptions, 'random'>): ShardFetch {
  return new ShardFetch({ ...options, random: new SystemRandom() });
}
