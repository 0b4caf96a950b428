/**
 * Hostile inputs from honest ones: plain damage to bytes, and damage that knows msgpack, where lengths, types, counts, keys and
 * nesting are (reliability.md 12). Everything from a seed.
 */
import { concatBytes } from '../../src/base/bytes.ts';
import { type Random, randomBelow } from '../../src/base/random.ts';

export type Mutator = (random: Random, seed: Uint8Array, other: Uint8Array) => Uint8Array;

/** Nothing grows beyond this, however often it is doubled. */
const BYTES_MAX = 8_192;
const NESTING_MOST = 200;

/** Integers at the edges of every width, signed and not, and of what a double holds exactly. */
const INTEGERS: readonly string[] = [
  '00',
  '7f',
  'e0',
  'ff',
  'cc80',
  'ccff',
  'cd0000',
  'cdffff',
  'ce00000000',
  'ceffffffff',
  'cefffffff0',
  'ce7fffffff',
  'cf0000000000000000',
  'cfffffffffffffffff',
  'cf001fffffffffffff',
  'cf0020000000000000',
  'cf7fffffffffffffff',
  'd080',
  'd18000',
  'd280000000',
  'd38000000000000000',
  'd3ffffffffffffffff',
  'ca7fc00000',
  'cb7ff8000000000000',
  'cbfff0000000000000',
  'cb43e0000000000000',
  'c0',
  'c2',
  'c3',
];
/** Headers that promise more than there is, of every kind with a length. */
const PROMISES: readonly string[] = [
  'da0000',
  'daffff',
  'db7fffffff',
  'dbffffffff',
  'd9ff',
  'c4ff',
  'c5ffff',
  'c6ffffffff',
  'dcffff',
  'ddffffffff',
  'dd7fffffff',
  'deffff',
  'dfffffffff',
  'df00000001',
  '9f',
  '8f',
  'bf',
  'c7ff00',
  'c8ffff00',
  'c9ffffffff00',
  'd400',
  'd800',
  'c1',
];
/** Keys that must be nothing special. */
const NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '',
  'Node',
  'SeqNo',
  '\u0000',
  'N'.repeat(300),
];

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const INTEGER_BYTES: readonly Uint8Array[] = INTEGERS.map(bytesOf);
const PROMISE_BYTES: readonly Uint8Array[] = PROMISES.map(bytesOf);
const NAME_BYTES: readonly Uint8Array[] = NAMES.map((name) => {
  const text = new TextEncoder().encode(name);
  return concatBytes([Uint8Array.of(0xda, text.length >> 8, text.length & 255), text]);
});
const BAD_TEXT: readonly Uint8Array[] = ['a2c328', 'a4f0288cbc', 'a3e28228', 'a1ff', 'a6eda080edb080'].map(bytesOf);

export function mutate(random: Random, seed: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes = seed;
  for (let times = 1 + randomBelow(random, 3); times > 0; times--) {
    const mutator = MUTATORS[randomBelow(random, MUTATORS.length)] as Mutator;
    bytes = mutator(random, bytes, other);
  }
  return bytes.length > BYTES_MAX ? bytes.slice(0, BYTES_MAX) : bytes;
}

function replace(bytes: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array {
  return concatBytes([bytes.subarray(0, from), by, bytes.subarray(to)]);
}

function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[randomBelow(random, values.length)] as T;
}

const flipBits: Mutator = (random, seed) => {
  const bytes = seed.slice();
  if (bytes.length === 0) return bytes;
  for (let i = randomBelow(random, 4); i >= 0; i--) {
    const at = randomBelow(random, bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << randomBelow(random, 8));
  }
  return bytes;
};

const setBytes: Mutator = (random, seed) => {
  const bytes = seed.slice();
  if (bytes.length === 0) return bytes;
  for (let i = randomBelow(random, 4); i >= 0; i--) bytes[randomBelow(random, bytes.length)] = randomBelow(random, 256);
  return bytes;
};

const cutOff: Mutator = (random, seed) => seed.slice(0, randomBelow(random, seed.length + 1));

const cutOut: Mutator = (random, seed) => {
  const from = randomBelow(random, seed.length + 1);
  return replace(seed, from, Math.min(seed.length, from + 1 + randomBelow(random, 16)), new Uint8Array());
};

const insertNoise: Mutator = (random, seed) => {
  const noise = Uint8Array.from({ length: 1 + randomBelow(random, 12) }, () => randomBelow(random, 256));
  const at = randomBelow(random, seed.length + 1);
  return replace(seed, at, at, noise);
};

const repeatPart: Mutator = (random, seed) => {
  const from = randomBelow(random, seed.length + 1);
  const to = Math.min(seed.length, from + 1 + randomBelow(random, 64));
  return replace(seed, to, to, seed.slice(from, to));
};

const splice: Mutator = (random, seed, other) => {
  const head = seed.subarray(0, randomBelow(random, seed.length + 1));
  return concatBytes([head, other.subarray(randomBelow(random, other.length + 1))]);
};

/** A big-endian integer of 1, 2, 4 or 8 bytes at an edge, wherever: lengths of compounds, of streams, of sealed messages. */
const overwriteNumber: Mutator = (random, seed) => {
  const width = oneOf(random, [1, 2, 4, 8]);
  const bytes = seed.slice();
  if (bytes.length < width) return bytes;
  const at = randomBelow(random, bytes.length - width + 1);
  const fill = oneOf(random, [0x00, 0xff, 0x7f, 0x80]);
  bytes.fill(fill === 0x7f || fill === 0x80 ? (fill === 0x7f ? 0xff : 0x00) : fill, at, at + width);
  if (fill === 0x7f || fill === 0x80) bytes[at] = fill;
  return bytes;
};

