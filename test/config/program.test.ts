import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../cmd/funknode/main.js', import.meta.url));

function run(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<readonly [number, string, string]> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...environment };
    execFile(process.execPath, [MAIN, ...argv], { env }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout, stderr]);
    });
  });
}

describe('the program funknode', () => {
  it('exits 0 for help, version and config, 2 for wrong usage, 78 for bad settings', async () => {
    const [help, version, config, usage, settings] = await Promise.all([
      run(['--help']),
      run(['--version']),
      run(['config', '--interface', '127.0.0.1', '--json']),
      run(['--votrs', '3', '--lease=900']),
      run(['--interface', '127.0.0.1'], { FUNKNODE_VOTERS: '4', FUNKNODE_SHARDS: 'x' }),
    ]);
    assert.equal(help[0], 0);
    assert.match(help[1], /--zeroconf .*mDNS/);
    assert.deepEqual(version.slice(0, 1), [0]);
    assert.match(version[1], /^\d+\.\d+\.\d+\n$/);
    assert.equal(config[0], 0);
    assert.equal(typeof JSON.parse(config[1]), 'object');
    assert.equal(usage[0], 2);
    assert.match(usage[2], /--votrs: there is no such option; did you mean --voters\?\n.*--lease: "900"/s);
    assert.equal(settings[0], 78);
    assert.match(settings[2], /FUNKNODE_VOTERS: "4" is not 1, 3, 5 or 7\n.*FUNKNODE_SHARDS: "x"/s);
  });
});
