/** The lock file is complete on every platform, and the same wherever it is installed from. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from './tools/source-tree.ts';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly hasInstallScript?: boolean;
}

const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly allowScripts: Readonly<Record<string, boolean>>;
};
const locked: readonly (readonly [string, LockedPackage])[] = Object.entries(lock.packages);

describe('package-lock.json', () => {
  it('names every optional platform package, for npm drops silently what the lock lacks', () => {
    const missing = locked.flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {})
        .filter(
          (name) => !foldersAbove(path).some((folder) => lock.packages[`${folder}node_modules/${name}`] !== undefined),
        )
        .map((name) => `${path} wants ${name}`),
    );
    assert.deepEqual(missing, []);
  });

  it('holds no addresses, and a checksum for every package', () => {
    assert.deepEqual(
      locked.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path),
      [],
    );
    assert.deepEqual(
      locked.filter(([path, entry]) => path !== '' && entry.integrity === undefined).map(([path]) => path),
      [],
    );
  });

  it('has decided about every package that wants to run a script when it is installed', () => {
    const undecided = locked
      .filter(([, entry]) => entry.hasInstallScript === true)
      .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
      .filter((name) => manifest.allowScripts[name] === undefined);
    assert.deepEqual(undecided, []);
  });
});

/** `node_modules/a/node_modules/b` → its own folder, that of `a`, and the root: where npm looks, nearest first. */
function foldersAbove(path: string): string[] {
  const folders = [''];
  for (let at = path.indexOf('node_modules/'); at !== -1; at = path.indexOf('node_modules/', at + 1)) {
    if (at > 0) folders.push(path.slice(0, at));
  }
  if (path !== '') folders.push(`${path}/`);
  return folders;
}
