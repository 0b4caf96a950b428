/** Small scopes of the Raft core, explored (exploration.ts); and proof that the exploration would notice. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { present } from '../../src/base/assert.ts';
import type * as RaftRoom from '../../src/raft/raft.ts';
import { PLANTED_BUGS } from '../sim/planted-bugs.ts';
import { breakRule, type Change, copyBuilt, planted, removePlanted } from '../sim/planting.ts';
import { explore, openFields, type Scope, Violation } from './exploration.ts';

const isLong = process.env['FUNKNODE_LONG'] === '1';
const NOTHING: Scope = {
  timeouts: 1,
  heartbeats: 0,
  proposals: 0,
  crashes: 0,
  hasSlowDisks: false,
  statesMax: isLong ? 12_000_000 : 40_000,
};

/** Of the planted bugs, those that two elections or one of them with a command can show, and in what scope. */
const SHOWN: readonly (readonly [string, Partial<Scope>])[] = [
  ['P-1: a vote is not durable when it is given', {}],
  ['P-1: a promise leaves before it is durable', {}],
  ['P-25: a leader counts itself before its disk does', { hasSlowDisks: true }],
  ['a second vote in one term', { timeouts: 2 }],
];

describe('the Raft core: small scopes', () => {
  after(removePlanted);

  const scopes: readonly (readonly [string, Partial<Scope>, 'to its end' | 'as far as it goes'])[] = [
    ['one election, one crash, slow disks', { crashes: 1, hasSlowDisks: true }, 'to its end'],
    ['one election and one command', { proposals: 1, statesMax: 200_000 }, 'to its end'],
    ['two elections and one command', { timeouts: 2, proposals: 1 }, 'as far as it goes'],
    ['two elections, one crash, slow disks', { timeouts: 2, crashes: 1, hasSlowDisks: true }, 'as far as it goes'],
  ];
  for (const [name, scope, how] of scopes) {
    it(`keeps every promise in every order of ${name}, ${how}`, async (t) => {
      const explored = explore({ ...NOTHING, ...scope }, await opened());
      const { states, lives, depth, isExhausted, led, committed } = explored;
      t.diagnostic(
        `${states} states, ${led} with a leader, ${committed} with a command committed; ${lives} states of a node; ${depth} steps deep`,
      );
      if (how === 'to its end') assert.ok(isExhausted);
      assert.ok(led > 0 && states > 10_000);
      if (scope.proposals !== undefined) assert.ok(committed > 0);
    });
  }

  for (const [name, scope] of SHOWN) {
    it(`shows the planted bug ${name}`, async (t) => {
      const bug = present(
        PLANTED_BUGS.find((one) => one.name === name),
        name,
      );
      const raft = await opened(bug);
      assert.throws(
        () => explore({ ...NOTHING, ...scope }, raft),
        (error: Error) => {
          t.diagnostic(error.message.split('\n')[0] ?? '');
          return error instanceof Violation;
        },
      );
    });
  }
});

/** A core whose private fields can be read, with or without a bug in it. */
async function opened(bug?: Change): Promise<typeof RaftRoom.Raft> {
  const folder = copyBuilt(['src']);
  if (bug !== undefined) breakRule(folder, bug);
  for (const room of ['raft', 'base'])
    for (const file of readdirSync(join(folder, 'src', room))) {
      const path = join(folder, 'src', room, file);
      if (file.endsWith('.js')) writeFileSync(path, openFields(readFileSync(path, 'utf8')));
    }
  return (await planted<typeof RaftRoom>(folder, 'src/raft/raft.js')).Raft;
}
