/** `funkctl` as a process of its own, and many runs of it in one. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Ended, HostedProgram } from '../tools/hosted-program.ts';
import { ROOT } from '../tools/source-tree.ts';

export const PROGRAM: string = join(ROOT, 'dist/cmd/funkctl/main.js');

const { FUNKCTL_ENDPOINT: _ours, FORCE_COLOR: _colour, ...INHERITED } = process.env;

const hosted = new HostedProgram(PROGRAM, INHERITED);

/** The same as {@link run} but for the process, which is there already: every verb has a real one elsewhere. */
export function again(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return hosted.run(args, env);
}

export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [PROGRAM, ...args], { env: { ...INHERITED, ...env } });
}

export async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = start(args, env);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}
