/** SH-8: a node that dies again and again does not move its shards each time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Flapping } from '../../src/sharding/flapping.ts';
import { boot, node, Rig, type RigOptions } from './rig.ts';

describe('the damping of nodes that flap', () => {
  it('forgives a first death, then holds for twice as long each time, up to eight times', () => {
    const flapping = new Flapping(5_000);
    const holds = Array.from({ length: 7 }, (_, i) => flapping.onDeath(node('c'), i * 1_000)?.forMs);
    assert.deepEqual(holds, [undefined, 5_000, 10_000, 20_000, 40_000, 40_000, 40_000]);
    assert.equal(flapping.heldUntil(node('c')), 46_000);
    assert.equal(flapping.heldUntil(node('b')), Number.NEGATIVE_INFINITY);
  });

  it('forgets a node that has lived for five minutes', () => {
    const flapping = new Flapping(5_000);
    flapping.onDeath(node('c'), 0);
    assert.equal(flapping.onDeath(node('c'), 300_001), undefined);
    assert.deepEqual(flapping.onDeath(node('c'), 600_000), { node: 'c', deaths: 2, forMs: 5_000 });
  });

  it('holds nobody when it is told not to', () => {
    const flapping = new Flapping(0);
    for (let at = 0; at < 5; at++) assert.equal(flapping.onDeath(node('c'), at), undefined);
    assert.ok(flapping.heldUntil(node('c')) <= 4);
  });
});

/** A leader `a` with `b` and `c`, whose log applies at once whatever it appends. */
class Three {
  readonly rig: Rig;
  #boots: Map<string, number> = new Map([
    ['b', 1],
    ['c', 1],
  ]);

  constructor(config: RigOptions['config'] = {}) {
    this.rig = new Rig({ config });
    const owners = [
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ] as const;
    this.rig.propose(owners, [0, 0, 1, 1, 2, 2]).commit();
    this.rig.lead({ leaseUntil: Number.POSITIVE_INFINITY });
  }

  /** So many milliseconds in which these renew as they should. */
  live(ms: number, ...names: readonly string[]): this {
    const { rig } = this;
    for (const end = rig.now + ms; rig.now < end; ) {
      rig.pass(Math.min(90, end - rig.now));
      if (rig.unapplied !== undefined) rig.applyAppended();
      rig.step({ kind: 'released', version: rig.lastIndex });
      for (const name of names)
        rig.hear(name, { boot: boot(this.#boots.get(name) ?? 1), releasedVersion: rig.lastIndex });
      if (rig.unapplied !== undefined) rig.applyAppended();
    }
    return this;
  }

  /** `c` dies, is missed, and comes back as another process. */
  flap(): this {
    this.live(2_000, 'b');
    assert.equal(this.owns('c'), false);
    this.#boots.set('c', (this.#boots.get('c') ?? 1) + 1);
    return this.live(1_000, 'b', 'c');
  }

  owns(name: string): boolean {
    return this.rig.owners().includes(name);
  }

  held(): unknown[] {
    return this.rig.told.filter(({ kind }) => kind === 'held');
  }
}

describe('a leader whose follower flaps', () => {
  it('gives it its shards back at once the first time, and later the second', () => {
    const three = new Three().live(500, 'b', 'c').flap();
    assert.equal(three.owns('c'), true);
    assert.deepEqual(three.held(), []);
    three.flap();
    assert.equal(three.owns('c'), false);
    assert.deepEqual(three.held(), [{ kind: 'held', node: 'c', deaths: 2, forMs: 5_000 }]);
    const { rig } = three;
    const maps = rig.machine.stats.commits;
    three.live(2_500, 'b', 'c');
    assert.equal(three.owns('c'), false);
    assert.equal(rig.machine.stats.commits, maps, 'no map while it is held');
    three.live(2_500, 'b', 'c');
    assert.equal(three.owns('c'), true);
  });

  it('does not mind one that leaves in order', () => {
    const three = new Three().live(500, 'b', 'c');
    for (let time = 0; time < 3; time++) {
      const { rig } = three;
      const { boot: itsBoot } = rig.renewal('c', { boot: boot(time + 1) });
      rig.receive({ kind: 'release', node: node('c'), boot: itsBoot });
      three.flap();
      assert.equal(three.owns('c'), true, `after stop ${time + 1}`);
    }
    assert.deepEqual(three.held(), []);
  });

  it('gives it all there is when there is nobody else', () => {
    const three = new Three().live(500, 'b', 'c').flap().flap();
    assert.equal(three.owns('c'), false);
    // The leader gives its own away, and b dies.
    three.rig.step({ kind: 'drain' });
    three.live(3_000, 'c');
    assert.deepEqual([...new Set(three.rig.owners())], ['c']);
  });
});
