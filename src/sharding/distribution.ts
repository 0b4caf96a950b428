/**
 * The planner: from the map there is and the processes there are to the next map. Pure. It moves no more shards than balance asks for,
 * leaves the loads of all who may be given something within one shard of their share, and gives the same answer to the same question.
 *
 *   seats.ts  who sits at the table      quotas.ts  how much each one gets      worker-ids.ts  who bears which worker id
 *   even-spread.ts  shards that are alike and may be anywhere      weighted-spread.ts  all others      standbys.ts  where copies are
 *
 * docs/ownership.md section 10 says what a plan holds to.
 */
import { assert } from '../base/assert.ts';
import type { NodeId } from '../model/ids.ts';
import { NO_STANDBY, type Owner } from '../model/shard-map.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardRule, type ShardSettings } from '../model/shard-settings.ts';
import { spreadEvenly } from './even-spread.ts';
import { quotasOf, sharesOf } from './quotas.ts';
import type { OwnerPair } from './rules.ts';
import { NO_TRAITS, type NodeTraits, type Seat, seatOfOwners, seatOwners } from './seats.ts';
import { placeStandbys } from './standbys.ts';
import { spreadByWeight } from './weighted-spread.ts';
import { nameSeats } from './worker-ids.ts';

export interface PlanRequest {
  readonly shardCount: number;
  /** While the number of shards changes. */
  readonly nextShardCount?: number;
  /** The active map; undefined before the first. */
  readonly previous: PreviousMap | undefined;
  /** Shards per previous owner, when somebody has counted them already and the number of shards does not change. */
  readonly loads?: Uint32Array;
  /** Previous owners that keep exactly what they have (O-18), by index. No candidate bears the node id of one. */
  readonly pinned: ReadonlySet<number>;
  /** Previous owners that are to give all they have and still serve it, by index. */
  readonly leaving?: ReadonlySet<number>;
  /** Who may be given shards; sorted by node id, each node once. A restarted one inherits the shards of its older boot. */
  readonly candidates: readonly OwnerPair[];
  /** What the nodes say of themselves. */
  readonly traits?: ReadonlyMap<NodeId, NodeTraits>;
  readonly settings?: ShardSettings;
  /** Owners of a pending map: a candidate that was promised a worker id there gets that one. */
  readonly promised: readonly Owner[];
  readonly lastWorkerId: number;
  /** Whether a worker id may not be handed out yet. */
  readonly isResting?: (workerId: number) => boolean;
}

export interface PreviousMap {
  readonly owners: readonly Owner[];
  readonly ownerOf: Uint16Array;
  /** Of the older numbering; the length of `ownerOf` unless given. */
  readonly shardCount?: number;
  readonly standbys?: readonly Uint16Array[];
}

export interface Plan {
  readonly owners: readonly Owner[];
  readonly ownerOf: Uint16Array;
  /** Absent when none are wanted. */
  readonly standbys?: readonly Uint16Array[];
}

const EMPTY: PreviousMap = { owners: [], ownerOf: new Uint16Array(0) };
const NOBODY: ReadonlySet<number> = new Set();
const NO_NODES: ReadonlyMap<NodeId, NodeTraits> = new Map();

/** The next map; undefined when there is nobody to give anything to. */
export function planShards(request: PlanRequest): Plan | undefined {
  const { previous = EMPTY, settings = DEFAULT_SHARD_SETTINGS } = request;
  const { seats, owners: named } = setTheTable(request, previous, settings);
  if (!seats.some((seat) => seat.kind === 'candidate')) return undefined;
  const sections = sectionsOf(request, previous);
  const spreads = sections.map((section) => spreadSection(section, { request, previous, settings, seats }));
  const ownerOf = spreads.length === 1 ? (spreads[0] as Uint16Array) : concatColumns(spreads);
  if (settings.moveCap > 0) limitMoves(ownerOf, { sections, seats, previous, cap: settings.moveCap });
  const isEmptied = settings.moveCap > 0 ? dropEmptied(seats, ownerOf) : undefined;
  const left = isEmptied === undefined ? seats : seats.filter((_, i) => !isEmptied(i));
  const owners = isEmptied === undefined ? named : named.filter((_, i) => !isEmptied(i));
  if (settings.replicas === 0) return { owners, ownerOf };
  const standbys = placeStandbys({
    replicas: settings.replicas,
    seats: left,
    ownerOf,
    ...formerCopies({ sections, seats: left, previous }),
    isForbidden: forbidding(left, settings.avoided, request.shardCount),
  });
  return { owners, ownerOf, standbys };
}

/** Shards per owner. */
export function countLoads(ownerOf: Uint16Array, ownerCount: number): Uint32Array {
  const loads = new Uint32Array(ownerCount);
  for (let shard = 0; shard < ownerOf.length; shard++) {
    const owner = ownerOf[shard] as number;
    loads[owner] = (loads[owner] as number) + 1;
  }
  return loads;
}