const swapType: Mutator = (random, seed) => {
  const bytes = seed.slice();
  if (bytes.length > 0) bytes[0] = randomBelow(random, 16);
  return bytes;
};

/** One msgpack item: where it stands, and whether a map or array begins there. */
interface Item {
  readonly at: number;
  readonly end: number;
  readonly isMap: boolean;
  readonly isText: boolean;
}

/** Items from `start` on, those inside of others too; stops where the bytes are no msgpack any more. */
function itemsOf(bytes: Uint8Array, start: number): Item[] {
  const items: Item[] = [];
  for (let at = start; at < bytes.length && items.length < 512; ) {
    const size = headerSize(bytes, at);
    if (size === undefined) break;
    const tag = bytes[at] as number;
    const isMap = (tag >= 0x80 && tag <= 0x8f) || tag === 0xde || tag === 0xdf;
    const isText = (tag >= 0xa0 && tag <= 0xbf) || tag === 0xd9 || tag === 0xda || tag === 0xdb;
    items.push({ at, end: at + size, isMap, isText });
    at += size;
  }
  return items;
}

/** Sizes of items by their first byte, where that alone says it. */
const FIXED_SIZES: ReadonlyMap<number, number> = new Map([
  [0xc0, 1],
  [0xc2, 1],
  [0xc3, 1],
  [0xca, 5],
  [0xcb, 9],
  [0xcc, 2],
  [0xcd, 3],
  [0xce, 5],
  [0xcf, 9],
  [0xd0, 2],
  [0xd1, 3],
  [0xd2, 5],
  [0xd3, 9],
  [0xdc, 3],
  [0xdd, 5],
  [0xde, 3],
  [0xdf, 5],
]);

/** Of a container only its header, of everything else the whole of it. */
function headerSize(bytes: Uint8Array, at: number): number | undefined {
  const tag = bytes[at] as number;
  if (tag <= 0x7f || tag >= 0xe0 || (tag >= 0x80 && tag <= 0x9f)) return 1;
  if (tag <= 0xbf) return 1 + (tag & 31);
  const fixed = FIXED_SIZES.get(tag);
  if (fixed !== undefined) return fixed;
  const [one = 0, two = 0] = [bytes[at + 1], bytes[at + 2]];
  if (tag === 0xd9 || tag === 0xc4) return 2 + one;
  if (tag === 0xda || tag === 0xc5) return 3 + one * 256 + two;
  return undefined;
}

function pickItem(random: Random, bytes: Uint8Array, isWanted: (item: Item) => boolean = () => true): Item | undefined {
  // Messages bear a type byte in front; some have none, and compounds have many.
  const items = itemsOf(
    bytes,
    randomBelow(random, 4) === 0 ? randomBelow(random, Math.max(1, bytes.length)) : 1,
  ).filter(isWanted);
  return items.length === 0 ? undefined : oneOf(random, items);
}

/** Puts one of `values` in the place of one item. */
function itemBy(values: readonly Uint8Array[], isWanted?: (item: Item) => boolean): Mutator {
  return (random, seed) => {
    const item = pickItem(random, seed, isWanted);
    return item === undefined ? seed : replace(seed, item.at, item.end, oneOf(random, values));
  };
}

/** A map entry twice, with the count raised, or not. */
const repeatEntry: Mutator = (random, seed) => {
  const items = itemsOf(seed, 1);
  const map = items.findIndex((item) => item.isMap);
  const key = map + 1 + 2 * randomBelow(random, Math.max(1, (items.length - map) >> 1));
  const [from, to] = [items[key], items[key + 1]];
  if (map < 0 || from === undefined || to === undefined) return seed;
  const doubled = replace(seed, to.end, to.end, seed.slice(from.at, to.end));
  const at = (items[map] as Item).at;
  const tag = doubled[at] as number;
  if (tag >= 0x80 && tag < 0x8f && randomBelow(random, 4) > 0) doubled[at] = tag + 1;
  return doubled;
};

/** Wraps an item in arrays or maps, many deep. */
const nest: Mutator = (random, seed) => {
  const item = pickItem(random, seed);
  if (item === undefined) return seed;
  const depth = 1 + randomBelow(random, NESTING_MOST);
  const layer = oneOf(random, [Uint8Array.of(0x91), Uint8Array.of(0x81, 0xa1, 0x61), Uint8Array.of(0x81, 0xc0)]);
  return replace(seed, item.at, item.at, concatBytes(Array.from({ length: depth }, () => layer)));
};

const changeCount: Mutator = (random, seed) => {
  const item = pickItem(random, seed);
  if (item === undefined) return seed;
  const bytes = seed.slice();
  bytes[item.at] = ((bytes[item.at] as number) & 0xf0) | randomBelow(random, 16);
  return bytes;
};

const dropItem: Mutator = (random, seed) => {
  const item = pickItem(random, seed);
  return item === undefined ? seed : replace(seed, item.at, item.end, new Uint8Array());
};

const MUTATORS: readonly Mutator[] = [
  flipBits,
  setBytes,
  cutOff,
  cutOut,
  insertNoise,
  repeatPart,
  splice,
  overwriteNumber,
  swapType,
  itemBy(INTEGER_BYTES),
  itemBy(PROMISE_BYTES),
  itemBy(NAME_BYTES, (item) => item.isText),
  itemBy(BAD_TEXT, (item) => item.isText),
  repeatEntry,
  nest,
  changeCount,
  dropItem,
];
