/** What is measured in a world of gossip, each against what theory says of it: see theory.ts and docs/gossip.md. */
import { strict as assert } from 'node:assert';
import type { SwimConfig } from '../../../src/swim/config.ts';
import { decodePacket } from '../../../src/wire/memberlist/packet.ts';
import { GossipCheckers, isAgreed } from './checkers.ts';
import type { GossipNode } from './node.ts';
import { GossipWorld, type WorldOptions } from './world.ts';

const SECOND = 1_000;
const HOUR = 3_600_000;
const FORM_LIMIT_MS = 300_000;
const SETTLE_LIMIT_MS = 600_000;
const SPREAD_LIMIT_MS = 300_000;
const VERDICT_LIMIT_MS = 300_000;

/** A world in which all see all and nothing is left to say, under the eyes of the checkers. */
export interface Formed {
  readonly world: GossipWorld;
  readonly checkers: GossipCheckers;
  /** From the last start until all saw all. */
  readonly formedMs: number;
}

export function form(count: number, options: WorldOptions): Formed {
  const world = new GossipWorld({ ...options, loss: 0 });
  const checkers = new GossipCheckers(world);
  world.grow(count);
  const formedMs = world.runUntil(() => isAllAlive(world), { limitMs: FORM_LIMIT_MS, everyMs: 50 });
  if (formedMs === undefined) throw new Error(`seed ${options.seed}: ${count} nodes did not form a cluster`);
  settle({ world, checkers });
  world.loss = options.loss ?? 0;
  return { world, checkers, formedMs };
}

/** Waits until all are alive in all eyes and nobody has news. */
export function settle({ world, checkers }: Pick<Formed, 'world' | 'checkers'>): number {
  const isQuiet = (): boolean => world.up.every(({ swim }) => swim.stats.broadcastsQueued === 0);
  const tookMs = world.runUntil(() => isQuiet() && isAllAlive(world), { limitMs: SETTLE_LIMIT_MS, everyMs: 500 });
  if (tookMs === undefined) throw new Error('gossip did not come to rest');
  checkers.atRest(world);
  assert.ok(isAgreed(world), 'all see exactly all');
  return tookMs;
}

export function isAllAlive(world: GossipWorld): boolean {
  const { up } = world;
  return up.every(({ swim }) => swim.stats.membersAlive === up.length);
}

export interface Spread {
  /** Of each other member, sorted: from the change until it knew. Those that missed it and had it by push/pull are in. */
  readonly times: readonly number[];
  readonly bytes: number;
}

/** One member changes its metadata; when does who know? */
export function measureSpread({ world }: Formed, index: number): Spread {
  const source = world.nodes[index % world.nodes.length] as GossipNode;
  const before = source.swim.self.meta[0] ?? 0;
  const since = world.now;
  const bytes = world.datagramBytes;
  const times: number[] = [];
  const end = world.watch(({ at, observer, event }) => {
    if (event.kind === 'memberUpdated' && event.member.name === source.name && observer !== source)
      times.push(at - since);
  });
  world.give(source, { kind: 'setMeta', meta: Uint8Array.of((before + 1) & 255) });
  const wanted = world.up.length - 1;
  const tookMs = world.runUntil(() => times.length >= wanted, { limitMs: SPREAD_LIMIT_MS, everyMs: 50 });
  end();
  if (tookMs === undefined) throw new Error(`only ${times.length} of ${wanted} heard of a change`);
  return { times, bytes: world.datagramBytes - bytes };
}

export interface Death {
  /** From the end of the process, of each step: the first ping that it could not answer, ... */
  readonly probedMs: number;
  readonly suspectedMs: number;
  /** ... the first verdict, and the last. */
  readonly firstMs: number;
  readonly allMs: number;
}

/** Kills a member at a random instant, waits for all verdicts, and lets it come back. */
export function measureDeath(formed: Formed, index: number): Death {
  const { world } = formed;
  const count = world.nodes.length;
  world.run(world.below(SECOND));
  const victim = world.nodes[1 + (index % (count - 1))] as GossipNode;
  const since = world.now;
  const seen = { probedMs: Number.NaN, suspectedMs: Number.NaN };
  const verdicts = new Map<string, number>();
  const ends = [
    world.sniff((_, to, bytes) => {
      if (!Number.isNaN(seen.probedMs) || to.host !== victim.endpoint.host) return;
      if (decodePacket(bytes).messages.some(({ kind }) => kind === 'ping')) seen.probedMs = world.now - since;
    }),
    world.watch(({ at, observer, event }) => {
      if (!('member' in event) || event.member.name !== victim.name) return;
      if (event.kind === 'memberSuspected' && Number.isNaN(seen.suspectedMs)) seen.suspectedMs = at - since;
      if (event.kind === 'memberLeft') verdicts.set(observer.name, at - since);
    }),
  ];
  world.kill(victim);
  const isNoticed = (): boolean => verdicts.size >= count - 1;
  const tookMs = world.runUntil(isNoticed, { limitMs: VERDICT_LIMIT_MS, everyMs: 50 });
  for (const end of ends) end();
  if (tookMs === undefined) throw new Error(`${verdicts.size} of ${count - 1} noticed the death of ${victim.name}`);
  const sorted = [...verdicts.values()].sort((a, b) => a - b);
  const { loss } = world;
  world.loss = 0;
  const number = Number(victim.name.slice(1));
  const again = world.start(number);
  world.join(again, world.up.find((node) => node !== again) as GossipNode);
  settle(formed);
  world.loss = loss;
  return { ...seen, firstMs: sorted[0] as number, allMs: sorted.at(-1) as number };
}

