/** Runs every built test file, a few processes at a time, and ends with the runner's own summary. */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const here: string = fileURLToPath(new URL('.', import.meta.url));
const wanted: readonly string[] = process.argv.slice(2);

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.js') ? [path] : [];
  });
}

/** Begun first, so that none of them is left over at the end. The simulators give way to the others (seed-worker.ts). */
const LONGEST = ['sim/many-seeds', 'peers/mixed-cluster', 'e2e/restart', 'sim/planted-bugs', 'e2e/formation'];

function rank(file: string): number {
  const found = LONGEST.findIndex((name) => file.endsWith(`${name}.test.js`));
  return found < 0 ? LONGEST.length : found;
}

const files: string[] = testFiles(here)
  .filter((file) => wanted.length === 0 || wanted.some((part) => join('test', relative(here, file)).includes(part)))
  .sort()
  .sort((a, b) => rank(a) - rank(b));

/** A file that hangs fails; most take a minute or two, many seeds all the time there is. In the long form half an hour and more. */
const FILE_TIMEOUT_MS: number = (process.env['FUNKNODE_LONG'] === '1' ? 180 : 18) * 60_000;

if (files.length > 1) process.stderr.write('The longest files come first: the first results take some minutes.\n');
run({ files, concurrency: 4, timeout: FILE_TIMEOUT_MS })
  .on('test:fail', () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
