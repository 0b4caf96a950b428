/** `--restart-grace`: who stops in order and returns soon finds its shards where they were. docs/ownership.md section 5. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boot, index, node, ownersOf, Rig } from './rig.ts';

const GRACE_MS = 3_000;
const ABC = [
  ['a', 1],
  ['b', 1],
  ['c', 1],
] as const;

/** `a` leads, and `b` has just stopped in order. */
function withoutB(restartGraceMs = GRACE_MS): Rig {
  const rig = new Rig({ config: { restartGraceMs } });
  rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
  rig.lead().hear('b').hear('c');
  return rig.receive({ kind: 'release', node: node('b'), boot: boot(1) });
}

/** `c` lives on for so long, unless a map is proposed. */
function wait(rig: Rig, ms: number): void {
  for (const end = rig.now + ms; rig.now < end && rig.unapplied === undefined; ) rig.pass(50).hear('c');
}

describe('a node that stops in order', () => {
  it('keeps its shards for the grace, and has them all when it is back, under new epochs', () => {
    const rig = withoutB();
    wait(rig, GRACE_MS - 500);
    assert.equal(rig.unapplied, undefined);
    assert.equal(rig.owners(), 'aabbcc');
    rig.hear('b', { boot: boot(2) });
    assert.equal(ownersOf(rig.applyAppended()), 'aabbcc');
    rig.applyAppended();
    const map = rig.machine.activeMap();
    assert.deepEqual([...(map?.epochs ?? [])], [2, 2, map?.committedAt, map?.committedAt, 2, 2]);
    assert.equal(map?.owners[1]?.boot, 2);
  });

  it('is not taken for back before it has caught up', () => {
    const rig = withoutB();
    rig.hear('b', { boot: boot(2), appliedIndex: index(0) });
    wait(rig, 500);
    assert.equal(rig.unapplied, undefined);
    rig.hear('b', { boot: boot(2) });
    assert.equal(ownersOf(rig.unapplied), 'aabbcc');
  });

  it('loses them when the grace is over', () => {
    const rig = withoutB();
    const leftAt = rig.now;
    wait(rig, GRACE_MS + 500);
    assert.ok(!ownersOf(rig.unapplied).includes('b'));
    assert.ok(rig.now - leftAt >= GRACE_MS && rig.now - leftAt <= GRACE_MS + 51);
  });

  it('loses them at once without one', () => {
    assert.ok(!ownersOf(withoutB(0).unapplied).includes('b'));
  });

  it('and one that dies has none', () => {
    const rig = new Rig({ config: { restartGraceMs: GRACE_MS } });
    rig.propose(ABC, [0, 0, 1, 1, 2, 2]).commit();
    rig.lead().hear('b').hear('c');
    const diedAt = rig.now;
    wait(rig, GRACE_MS);
    assert.ok(!ownersOf(rig.unapplied).includes('b') && rig.now - diedAt < 1_000);
  });
});
