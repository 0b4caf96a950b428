/**
 * The replicated part of shard ownership: an active map and at most one pending one, changed by log entries alone, so that every node
 * that has applied the same entries holds the same value. docs/ownership.md sections 1, 2 and 5.
 */
import { assert } from '../base/assert.ts';
import { DecodeError } from '../base/errors.ts';
import type { LogIndex, Term } from '../model/ids.ts';
import type { Owner, ShardMap } from '../model/shard-map.ts';
import type { ShardCommand, ShardPropose } from '../wire/sharding/map-entry.ts';
import { decodeMapImage, encodeMapImage, type PendingMap } from '../wire/sharding/map-image.ts';
import { WORKER_ID_MAX, WORKER_ID_MIN } from '../wire/sharding/owner-table.ts';

export type { PendingMap } from '../wire/sharding/map-image.ts';

/** What an entry did. `ignored`: of a term that is not its entry's, of another shard count, or a commit of what is not pending. */
export type MapChange = 'ignored' | 'proposed' | 'committed';

export class MapState {
  #active: ShardMap | undefined;
  #pending: PendingMap | undefined;
  #lastWorkerId: number = WORKER_ID_MAX;
  #moved = 0;

  get active(): ShardMap | undefined {
    return this.#active;
  }

  /** Version, or 0 before the first map. */
  get activeVersion(): LogIndex {
    return this.#active?.version ?? (0 as LogIndex);
  }

  get pending(): PendingMap | undefined {
    return this.#pending;
  }

  /** The worker id that was handed out last; the highest before the first, so that the lowest comes next. */
  get lastWorkerId(): number {
    return this.#lastWorkerId;
  }

  /** Shards that got another owner by the last commit. */
  get moved(): number {
    return this.#moved;
  }

  /** `index` and `term` are the entry's. A command whose author led another term was delayed past its leadership (raft.md 6.5). */
  apply(index: LogIndex, term: Term, command: ShardCommand): MapChange {
    if (command.term !== term) return 'ignored';
    if (command.kind === 'shardPropose') return this.#propose(index, command);
    const pending = this.#pending;
    if (pending === undefined || pending.version !== command.version) return 'ignored';
    this.#activate(index, pending);
    return 'committed';
  }

  image(): Uint8Array {
    return encodeMapImage({ active: this.#active, pending: this.#pending, lastWorkerId: this.#lastWorkerId });
  }

  /** Replaces everything by what a snapshot holds. */
  install(image: Uint8Array): void {
    const decoded = decodeMapImage(image);
    assert(!(decoded instanceof DecodeError), 'a snapshot that passed its checksum holds a valid shard map');
    this.#active = decoded.active;
    this.#pending = decoded.pending;
    this.#lastWorkerId = decoded.lastWorkerId;
  }

  #propose(index: LogIndex, command: ShardPropose): MapChange {
    if (this.#active !== undefined && this.#active.shardCount !== command.shardCount) return 'ignored';
    const { term, shardCount, owners, ownerOf } = command;
    this.#pending = { version: index, term, shardCount, owners, ownerOf };
    this.#lastWorkerId = furthestWorkerId(this.#lastWorkerId, owners, this.#active?.owners ?? []);
    return 'proposed';
  }

  #activate(index: LogIndex, pending: PendingMap): void {
    const before = this.#active;
    const { version, shardCount, owners, ownerOf } = pending;
    const epochs = new Float64Array(shardCount).fill(index);
    this.#moved = shardCount;
    if (before !== undefined) {
      const sameAs = owners.map((owner) => placeOf(before.owners, owner));
      for (let shard = 0; shard < shardCount; shard++) {
        if (sameAs[ownerOf[shard] as number] !== before.ownerOf[shard]) continue;
        epochs[shard] = before.epochs[shard] as number;
        this.#moved -= 1;
      }
    }
    this.#active = { version, committedAt: index, shardCount, owners, ownerOf, epochs };
    this.#pending = undefined;
  }
}

/** Index of the owner that is the same process, or -1. Owners are sorted by node id. */
export function placeOf(owners: readonly Owner[], wanted: Pick<Owner, 'node' | 'boot'>): number {
  let low = 0;
  let high = owners.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const owner = owners[middle] as Owner;
    if (owner.node === wanted.node) return owner.boot === wanted.boot ? middle : -1;
    if (owner.node < wanted.node) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/**
 * Worker ids go round: of those that this map hands out anew, the one furthest ahead of `last` is the last. More than half a round
 * ahead is behind: an id that an abandoned map had handed out already.
 */
function furthestWorkerId(last: number, owners: readonly Owner[], before: readonly Owner[]): number {
  const kept = new Set(before.map((owner) => owner.workerId));
  const round = WORKER_ID_MAX - WORKER_ID_MIN + 1;
  let furthest = 0;
  for (const { workerId } of owners) {
    const ahead = (workerId - last + round) % round;
    if (!kept.has(workerId) && ahead <= round / 2) furthest = Math.max(furthest, ahead);
  }
  return ((last - WORKER_ID_MIN + furthest + round) % round) + WORKER_ID_MIN;
}
