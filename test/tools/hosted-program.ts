/**
 * A program of ours for tests that call it many times: what a run does, prints and ends with, without the second of processor time that a process of its
 * own costs. What signals, pipes and the end of a process have to do with is for real processes.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const HOST: string = fileURLToPath(new URL('../programs/program-host.js', import.meta.url));
const PATIENCE_MS = 60_000;

export interface Run {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export class HostedProgram {
  readonly #program: string;
  readonly #environment: NodeJS.ProcessEnv;
  #host: ChildProcess | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** It starts with its first run, and does not keep the process of the test alive. */
  constructor(program: string, environment: NodeJS.ProcessEnv = process.env) {
    this.#program = program;
    this.#environment = environment;
  }

  /** One after the other. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const ended = this.#last.then(() => this.#runNow({ args, env }));
    this.#last = ended.catch(() => undefined);
    return ended;
  }

  async #runNow(run: Run): Promise<Ended> {
    this.#host ??= fork(HOST, [this.#program], {
      env: this.#environment,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const host = this.#host;
    host.ref();
    host.channel?.ref();
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Ended>((resolve, reject) => {
        const fails = (what: string) => (): void =>
          reject(new Error(`${what}: ${this.#program} ${run.args.join(' ')}`));
        timer = setTimeout(fails('no end'), PATIENCE_MS);
        host.once('message', resolve);
        host.once('exit', fails('its host has ended'));
        host.send(run);
      });
    } catch (error) {
      // Its answer may still come, and is not to be taken for that of the next run, which has a host of its own.
      this.#host = undefined;
      host.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
      host.removeAllListeners();
      host.unref();
      host.channel?.unref();
    }
  }
}
