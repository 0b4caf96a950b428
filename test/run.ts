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

const files: string[] = testFiles(here)
  .filter((file) => wanted.length === 0 || wanted.some((part) => join('test', relative(here, file)).includes(part)))
  .sort((a, b) => placeOf(a) - placeOf(b) || (a < b ? -1 : 1));

/** Long ones first, so that the others fill the time beside them: seeds at a low priority, agents that are mostly watched, bugs that are hunted. */
function placeOf(file: string): number {
  const begun = ['many-seeds', 'mixed-cluster', 'planted-bugs', 'encryption'];
  const place = begun.findIndex((name) => file.endsWith(`${name}.test.js`));
  return place < 0 ? begun.length : place;
}

/** A file that hangs fails; most take a minute or two, many seeds ten on a busy machine. In the long form half an hour and more. */
const FILE_TIMEOUT_MS: number = (process.env['FUNKNODE_LONG'] === '1' ? 180 : 18) * 60_000;

run({ files, concurrency: 3, timeout: FILE_TIMEOUT_MS })
  .on('test:fail', () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
