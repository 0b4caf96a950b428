/** What happens next: a binary heap by instant. Equal instants are taken in an order that the seed decides. */

interface Scheduled {
  readonly at: number;
  readonly tiebreak: number;
  readonly act: () => void;
}

export class EventQueue {
  readonly #heap: Scheduled[] = [];
  readonly #drawTiebreak: () => number;

  constructor(drawTiebreak: () => number) {
    this.#drawTiebreak = drawTiebreak;
  }

  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, act: () => void): void {
    const heap = this.#heap;
    const item = { at, tiebreak: this.#drawTiebreak(), act };
    let i = heap.length;
    heap.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Scheduled;
      if (!isBefore(item, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = item;
  }

  pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right] as Scheduled, heap[left] as Scheduled) ? right : left;
      const below = heap[child] as Scheduled;
      if (!isBefore(below, last)) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.tiebreak < b.tiebreak);
}
