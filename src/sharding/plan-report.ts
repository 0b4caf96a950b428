/** A plan explained: who gets what, why each shard moves, and how few moves would do. Pure; docs/ownership.md section 10. */
import type { LogIndex, NodeId } from '../model/ids.ts';
import { NO_STANDBY, sharedShards, type ShardMap, slotCount } from '../model/shard-map.ts';
import {
  type MoveReason,
  PLAN_EXAMPLES_MAX,
  type PlannedMoves,
  type PlannedNode,
  type ShardPlanReport,
} from '../model/shard-plan.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardRange, type ShardSettings } from '../model/shard-settings.ts';
import { countLoads, type Plan, type PlanRequest, planShards } from './distribution.ts';
import { NO_TRAITS, type NodeTraits } from './seats.ts';
import { sharesOf } from './quotas.ts';

/** Maps until a capped plan is done; a plan that needs more is told as this many. */
const STEPS_MAX = 100_000;

export interface ReportRequest {
  readonly request: PlanRequest;
  readonly active: ShardMap | undefined;
}

/** Undefined when there is nobody to give anything to. */
export function explainPlan({ request, active }: ReportRequest): ShardPlanReport | undefined {
  const settings = request.settings ?? DEFAULT_SHARD_SETTINGS;
  const plan = planShards({ ...request, settings: { ...settings, moveCap: 0 } });
  if (plan === undefined) return undefined;
  const moves = listMoves(plan, { request, active });
  const moved = moves.reduce((sum, { count }) => sum + count, 0);
  const served = moves.filter(({ reason }) => reason !== 'death' && reason !== 'new');
  const capped = served.reduce((sum, { count }) => sum + count, 0);
  const least = fewestMoves(plan, { request, active });
  return {
    mapVersion: active?.version ?? (0 as LogIndex),
    shardCount: request.shardCount,
    nextShardCount: request.nextShardCount ?? 0,
    settings,
    nodes: listNodes(plan, moves, { request, active }),
    moves,
    moved,
    fewest: least,
    isFewestExact: settings.shardCosts.length === 0,
    ...standbyMoves(plan, { request, active }),
    steps:
      settings.moveCap === 0
        ? Number(moved > 0)
        : Math.min(STEPS_MAX, Math.ceil(Math.max(capped, Number(moved > 0)) / settings.moveCap)),
    notes: notesOn(request, settings),
  };
}

/** Per shard of the plan: its place in the map before; -1 for none. */
function placesBefore(active: ShardMap | undefined, request: PlanRequest): Int32Array {
  const places = new Int32Array(slotCount(request)).fill(-1);
  if (active === undefined) return places;
  for (const { count, before, after } of sharedShards(active, request)) {
    for (let i = 0; i < count; i++) places[after + i] = before + i;
  }
  return places;
}

function listMoves(plan: Plan, { request, active }: ReportRequest): PlannedMoves[] {
  const places = placesBefore(active, request);
  const present = new Set(request.candidates.map(({ node }) => node));
  const groups = new Map<string, { -readonly [K in keyof PlannedMoves]: PlannedMoves[K] } & { examples: number[] }>();
  for (let slot = 0; slot < places.length; slot++) {
    const at = places[slot] as number;
    const owner = at < 0 ? NO_STANDBY : (active?.ownerOf[at] ?? NO_STANDBY);
    const from = active?.owners[owner]?.node ?? '';
    const to = plan.owners[plan.ownerOf[slot] as number]?.node as NodeId;
    if (from === to) continue;
    const reason = reasonOf(slot, { owner, from, to, request, present });
    const key = `${from} ${to} ${reason}`;
    const group = groups.get(key) ?? { from, to, reason, count: 0, toStandby: 0, examples: [] };
    groups.set(key, group);
    group.count += 1;
    if (active?.standbys?.some((column) => active.owners[column[at] ?? NO_STANDBY]?.node === to)) group.toStandby += 1;
    if (group.examples.length < PLAN_EXAMPLES_MAX) group.examples.push(slot);
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || (`${a.from} ${a.to}` < `${b.from} ${b.to}` ? -1 : 1));
}

interface Move {
  readonly owner: number;
  readonly from: NodeId | '';
  readonly to: NodeId;
  readonly request: PlanRequest;
  /** Nodes that may be given shards. */
  readonly present: ReadonlySet<NodeId>;
}

