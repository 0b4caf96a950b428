/** A real node before a stranger's eyes: Avahi resolves its two records, and they vanish when it leaves. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram, skipWithout } from '../peers/peer.ts';
import { ROOT } from '../tools/source-tree.ts';

const PROGRAM = fileURLToPath(new URL('./programs/node-beside-avahi.js', import.meta.url));
const NAMESPACE = join(ROOT, 'test/peers/programs/avahi-namespace.sh');
/** The one that the script gives to its network. */
const ADDRESS = '10.77.0.1';
const needed = ['avahi-browse', 'avahi-daemon', 'dbus-daemon', 'ip', 'unshare'].map((program) => skipWithout(program));
const isRoot = process.getuid?.() === 0;
const skip = needed.find((reason) => reason !== false) ?? (isRoot ? false : 'only root makes network namespaces');

interface Seen {
  readonly cluster: string;
  readonly present: Readonly<Record<string, string>>;
  readonly serf: string;
  readonly management: string;
  readonly code: number;
  readonly left: Readonly<Record<string, string>>;
}

describe('Avahi and a real node', { skip }, () => {
  it('resolves its records, and sees them vanish when the node leaves', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-avahi-'));
    try {
      const words = ['--net', '--mount', NAMESPACE, folder, process.execPath, PROGRAM, ADDRESS];
      const seen = JSON.parse(await runProgram('unshare', words, 90_000)) as Seen;
      const { cluster, present } = seen;
      assert.deepEqual(Object.keys(present).sort(), [`${cluster}_mgmt_n1`, `${cluster}_serf_n1`]);
      assert.ok(present[`${cluster}_serf_n1`]?.startsWith(`${seen.serf} `), JSON.stringify(seen));
      assert.ok(present[`${cluster}_mgmt_n1`]?.startsWith(`${seen.management} `), JSON.stringify(seen));
      for (const text of Object.values(present)) {
        assert.match(text, /"txtv=0"/);
        assert.match(text, /"name=clusterfunk cluster node"/);
      }
      assert.equal(seen.code, 0);
      assert.deepEqual(seen.left, {});
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
