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
});
