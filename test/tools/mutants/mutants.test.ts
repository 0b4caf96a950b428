/** The judge of the tests is on trial itself: which mutants it makes of a few lines, and that it notices when one is killed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { removePlanted } from '../../sim/planting.ts';
import { readEquivalent } from './equivalent.ts';
import { mutantsOf } from './mutant-list.ts';
import { Trials, type Verdict } from './trials.ts';

const built: string = fileURLToPath(new URL('../../..', import.meta.url));

const SAMPLE = `import { assert } from './assert.js';
export class Sample {
  #left = 3;
  constructor(left) {
    this.#left = left;
  }
  take(count, isForced) {
    assert(count > 0, 'something is taken');
    if (count > this.#left && !isForced) throw new Error(\`\${1 + 1} too many\`);
    this.#left -= Math.min(count, this.#left);
    return this.#left === 0 ? 'empty' : 'more than ' + 40;
  }
  check() { assert(this.#left >= 0, 'never below zero'); }
}
`;
const EXPECTED: readonly string[] = [
  '3:11:less: #left = 3; → #left = 2;',
  '3:11:more: #left = 3; → #left = 4;',
  '9:9:always: count > this.#left && !isForced → true',
  '9:9:never: count > this.#left && !isForced → false',
  '9:15:boundary: count > this.#left → count >= this.#left',
  '9:15:opposite: count > this.#left → count <= this.#left',
  '9:28:logic: count > this.#left && !isForced → count > this.#left || !isForced',
  '9:31:not: !isForced → isForced',
  '10:5:removed: this.#left -= Math.min(count, this.#left); → ;',
  '10:16:arithmetic: this.#left -= Math.min(count, this.#left) → this.#left += Math.min(count, this.#left)',
  '10:24:call: Math.min(count, this.#left) → Math.max(count, this.#left)',
  '11:12:always: this.#left === 0 → true',
  '11:12:never: this.#left === 0 → false',
  '11:23:opposite: this.#left === 0 → this.#left !== 0',
  '11:27:more: this.#left === 0 → this.#left === 1',
];

describe('mutants', () => {
  after(removePlanted);

  it('of a few lines are these, and none of assertions, texts, settings and what a constructor sets', () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-sample-'));
    try {
      writeFileSync(join(folder, 'sample.js'), SAMPLE);
      const { mutants, switched } = mutantsOf(folder, ['sample.js']);
      assert.match(switched.get('sample.js') ?? '', /\$m\(11\) \? \(Math\.max\(count, this\.#left\)\) : \(Math\.min/);
      assert.deepEqual(
        mutants.map(({ id, key }) => `${id.replace('sample.ts:', '')}: ${key.split(' | ')[2]}`),
        EXPECTED,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('that are deadly are killed, by a test that has a name', async () => {
    const list = mutantsOf(built, ['src/raft/candidate.js']);
    const deadly = list.mutants.filter(({ key }) => key.includes('becomeLeader(state); → ;'));
    const harmless = list.mutants.filter(({ key }) => key.includes('state.counters.electionsStarted += 2'));
    const verdicts: Verdict[] = [];
    const folders = ['test/raft', 'test/sim', 'test/tools/mutants'];
    const trials = new Trials({ steps: ['raft/events'], neighbours: [], folders, core: 'raft' }, list, {
      core: 0,
      nodes: 0,
    });
    await trials.run(
      [...deadly, ...harmless].map(({ number }) => number),
      (_, verdict) => verdicts.push(verdict),
    );
    assert.deepEqual(
      verdicts.map(({ isKilled }) => isKilled),
      [true, false, false],
      'nobody counts elections there',
    );
    assert.equal(verdicts[0]?.layer, 'steps');
    assert.match(verdicts[0]?.by ?? '', /^raft\/events: /);
  });

  it('that a review let go are still made', () => {
    const reviewed = [...readEquivalent().keys()];
    const files = new Set(reviewed.map((key) => key.replace(/\.ts \| .*/, '.js')));
    const keys = new Set(mutantsOf(built, [...files]).mutants.map(({ key }) => key));
    const stale = reviewed.filter((key) => !keys.has(key));
    assert.deepEqual(stale, [], 'a line of equivalent.txt is about code that has changed: look again');
  });
});
