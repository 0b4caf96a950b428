/** The log on file systems of each kind that can be mounted here, in mount namespaces of their own. reliability.md 10, real files. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { skipWithoutMounts } from '../e2e/small-disk.ts';
import { programPath, runProgram } from '../peers/peer.ts';

const PROGRAM: string = fileURLToPath(new URL('./programs/drive-log.js', import.meta.url));
const STEPS = process.env['FUNKNODE_LONG'] === '1' ? 5_000 : 200;
const IMAGE_BYTES = 320 * 1024 * 1024;
const MAKERS: Readonly<Record<string, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

function skipWithoutImages(kind: string): string | false {
  const [maker = ''] = MAKERS[kind] ?? [];
  if (programPath(maker) === undefined) return `${maker} is not installed`;
  return existsSync('/dev/loop-control') ? false : 'there are no loop devices';
}

describe('the log on a file system', { skip: skipWithoutMounts() }, () => {
  const root = mkdtempSync(join(tmpdir(), 'funknode-mounts-'));
  after(() => rmSync(root, { recursive: true, force: true }));

  async function drive(kind: string, mount: string): Promise<string> {
    const folder = join(root, kind);
    mkdirSync(folder);
    const script = `${mount} "$0" && mkdir "$0/data" && exec "$1" --enable-source-maps "$2" "$0/data" ${STEPS} 1`;
    return await runProgram('unshare', ['-m', 'sh', '-c', script, folder, process.execPath, PROGRAM], 600_000);
  }

  it('tmpfs: holds what arrays hold', async (t) => {
    t.diagnostic(await drive('tmpfs', 'mount -t tmpfs -o size=64m tmpfs'));
  });

  for (const [kind, [maker = '', ...words]] of Object.entries(MAKERS))
    it(`${kind}: holds what arrays hold`, { skip: skipWithoutImages(kind) }, async (t) => {
      const image = join(root, `${kind}.img`);
      writeFileSync(image, '');
      truncateSync(image, IMAGE_BYTES);
      execFileSync(programPath(maker) as string, [...words, image]);
      t.diagnostic(await drive(kind, `mount -o loop ${image}`));
    });
});