/** The shards of one numbering: each is spread for itself, so that none is missed when the other one ends. */
interface Section {
  readonly count: number;
  /** Where it begins in the columns of the new map, and of the one before; -1: that has it not. */
  readonly base: number;
  readonly baseBefore: number;
}

function sectionsOf({ shardCount, nextShardCount }: PlanRequest, previous: PreviousMap): Section[] {
  const older = previous.shardCount ?? previous.ownerOf.length;
  const baseBefore = (count: number): number => {
    if (previous.ownerOf.length === 0) return -1;
    if (count === older) return 0;
    return count === previous.ownerOf.length - older ? older : -1;
  };
  const sections = [{ count: shardCount, base: 0, baseBefore: baseBefore(shardCount) }];
  if (nextShardCount !== undefined)
    sections.push({ count: nextShardCount, base: shardCount, baseBefore: baseBefore(nextShardCount) });
  assert(
    previous.ownerOf.length === 0 || sections.some((section) => section.baseBefore >= 0),
    'one numbering of the shards stays from map to map',
  );
  return sections;
}

/** Everyone at the table, each with its worker id. */
function setTheTable(
  request: PlanRequest,
  previous: PreviousMap,
  settings: ShardSettings,
): { readonly seats: Seat[]; readonly owners: Owner[] } {
  const { promised, lastWorkerId: last, isResting } = request;
  const excluded = new Set(settings.excluded);
  const candidates = excluded.size === 0 ? request.candidates : request.candidates.filter((c) => !excluded.has(c.node));
  const kept = new Map<number, 'pinned' | 'leaving'>();
  for (const owner of request.pinned) kept.set(owner, 'pinned');
  if (settings.moveCap > 0) {
    for (const owner of request.leaving ?? NOBODY) kept.set(owner, 'leaving');
    for (const { node, boot } of excluded.size === 0 ? [] : request.candidates) {
      const owner = previous.owners.findIndex((other) => other.node === node && other.boot === boot);
      if (excluded.has(node) && owner >= 0) kept.set(owner, 'leaving');
    }
  }
  const traits = weighed(request.traits ?? NO_NODES, settings);
  const seats = seatOwners({ candidates, kept, traits }, previous.owners);
  return nameSeats(seats, { before: previous.owners, promised, last, isResting });
}

/** What is agreed on goes before what a node says itself. */
function weighed(traits: ReadonlyMap<NodeId, NodeTraits>, { nodeWeights }: ShardSettings): typeof traits {
  if (nodeWeights.size === 0) return traits;
  const all = new Map(traits);
  for (const [node, weight] of nodeWeights) all.set(node, { ...(all.get(node) ?? NO_TRAITS), weight });
  return all;
}

interface SpreadContext {
  readonly request: PlanRequest;
  readonly previous: PreviousMap;
  readonly settings: ShardSettings;
  readonly seats: readonly Seat[];
}

function spreadSection(section: Section, context: SpreadContext): Uint16Array {
  const { settings, request } = context;
  // Costs and rules name shards of the older numbering.
  const hasRules = settings.shardCosts.length + settings.pins.length + settings.avoided.length > 0;
  const isRuled = hasRules && section.base === 0 && section.count === request.shardCount;
  return isRuled ? spreadRuled(section, context) : spreadPlain(section, context);
}

function spreadPlain(section: Section, { request, previous, seats }: SpreadContext): Uint16Array {
  const { count, baseBefore } = section;
  const isWhole = baseBefore === 0 && previous.ownerOf.length === count;
  const ownerOf = isWhole ? previous.ownerOf : previous.ownerOf.subarray(baseBefore, baseBefore + count);
  const standbys = (previous.standbys ?? []).map((column) => column.subarray(baseBefore, baseBefore + count));
  const ownerCount = baseBefore < 0 ? 0 : previous.owners.length;
  const loads =
    isWhole && request.loads !== undefined
      ? request.loads
      : countLoads(baseBefore < 0 ? new Uint16Array(0) : ownerOf, ownerCount);
  const held = seats.map(({ from }) => (from < 0 ? 0 : (loads[from] ?? 0)));
  const floors = seats.map(({ kind }, i) => (kind === 'pinned' ? (held[i] as number) : 0));
  const shares = sharesOf({ weights: seats.map((seat) => seat.weight), floors, total: count });
  const before = baseBefore < 0 ? undefined : { ownerOf, loads, standbys };
  const wanted = before === undefined || standbys.length === 0 ? undefined : pullOf(seats, before);
  const quotas = quotasOf({ shares, total: count, held, ...(wanted && { wanted }) });
  return spreadEvenly({ seats, quotas, shardCount: count, before });
}

