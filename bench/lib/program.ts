/** Processes that a bench starts: their lines with the instant at which they came, their use of the machine, their end by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const running: Set<Program> = new Set();

/** A folder that is gone when the bench ends. */
export const scratch: string = mkdtempSync(join(tmpdir(), 'funknode-bench-'));

// However the bench ends, nothing that it started stays behind.
process.on('exit', () => {
  for (const program of running) program.signal('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

export async function endAll(): Promise<void> {
  const last = [...running];
  for (const program of last) program.signal('SIGKILL');
  await Promise.all(last.map((program) => program.ended));
}

export interface Use {
  /** Processor time so far, all threads, in milliseconds. */
  readonly cpuMs: number;
  readonly rssMiB: number;
  /** Shared pages counted in parts. */
  readonly pssMiB: number;
}

export class Program {
  /** `performance.now()` right before the process was started. */
  readonly startedAt: number;
  readonly pid: number;
  readonly ended: Promise<void>;
  hasEnded = false;
  #partial = '';
  readonly #child: ChildProcess;

  constructor(words: readonly string[], onLine: (line: string, at: number) => void) {
    this.startedAt = performance.now();
    this.#child = spawn(words[0] as string, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.pid = this.#child.pid ?? -1;
    running.add(this);
    for (const output of [this.#child.stdout, this.#child.stderr])
      output?.on('data', (bytes: Buffer) => {
        const at = performance.now();
        const lines = (this.#partial + bytes.toString()).split('\n');
        this.#partial = lines.pop() ?? '';
        for (const line of lines) onLine(line, at);
      });
    this.ended = new Promise((resolve) => {
      const onEnd = (): void => {
        this.hasEnded = true;
        running.delete(this);
        resolve();
      };
      this.#child.once('exit', onEnd);
      this.#child.once('error', onEnd);
    });
  }

  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded) this.#child.kill(name);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  use(): Use {
    const folder = `/proc/${this.pid}`;
    const rollup = readFileSync(`${folder}/smaps_rollup`, 'latin1');
    const kib = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? Number.NaN);
    return { cpuMs: cpuMsOf(folder), rssMiB: kib('Rss') / 1024, pssMiB: kib('Pss') / 1024 };
  }
}

/** By the scheduler's own count, in nanoseconds; the ticks of `stat` are too coarse for programs that hardly run. */
function cpuMsOf(folder: string): number {
  const threads = readdirSync(`${folder}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`${folder}/task/${thread}/schedstat`, 'latin1').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e6;
}
