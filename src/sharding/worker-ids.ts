/**
 * Worker ids: a process keeps its own as long as it is in the map; new ones get the next, and an old id comes again only when all have been
 * used (clusterfunk's rule) and its quarantine is over.
 */
import { assert } from '../base/assert.ts';
import type { Owner } from '../model/shard-map.ts';
import { WORKER_ID_MAX, WORKER_ID_MIN } from '../wire/sharding/owner-table.ts';
import { placeOf } from './map-state.ts';
import type { Seat } from './seats.ts';

export interface WorkerIds {
  /** The active map's owners, sorted by node id. */
  readonly before: readonly Owner[];
  /** Owners of a pending map: who was promised an id there gets that one. */
  readonly promised: readonly Owner[];
  readonly last: number;
  /** Whether an id may not be handed out yet. */
  readonly isResting: ((workerId: number) => boolean) | undefined;
}

/** Who can have no worker id does not come to the table. */
export function nameSeats(
  seats: readonly Seat[],
  ids: WorkerIds,
): { readonly seats: Seat[]; readonly owners: Owner[] } {
  const named = seats.map(({ pair, from }) => {
    const same = ids.before[from];
    if (same?.boot === pair.boot) return same;
    return ids.promised.length === 0 ? undefined : ids.promised[placeOf(ids.promised, pair)];
  });
  const nameless = named.reduce((count, owner) => count + (owner === undefined ? 1 : 0), 0);
  if (nameless === 0) return { seats: seats as Seat[], owners: named as Owner[] };
  const fresh = freshWorkerIds(nameless, ids);
  let next = 0;
  const owners = named.map((owner, i) => {
    const workerId = owner?.workerId ?? fresh[next++];
    const { node, boot } = (seats[i] as Seat).pair;
    return workerId === undefined ? undefined : (owner ?? { node, boot, workerId });
  });
  const present = owners.filter((owner) => owner !== undefined);
  const left = present.length === seats.length ? seats : seats.filter((_, i) => owners[i] !== undefined);
  assert(left.length === present.length, 'nobody is in a map without a worker id');
  return { seats: left as Seat[], owners: present };
}

/** Ids for processes that have none, as many as can be had. */
function freshWorkerIds(count: number, ids: WorkerIds): number[] {
  const fresh: number[] = [];
  const taken = new Set([...ids.before, ...ids.promised].map((owner) => owner.workerId));
  let last = ids.last;
  for (let tried = WORKER_ID_MIN; tried <= WORKER_ID_MAX && fresh.length < count; tried++) {
    last = last >= WORKER_ID_MAX ? WORKER_ID_MIN : last + 1;
    if (!taken.has(last) && ids.isResting?.(last) !== true) fresh.push(last);
  }
  return fresh;
}
