/**
 * Plants a bug: the built code, simulators and checkers included, is copied to a folder of its own and one rule is broken in the copy.
 * Nothing in the shipped code knows of this (reliability.md 9).
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Change {
  /** Below `dist/`. */
  readonly file: string;
  /** Occurs exactly once in the built file. */
  readonly rule: string;
  readonly broken: string;
}

const built: string = fileURLToPath(new URL('../..', import.meta.url));
const COPIED: readonly string[] = ['src', 'test/sim', 'test/raft', 'test/storage'];
const folders: string[] = [];

/** The folder of the copy; import from it with {@link planted}. */
export function plant(change: Change): string {
  const folder = copyBuilt(COPIED);
  breakRule(folder, change);
  return folder;
}

/** A copy of these parts of `dist/`, which {@link removePlanted} removes. */
export function copyBuilt(parts: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'funknode-planted-'));
  folders.push(folder);
  for (const part of parts) {
    mkdirSync(join(folder, part), { recursive: true });
    cpSync(join(built, part), join(folder, part), {
      recursive: true,
      filter: (path) => !/\.(?:d\.ts|map)$/.test(path),
    });
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(built, '../node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Breaks the rule in the copy; what is answered mends it. */
export function breakRule(folder: string, change: Change): () => void {
  const path = join(folder, change.file);
  const source = readFileSync(path, 'utf8');
  assert.equal(source.split(change.rule).length, 2, `the rule stands in ${change.file} exactly once`);
  writeFileSync(
    path,
    source.replace(change.rule, () => change.broken),
  );
  return () => writeFileSync(path, source);
}

export async function planted<T>(folder: string, path: string): Promise<T> {
  return (await import(pathToFileURL(join(folder, path)).href)) as T;
}

export function removePlanted(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
}
