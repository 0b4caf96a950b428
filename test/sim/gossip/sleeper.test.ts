/** A member sleeps through the death of another, and through the time in which the others forget it: whom do they see alive when it wakes? */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SwimConfig } from '../../../src/swim/config.ts';
import { form, isAllAlive } from './measures.ts';
import type { GossipNode } from './node.ts';
import type { GossipWorld } from './world.ts';

const SECOND = 1_000;
const COUNT = 12;

interface Scene {
  readonly world: GossipWorld;
  readonly sleeper: GossipNode;
  readonly deceased: GossipNode;
}

/** One sleeps with its machine, so that no socket of it takes anything in; another dies meanwhile, and all others forget it. */
function whileAsleep(seed: number, settings: Partial<SwimConfig> = {}, end: 'killed' | 'left' = 'killed'): Scene {
  const { world } = form(COUNT, { seed, settings });
  const [, , sleeper, deceased] = world.nodes as [GossipNode, GossipNode, GossipNode, GossipNode];
  world.pause(sleeper);
  world.partition((node) => (node === sleeper ? 1 : 0));
  world.run(SECOND);
  if (end === 'left') {
    world.leave(deceased);
    world.run(3 * SECOND);
  }
  world.kill(deceased);
  const isForgotten = (): boolean =>
    world.up.every((node) => node === sleeper || node.swim.member(deceased.name) === undefined);
  const tookMs = world.runUntil(isForgotten, { limitMs: 120 * SECOND, everyMs: SECOND });
  assert.ok(tookMs !== undefined && tookMs >= 27 * SECOND, `forgotten after ${tookMs} ms`);
  return { world, sleeper, deceased };
}

/** Who of the others took the dead one for alive within a minute of the sleeper's waking; it asks to be let in, as Serf does. */
function sawItAlive({ world, sleeper, deceased }: Scene): Set<string> {
  const saw = new Set<string>();
  world.watch(({ observer, event }) => {
    if (event.kind === 'memberJoined' && event.member.name === deceased.name) saw.add(observer.name);
  });
  world.heal();
  world.resume(sleeper);
  world.join(sleeper, world.nodes[0] as GossipNode);
  world.run(60 * SECOND);
  return saw;
}

describe('a member that wakes after the others have forgotten a death', () => {
  const SEEDS = [1, 2, 3];

  it('does not bring the dead member back to anybody', () => {
    for (const seed of [...SEEDS, ...SEEDS.map((odd) => -odd)]) {
      const scene = whileAsleep(Math.abs(seed), {}, seed > 0 ? 'killed' : 'left');
      assert.deepEqual([...sawItAlive(scene)], [], `seed ${seed}`);
      assert.ok(isAllAlive(scene.world), 'the sleeper is back, and knows of the death itself');
    }
  });

  it('would do so if nothing but the rows remembered, as in memberlist', () => {
    const withoutMemory = (): unknown => sawItAlive(whileAsleep(1, { tombstoneMs: 0 }));
    assert.throws(withoutMemory, /took up n4, which is gone, at 1, after it had forgotten it at 1/);
  });

  for (const end of ['killed', 'left'] as const)
    it(`hinders nobody: a new process of the name of one that ${end === 'left' ? 'left' : 'was killed'} is admitted as soon as without that memory`, (t) => {
      const timesOf = (settings: Partial<SwimConfig>): number[] =>
        [1, 2, 3, 4, 5, 6].map((seed) => {
          const { world, sleeper, deceased } = whileAsleep(seed, settings, end);
          world.kill(sleeper);
          const again = world.start(Number(deceased.name.slice(1)));
          assert.equal(again.swim.self.incarnation, 1);
          world.join(again, world.nodes[0] as GossipNode);
          const isBack = (): boolean => world.up.every(({ swim }) => swim.member(again.name)?.state === 'alive');
          const tookMs = world.runUntil(isBack, { limitMs: 60 * SECOND });
          assert.ok(tookMs !== undefined, `seed ${seed}`);
          return tookMs;
        });
      const [with_, without] = [timesOf({}), timesOf({ tombstoneMs: 0 })].map((times) =>
        [...times].sort((a, b) => a - b),
      ) as [number[], number[]];
      t.diagnostic(`known to all after ${with_.join(', ')} ms; without tombstones ${without.join(', ')} ms`);
      assert.ok((with_.at(-1) as number) <= (without.at(-1) as number) + 400, 'within two gossip rounds of it');
    });
});
