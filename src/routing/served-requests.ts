/** Requests that this node has begun to serve, by shard, so that a hand-over can wait until they are done. */
import type { ShardId } from '../model/ids.ts';

interface Onlooker {
  readonly shards: ReadonlySet<ShardId>;
  readonly tell: () => void;
}

export class ServedRequests {
  readonly #counts: Map<ShardId, number> = new Map();
  readonly #onlookers: Set<Onlooker> = new Set();

  /** Returns what ends it; to call that again does nothing. */
  begin(shard: ShardId): () => void {
    this.#counts.set(shard, (this.#counts.get(shard) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#end(shard);
    };
  }

  countOf(shard: ShardId): number {
    return this.#counts.get(shard) ?? 0;
  }

  /** Resolves when none of these is being served. Rejects with the reason of the signal. */
  whenIdle(shards: Iterable<ShardId>, signal?: AbortSignal): Promise<void> {
    const wanted = new Set(shards);
    if (this.#isIdle(wanted)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settled = (): void => {
        this.#onlookers.delete(onlooker);
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        settled();
        reject(signal?.reason as Error);
      };
      const onlooker: Onlooker = {
        shards: wanted,
        tell: () => {
          settled();
          resolve();
        },
      };
      this.#onlookers.add(onlooker);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
    });
  }

  #end(shard: ShardId): void {
    const left = this.countOf(shard) - 1;
    if (left > 0) this.#counts.set(shard, left);
    else this.#counts.delete(shard);
    if (left > 0) return;
    for (const onlooker of [...this.#onlookers])
      if (onlooker.shards.has(shard) && this.#isIdle(onlooker.shards)) onlooker.tell();
  }

  /** A hand-over may name thousands of shards; few of them are busy. */
  #isIdle(shards: ReadonlySet<ShardId>): boolean {
    for (const shard of this.#counts.keys()) if (shards.has(shard)) return false;
    return true;
  }
}
