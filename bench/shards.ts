/**
 * The shard map: plan, encode, decode, look up; and the shard functions: beside clusterfunk's figures for the same (its own Go benchmarks on a machine with two
 * cores, medians; ratios on another machine say little). `node dist/bench/shards.js`.
 */
import { SeededRandom, randomBelow } from '../src/base/random.ts';
import type { Boot, LogIndex, NodeId, Term } from '../src/model/ids.ts';
import {
  fastShardOfBytes,
  fastShardOfInteger,
  fastShardOfString,
  shardOfBytes,
  shardOfInteger,
  shardOfString,
} from '../src/model/shard-functions.ts';
import { DEFAULT_SHARD_SETTINGS } from '../src/model/shard-settings.ts';
import { countLoads, type Plan, planShards } from '../src/sharding/sharding.ts';
import { decodeShardCommand, encodeShardCommand, type ShardPropose } from '../src/wire/sharding/map-entry.ts';
import { decodeMapImage, encodeMapImage } from '../src/wire/sharding/map-image.ts';

type Candidate = { readonly node: NodeId; readonly boot: Boot };

interface Row {
  readonly what: string;
  readonly ours: string;
  readonly clusterfunk: string;
  readonly ratio: string;
}

/** Nanoseconds, by shard count; undefined where clusterfunk has no figure. */
const CLUSTERFUNK: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  1000: { outAndIn: 30_000, encode: 112_000, decode: 237_000, lookup: 25.5 },
  10000: { outAndIn: 26_600, fromEmpty: 6_800_000, encode: 910_000, decode: 1_520_000, lookup: 12.4, bytes: 70_268 },
};
const SAMPLES = 400;
const SAMPLE_MS = 1;
const NO_PINS: ReadonlySet<number> = new Set();

for (const [shardCount, nodes] of [
  [1_000, 9],
  [10_000, 50],
] as const) {
  print(`\n${shardCount} shards, ${nodes} nodes, a map worn by 200 departures and returns`);
  printTable(measure(shardCount, nodes));
}

print('\nshard functions, 10,000 shards, one key after another of 1,000');
printTable(measureFunctions());

function measureFunctions(): Row[] {
  const texts = Array.from({ length: 1_000 }, (_, i) => (0x1234_5678_9abc + i * 7_919).toString(16).padStart(16, '0'));
  const bytes = texts.map((text) => new TextEncoder().encode(text));
  const small = texts.map((_, i) => i * 4_000_037);
  const large = texts.map((_, i) => 4_294_967_296 + i * 7_919);
  let sink = 0;
  const timed = (what: string, theirs: number | undefined, run: () => void): Row =>
    row(what, fastestNs(run) / texts.length, theirs, duration);
  // A loop of its own for each: a shared one would call through a pointer, and that is what it would measure.
  const rows = [
    timed('integer up to 2^32', 8.4, () => {
      for (const key of small) sink += shardOfInteger(key, 10_000);
    }),
    timed('integer beyond', undefined, () => {
      for (const key of large) sink += shardOfInteger(key, 10_000);
    }),
    timed('string of 16 bytes', 47, () => {
      for (const key of texts) sink += shardOfString(key, 10_000);
    }),
    timed('16 bytes', undefined, () => {
      for (const key of bytes) sink += shardOfBytes(key, 10_000);
    }),
    timed('fast: integer', undefined, () => {
      for (const key of large) sink += fastShardOfInteger(key, 10_000);
    }),
    timed('fast: string of 16 bytes', undefined, () => {
      for (const key of texts) sink += fastShardOfString(key, 10_000);
    }),
    timed('fast: 16 bytes', undefined, () => {
      for (const key of bytes) sink += fastShardOfBytes(key, 10_000);
    }),
  ];
  if (sink === 0) print('');
  return rows;
}