function reasonOf(slot: number, { owner, from, to, request, present }: Move): MoveReason {
  const { settings = DEFAULT_SHARD_SETTINGS, leaving } = request;
  if (from === '') return 'new';
  if (leaving?.has(owner) === true) return 'drain';
  if (!present.has(from)) return 'death';
  if (settings.excluded.includes(from)) return 'excluded';
  const isHere = ({ from: first, to: last }: ShardRange): boolean =>
    slot < request.shardCount && first <= slot && slot <= last;
  if (settings.pins.some((pin) => pin.node === to && isHere(pin))) return 'pin';
  if (settings.avoided.some((rule) => rule.node === from && isHere(rule))) return 'avoid';
  return 'balance';
}

function listNodes(plan: Plan, moves: readonly PlannedMoves[], { request, active }: ReportRequest): PlannedNode[] {
  const before = countsOf(active);
  const after = countsOf(plan);
  const nodes = [...new Set([...before.keys(), ...after.keys()])].sort();
  const settings = request.settings ?? DEFAULT_SHARD_SETTINGS;
  const sum = (mine: readonly PlannedMoves[]): number => mine.reduce((total, { count }) => total + count, 0);
  return nodes.map((node) => {
    const traits: NodeTraits = request.traits?.get(node) ?? NO_TRAITS;
    return {
      node,
      weight: settings.nodeWeights.get(node) ?? traits.weight,
      zone: traits.zone,
      before: before.get(node)?.owned ?? 0,
      after: after.get(node)?.owned ?? 0,
      standbyBefore: before.get(node)?.standby ?? 0,
      standbyAfter: after.get(node)?.standby ?? 0,
      movesIn: sum(moves.filter((move) => move.to === node)),
      movesOut: sum(moves.filter((move) => move.from === node)),
    };
  });
}

function countsOf(map: Plan | undefined): Map<NodeId, { owned: number; standby: number }> {
  const counts = new Map<NodeId, { owned: number; standby: number }>();
  if (map === undefined) return counts;
  const owned = countLoads(map.ownerOf, map.owners.length);
  for (const [i, { node }] of map.owners.entries()) counts.set(node, { owned: owned[i] as number, standby: 0 });
  for (const column of map.standbys ?? []) {
    for (const place of column) {
      const count = counts.get(map.owners[place]?.node ?? ('' as NodeId));
      if (count !== undefined) count.standby += 1;
    }
  }
  return counts;
}

function standbyMoves(
  plan: Plan,
  { request, active }: ReportRequest,
): Pick<ShardPlanReport, 'standbysMoved' | 'standbysMovedForZones'> {
  let standbysMoved = 0;
  let standbysMovedForZones = 0;
  const places = placesBefore(active, request);
  const zoneOf = (node: NodeId | undefined): string =>
    node === undefined ? '' : (request.traits?.get(node)?.zone ?? '');
  for (let slot = 0; slot < places.length; slot++) {
    const at = places[slot] as number;
    const old = new Set((active?.standbys ?? []).map((column) => active?.owners[column[at] ?? NO_STANDBY]?.node));
    const owner = plan.owners[plan.ownerOf[slot] as number]?.node;
    const fresh = (plan.standbys ?? []).filter((column) => {
      const node = plan.owners[column[slot] as number]?.node;
      return node !== undefined && !old.has(node);
    }).length;
    standbysMoved += fresh;
    const hadClash = [...old].some((node) => node !== undefined && node !== owner && zoneOf(node) === zoneOf(owner));
    if (hadClash) standbysMovedForZones += fresh;
  }
  return { standbysMoved, standbysMovedForZones };
}

/**
 * The fewest moves that any plan within one shard of all shares needs: shards that cannot stay, and of each node what it has above the
 * most it may have, the odd shards counted where they save a move. With different costs it is a bound.
 */
function fewestMoves(plan: Plan, { request, active }: ReportRequest): number {
  const settings = request.settings ?? DEFAULT_SHARD_SETTINGS;
  const numberings = [{ base: 0, count: request.shardCount }];
  if (request.nextShardCount !== undefined)
    numberings.push({ base: request.shardCount, count: request.nextShardCount });
  const places = placesBefore(active, request);
  const seats = new Map(plan.owners.map(({ node }, i) => [node, i]));
  let fewest = 0;
  for (const { base, count } of numberings) {
    const stays = plan.owners.map((): number[] => []);
    const floors = plan.owners.map(() => 0);
    const rules = rulesOf(count, { seats, request, settings: base === 0 ? settings : DEFAULT_SHARD_SETTINGS });
    let total = 0;
    for (let shard = 0; shard < count; shard++) {
      const at = places[base + shard] as number;
      const cost = rules.costs[shard] as number;
      total += cost;
      const node = at < 0 ? undefined : active?.owners[active.ownerOf[at] as number]?.node;
      const seat = node === undefined ? -1 : (seats.get(node) ?? -1);
      const pin = rules.pinnedTo[shard] as number;
      if (pin >= 0) floors[pin] = (floors[pin] as number) + cost;
      if (pin >= 0 ? seat !== pin : seat < 0 || rules.isBarred(shard, seat)) fewest += 1;
      else if (pin < 0) (stays[seat] as number[]).push(cost);
    }
    fewest += aboveShare({ plan, request, settings, stays, floors, total });
  }
  return fewest;
}

