/** C5 before a stranger's eyes: Avahi resolves what we announce, and sees it vanish. In a network namespace of its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../tools/source-tree.ts';
import { runProgram, skipWithout } from './peer.ts';

const PROGRAM = fileURLToPath(new URL('./programs/seen-by-avahi.js', import.meta.url));
const NAMESPACE = join(ROOT, 'test/peers/programs/avahi-namespace.sh');
const needed = ['avahi-browse', 'avahi-daemon', 'dbus-daemon', 'ip', 'unshare'].map((program) => skipWithout(program));
const isRoot = process.getuid?.() === 0;
const skip = needed.find((reason) => reason !== false) ?? (isRoot ? false : 'only root makes network namespaces');

describe('Avahi', { skip }, () => {
  it('resolves our records, dots in names and all, and sees them vanish with our goodbye', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-avahi-'));
    try {
      const words = ['--net', '--mount', NAMESPACE, folder, process.execPath, PROGRAM];
      const { present, browsed, left } = JSON.parse(await runProgram('unshare', words, 40_000));
      assert.deepEqual(
        present.map(({ name, address, port }: Record<string, unknown>) => [name, address, port]),
        [
          ['shop_mgmt_a\\.b', '10.77.0.1', 7948],
          ['shop_serf_a\\.b', '10.77.0.1', 7946],
        ],
      );
      assert.match(present[0].text, /"txtv=0"/);
      assert.match(present[0].text, /"name=clusterfunk cluster node"/);
      assert.match(present[0].host, /^a-b-[0-9a-f]{8}\.local$/);
      assert.deepEqual(
        browsed.map(({ instance }: Record<string, unknown>) => instance),
        ['shop_mgmt_a.b', 'shop_serf_a.b'],
        'and we see ourselves as we are, with a daemon on the same port',
      );
      assert.deepEqual(left, []);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
