/** A binary heap of (deadline, key): what a core wants to be woken for. Setting a key again replaces its deadline. */
import { present } from './assert.ts';

interface Slot<Key> {
  at: number;
  order: number;
  readonly key: Key;
}

export class DeadlineHeap<Key> {
  readonly #heap: Slot<Key>[] = [];
  readonly #position: Map<Key, number> = new Map();
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline; Infinity when there is none. */
  next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  has(key: Key): boolean {
    return this.#position.has(key);
  }

  deadlineOf(key: Key): number | undefined {
    const position = this.#position.get(key);
    return position === undefined ? undefined : this.#heap[position]?.at;
  }

  set(key: Key, at: number): void {
    const position = this.#position.get(key);
    this.#order += 1;
    if (position === undefined) {
      this.#heap.push({ at, order: this.#order, key });
      this.#position.set(key, this.#heap.length - 1);
      this.#up(this.#heap.length - 1);
      return;
    }
    const slot = this.#slot(position);
    slot.at = at;
    slot.order = this.#order;
    this.#up(position);
    this.#down(present(this.#position.get(key), 'a heap key keeps its position'));
  }

  delete(key: Key): boolean {
    const position = this.#position.get(key);
    if (position === undefined) return false;
    const last = this.#heap.length - 1;
    this.#swap(position, last);
    this.#heap.pop();
    this.#position.delete(key);
    if (position < last) {
      const moved = this.#slot(position).key;
      this.#up(position);
      this.#down(present(this.#position.get(moved), 'a heap key keeps its position'));
    }
    return true;
  }

  /** Removes and returns the key that is due at `now`, the earliest first; undefined when none is. */
  popDue(now: number): Key | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.delete(first.key);
    return first.key;
  }

  clear(): void {
    this.#heap.length = 0;
    this.#position.clear();
  }

  #slot(position: number): Slot<Key> {
    return present(this.#heap[position], 'a heap position is inside the heap');
  }

  #before(a: Slot<Key>, b: Slot<Key>): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #swap(i: number, j: number): void {
    const a = this.#slot(i);
    const b = this.#slot(j);
    this.#heap[i] = b;
    this.#heap[j] = a;
    this.#position.set(b.key, i);
    this.#position.set(a.key, j);
  }

  #up(from: number): void {
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!this.#before(this.#slot(position), this.#slot(parent))) return;
      this.#swap(position, parent);
      position = parent;
    }
  }

  #down(from: number): void {
    let position = from;
    for (;;) {
      const left = position * 2 + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const smaller = right < this.#heap.length && this.#before(this.#slot(right), this.#slot(left)) ? right : left;
      if (!this.#before(this.#slot(smaller), this.#slot(position))) return;
      this.#swap(position, smaller);
      position = smaller;
    }
  }
}
