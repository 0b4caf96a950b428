/** What the marks say after many seeds: blocks that none of them reached, and those that few did. */
import { LIST, notReviewed, parseList, type Place, readSource, SourcePlaces } from './holes.ts';
import type { Marks } from './marks.ts';

const LEAST = 10;
/** So begins the reason of what the generator does not draw yet. */
const OPEN = 'open: ';

/** Answers how many unreached blocks nobody has reviewed. */
export function reportMarks(marks: Marks, print: (text: string) => void): number {
  const places = new SourcePlaces();
  const blocks = marks.blocks();
  const holes = inOrder(blocks.filter(({ seeds }) => seeds === 0).flatMap((block) => places.of(block)));
  const list = parseList(readSource(LIST));
  const unknown = notReviewed(holes, list);
  // The generator does not draw it yet.
  const open =
    notReviewed(
      holes,
      list.filter(({ reason }) => !reason.startsWith(OPEN)),
    ).length - unknown.length;
  for (const place of unknown) print(lineOf(place));
  const reached = blocks.filter(({ seeds }) => seeds > 0).sort((a, b) => a.seeds - b.seeds);
  print(`the ${LEAST} least reached:`);
  for (const place of reached.flatMap((block) => places.of(block)).slice(0, LEAST)) print(lineOf(place));
  print(
    `${marks.seeds} seeds, ${reached.length} blocks reached, ${holes.length} not: ` +
      `${holes.length - unknown.length} of them as reviewed in ${LIST} (${open} open), ${unknown.length} not reviewed`,
  );
  return unknown.length;
}

/** Without those that say the same of one line. */
function inOrder(places: readonly Place[]): Place[] {
  const byLine = new Map(places.map((place) => [`${place.file}:${place.line}`, place]));
  return [...byLine.values()].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

function lineOf({ file, line, text, seeds }: Place): string {
  return `${seeds === 0 ? 'not reached' : `${seeds} seeds`}: ${file}:${line} ${text}`;
}
