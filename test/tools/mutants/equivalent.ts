/** Mutants that a review found to change nothing that anybody could see: `equivalent.txt`, a line each, with its reason. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../source-tree.ts';

/** Reasons by the key of the mutant. */
export function readEquivalent(): Map<string, string> {
  const lines = readFileSync(join(ROOT, 'test/tools/mutants/equivalent.txt'), 'utf8').split('\n');
  return new Map(lines.filter((line) => line.startsWith('src/')).map(entryOf));
}

function entryOf(line: string): [string, string] {
  const parts = line.split(' | ');
  return [parts.slice(0, -1).join(' | '), parts.at(-1) ?? ''];
}
