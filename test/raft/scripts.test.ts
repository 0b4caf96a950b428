import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runScript } from './scripts.ts';

/** Scripts are read where they lie in the sources; tests run from the root of the project. */
const folder: string = join(process.cwd(), 'test/scenarios/raft');
const files: string[] = readdirSync(folder)
  .filter((file) => file.endsWith('.txt'))
  .sort();

describe('raft scripts', () => {
  it('are there', () => assert.ok(files.length > 0));

  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    const title = text.split('\n', 1)[0]?.replace(/^#\s*/, '') ?? file;
    it(title, () => runScript(text));
  }

  it('of the catalogs of raft.md none is passed over: a script, a test or docs/scenarios.md names it', () => {
    const catalogs = readFileSync(join(process.cwd(), 'docs/raft.md'), 'utf8').split('\n## A. ')[1] ?? '';
    const wanted = new Set(catalogs.match(/(?<=^\| |\/ )[EH]-\d+(?= )/gm));
    const tests = readdirSync(join(process.cwd(), 'test'), { recursive: true, encoding: 'utf8' });
    const places = tests.filter((file) => /\.(ts|txt)$/.test(file)).map((file) => join('test', file));
    const named = [...places, 'docs/scenarios.md'].flatMap(
      (file) => readFileSync(join(process.cwd(), file), 'utf8').match(/\b[EH]-\d+\b/g) ?? [],
    );
    assert.ok(wanted.size > 90, `${wanted.size}`);
    assert.deepEqual(
      [...wanted].filter((id) => !named.includes(id)),
      [],
    );
  });
});
