/** The demo as a reader would run it, shortened: it ends by itself, loses no addition, and fails no request for a shard that stayed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ENDS_WITHIN_MS = 180_000;

describe('the demo', { timeout: ENDS_WITHIN_MS }, () => {
  it('kills the leader under load, takes it back, and counts every addition once', async (context) => {
    const path = fileURLToPath(new URL('../../examples/demo/demo.js', import.meta.url));
    const demo = spawn(process.execPath, [path, '--rate', '60', '--seconds', '4'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
    context.after(() => demo.kill('SIGKILL'));
    const [code] = (await once(demo, 'close')) as [number | null];
    assert.equal(code, 0, said);
    assert.match(said, /kill -9 \w+, which leads/);
    assert.match(said, /for shards that stayed: failed 0\./);
    const counted = /Counted: (\d+) additions were acknowledged, the store holds (\d+)/.exec(said);
    assert.ok(counted !== null && Number(counted[1]) > 100 && counted[1] === counted[2], said);
  });
});
