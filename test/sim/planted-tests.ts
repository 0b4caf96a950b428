/** Tests of a copy of the built code in which something is broken: which of them notice. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

/** The names of the tests that fail among those whose name begins like that, in a process of their own. */
export async function failuresOf(folder: string, tests: readonly string[], pattern: string): Promise<string[]> {
  const files = tests.map((name) => pathToFileURL(join(folder, `test/${name}.test.js`)).href);
  const program = files.map((url) => `await import(${JSON.stringify(url)});`).join('');
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = ['--test-reporter=tap', `--test-name-pattern=^${pattern}`, '--input-type=module', '--eval', program];
  const run = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(run.stdout), once(run, 'close')]);
  assert.match(output, /^# pass \d+$/m, output);
  return [...output.matchAll(/^ +not ok \d+ - (.*)$/gm)].map(([, name]) => name ?? '');
}
