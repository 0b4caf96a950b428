/** Moves what a data directory holds into its `quarantine/`: the node starts again as a member that nobody has seen. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS_FILE } from './shell-performer.ts';

const HELD = ['CLUSTER', 'IDENTITY', 'wal', 'snap', PEERS_FILE];

/** Returns the folder that has the old data now. Nothing is deleted. The directory must not be open. */
export function setAside(path: string, unixMs: number): string {
  const folder = join(path, 'quarantine', `dissolved-${new Date(unixMs).toISOString().replace(/[:.]/g, '-')}`);
  mkdirSync(folder, { recursive: true });
  // The cluster file goes first: without it the rest binds the node to nothing.
  for (const name of HELD) if (existsSync(join(path, name))) renameSync(join(path, name), join(folder, name));
  return folder;
}
