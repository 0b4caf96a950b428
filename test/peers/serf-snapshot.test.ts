/** A node and a real Serf agent rejoin by each other's snapshot files after they were killed. wire-gossip.md 19.1. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { FunknodeProgram } from './funknode-program.ts';
import { skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

describe('snapshot files of gossip', { skip: skipWithout('serf') }, () => {
  it('written by either are read by the other, and bring a killed process back without an operator', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-snapshots-'));
    const file = (name: string): string => join(folder, name);
    const running: { kill(): Promise<void> }[] = [];
    const agent = async (name: string, args: readonly string[], at?: SerfAgent['address']): Promise<SerfAgent> => {
      const started = await SerfAgent.start(name, args, at);
      running.push(started);
      return started;
    };
    const node = async (name: string, args: readonly string[]): Promise<FunknodeProgram> => {
      const started = await FunknodeProgram.start(name, args);
      running.push(started);
      return started;
    };
    try {
      const s1 = await agent('s1', []);
      const seed = formatEndpoint(s1.address);
      const ours = ['--role', 'non-member', '--snapshot', file('ours')];
      const f1 = await node('f1', [...ours, '--join', seed]);
      const s2 = await agent('s2', [`-join=${seed}`, `-snapshot=${file('theirs')}`]);
      const sees = async (expected: string): Promise<void> =>
        until(expected, async () => ((await s1.statuses()) === expected ? true : await s1.statuses()), 40_000);
      await sees('f1:alive s1:alive s2:alive');
      // An agent writes what it has gathered when something new happens, half a second later at the earliest.
      await until(
        'both files know s1',
        async () => {
          await s2.cli('event', '-coalesce=false', 'tick');
          return await knowEachOther(file);
        },
        60_000,
      );
      await Promise.all([f1.kill(), s2.kill()]);
      // Each goes on from the other's file; nobody is told where to join.
      await node('f2', ['--role', 'non-member', '--snapshot', file('theirs')]);
      await agent('s3', [`-snapshot=${file('ours')}`]);
      await until(
        's1 sees both',
        async () => (/f2:alive.*s3:alive/.test(await s1.statuses()) ? true : await s1.statuses()),
        40_000,
      );
      assert.deepEqual(
        s1.trouble().filter((line) => /\[ERR\]/.test(line)),
        [],
      );
    } finally {
      await Promise.all(running.map((one) => one.kill()));
      rmSync(folder, { recursive: true });
    }
  });
});

async function knowEachOther(file: (name: string) => string): Promise<true | string> {
  const texts = await Promise.all(['ours', 'theirs'].map((name) => readFile(file(name), 'utf8').catch(() => '')));
  return texts.every((text) => /^alive: s1 /m.test(text)) || texts.join('|');
}
