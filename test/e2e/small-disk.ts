/** A disk of its own for one node: a tmpfs of fixed size in a mount namespace, which lives as long as a process that holds it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { skipWithout } from '../peers/peer.ts';

const CHUNK: Uint8Array = new Uint8Array(64 * 1024);

/** Why it cannot be had here; false when it can. */
export function skipWithoutMounts(): string | false {
  const missing = skipWithout('unshare') || skipWithout('nsenter');
  if (missing !== false) return missing;
  return process.getuid?.() === 0 ? false : 'only root mounts a file system';
}

export class SmallDisk implements AsyncDisposable {
  readonly folder: string;
  readonly #holder: ChildProcess;

  static async mount(folder: string, mebibytes: number): Promise<SmallDisk> {
    mkdirSync(folder, { recursive: true });
    const script = `mount -t tmpfs -o size=${mebibytes}m tmpfs "$0" && echo mounted && exec cat`;
    const holder = spawn('unshare', ['-m', 'sh', '-c', script, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(holder.stdout as NodeJS.ReadableStream, 'data');
    return new SmallDisk(folder, holder);
  }

  private constructor(folder: string, holder: ChildProcess) {
    this.folder = folder;
    this.#holder = holder;
  }

  /** Words before a program that is to see the disk. */
  get wrap(): readonly string[] {
    return ['nsenter', '-t', String(this.#holder.pid), '-m'];
  }

  /** Takes all room that is left, as somebody else on the disk would. */
  fill(): void {
    const fd = openSync(this.#ballast, 'a');
    try {
      for (let written = CHUNK.length; written === CHUNK.length; ) written = writeSync(fd, CHUNK);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Gives it back. */
  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await ended;
  }

  get #ballast(): string {
    return join(`/proc/${this.#holder.pid}/root`, this.folder, 'ballast');
  }
}
