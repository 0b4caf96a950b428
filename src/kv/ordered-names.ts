/**
 * Names in order, for ranges: blocks of a few hundred, each sorted, one after the other. Finding is two binary searches, and a new name
 * moves at most one block.
 */

/** A block that grows beyond it is cut in two. */
const BLOCK_MAX = 512;

export class OrderedNames {
  readonly #blocks: string[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The name must not be there yet. */
  insert(name: string): void {
    this.#size += 1;
    const last = this.#blocks.length - 1;
    if (last < 0) {
      this.#blocks.push([name]);
      return;
    }
    const at = Math.min(this.#blockOf(name), last);
    const block = this.#blocks[at] as string[];
    block.splice(lowerBound(block, name), 0, name);
    if (block.length > BLOCK_MAX) this.#blocks.splice(at + 1, 0, block.splice(BLOCK_MAX / 2));
  }

  /** The name must be there. */
  remove(name: string): void {
    this.#size -= 1;
    const at = this.#blockOf(name);
    const block = this.#blocks[at] as string[];
    block.splice(lowerBound(block, name), 1);
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  /** Names in [`from`, `end`), the first `limit` of them; without an end to the last. */
  list(from: string, end: string | undefined, limit: number = Number.POSITIVE_INFINITY): string[] {
    const found: string[] = [];
    for (let at = this.#blockOf(from); at < this.#blocks.length; at++) {
      const block = this.#blocks[at] as string[];
      for (let i = found.length === 0 ? lowerBound(block, from) : 0; i < block.length; i++) {
        const name = block[i] as string;
        if (found.length >= limit || (end !== undefined && name >= end)) return found;
        found.push(name);
      }
    }
    return found;
  }

  /** How many are in [`from`, `end`). */
  count(from: string, end: string | undefined): number {
    if (end !== undefined && end <= from) return 0;
    return (end === undefined ? this.#size : this.#countBelow(end)) - this.#countBelow(from);
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    for (const block of this.#blocks) yield* block;
  }

  #countBelow(name: string): number {
    const at = this.#blockOf(name);
    let count = 0;
    for (let i = 0; i < at; i++) count += (this.#blocks[i] as string[]).length;
    const block = this.#blocks[at];
    return block === undefined ? count : count + lowerBound(block, name);
  }

  /** The first block whose last name is not below `name`: the one that holds it, or would. */
  #blockOf(name: string): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle] as string[];
      if ((block[block.length - 1] as string) < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Where the first name stands that is not below `name`. */
function lowerBound(block: readonly string[], name: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