/** Per seat: of how many shards whose owner is gone it is the first standby. */
function pullOf(
  seats: readonly Seat[],
  { ownerOf, loads, standbys }: { ownerOf: Uint16Array; loads: Uint32Array; standbys: readonly Uint16Array[] },
): Uint32Array {
  const seatOf = seatOfOwners(seats, loads.length);
  const pull = new Uint32Array(seats.length);
  const first = standbys[0] as Uint16Array;
  for (let shard = 0; shard < ownerOf.length; shard++) {
    if ((seatOf[ownerOf[shard] as number] as number) >= 0) continue;
    const seat = seatOf[first[shard] as number] ?? -1;
    if (seat >= 0) pull[seat] = (pull[seat] as number) + 1;
  }
  return pull;
}

function spreadRuled(section: Section, { previous, settings, seats }: SpreadContext): Uint16Array {
  const { count, base } = section;
  const costs = new Uint32Array(count).fill(1);
  for (const { from, to, cost } of settings.shardCosts) costs.fill(cost, from, Math.min(to + 1, count));
  const isForbidden = forbidding(seats, settings.avoided, count);
  const pinnedTo = new Int32Array(count).fill(-1);
  for (const { from, to, node } of settings.pins) {
    const seat = seats.findIndex(({ pair, kind }) => pair.node === node && kind === 'candidate');
    pinnedTo.fill(seat, from, Math.min(to + 1, count));
  }
  const { before, standbysOf } = formerCopies({ sections: [{ ...section, base: 0 }], seats, previous });
  return spreadByWeight({
    seats,
    before: Int32Array.from({ length: count }, (_, shard) => before(base + shard)),
    costs,
    pinnedTo,
    isForbidden,
    standbysOf,
  });
}

/** Whether no copy of a shard may be on a seat. */
function forbidding(
  seats: readonly Seat[],
  avoided: readonly ShardRule[],
  shardCount: number,
): (slot: number, seat: number) => boolean {
  if (avoided.length === 0) return () => false;
  const bySeat = seats.map(({ pair }) => avoided.filter((rule) => rule.node === pair.node));
  return (slot, seat) => slot < shardCount && (bySeat[seat] ?? []).some((rule) => rule.from <= slot && slot <= rule.to);
}

/** What the map before says of a shard of the new one, as seats. */
function formerCopies({ sections, seats, previous }: Omit<MoveLimit, 'cap'>): {
  readonly before: (slot: number) => number;
  readonly standbysOf: (slot: number) => readonly number[];
} {
  const seatOf = seatOfOwners(seats, previous.owners.length);
  const slotBefore = (slot: number): number => {
    const section = sections.find(({ base, count }) => slot >= base && slot < base + count);
    return section === undefined || section.baseBefore < 0 ? -1 : section.baseBefore + slot - section.base;
  };
  return {
    before: (slot) => seatOf[previous.ownerOf[slotBefore(slot)] ?? NO_STANDBY] ?? -1,
    standbysOf: (slot) => {
      const at = slotBefore(slot);
      const standing = (previous.standbys ?? []).map((column) => seatOf[column[at] ?? NO_STANDBY] ?? -1);
      return standing.filter((seat) => seat >= 0);
    },
  };
}

interface MoveLimit {
  readonly sections: readonly Section[];
  readonly seats: readonly Seat[];
  readonly previous: PreviousMap;
  readonly cap: number;
}

/** Takes back what goes beyond the cap: those shards stay where they are, and the next map goes on. Shards of the dead always move. */
function limitMoves(ownerOf: Uint16Array, limit: MoveLimit): void {
  const { before } = formerCopies(limit);
  let moves = 0;
  for (let slot = 0; slot < ownerOf.length; slot++) {
    const seat = before(slot);
    if (seat < 0 || seat === ownerOf[slot]) continue;
    moves += 1;
    if (moves > limit.cap) ownerOf[slot] = seat;
  }
}

/** Who was to leave and has nothing left is in the map no more. Changes seat numbers in place; undefined when all stay. */
function dropEmptied(seats: readonly Seat[], ownerOf: Uint16Array): ((seat: number) => boolean) | undefined {
  const loads = countLoads(ownerOf, seats.length);
  const isEmptied = (seat: number): boolean => seats[seat]?.kind === 'leaving' && loads[seat] === 0;
  let next = 0;
  const numbers = seats.map((_, i) => (isEmptied(i) ? NO_STANDBY : next++));
  if (next === seats.length) return undefined;
  for (let slot = 0; slot < ownerOf.length; slot++) ownerOf[slot] = numbers[ownerOf[slot] as number] as number;
  return isEmptied;
}

function concatColumns(columns: readonly Uint16Array[]): Uint16Array {
  const all = new Uint16Array(columns.reduce((sum, column) => sum + column.length, 0));
  let at = 0;
  for (const column of columns) {
    all.set(column, at);
    at += column.length;
  }
  return all;
}
