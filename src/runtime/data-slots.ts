/**
 * Default data directories: `<base>/funknode/<cluster-name>/<n>`, one for each node of that name on this machine. A node takes the first
 * that no running node has locked, those whose node still has a vote before the others, so that whoever was stopped comes back as itself.
 * Among voters the one whose log goes furthest comes first: if the others were dropped, it is the one that knows, and can stand alone.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeId } from '../model/ids.ts';
import type { LogId } from '../model/log.ts';
import { lockFolder, makeFolder, openDataDirectory, peekDirectory } from './data-directory.ts';
import type { DataDirectory, DataDirectoryOptions } from './data-directory.ts';
import { DirectoryLock } from './directory-lock.ts';
import { DirectoryLockedError, DirectoryUnusableError } from './disk-errors.ts';

/** Choosing takes milliseconds; whoever holds the lock for longer hangs. */
const CHOOSING_SECONDS_MAX = 10;
const SLOTS_MAX = 1000;

export interface SlotChoice {
  readonly path: string;
  /** Held: nobody else can take the slot. Hand it to `openDataDirectory`, which releases it with the directory. */
  readonly lock: DirectoryLock;
}

/** Chooses, locks and opens. `base` is `$XDG_STATE_HOME` or `~/.local/state`. */
export async function openDefaultDataDirectory(
  base: string,
  clusterName: string,
  options: DataDirectoryOptions = {},
): Promise<DataDirectory> {
  const { path, lock } = await chooseSlot(base, clusterName, options.nodeId);
  return openDataDirectory(path, { ...options, lock });
}

/** With a node id, only slots of that node, and those never used, are taken. */
export async function chooseSlot(base: string, clusterName: string, nodeId?: NodeId): Promise<SlotChoice> {
  const folder = join(base, 'funknode', folderNameOf(clusterName));
  makeFolder(folder);
  const choosing = await DirectoryLock.take(join(folder, '.slots'), CHOOSING_SECONDS_MAX);
  if (choosing === undefined)
    throw new DirectoryUnusableError(folder, `another node has been choosing for ${CHOOSING_SECONDS_MAX} s`);
  try {
    return await choose(folder, nodeId);
  } finally {
    choosing.release();
  }
}

async function choose(folder: string, nodeId: NodeId | undefined): Promise<SlotChoice> {
  const slots = existingSlots(folder);
  const held: SlotChoice[] = [];
  let chosen: SlotChoice | undefined;
  try {
    let fallback: SlotChoice | undefined;
    let furthest: LogId | undefined;
    for (const slot of slots) {
      const choice = await tryLock(join(folder, String(slot)));
      if (choice === undefined) continue;
      held.push(choice);
      const { identity, mayVote, lastLog } = peekDirectory(choice.path);
      if (nodeId !== undefined && identity !== undefined) {
        if (identity.nodeId !== nodeId) continue;
        // The slot of the very node that was asked for comes before all others, whether it votes or not.
        chosen = choice;
        break;
      }
      fallback ??= choice;
      if (mayVote && (chosen === undefined || isFurther(lastLog, furthest))) {
        chosen = choice;
        furthest = lastLog;
      }
    }
    chosen ??= fallback ?? (await freshSlot(folder, slots));
    return chosen;
  } finally {
    for (const { path, lock } of held) if (path !== chosen?.path) lock.release();
  }
}

/** A log that cannot be read is behind all others. */
function isFurther(log: LogId | undefined, than: LogId | undefined): boolean {
  if (log === undefined || than === undefined) return log !== undefined;
  return log.term === than.term ? log.index > than.index : log.term > than.term;
}

async function freshSlot(folder: string, slots: readonly number[]): Promise<SlotChoice> {
  let fresh = 1;
  while (slots.includes(fresh)) fresh += 1;
  if (fresh > SLOTS_MAX) throw new DirectoryUnusableError(folder, `it holds ${SLOTS_MAX} nodes already`);
  const path = join(folder, String(fresh));
  makeFolder(path);
  return { path, lock: await lockFolder(path) };
}

async function tryLock(path: string): Promise<SlotChoice | undefined> {
  try {
    return { path, lock: await lockFolder(path) };
  } catch (error) {
    if (error instanceof DirectoryLockedError) return undefined;
    throw error;
  }
}

function existingSlots(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => /^[1-9][0-9]{0,3}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** A cluster's name as one folder: what is not plain is escaped, so that two names never share a folder and none leaves the base. */
function folderNameOf(clusterName: string): string {
  const escaped = encodeURIComponent(clusterName);
  if (escaped === '') return '%';
  return escaped.startsWith('.') ? `%2E${escaped.slice(1)}` : escaped;
}
