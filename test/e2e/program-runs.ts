/** The programs as an operator runs them: to their end, with what they said. */
import { execFile } from 'node:child_process';
import { FUNKCTL, MAIN, type NodeProcess } from './node-process.ts';

export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function funknode(...words: readonly string[]): Promise<ProgramEnd> {
  return run(MAIN, words);
}

/** Asks that node. */
export async function funkctl(node: NodeProcess, ...words: readonly string[]): Promise<ProgramEnd> {
  return run(FUNKCTL, ['--endpoint', await node.endpoint('ep.clusterfunk.management'), ...words]);
}

/** As a crash of the machine ends it. */
export async function kill(node: NodeProcess): Promise<void> {
  node.signal('SIGKILL');
  await node.ended;
}

function run(program: string, words: readonly string[]): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
