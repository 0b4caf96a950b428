/** The mutants of built files, each with a number and a name that says where it stands in the source. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Node } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';
import { type Edit, editsOf } from './operators.ts';
import { withSwitches } from './switches.ts';

export interface Mutant {
  readonly number: number;
  /** `src/raft/log.ts:47:13:boundary`: in the source, as an editor counts. */
  readonly id: string;
  /** The same whatever the line number: file, kind, and what reads differently. Of several alike, the second is `#2`. */
  readonly key: string;
}

export interface MutantList {
  readonly mutants: readonly Mutant[];
  /** Built files that hold all of them, each switched on by its number. */
  readonly switched: ReadonlyMap<string, string>;
}

/** Longer ones are cut in the middle. */
const SHOWN_MAX = 110;

/** Of these files below `built`, in their order. */
export function mutantsOf(built: string, files: readonly string[]): MutantList {
  const mutants: Mutant[] = [];
  const switched = new Map<string, string>();
  readTrees(
    files.map((file) => join(built, file)),
    (tree, place) => {
      const file = files[place] as string;
      const path = join(built, file);
      const source = readFileSync(path, 'utf8');
      const edits = editsOf(tree, source);
      switched.set(file, withSwitches(tree, source, edits, mutants.length + 1));
      mutants.push(...named(file.replace(/\.js$/, '.ts'), path, source, edits, mutants.length + 1));
    },
  );
  return { mutants, switched };
}

function named(file: string, path: string, source: string, edits: readonly Edit[], first: number): Mutant[] {
  const map = mapOf(path);
  const seen = new Map<string, number>();
  return edits.map((edit, place): Mutant => {
    const change = `${file} | ${edit.kind} | ${shown(source, edit)}`;
    const count = (seen.get(change) ?? 0) + 1;
    seen.set(change, count);
    return {
      number: first + place,
      id: `${file}:${placeIn(map, source, edit.start)}:${edit.kind}`,
      key: count === 1 ? change : `${change} #${count}`,
    };
  });
}

/** The built files of a room, by name. */
export function filesOf(built: string, room: string): string[] {
  return readdirSync(join(built, 'src', room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .sort()
    .map((name) => `src/${room}/${name}`);
}

/** Nothing is resolved and no library read: only what is written in each file counts. */
function readTrees(paths: readonly string[], use: (tree: Node, place: number) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'funknode-mutants-'));
  const config = join(folder, 'tsconfig.json');
  const compilerOptions = {
    allowJs: true,
    noLib: true,
    noResolve: true,
    types: [],
    target: 'es2023',
    module: 'nodenext',
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: paths }));
  const api = new API();
  try {
    const program = api.updateSnapshot({ openProject: config }).getProject(config)?.program;
    for (const [place, path] of paths.entries()) {
      const tree = program?.getSourceFile(path);
      if (tree === undefined) throw new Error(`${path} is not read`);
      use(tree, place);
    }
  } finally {
    api.close();
    rmSync(folder, { recursive: true });
  }
}

function mapOf(path: string): SourceMap | undefined {
  return existsSync(`${path}.map`) ? new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8'))) : undefined;
}

function placeIn(map: SourceMap | undefined, source: string, at: number): string {
  const before = source.slice(0, at).split('\n');
  const line = before.length - 1;
  const column = before.at(-1)?.length ?? 0;
  const entry = map?.findEntry(line, column);
  if (entry === undefined || !('originalLine' in entry)) return `${line + 1}:${column + 1}`;
  const further = entry.generatedLine === line ? column - entry.generatedColumn : 0;
  return `${entry.originalLine + 1}:${entry.originalColumn + 1 + further}`;
}

/** What reads differently, before and after. */
function shown(source: string, { start, end, text, around }: Edit): string {
  const from = around.getStart();
  const after = source.slice(from, start) + text + source.slice(end, around.end);
  return `${short(source.slice(from, around.end))} → ${short(after)}`;
}

function short(code: string): string {
  const line = code.replaceAll(/\s+/g, ' ');
  return line.length <= SHOWN_MAX ? line : `${line.slice(0, SHOWN_MAX - 40)} … ${line.slice(-36)}`;
}
