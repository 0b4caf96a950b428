/** Between the hooks that an application writes and the calls that cross a thread. */
import type { ShardId } from '../model/ids.ts';
import { HANDED_OVER_BYTES_MAX, SHARD_STATE_BYTES_MAX, type ShardState } from '../model/shard-map.ts';
import {
  type AcquireCall,
  HandOverRefusedError,
  type HookEnd,
  HookOverError,
  type ReleaseCall,
  type ReleasedShard,
  type ShardHooks,
} from '../ports/shard-hooks.ts';

/** Why the signal of a call was aborted. */
export function hookEndOf(signal: AbortSignal): HookEnd {
  return signal.reason instanceof HookOverError ? signal.reason.reason : 'stopped';
}

/** From the hooks of an application to those that a runner calls. */
export function hookCalls({ onRelease, onAcquire, servesBeforeAcquired }: ShardHooks): {
  readonly onRelease?: (call: ReleaseCall) => Promise<readonly ShardState[]>;
  readonly onAcquire?: (call: AcquireCall) => Promise<void>;
  readonly servesBeforeAcquired?: boolean;
} {
  return {
    ...(onRelease !== undefined && {
      onRelease: async (call: ReleaseCall) => {
        const parcel = new Parcel(call.shards);
        const handOver = (shard: ShardId, state: Uint8Array): void => parcel.put(shard, state);
        const shards = call.shards.map(({ shard }) => shard);
        await onRelease(shards, call.deadlineMs, { ...call, handOver });
        return parcel.states();
      },
    }),
    ...(onAcquire !== undefined && { onAcquire: async (call: AcquireCall) => await onAcquire(call) }),
    ...(servesBeforeAcquired !== undefined && { servesBeforeAcquired }),
  };
}

/** What one release hands over, within its bounds. */
class Parcel {
  readonly #shards: ReadonlySet<ShardId>;
  readonly #states: Map<ShardId, Uint8Array> = new Map();
  #size = 0;

  constructor(shards: readonly ReleasedShard[]) {
    this.#shards = new Set(shards.map(({ shard }) => shard));
  }

  put(shard: ShardId, bytes: Uint8Array): void {
    if (!this.#shards.has(shard)) throw new HandOverRefusedError(`shard ${shard} is not of this release`);
    if (bytes.length > SHARD_STATE_BYTES_MAX)
      throw new HandOverRefusedError(`${bytes.length} bytes for shard ${shard}: at most ${SHARD_STATE_BYTES_MAX}`);
    const size = this.#size - (this.#states.get(shard)?.length ?? 0) + bytes.length;
    if (size > HANDED_OVER_BYTES_MAX)
      throw new HandOverRefusedError(`${size} bytes in one release: at most ${HANDED_OVER_BYTES_MAX}`);
    this.#states.set(shard, bytes);
    this.#size = size;
  }

  states(): readonly ShardState[] {
    return [...this.#states].map(([shard, bytes]) => ({ shard, bytes }));
  }
}
