/**
 * The replicated part of shard ownership: an active map and at most one pending one, changed by log entries alone, so that every node
 * that has applied the same entries holds the same value. docs/ownership.md sections 1, 2 and 5.
 */
import { assert } from '../base/assert.ts';
import { DecodeError } from '../base/errors.ts';
import type { LogIndex, Term } from '../model/ids.ts';
import { type Owner, type ShardMap, sharedShards, slotCount } from '../model/shard-map.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardSettings } from '../model/shard-settings.ts';
import type { ShardCommand, ShardConfigure, ShardPropose } from '../wire/sharding/map-entry.ts';
import { decodeMapImage, encodeMapImage, type PendingMap } from '../wire/sharding/map-image.ts';
import { WORKER_ID_MAX, WORKER_ID_MIN } from '../wire/sharding/owner-table.ts';
import { type Numbering, numberingAfter } from './resizing.ts';

export type { PendingMap } from '../wire/sharding/map-image.ts';

/**
 * What an entry did. `ignored`: of a term that is not its entry's, of a number of shards that is not agreed on, with a worker id that rests,
 * a commit of what is not pending, or settings that others have changed meanwhile.
 */
export type MapChange = 'ignored' | 'proposed' | 'committed' | 'configured';

export class MapState {
  #active: ShardMap | undefined;
  #pending: PendingMap | undefined;
  #lastWorkerId: number = WORKER_ID_MAX;
  #settings: ShardSettings = DEFAULT_SHARD_SETTINGS;
  #logTimeMs = 0;
  #resting: Map<number, number> = new Map();
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

  get settings(): ShardSettings {
    return this.#settings;
  }

  /** The worker id that was handed out last; the highest before the first, so that the lowest comes next. */
  get lastWorkerId(): number {
    return this.#lastWorkerId;
  }

  /** Shards that got another owner by the last commit. */
  get moved(): number {
    return this.#moved;
  }

  /** The time that the log has come to when an author says that it is `atMs`: it never goes back. */
  timeAt(atMs: number): number {
    return Math.max(this.#logTimeMs, atMs);
  }

  /** Whether a worker id may not be handed out at `atMs`, the wall clock of whoever would. */
  isResting(workerId: number, atMs: number): boolean {
    const since = this.#resting.get(workerId);
    return since !== undefined && this.timeAt(atMs) - since < this.#settings.workerQuarantineMs;
  }

  /** How many worker ids rest, those included whose time is over and that nobody has looked at since. */
  get restingCount(): number {
    return this.#resting.size;
  }

  /** What the next map numbers its shards by; undefined before the first map. */
  get numbering(): Numbering | undefined {
    return this.#active === undefined ? undefined : numberingAfter(this.#active, this.#settings);
  }

  /** `index` and `term` are the entry's. A command whose author led another term was delayed past its leadership (raft.md 6.5). */
  apply(index: LogIndex, term: Term, command: ShardCommand): MapChange {
    if (command.term !== term) return 'ignored';
    switch (command.kind) {
      case 'shardPropose':
        return this.#propose(index, command);
      case 'shardConfigure':
        return this.#configure(index, command);
      case 'shardStale':
        return 'ignored';
      case 'shardCommit': {
        const pending = this.#pending;
        if (pending === undefined || pending.version !== command.version) return 'ignored';
        this.#activate(index, pending);
        return 'committed';
      }
    }
  }

  image(): Uint8Array {
    return encodeMapImage({
      active: this.#active,
      pending: this.#pending,
      lastWorkerId: this.#lastWorkerId,
      settings: this.#settings,
      logTimeMs: this.#logTimeMs,
      resting: this.#resting,
    });
  }

  /** Replaces everything by what a snapshot holds. */
  install(image: Uint8Array): void {
    const decoded = decodeMapImage(image);
    assert(!(decoded instanceof DecodeError), 'a snapshot that passed its checksum holds a valid shard map');
    this.#active = decoded.active;
    this.#pending = decoded.pending;
    this.#lastWorkerId = decoded.lastWorkerId;
    this.#settings = decoded.settings;
    this.#logTimeMs = decoded.logTimeMs;
    this.#resting = new Map(decoded.resting);
  }

  #propose(index: LogIndex, command: ShardPropose): MapChange {
    const { term, atMs = 0, shardCount, nextShardCount, owners, ownerOf, standbys } = command;
    if (!this.#isNumbered(command)) return 'ignored';
    const before = this.#active?.owners ?? [];
    // Whoever plans looks at this too; here it is what makes it a promise.
    const isReissued = owners.some((owner) => placeOf(before, owner) < 0 && this.isResting(owner.workerId, atMs));
    if (isReissued) return 'ignored';
    this.#logTimeMs = this.timeAt(atMs);
    this.#pending = {
      version: index,
      term,
      shardCount,
      ...(nextShardCount !== undefined && { nextShardCount }),
      owners,
      ownerOf,
      ...(standbys !== undefined && { standbys }),
    };
    this.#lastWorkerId = furthestWorkerId(this.#lastWorkerId, owners, before);
    return 'proposed';
  }

  /** The numbers of shards change as agreed on, and not otherwise. */
  #isNumbered({ shardCount, nextShardCount }: Numbering): boolean {
    const active = this.#active;
    if (active === undefined) return nextShardCount === undefined;
    return [active, numberingAfter(active, this.#settings)].some(
      (one) => one.shardCount === shardCount && one.nextShardCount === nextShardCount,
    );
  }

  #configure(index: LogIndex, { expects, settings }: ShardConfigure): MapChange {
    if (expects !== this.#settings.version) return 'ignored';
    this.#settings = { ...settings, version: index };
    return 'configured';
  }

  #activate(index: LogIndex, pending: PendingMap): void {
    const before = this.#active;
    const { version, term: _, ...columns } = pending;
    const { owners, ownerOf } = columns;
    const slots = slotCount(columns);
    const epochs = new Float64Array(slots).fill(index);
    this.#moved = slots;
    if (before !== undefined) {
      const sameAs = owners.map((owner) => placeOf(before.owners, owner));
      for (const shared of sharedShards(before, columns)) {
        for (let i = 0; i < shared.count; i++) {
          const slot = shared.after + i;
          if (sameAs[ownerOf[slot] as number] !== before.ownerOf[shared.before + i]) continue;
          epochs[slot] = before.epochs[shared.before + i] as number;
          this.#moved -= 1;
        }
      }
      this.#rest(before.owners, owners);
    }
    this.#active = { version, committedAt: index, ...columns, epochs };
    this.#pending = undefined;
  }

  /** Worker ids of processes that are in the map no more rest from now on; those that have rested are forgotten. */
  #rest(before: readonly Owner[], after: readonly Owner[]): void {
    for (const [workerId, since] of this.#resting) {
      if (this.#logTimeMs - since >= this.#settings.workerQuarantineMs) this.#resting.delete(workerId);
    }
    for (const owner of before) if (placeOf(after, owner) < 0) this.#resting.set(owner.workerId, this.#logTimeMs);
    for (const owner of after) this.#resting.delete(owner.workerId);
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
