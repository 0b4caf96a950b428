/** The programs as an operator runs them: to their end, with what they said. Each is started, unless it is asked for once more. */
import { execFile } from 'node:child_process';
import { HostedProgram } from '../tools/hosted-program.ts';
import { FUNKCTL, MAIN, type NodeProcess } from './node-process.ts';

export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function funknode(...words: readonly string[]): Promise<ProgramEnd> {
  return started(MAIN, words);
}

/** Asks that node. */
export async function funkctl(node: NodeProcess, ...words: readonly string[]): Promise<ProgramEnd> {
  return started(FUNKCTL, ['--endpoint', await node.endpoint('ep.clusterfunk.management'), ...words]);
}

/** Without a process of its own: for what is said of a verb that another test, or another run, starts as a program. */
export function funknodeAgain(...words: readonly string[]): Promise<ProgramEnd> {
  return runAgain(hostedFunknode, words);
}

export async function funkctlAgain(node: NodeProcess, ...words: readonly string[]): Promise<ProgramEnd> {
  return runAgain(hostedFunkctl, ['--endpoint', await node.endpoint('ep.clusterfunk.management'), ...words]);
}

/** As a crash of the machine ends it. */
export async function kill(node: NodeProcess): Promise<void> {
  node.signal('SIGKILL');
  await node.ended;
}

const hostedFunknode = new HostedProgram(MAIN);
const hostedFunkctl = new HostedProgram(FUNKCTL);

async function runAgain(program: HostedProgram, words: readonly string[]): Promise<ProgramEnd> {
  const { code, out, err } = await program.run(words);
  return { code: Number(code), stdout: out, stderr: err };
}

/** A process of its own. */
export function started(program: string, words: readonly string[]): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
