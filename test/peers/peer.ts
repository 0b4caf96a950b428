/** Programs of others that tests meet: where they are, and what to do when they are not. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';

/**
 * The path of a program on `PATH`. Missing, it skips the test and answers undefined; with `FUNKNODE_PEERS=required` a missing
 * peer fails it instead, so that a machine that is meant to have all of them cannot pass by having none.
 */
export function peerOrSkip(test: TestContext, program: string): string | undefined {
  const found = findProgram(program);
  if (found !== undefined) return found;
  if (process.env['FUNKNODE_PEERS'] === 'required') throw new Error(`the peer ${program} is not installed`);
  test.skip(`${program} is not installed`);
  return undefined;
}

function findProgram(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (cause) {
    if (cause instanceof Error) return false;
    throw cause;
  }
}
