/** Counts by names that come from outside: once there are too many of them, new ones are counted as `other`. */

export const OTHER = 'other';

export class BoundedTally {
  readonly #namesMax: number;
  readonly #counts: Map<string, number> = new Map();

  constructor(namesMax: number) {
    this.#namesMax = namesMax;
  }

  add(name: string): void {
    const counted = this.#counts.has(name) || this.#counts.size < this.#namesMax ? name : OTHER;
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1);
  }

  entries(): IterableIterator<[string, number]> {
    return this.#counts.entries();
  }
}

/** At most `namesMax` of these, the rest in one sum: label values stay few whatever a room counts by. */
export function boundedEntries(counts: Readonly<Record<string, number>>, namesMax: number): [string, number][] {
  const all = Object.entries(counts);
  if (all.length <= namesMax) return all;
  const rest = all.slice(namesMax).reduce((sum, [, count]) => sum + count, 0);
  return [...all.slice(0, namesMax), [OTHER, rest]];
}
