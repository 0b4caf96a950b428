/** Blocks that no seed reached, as a reader of the sources knows them, and the list of those that have been reviewed. */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Block } from './marks.ts';

const BUILT: string = fileURLToPath(new URL('../../..', import.meta.url));
const ROOT: string = fileURLToPath(new URL('../../../..', import.meta.url));
export const LIST = 'test/sim/unreached.txt';

/** A block in the sources. */
export interface Place {
  readonly file: string;
  readonly line: number;
  /** The line it begins in. */
  readonly text: string;
  readonly seeds: number;
}

/** Reviewed: nobody expects that a seed reaches it. */
export interface Unreached {
  readonly file: string;
  readonly text: string;
  readonly reason: string;
}

export function readSource(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8');
}

/** Maps the blocks of one built file after the other. */
export class SourcePlaces {
  readonly #files: Map<string, { readonly code: string; readonly map: SourceMap; readonly lines: string[] }> =
    new Map();

  /** Several, where a block is more than one case of a switch; none, where it only says what must never be. */
  of(block: Block): Place[] {
    const { code } = this.#file(block.path);
    const starts = casesIn(code, block);
    return starts.flatMap((start, place) => {
      const text = code.slice(start, starts[place + 1] ?? block.end);
      return isFailureAlone(text) ? [] : [this.#placeOf(block, start)];
    });
  }

  #placeOf({ path, seeds }: Block, start: number): Place {
    const { code, map, lines } = this.#file(path);
    const before = code.slice(0, start).split('\n');
    const entry = map.findEntry(before.length - 1, before.at(-1)?.length ?? 0);
    const originalLine = 'originalLine' in entry ? entry.originalLine : 0;
    const file = path.replace(/\.js$/, '.ts');
    return { file, line: originalLine + 1, text: (lines[originalLine] ?? '').trim(), seeds };
  }

  #file(path: string): { readonly code: string; readonly map: SourceMap; readonly lines: string[] } {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const code = readFileSync(`${BUILT}${path}`, 'utf8');
    const map = new SourceMap(JSON.parse(readFileSync(`${BUILT}${path}.map`, 'utf8')));
    const file = { code, map, lines: readSource(path.replace(/\.js$/, '.ts')).split('\n') };
    this.#files.set(path, file);
    return file;
  }
}

/** Where the block begins, and each further case of the same switch in it. */
export function casesIn(code: string, { start, end }: { readonly start: number; readonly end: number }): number[] {
  const first = start + (/^\s*/.exec(code.slice(start, end))?.[0].length ?? 0);
  const label = /^(case\b.*|default):/;
  if (first >= end || !label.test(code.slice(first, end))) return first >= end ? [] : [first];
  const indent = first - (code.lastIndexOf('\n', first) + 1);
  const starts = [first];
  let at = code.indexOf('\n', first) + 1;
  for (; at > 0 && at < end; at = code.indexOf('\n', at) + 1) {
    const line = code.slice(at, end).split('\n', 1)[0] as string;
    if (line.search(/\S/) === indent && label.test(line.trim())) starts.push(at + indent);
  }
  return starts;
}

/** A broken invariant and nothing else, or no statement at all. */
export function isFailureAlone(code: string): boolean {
  const text = code
    .replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, '')
    .trim()
    .replace(/^(case\b[^\n]*|default):/, '')
    .replaceAll(/^[\s{:?|&)]+|[\s};]+$/g, '');
  if (!/\w/.test(text) || text === 'break') return true;
  return /^(throw|return unreachable\(|unreachable\()/.test(text) && !/;\s*\n/.test(text);
}

/** `file | line that the block begins in | reason`, one a line. */
export function parseList(text: string): Unreached[] {
  return text.split('\n').flatMap((line, place) => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const [first, last] = [line.indexOf(' | '), line.lastIndexOf(' | ')];
    if (first < 0 || last === first) throw new Error(`${LIST}:${place + 1} is not "file | first line | reason"`);
    return [{ file: line.slice(0, first), text: line.slice(first + 3, last), reason: line.slice(last + 3) }];
  });
}

/** What is left of the holes without those of the list; a line of the list stands for all equal lines of its file, and `*` for all. */
export function notReviewed(holes: readonly Place[], list: readonly Unreached[]): Place[] {
  const known = new Set(list.map(({ file, text }) => `${file} | ${text}`));
  return holes.filter(({ file, text }) => !known.has(`${file} | ${text}`) && !known.has(`${file} | *`));
}
