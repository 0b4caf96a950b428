/** The tracked files of this repository and where each belongs. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, found from the built file as well as from the source. */
export const ROOT: string = checkoutRoot(dirname(fileURLToPath(import.meta.url)));

export interface SourceFile {
  /** From the checkout's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** What git tracks, and what it would track if it were added. */
export function trackedPaths(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  return [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(join(ROOT, path))).sort();
}

export function readTracked(path: string): SourceFile {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

/** `../x.ts` as written in `importer`, from the checkout's root; undefined for a package or a `node:` module. */
export function resolveRelative(importer: string, from: string): string | undefined {
  return from.startsWith('.') ? posix.normalize(posix.join(posix.dirname(importer), from)) : undefined;
}

/** `@scope/name` or `name` of a bare import. */
export function packageOf(from: string): string {
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
}

function checkoutRoot(start: string): string {
  let folder = start;
  while (!existsSync(join(folder, 'package.json')) || !existsSync(join(folder, 'tsconfig.json'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`no checkout above ${start}`);
    folder = above;
  }
  return folder;
}
