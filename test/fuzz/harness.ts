/**
 * One decoder under hostile inputs: nothing but values comes out of its door, in bounded time and bounded memory
 * (reliability.md 12). What it answers is weighed, since a decoder that builds more than its input allows works more, too.
 */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Random, randomBelow, SeededRandom } from '../../src/base/random.ts';
import { mutate } from './mutate.ts';

export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  /** Decodes; what is accepted comes back, `REFUSED` for what the decoder turned down by its own rules. */
  decode(bytes: Uint8Array, random: Random): unknown;
  /** Puts layers around what was mutated, so that it comes through checksums and keys. */
  readonly wrap?: (mutated: Uint8Array, random: Random) => Uint8Array;
  /** What its answer may weigh; by default {@link weightAllowed}. */
  readonly weightMax?: (input: Uint8Array) => number;
}

export const REFUSED: unique symbol = Symbol('refused');

export interface FuzzResult {
  readonly name: string;
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: number;
  /** Largest weight of an answer in relation to what its input allows. */
  readonly heaviest: number;
  readonly slowestMs: number;
  readonly heapGrowthBytes: number;
}

/** Each input takes microseconds; a collection of garbage or a busy machine may hit any one of them, but not three times. */
const INPUT_MS_MAX = 50;
const TRIES = 3;
/** After a full collection: what a decoder keeps of a million inputs is a leak; caches and compiled code are less. */
const HEAP_GROWTH_BYTES_MAX = 24 * 1_024 * 1_024;
/** A value that no honest decoder needs is not weighed to its end. */
const WEIGHT_PARTS_MAX = 2_000_000;

/** Four times the input and 64 KiB: what a decoder may hold at most. */
export function weightAllowed(input: Uint8Array): number {
  return 4 * input.length + 65_536;
}

export function fuzz(target: FuzzTarget, inputs: number, seed: number): FuzzResult {
  const random = new SeededRandom(seed);
  const collect = garbageCollector();
  assert.ok(target.seeds.length > 0, `${target.name} has seeds`);
  const counts = { accepted: 0, refused: 0 };
  let heaviest = 0;
  let slowestMs = 0;
  let heapBefore = 0;
  for (let i = 0; i < inputs; i++) {
    // Warm: code is compiled and caches are filled.
    if (i === Math.min(2_000, inputs >> 1)) heapBefore = heapAfter(collect);
    const input = drawInput(target, random, i);
    const copy = input.slice();
    const startedAt = performance.now();
    const answer = decodeOrFail(target, input, random);
    let tookMs = performance.now() - startedAt;
    for (let again = 1; again < TRIES && tookMs > INPUT_MS_MAX; again++) {
      // By the processor's clock now: others may have had their turn meanwhile.
      const from = process.cpuUsage();
      decodeOrFail(target, copy.slice(), random);
      const { user, system } = process.cpuUsage(from);
      tookMs = Math.min(tookMs, (user + system) / 1_000);
    }
    assert.ok(tookMs <= INPUT_MS_MAX, `${target.name}: ${tookMs.toFixed(0)} ms for ${hexOf(copy)}`);
    slowestMs = Math.max(slowestMs, tookMs);
    assert.deepEqual(input, copy, `${target.name} changes its input`);
    if (answer === REFUSED) {
      counts.refused += 1;
      continue;
    }
    counts.accepted += 1;
    const allowed = target.weightMax?.(input) ?? weightAllowed(input);
    const weight = weigh(answer, input.buffer) / allowed;
    heaviest = Math.max(heaviest, weight);
    assert.ok(
      weight <= 1,
      `${target.name}: an answer of ${weight.toFixed(1)} times what is allowed for ${hexOf(copy)}`,
    );
  }
  const heapGrowthBytes = heapAfter(collect) - heapBefore;
  assert.ok(heapGrowthBytes < HEAP_GROWTH_BYTES_MAX, `${target.name}: the heap has grown by ${heapGrowthBytes} bytes`);
  assert.deepEqual(Object.keys(Object.prototype), [], `${target.name} left the prototype of all objects alone`);
  return { name: target.name, inputs, ...counts, heaviest, slowestMs, heapGrowthBytes };
}

function drawInput(target: FuzzTarget, random: Random, i: number): Uint8Array {
  const pick = (): Uint8Array => target.seeds[randomBelow(random, target.seeds.length)] as Uint8Array;
  // The seeds themselves first: they show that the harness reaches what it means to test.
  const inner = i < target.seeds.length ? (target.seeds[i] as Uint8Array) : mutate(random, pick(), pick());
  return target.wrap === undefined ? inner.slice() : target.wrap(inner, random);
}

function decodeOrFail(target: FuzzTarget, input: Uint8Array, random: Random): unknown {
  try {
    return target.decode(input, random);
  } catch (error) {
    throw new Error(`${target.name} threw for ${hexOf(input)}`, { cause: error });
  }
}

/** Bytes that an answer holds beyond its input: copied bytes, text, and eight for each field, entry or element. */
export function weigh(value: unknown, input: ArrayBufferLike): number {
  let weight = 0;
  const buffers = new Set<ArrayBufferLike>([input]);
  const open: unknown[] = [value];
  for (let parts = 0; open.length > 0; parts++) {
    if (parts > WEIGHT_PARTS_MAX) return Number.POSITIVE_INFINITY;
    const part = open.pop();
    weight += 8;
    if (typeof part === 'string') weight += part.length;
    if (typeof part !== 'object' || part === null) continue;
    if (ArrayBuffer.isView(part)) {
      if (!buffers.has(part.buffer)) weight += part.byteLength;
      buffers.add(part.buffer);
    } else if (part instanceof Map) for (const entry of part) open.push(entry[0], entry[1]);
    else open.push(...Object.values(part));
  }
  return weight;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function heapAfter(collect: () => void): number {
  collect();
  return process.memoryUsage().heapUsed;
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** The results as rows of words, widths aligned. */
export function tableOf(results: readonly FuzzResult[]): string[] {
  const rows = [['decoder', 'inputs', 'accepted', 'refused', 'slowest ms', 'heaviest', 'heap KiB']];
  for (const result of results) {
    const { name, inputs, accepted, refused, slowestMs, heaviest, heapGrowthBytes } = result;
    const numbers = [inputs, accepted, refused].map(String);
    rows.push([
      name,
      ...numbers,
      slowestMs.toFixed(1),
      `${(heaviest * 100).toFixed(0)} %`,
      (heapGrowthBytes / 1_024).toFixed(0),
    ]);
  }
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  return rows.map((row) =>
    row.map((word, i) => (i === 0 ? word.padEnd(widths[i] as number) : word.padStart(widths[i] as number))).join('  '),
  );
}
