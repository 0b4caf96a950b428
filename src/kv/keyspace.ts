/**
 * The keys, their values and their revisions, as they are now. Revisions are etcd's: the store's rises by one with every write that
 * changes something, a transaction is one write, and each key knows in which it was made and last changed, and how often it was written.
 */
import { binaryText, EMPTY_BYTES } from '../base/bytes.ts';
import { crc32c } from '../base/crc32c.ts';
import type { KeyRange, KeyValue, RangeQuery, Revision } from '../model/kv.ts';
import type { KvResult } from './messages.ts';
import { OrderedNames } from './ordered-names.ts';

/** Of the store before the first write: etcd's is 1. */
export const FIRST_REVISION = 1;
/** What a key weighs beside its bytes, so that many small ones are bounded as well. */
const KEY_OVERHEAD_BYTES = 64;

interface Item {
  readonly kv: KeyValue;
  readonly hash: number;
}

export class Keyspace {
  #revision: Revision;
  readonly #items: Map<string, Item> = new Map();
  readonly #names: OrderedNames = new OrderedNames();
  #bytes = 0;
  /** Of the hashes of all items: it follows every write, and does not grow with what is stored. */
  #sum = 0;

  /** Keys and values are copied: what comes is part of something larger. Of keys that come twice the first counts. */
  constructor(revision: Revision = FIRST_REVISION, kvs: readonly KeyValue[] = []) {
    this.#revision = revision;
    for (const kv of kvs) {
      const name = binaryText(kv.key);
      if (this.#items.has(name)) continue;
      this.#names.insert(name);
      this.#hold(name, { ...kv, key: kv.key.slice(), value: kv.value.slice() });
    }
  }

  get revision(): Revision {
    return this.#revision;
  }

  get size(): number {
    return this.#items.size;
  }

  /** Keys, values, and {@link KEY_OVERHEAD_BYTES} for each. */
  get bytes(): number {
    return this.#bytes;
  }

  get sum(): number {
    return this.#sum;
  }

  /** How `bytes` would change. */
  growthBy(key: Uint8Array, value: Uint8Array): number {
    const held = this.#items.get(binaryText(key))?.kv;
    return held === undefined ? weightOf(key, value) : value.length - held.value.length;
  }

  get(key: Uint8Array): KeyValue | undefined {
    return this.#items.get(binaryText(key))?.kv;
  }

  /** Under `revision`; the caller raises the store's. Bytes are copied: what came is part of something larger. */
  put(key: Uint8Array, value: Uint8Array, revision: Revision): KeyValue | undefined {
    const name = binaryText(key);
    const held = this.#items.get(name);
    const prev = held?.kv;
    const kv: KeyValue = {
      key: prev?.key ?? key.slice(),
      value: value.slice(),
      createRevision: prev?.createRevision ?? revision,
      modRevision: revision,
      version: (prev?.version ?? 0) + 1,
    };
    if (held === undefined) this.#names.insert(name);
    else this.#forget(held);
    this.#hold(name, kv);
    return prev;
  }

  /** Everything in the range, as it was. */
  delete(range: KeyRange): KeyValue[] {
    const removed: KeyValue[] = [];
    for (const name of this.#namesIn(range)) {
      const item = this.#items.get(name) as Item;
      this.#forget(item);
      this.#items.delete(name);
      this.#names.remove(name);
      removed.push(item.kv);
    }
    return removed;
  }

  /** A write has happened. */
  advanceTo(revision: Revision): void {
    this.#revision = revision;
  }

  range(query: RangeQuery): Extract<KvResult, { kind: 'range' }> {
    const { key, rangeEnd, limit, keysOnly, countOnly } = query;
    if (rangeEnd.length === 0) return rangeOf(this.get(key), query);
    const from = binaryText(key);
    const end = isWithoutEnd(rangeEnd) ? undefined : binaryText(rangeEnd);
    const count = this.#names.count(from, end);
    if (countOnly) return { kind: 'range', kvs: [], more: false, count };
    const kvs = this.#names
      .list(from, end, limit === 0 ? undefined : limit)
      .map((name) => shown((this.#items.get(name) as Item).kv, keysOnly));
    return { kind: 'range', kvs, more: kvs.length < count, count };
  }

  /** In the order of the keys. */
  *all(): Generator<KeyValue, void, undefined> {
    for (const name of this.#names) yield (this.#items.get(name) as Item).kv;
  }

  #hold(name: string, kv: KeyValue): void {
    const hash = hashOf(kv);
    this.#items.set(name, { kv, hash });
    this.#bytes += weightOf(kv.key, kv.value);
    this.#sum = (this.#sum + hash) >>> 0;
  }

  #forget({ kv, hash }: Item): void {
    this.#bytes -= weightOf(kv.key, kv.value);
    this.#sum = (this.#sum - hash) >>> 0;
  }

  #namesIn({ key, rangeEnd }: KeyRange): string[] {
    const from = binaryText(key);
    if (rangeEnd.length === 0) return this.#items.has(from) ? [from] : [];
    return this.#names.list(from, isWithoutEnd(rangeEnd) ? undefined : binaryText(rangeEnd));
  }
}

function rangeOf(kv: KeyValue | undefined, query: RangeQuery): Extract<KvResult, { kind: 'range' }> {
  const count = kv === undefined ? 0 : 1;
  const kvs = kv === undefined || query.countOnly ? [] : [shown(kv, query.keysOnly)];
  return { kind: 'range', kvs, more: false, count };
}

function shown(kv: KeyValue, keysOnly: boolean): KeyValue {
  return keysOnly ? { ...kv, value: EMPTY_BYTES } : kv;
}

function isWithoutEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

function weightOf(key: Uint8Array, value: Uint8Array): number {
  return key.length + value.length + KEY_OVERHEAD_BYTES;
}

function hashOf({ key, value, createRevision, modRevision, version }: KeyValue): number {
  const seed = Math.imul(modRevision >>> 0, 0x9e3779b1) ^ Math.imul(createRevision >>> 0, 0x85ebca6b) ^ version;
  return crc32c(value, crc32c(key, seed >>> 0));
}
