/** Writes the gossip keyring as Serf's agent does: JSON of base64 keys, the primary first, for this user's eyes only. */
import { randomBytes } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

const FILE_MODE = 0o600;

/** As a whole or not at all: a crash leaves the old file or the new one. Rejects with what the system says. */
export async function writeKeyringFile(path: string, keys: readonly string[]): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(beside, 'wx', FILE_MODE);
    try {
      await file.writeFile(JSON.stringify(keys, null, 2));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await unlink(beside).catch(() => undefined);
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
