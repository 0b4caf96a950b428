/**
 * Moves a directory's data into `quarantine/<time>/`, so that the next start is the first start of a new member. Never deletes. A note says
 * what is under way, and a start that finds it goes on where a crash interrupted. raft.md 9.5 (dissolve), 11.1.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { DamagedLogError } from './disk-errors.ts';
import { readWholeFile, writeFileDurably } from './disk-files.ts';

const NOTE = 'ASIDE';
const MOVED: readonly string[] = ['IDENTITY', 'CLUSTER', 'wal', 'snap'];
const NAME = /^[0-9A-Za-z_-]{1,64}$/;

/** Returns where the data went. The log must be closed. */
export function moveDataAside(disk: DiskPort, folder: string, name: string): string {
  writeFileDurably(disk, folder, NOTE, utf8(`${name}\n`));
  finishMovingAside(disk, folder);
  return `${folder}/quarantine/${name}`;
}

/** At each start, before anything is read. */
export function finishMovingAside(disk: DiskPort, folder: string): void {
  const note = `${folder}/${NOTE}`;
  if (!disk.exists(note)) return;
  const name = fromUtf8(readWholeFile(disk, note)).trimEnd();
  if (!NAME.test(name)) throw new DamagedLogError(note, 0, 'it does not name a folder');
  const aside = `${folder}/quarantine/${name}`;
  disk.makeFolder(`${folder}/quarantine`);
  disk.makeFolder(aside);
  disk.syncFolder(`${folder}/quarantine`);
  for (const moved of MOVED)
    if (disk.exists(`${folder}/${moved}`)) disk.rename(`${folder}/${moved}`, `${aside}/${moved}`);
  disk.syncFolder(aside);
  disk.syncFolder(folder);
  disk.remove(note);
  disk.syncFolder(folder);
}
