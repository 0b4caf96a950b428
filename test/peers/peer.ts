/**
 * Real programs of other makers, as peers in tests. Policy: where a program is missing, its tests are skipped and say so; with
 * FUNKNODE_PEERS=required they fail instead.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** FUNKNODE_LONG=1 gives the tests the time that they would like to have. */
export const IS_LONG: boolean = process.env['FUNKNODE_LONG'] === '1';

/**
 * The path of a program on `PATH`. Missing, it skips the test and answers undefined; with `FUNKNODE_PEERS=required` a missing
 * peer fails it instead, so that a machine that is meant to have all of them cannot pass by having none.
 */
export function peerOrSkip(test: TestContext, program: string): string | undefined {
  const reason = skipWithout(program);
  if (reason === false) return programPath(program);
  test.skip(reason);
  return undefined;
}

/** The same for the `skip` option of a whole suite: false when the program is there, else why its tests are skipped. */
export function skipWithout(program: string): string | false {
  if (programPath(program) !== undefined) return false;
  if (process.env['FUNKNODE_PEERS'] === 'required') throw new Error(`the peer ${program} is not installed`);
  return `${program} is not installed`;
}

/** Where a program is found along PATH. */
export function programPath(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** Runs a program to its end; rejects when it fails or takes too long. */
export async function runProgram(name: string, args: readonly string[], timeoutMs = 60_000): Promise<string> {
  const { stdout } = await execFileAsync(programPath(name) ?? name, [...args], { timeout: timeoutMs });
  return stdout;
}

/** A program that runs beside the test; its output is kept by lines. */
export class PeerProcess {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(name: string, args: readonly string[], options: { readonly cwd?: string } = {}) {
    const child = spawn(programPath(name) ?? name, [...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', (error) => {
        this.lines.push(`could not be started: ${error.message}`);
        resolve();
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream?.setEncoding('utf8').on('data', (text: string) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop() ?? '';
        this.lines.push(...parts);
      });
    }
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Sends the signal and waits for the end; a program that does not obey within five seconds is killed. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill(signal);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await this.#ended;
    clearTimeout(killer);
  }

  /** Stops and continues the whole process, as an operator would with SIGSTOP and SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }
}

/** Below the ports that the kernel hands out by itself: none of them is taken between now and the use of it. */
const FREE_PORTS = { from: 18_000, below: 32_000 };

/** A port that is free for both UDP and TCP at this moment. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(FREE_PORTS.from, FREE_PORTS.below);
    const socket = createSocket('udp4');
    const server = createServer();
    const isFree = await Promise.all([
      new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false)).listen(port, host, () => resolve(true));
      }),
      new Promise<boolean>((resolve) => {
        socket.once('error', () => resolve(false)).bind(port, host, () => resolve(true));
      }),
    ]);
    socket.close();
    server.close();
    if (isFree.every(Boolean)) return port;
  }
}

/** Many questions are answered by a process that is started for each: who has waited for long waits a little longer. */
const PAUSE_MS = { first: 100, growth: 1.3, most: 1_000 };

/** Asks again and again until the answer is what is wanted; fails with the last answer when time is up. */
export async function until(
  what: string,
  question: () => Promise<string | true> | string | true,
  timeoutMs: number,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * PAUSE_MS.growth, PAUSE_MS.most)) {
    const answer = await question();
    if (answer === true) return;
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms; last: ${answer}`);
    await pause(pauseMs);
  }
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run: both mean that it cannot be a peer.
    return false;
  }
}
