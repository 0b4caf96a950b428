/** Label values stay few, whatever a room counts by. */

const OTHER = 'other';

/** At most `namesMax` of these, the rest in one sum. */
export function boundedEntries(counts: Readonly<Record<string, number>>, namesMax: number): [string, number][] {
  const all = Object.entries(counts);
  if (all.length <= namesMax) return all;
  const rest = all.slice(namesMax).reduce((sum, [, count]) => sum + count, 0);
  return [...all.slice(0, namesMax), [OTHER, rest]];
}
