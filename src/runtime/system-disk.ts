/** The real disk behind `DiskPort`: `node:fs` by its synchronous calls. */
import * as fs from 'node:fs';
import type { DiskFile, DiskPort } from '../ports/disk-port.ts';
import { DiskFailedError } from './disk-errors.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export class SystemDisk implements DiskPort {
  list(folder: string): readonly string[] {
    return attempt('listing', folder, () => fs.readdirSync(folder).sort());
  }

  exists(path: string): boolean {
    return fs.existsSync(path);
  }

  makeFolder(path: string): void {
    attempt('making', path, () => {
      if (!fs.existsSync(path)) fs.mkdirSync(path, { mode: FOLDER_MODE });
    });
  }

  openToRead(path: string): DiskFile {
    return new SystemFile(
      path,
      attempt('opening', path, () => fs.openSync(path, 'r')),
    );
  }

  create(path: string): DiskFile {
    return new SystemFile(
      path,
      attempt('creating', path, () => fs.openSync(path, 'w+', FILE_MODE)),
    );
  }

  rename(from: string, to: string): void {
    attempt('renaming', from, () => fs.renameSync(from, to));
  }

  remove(path: string): void {
    attempt('removing', path, () => fs.unlinkSync(path));
  }

  removeFolder(path: string): void {
    attempt('removing', path, () => fs.rmdirSync(path));
  }

  freeBytes(folder: string): number | undefined {
    try {
      const { bavail, bsize } = fs.statfsSync(folder);
      return bavail * bsize;
    } catch {
      return undefined;
    }
  }

  syncFolder(path: string): void {
    attempt('syncing', path, () => {
      const fd = fs.openSync(path, 'r');
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    });
  }
}

class SystemFile implements DiskFile {
  path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  size(): number {
    return attempt('reading the size', this.path, () => fs.fstatSync(this.#fd).size);
  }

  read(into: Uint8Array, at: number): number {
    return attempt('reading', this.path, () => {
      let count = 0;
      while (count < into.length) {
        const got = fs.readSync(this.#fd, into, count, into.length - count, at + count);
        if (got === 0) break;
        count += got;
      }
      return count;
    });
  }

  write(bytes: Uint8Array, at: number): number {
    return attempt('writing', this.path, () => fs.writeSync(this.#fd, bytes, 0, bytes.length, at));
  }

  sync(): void {
    attempt('syncing', this.path, () => fs.fdatasyncSync(this.#fd));
  }

  close(): void {
    attempt('closing', this.path, () => fs.closeSync(this.#fd));
  }
}

function attempt<T>(operation: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new DiskFailedError(operation, path, errno, { cause });
  }
}
