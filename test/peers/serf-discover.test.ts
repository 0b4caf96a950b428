/** Serf's own `-discover`, in both directions, in a network namespace of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../tools/source-tree.ts';
import { runProgram, skipWithout } from './peer.ts';

const PROGRAM = fileURLToPath(new URL('./programs/found-by-serf.js', import.meta.url));
const NAMESPACE = join(ROOT, 'test/peers/programs/link-namespace.sh');
const needed = ['serf', 'ip', 'unshare'].map((program) => skipWithout(program));
const isRoot = process.getuid?.() === 0;
const skip = needed.find((reason) => reason !== false) ?? (isRoot ? false : 'only root makes network namespaces');

describe('serf agent -discover', { skip, timeout: 180_000 }, () => {
  it('finds us by a name, and we find it', async () => {
    const said = await runProgram('unshare', ['--net', NAMESPACE, process.execPath, PROGRAM], 150_000);
    assert.deepEqual(JSON.parse(said), { foundByAgent: 1 }, 'the agent joined the address that we answered with');
  });
});