export interface FalseAlarms {
  readonly nodeHours: number;
  /** Different accusations: by subject and incarnation. */
  readonly suspicions: number;
  /** Live members that somebody declared dead: by subject and incarnation. */
  readonly deaths: number;
  readonly probes: number;
  readonly probesFailed: number;
  /** UDP payload and TCP content that a node sends per second. */
  readonly bytesPerSecond: number;
  readonly datagramsPerSecond: number;
}

/** Lets the cluster alone for a while, and counts who was wronged: anybody that runs, or those that `isHealthy`. */
export function measureAlarms({ world }: Formed, seconds: number, disturbance?: Disturbance): FalseAlarms {
  const suspicions = new Set<string>();
  const deaths = new Set<string>();
  const isWronged = (name: string): boolean =>
    disturbance?.isHealthy(name) ?? world.nodes.some((node) => node.name === name && node.isUp);
  const end = world.watch(({ event }) => {
    if (event.kind !== 'memberSuspected' && event.kind !== 'memberLeft') return;
    const { name, incarnation, state } = event.member;
    if (!isWronged(name)) return;
    if (event.kind === 'memberSuspected') suspicions.add(`${name} ${incarnation}`);
    else if (state === 'dead') deaths.add(`${name} ${incarnation}`);
  });
  const before = totals(world);
  const { datagrams } = world;
  const turnMs = disturbance?.turnMs ?? SECOND;
  for (let ms = 0; ms < seconds * SECOND; ms += turnMs) {
    disturbance?.disturb(ms);
    world.run(turnMs);
  }
  end();
  const after = totals(world);
  const nodeSeconds = seconds * world.up.length;
  return {
    nodeHours: (nodeSeconds * SECOND) / HOUR,
    suspicions: suspicions.size,
    deaths: deaths.size,
    probes: after.probes - before.probes,
    probesFailed: after.probesFailed - before.probesFailed,
    bytesPerSecond: (after.bytes - before.bytes) / nodeSeconds,
    datagramsPerSecond: (world.datagrams - datagrams) / nodeSeconds,
  };
}

export interface Disturbance {
  readonly turnMs: number;
  /** Called so often, with the time since the beginning. */
  disturb(ms: number): void;
  isHealthy(name: string): boolean;
}

function totals(world: GossipWorld): {
  readonly probes: number;
  readonly probesFailed: number;
  readonly bytes: number;
} {
  let probes = 0;
  let probesFailed = 0;
  let bytes = 0;
  for (const { swim } of world.up) {
    probes += swim.stats.probes;
    probesFailed += swim.stats.probesFailed;
    bytes += swim.stats.bytesSent;
  }
  return { probes, probesFailed, bytes };
}

/** Failure detectors to compare: with what Lifeguard adds to SWIM, and without. */
export const DETECTORS: Readonly<Record<'swim' | 'lifeguard', Partial<SwimConfig>>> = {
  // No local health, and a suspicion of fixed length, whoever confirms it.
  swim: { awarenessMaxMultiplier: 1, suspicionMaxTimeoutMult: 1 },
  lifeguard: {},
};

export interface Slowness {
  readonly count: number;
  /** How many members are clogged at a time, how long, and how long they are well in between. */
  readonly slow: number;
  readonly slowMs: number;
  readonly wellMs: number;
  readonly seconds: number;
  /** `paused`: the process stands still; `clogged`: only its network does. */
  readonly how: 'paused' | 'clogged';
}

/** Lifeguard §V: some members are slow again and again, all at the same time; how many healthy ones are wronged? */
export function measureSlowness(options: WorldOptions, slowness: Slowness): FalseAlarms {
  const formed = form(slowness.count, options);
  const { world } = formed;
  const slow = new Set(world.nodes.slice(0, slowness.slow));
  const period = slowness.slowMs + slowness.wellMs;
  let isSlow = false;
  const disturb = (ms: number): void => {
    const wanted = ms % period < slowness.slowMs;
    if (wanted === isSlow) return;
    isSlow = wanted;
    for (const node of slow) {
      if (slowness.how === 'paused') wanted ? world.pause(node) : world.resume(node);
      else wanted ? world.clog(node) : world.unclog(node);
    }
  };
  const names = new Set(Array.from(slow, ({ name }) => name));
  return measureAlarms(formed, slowness.seconds, { turnMs: 100, disturb, isHealthy: (name) => !names.has(name) });
}
