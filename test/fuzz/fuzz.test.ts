/** Every decoder against hostile bytes: 20,000 inputs each, a million in the long suite; the table tells how it went. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clusterTargets } from './cluster-targets.ts';
import { GOSSIP_TARGETS } from './gossip-targets.ts';
import { fuzz, type FuzzResult, REFUSED, tableOf } from './harness.ts';

const INPUTS = process.env['FUNKNODE_LONG'] === '1' ? 1_000_000 : 20_000;

describe('hostile bytes', () => {
  const targets = [...GOSSIP_TARGETS, ...clusterTargets()];
  const results: FuzzResult[] = [];

  for (const [index, target] of targets.entries()) {
    it(`do no more than be refused: ${target.name}, ${INPUTS} times`, () => {
      const result = fuzz(target, INPUTS, 1_000 + index);
      results.push(result);
      // A harness whose inputs are all refused, or all accepted, tests little.
      assert.ok(result.accepted > 0, 'some come through');
      assert.ok(result.refused > 0 || target.name === 'address', 'and some do not');
    });
  }

  it('leave this table', (t) => {
    for (const line of tableOf(results)) t.diagnostic(line);
    assert.equal(results.length, targets.length);
  });
});

describe('the harness for hostile bytes', () => {
  const seeds = [Uint8Array.from({ length: 24 }, (_, i) => i)];

  it('catches an exception, a hang, an answer that is too large, and changed input', () => {
    const thrower = { name: 'thrower', seeds, decode: (): unknown => JSON.parse('{') as unknown };
    assert.throws(() => fuzz(thrower, 10, 1), /thrower threw for 0001/);
    const slow = { name: 'slow', seeds, decode: (): unknown => spin(60) };
    assert.throws(() => fuzz(slow, 10, 1), /slow: \d+ ms for/);
    const grower = { name: 'grower', seeds, decode: (): unknown => new Uint8Array(1_000_000) };
    assert.throws(() => fuzz(grower, 10, 1), /grower: an answer of 1[45]\.\d times/);
    const writer = { name: 'writer', seeds, decode: (bytes: Uint8Array): unknown => bytes.fill(0) && REFUSED };
    assert.throws(() => fuzz(writer, 10, 1), /writer changes its input/);
  });

  it('catches what is kept', () => {
    const kept: unknown[] = [];
    const keeper = {
      name: 'keeper',
      seeds,
      decode: (): unknown => kept.push(Array.from({ length: 2_000 }, (_, i) => i)) && REFUSED,
    };
    assert.throws(() => fuzz(keeper, 6_000, 1), /keeper: the heap has grown/);
  });
});

/** Of the processor's time, whoever else wants it. */
function spin(ms: number): number {
  const from = process.cpuUsage();
  for (let turns = 0; ; turns++) if (process.cpuUsage(from).user > ms * 1_000) return turns;
}
