/**
 * A power cut under real nodes: what they wrote and did not sync is taken back, names included. kill -9 alone loses nothing, for the kernel
 * has it all. A library that is preloaded into the node keeps the journal (programs/unsynced.c); it is compiled where there is a compiler.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programPath, skipWithout } from '../peers/peer.ts';

const SOURCE: string = fileURLToPath(new URL('../../../test/e2e/programs/unsynced.c', import.meta.url));
const HEADER_BYTES = 25;

type RecordKind = 'W' | 'S' | 'F' | 'D' | 'C' | 'N' | 'U';

interface JournalRecord {
  readonly kind: RecordKind;
  readonly inode: number;
  readonly at: number;
  readonly bytes: Buffer;
}

export interface CutFigures {
  readonly writes: number;
  readonly names: number;
}

export function skipWithoutPreload(): string | false {
  return process.platform === 'linux' ? skipWithout('gcc') : 'preloading is of Linux';
}

/** The data directory of one node. */
export class UnsyncedFolder {
  readonly folder: string;
  readonly #library: string;
  readonly #journal: string;

  /** `beside`: a folder on the same file system, for the library and the journal. */
  constructor(folder: string, beside: string) {
    this.folder = folder;
    this.#library = join(beside, 'unsynced.so');
    this.#journal = `${folder}.journal`;
    if (!existsSync(this.#library))
      execFileSync(programPath('gcc') ?? 'gcc', [
        '-shared',
        '-fPIC',
        '-O1',
        '-o',
        this.#library,
        SOURCE,
        '-ldl',
        '-lpthread',
      ]);
  }

  /** `failAt`: the how manieth sync of a file fails, once; `lies`: all of them succeed and sync nothing. */
  env({ failAt, lies }: { readonly failAt?: number; readonly lies?: true } = {}): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      UNSYNCED_FOLDER: `${this.folder}/`,
      UNSYNCED_JOURNAL: this.#journal,
      ...(failAt !== undefined && { UNSYNCED_FAIL: String(failAt) }),
      ...(lies && { UNSYNCED_LIE: '1' }),
    };
  }

  /** Syncs that failed, and those of the same file after that: P-53 wants none. */
  failures(): { readonly failed: number; readonly triedAgain: number } {
    const records = this.#records();
    const at = records.findIndex(({ kind }) => kind === 'F');
    const inode = records[at]?.inode;
    const later = records.slice(at + 1).filter((record) => record.kind === 'S' && record.inode === inode);
    return at < 0 ? { failed: 0, triedAgain: 0 } : { failed: 1, triedAgain: later.length };
  }

  /** The node has been killed: everything that was not durable is as it was before. */
  cutPower(): CutFigures {
    const records = this.#records();
    const syncedAfter = (at: number, kind: 'S' | 'D', inode: number): boolean =>
      records.findLastIndex((record) => record.kind === kind && record.inode === inode) > at;
    let [writes, names] = [0, 0];
    for (let at = records.length - 1; at >= 0; at--) {
      const record = records[at] as JournalRecord;
      const isName = record.kind === 'C' || record.kind === 'N' || record.kind === 'U';
      if (!isName || syncedAfter(at, 'D', record.inode)) continue;
      undoName(record);
      names += 1;
    }
    const paths = new Map(filesBelow(this.folder).map((path) => [statSync(path).ino, path]));
    for (let at = records.length - 1; at >= 0; at--) {
      const record = records[at] as JournalRecord;
      const path = paths.get(record.inode);
      if (record.kind !== 'W' || path === undefined || syncedAfter(at, 'S', record.inode)) continue;
      undoWrite(path, record);
      writes += 1;
    }
    this.forget();
    return { writes, names };
  }

  /** A new process begins a new journal. */
  forget(): void {
    const [folder, name] = [join(this.#journal, '..'), this.#journal.slice(this.#journal.lastIndexOf('/') + 1)];
    for (const each of readdirSync(folder)) if (each.startsWith(name)) rmSync(join(folder, each));
  }

  #records(): JournalRecord[] {
    if (!existsSync(this.#journal)) return [];
    const bytes = readFileSync(this.#journal);
    const records: JournalRecord[] = [];
    for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
      const [inode, place, length] = [1, 9, 17].map((from) => Number(bytes.readBigUInt64LE(at + from)));
      const end = at + HEADER_BYTES + (length as number);
      const kind = String.fromCharCode(bytes[at] as number) as RecordKind;
      records.push({
        kind,
        inode: inode as number,
        at: place as number,
        bytes: bytes.subarray(at + HEADER_BYTES, end),
      });
      at = end;
    }
    return records;
  }
}

function undoName({ kind, bytes }: JournalRecord): void {
  const [path = '', before = '', saved = ''] = bytes.toString().split('\n');
  if (kind === 'C') return rmSync(path, { force: true });
  if (kind === 'N' && existsSync(path)) renameSync(path, before);
  if (saved !== '' && existsSync(saved)) linkSync(saved, path);
}

function undoWrite(path: string, { at, bytes }: JournalRecord): void {
  const file = openSync(path, 'r+');
  const size = Number(bytes.readBigUInt64LE(0));
  if (bytes.length > 8) writeSync(file, bytes, 8, bytes.length - 8, at);
  ftruncateSync(file, size);
  closeSync(file);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
