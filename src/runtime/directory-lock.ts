/**
 * A lock that dies with the process. Node has no `flock`: the util-linux program takes it on a descriptor that it inherits from us, so
 * the lock belongs to our open file and outlives the helper. A pid file would not do: two starters can both judge it stale. raft.md 11.1.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { DirectoryUnusableError, FlockUnusableError } from './disk-errors.ts';

/** What `flock` exits with when another holds the lock. */
const CONFLICT = 1;
const FILE_MODE = 0o600;

export class DirectoryLock {
  readonly path: string;
  readonly #fd: number;
  #released = false;

  /** Undefined when another process holds it for longer than `waitSeconds` (0: do not wait). The file is made, and never deleted. */
  static async take(path: string, waitSeconds = 0): Promise<DirectoryLock | undefined> {
    let fd: number;
    try {
      fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, FILE_MODE);
    } catch (cause) {
      throw new DirectoryUnusableError(path, 'its lock file cannot be opened', { cause });
    }
    try {
      const wait = waitSeconds === 0 ? ['-n'] : ['-w', String(waitSeconds)];
      if (await flock([...wait, '-x', '3'], fd)) return new DirectoryLock(path, fd);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    fs.closeSync(fd);
    return undefined;
  }

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    // For people only: who holds it. The lock itself is the kernel's.
    fs.ftruncateSync(fd, 0);
    fs.writeSync(fd, `${process.pid}\n`, 0);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    fs.closeSync(this.#fd);
  }
}

/** ` (process 123)`, or nothing when it cannot be told. */
export function lockHolder(path: string): string {
  const pid = fs.existsSync(path) ? Number.parseInt(fs.readFileSync(path, 'latin1').slice(0, 16), 10) : Number.NaN;
  return Number.isSafeInteger(pid) ? ` (process ${pid})` : '';
}

function flock(args: readonly string[], fd: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', args, { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', (cause) => {
      const missing = 'code' in cause && cause.code === 'ENOENT';
      const why = missing
        ? 'the program `flock` is missing: install the package util-linux'
        : `the program \`flock\` does not start: ${cause.message}`;
      reject(new FlockUnusableError(`a data directory cannot be locked: ${why}`, { cause }));
    });
    child.once('exit', (code, signal) => {
      if (code === 0) resolve(true);
      else if (code === CONFLICT) resolve(false);
      else
        reject(
          new FlockUnusableError(
            `a data directory cannot be locked: \`flock\` ended with ${code ?? signal ?? 'nothing'}`,
          ),
        );
    });
  });
}