/** What is said of single shards, as columns. */
function rulesOf(
  count: number,
  given: {
    readonly seats: ReadonlyMap<NodeId, number>;
    readonly request: PlanRequest;
    readonly settings: ShardSettings;
  },
): { costs: Uint32Array; pinnedTo: Int32Array; isBarred: (shard: number, seat: number) => boolean } {
  const { seats, request, settings } = given;
  const present = new Set(request.candidates.map(({ node }) => node));
  const costs = new Uint32Array(count).fill(1);
  for (const { from, to, cost } of settings.shardCosts) costs.fill(cost, from, to + 1);
  const pinnedTo = new Int32Array(count).fill(-1);
  for (const { from, to, node } of settings.pins)
    if (present.has(node)) pinnedTo.fill(seats.get(node) ?? -1, from, to + 1);
  const barred = new Map<number, ShardRange[]>();
  for (const rule of settings.avoided) {
    const seat = seats.get(rule.node) ?? -1;
    barred.set(seat, [...(barred.get(seat) ?? []), rule]);
  }
  const isBarred = (shard: number, seat: number): boolean =>
    (barred.get(seat) ?? []).some(({ from, to }) => from <= shard && shard <= to);
  return { costs, pinnedTo, isBarred };
}

function aboveShare(given: {
  readonly plan: Plan;
  readonly request: PlanRequest;
  readonly settings: ShardSettings;
  readonly stays: readonly (readonly number[])[];
  readonly floors: readonly number[];
  readonly total: number;
}): number {
  const { plan, request, settings, stays, floors, total } = given;
  const isWeighed = settings.shardCosts.length > 0;
  const keeps = plan.owners.map((owner) => !request.candidates.some(({ node }) => node === owner.node));
  const bounds = floors.map((floor, i) => (keeps[i] === true ? sum(stays[i] ?? []) + floor : floor));
  const weights = plan.owners.map(({ node }, i) =>
    keeps[i] === true ? 0 : (settings.nodeWeights.get(node) ?? request.traits?.get(node)?.weight ?? 1),
  );
  const shares = sharesOf({ weights, floors: bounds, total });
  let odd = total - shares.reduce((all, share) => all + Math.floor(share + 1e-9), 0);
  let above = 0;
  for (const [i, costs] of stays.entries()) {
    if (keeps[i] === true) continue;
    const share = shares[i] as number;
    let excess =
      sum(costs) + (floors[i] as number) - (isWeighed ? share + Math.max(1, ...costs) : Math.floor(share + 1e-9));
    const isOdd = !isWeighed && odd > 0 && excess >= 1 && share - Math.floor(share + 1e-9) > 1e-9;
    if (isOdd) odd -= 1;
    excess -= Number(isOdd);
    for (const cost of costs.toSorted((a, b) => b - a)) {
      if (excess <= 1e-9) break;
      excess -= cost;
      above += 1;
    }
  }
  return above;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function notesOn({ candidates, traits }: PlanRequest, settings: ShardSettings): string[] {
  const notes: string[] = [];
  const excluded = new Set(settings.excluded);
  const takers = candidates.filter(({ node }) => !excluded.has(node)).map(({ node }) => node);
  const zones = new Set(takers.map((node) => traits?.get(node)?.zone ?? ''));
  const copies = settings.replicas + 1;
  if (takers.length < copies)
    notes.push(`${copies} copies of each shard are wanted, and ${takers.length} nodes take shards`);
  else if (zones.size > 1 && zones.size < copies)
    notes.push(`${copies} copies of each shard share ${zones.size} zones: some are in one zone`);
  for (const node of new Set(settings.pins.map((pin) => pin.node))) {
    if (!takers.includes(node))
      notes.push(`shards are pinned to ${node}, which takes none now: they are spread as others`);
  }
  return notes;
}
