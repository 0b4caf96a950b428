/**
 * Moves a directory's data into `quarantine/<time>/`, so that the next start is the first start of a new member, or that of the data that
 * was prepared in `incoming/`. Never deletes data. A note says what is under way, and whoever finds it goes on where a crash interrupted:
 * writing the note is the commit point. raft.md 9.5 (dissolve), 11.1, 14.
 */
import { fromUtf8, utf8 } from '../base/bytes.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { DamagedLogError } from './disk-errors.ts';
import { readWholeFile, writeFileDurably } from './disk-files.ts';

/** Where new data is prepared before it takes the place of the old. Until then nobody believes in it. */
export const INCOMING = 'incoming';
const NOTE = 'ASIDE';
const MOVED: readonly string[] = ['IDENTITY', 'CLUSTER', 'wal', 'snap'];
/** What a crash may leave of a file that was to be written. */
const DRAFTS: readonly string[] = [`${NOTE}.tmp`, 'IDENTITY.tmp', 'CLUSTER.tmp', 'DISSOLVED.tmp'];
/** What is under way: the data goes into that folder of `quarantine/`; the same, and then `incoming/` takes its place. */
const NOTE_FORMAT = /^(?:replace )?([0-9A-Za-z_-]{1,64})$/;
/** Only the latter. No folder is called so: they are called by the time. */
const PLACE = 'place';

/** Returns where the data went. The log must be closed. */
export function moveDataAside(disk: DiskPort, folder: string, name: string): string {
  writeNote(disk, folder, name);
  finishMovingAside(disk, folder);
  return `${folder}/quarantine/${name}`;
}

/** The same, and what is in `incoming/`, durably, takes its place. Whatever happens on the way, it is the old data or the new. */
export function replaceData(disk: DiskPort, folder: string, name: string): void {
  writeNote(disk, folder, `replace ${name}`);
  finishMovingAside(disk, folder);
}

/** What is in `incoming/`, durably, becomes the data of a directory that holds none. */
export function placeData(disk: DiskPort, folder: string): void {
  writeNote(disk, folder, PLACE);
  finishMovingAside(disk, folder);
}

/** A move was interrupted, and is to be finished before anything is read. */
export function isMoveUnderWay(disk: DiskPort, folder: string): boolean {
  return disk.exists(`${folder}/${NOTE}`);
}

/** At each start, before anything is read; nobody writes meanwhile. True when it has put new data in place. */
export function finishMovingAside(disk: DiskPort, folder: string): boolean {
  const note = `${folder}/${NOTE}`;
  for (const name of DRAFTS) if (disk.exists(`${folder}/${name}`)) disk.remove(`${folder}/${name}`);
  if (!disk.exists(note)) {
    discardIncoming(disk, folder);
    return false;
  }
  const text = fromUtf8(readWholeFile(disk, note)).trimEnd();
  const isReplaced = text === PLACE || text.startsWith('replace ');
  if (text !== PLACE) {
    const name = NOTE_FORMAT.exec(text)?.[1];
    if (name === undefined) throw new DamagedLogError(note, 0, 'it does not name a folder');
    takeAway(disk, folder, `${folder}/quarantine/${name}`);
    // From here on, what lies in the folder is the new data: whoever goes on after a crash must not take that away.
    if (isReplaced) writeNote(disk, folder, PLACE);
  }
  if (isReplaced) putInPlace(disk, folder);
  disk.remove(note);
  disk.syncFolder(folder);
  return isReplaced;
}

function takeAway(disk: DiskPort, folder: string, aside: string): void {
  disk.makeFolder(`${folder}/quarantine`);
  disk.makeFolder(aside);
  // What is moved into a folder whose own name is lost would be lost with it.
  disk.syncFolder(`${folder}/quarantine`);
  disk.syncFolder(folder);
  for (const moved of MOVED)
    if (disk.exists(`${folder}/${moved}`)) disk.rename(`${folder}/${moved}`, `${aside}/${moved}`);
  disk.syncFolder(aside);
  disk.syncFolder(folder);
}

function putInPlace(disk: DiskPort, folder: string): void {
  const incoming = `${folder}/${INCOMING}`;
  if (!disk.exists(incoming)) return;
  for (const moved of MOVED)
    if (disk.exists(`${incoming}/${moved}`)) disk.rename(`${incoming}/${moved}`, `${folder}/${moved}`);
  disk.syncFolder(folder);
  disk.syncFolder(incoming);
  disk.removeFolder(incoming);
}

/** What a preparation left that never came to be believed in. */
function discardIncoming(disk: DiskPort, folder: string): void {
  const incoming = `${folder}/${INCOMING}`;
  if (!disk.exists(incoming)) return;
  for (const inner of ['wal', 'snap']) {
    const path = `${incoming}/${inner}`;
    if (!disk.exists(path)) continue;
    for (const name of disk.list(path)) disk.remove(`${path}/${name}`);
    disk.removeFolder(path);
  }
  for (const name of disk.list(incoming)) disk.remove(`${incoming}/${name}`);
  disk.removeFolder(incoming);
  disk.syncFolder(folder);
}

function writeNote(disk: DiskPort, folder: string, text: string): void {
  writeFileDurably(disk, folder, NOTE, utf8(`${text}\n`));
}