function measure(shardCount: number, nodeCount: number): Row[] {
  const all = candidates(nodeCount);
  const others = all.slice(1);
  const worn = wear(shardCount, all);
  const loads = countLoads(worn.ownerOf, worn.owners.length);
  const without = plan(shardCount, others, worn, loads);
  const loadsWithout = countLoads(without.ownerOf, without.owners.length);
  const proposal = proposalOf(worn);
  const bytes = encodeShardCommand(proposal);
  const epochs = Float64Array.from(worn.ownerOf, (_, i) => 1_000 + (i % 200));
  const active = { ...proposal, version: 7 as LogIndex, committedAt: 8 as LogIndex, epochs };
  const rest = { settings: DEFAULT_SHARD_SETTINGS, logTimeMs: 0, resting: new Map<number, number>() };
  const image = encodeMapImage({ active, pending: undefined, lastWorkerId: 99, ...rest });
  const theirs = CLUSTERFUNK[shardCount] ?? {};
  let sink = 0;
  const timed = (what: string, key: string, run: () => void, per = 1): Row => {
    const ns = fastestNs(run) / per;
    return row(what, ns, theirs[key], duration);
  };
  const rows = [
    timed('plan: one node out and in again', 'outAndIn', () => {
      sink += plan(shardCount, others, worn, loads).ownerOf.length;
      sink += plan(shardCount, all, without, loadsWithout).ownerOf.length;
    }),
    timed('count the loads, once for each map', '', () => {
      sink += countLoads(worn.ownerOf, worn.owners.length).length;
    }),
    timed('plan: from empty to all', 'fromEmpty', () => {
      sink += plan(shardCount, all).ownerOf.length;
    }),
    timed('proposal: encode', 'encode', () => {
      sink += encodeShardCommand(proposal).length;
    }),
    timed('proposal: decode and check', 'decode', () => {
      sink += isDecoded(decodeShardCommand(bytes));
    }),
    row('proposal: bytes', bytes.length, theirs['bytes'], (value) => `${value} B`),
    timed('image with epochs: encode', '', () => {
      sink += encodeMapImage({ active, pending: undefined, lastWorkerId: 99, ...rest }).length;
    }),
    timed('image with epochs: decode', '', () => {
      sink += isDecoded(decodeMapImage(image));
    }),
    timed(
      'lookup: owner and epoch of a shard',
      'lookup',
      () => {
        for (let i = 0; i < 10_000; i++) {
          const shard = (i * 7_919) % shardCount;
          const owner = active.owners[active.ownerOf[shard] as number];
          sink += (owner?.workerId ?? 0) + (active.epochs[shard] as number);
        }
      },
      10_000,
    ),
  ];
  if (sink === 0) print('');
  return rows;
}

function candidates(count: number): Candidate[] {
  return Array.from({ length: count }, (_, i) => {
    const id = (0x1234_5678_9abc + i * 0x1_0000_0001).toString(16).padStart(16, '0');
    return { node: id as NodeId, boot: (4_503_599_627_370_496 + i * 65_537) as Boot };
  });
}

function plan(shardCount: number, of: readonly Candidate[], previous?: Plan, loads?: Uint32Array): Plan {
  const made = planShards({
    shardCount,
    previous,
    ...(loads === undefined ? {} : { loads }),
    pinned: NO_PINS,
    candidates: of,
    promised: [],
    lastWorkerId: 100,
  });
  if (made === undefined) throw new Error('there is always somebody in this bench');
  return made;
}

/** Even maps compress well; those of a cluster with a past do not. */
function wear(shardCount: number, all: readonly Candidate[]): Plan {
  const random = new SeededRandom(1);
  let map = plan(shardCount, all);
  for (let i = 0; i < 200; i++) {
    const gone = randomBelow(random, all.length);
    map = plan(
      shardCount,
      all.filter((_, at) => at !== gone),
      map,
    );
    map = plan(shardCount, all, map);
  }
  return map;
}

function proposalOf(map: Plan): ShardPropose {
  return { kind: 'shardPropose', term: 12 as Term, shardCount: map.ownerOf.length, ...map };
}

function isDecoded(value: object): number {
  if (value instanceof Error) throw value;
  return 1;
}

/** What one run takes in the fastest of many short samples: on a machine that does other things too, the others measure those. */
function fastestNs(run: () => void): number {
  let fastest = Number.POSITIVE_INFINITY;
  let runs = 1;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const start = performance.now();
    for (let i = 0; i < runs; i++) run();
    const tookMs = performance.now() - start;
    if (sample > SAMPLES / 4) fastest = Math.min(fastest, (tookMs * 1e6) / runs);
    else runs = Math.max(1, Math.ceil((runs * SAMPLE_MS) / Math.max(tookMs, SAMPLE_MS / 10)));
  }
  return fastest;
}

function row(what: string, ours: number, theirs: number | undefined, format: (value: number) => string): Row {
  const isKnown = theirs !== undefined;
  const ratio = isKnown ? (ours / theirs).toFixed(2) : '';
  return { what, ours: format(ours), clusterfunk: isKnown ? format(theirs) : '', ratio };
}

function duration(ns: number): string {
  if (ns < 1_000) return `${ns.toFixed(1)} ns`;
  return ns < 1e6 ? `${(ns / 1_000).toFixed(1)} us` : `${(ns / 1e6).toFixed(2)} ms`;
}

function printTable(rows: readonly Row[]): void {
  const head: Row = { what: '', ours: 'funknode', clusterfunk: 'clusterfunk', ratio: 'ratio' };
  for (const { what, ours, clusterfunk, ratio } of [head, ...rows]) {
    print(`${what.padEnd(36)} ${ours.padStart(12)} ${clusterfunk.padStart(12)} ${ratio.padStart(7)}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
