/** Queues of broadcasts that grow faster than gossip carries them. wire-gossip.md 14.6. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Broadcasts } from '../../src/serf/broadcasts.ts';
import { type SerfConfig, serfConfig } from '../../src/serf/config.ts';
import { QueueWatch } from '../../src/serf/queue-watch.ts';

interface Warning {
  readonly queue: string;
  readonly depth: number;
  readonly dropped: number;
}

function watch(settings: Partial<Omit<SerfConfig, 'swim'>>, memberCount: number) {
  const config = serfConfig({ ...settings, swim: { name: 'a', advertise: { host: '10.0.0.1', port: 7946 } } });
  const broadcasts = new Broadcasts(config);
  const warnings: Warning[] = [];
  const watched = new QueueWatch({
    config,
    broadcasts,
    memberCount: () => memberCount,
    warn: (queue, depth, dropped) => warnings.push({ queue, depth, dropped }),
  });
  watched.start(0);
  const fill = (count: number): void => {
    for (let i = 0; i < count; i++) broadcasts.add('event', Uint8Array.of(3, i & 255, i >> 8));
  };
  return { broadcasts, watched, warnings, fill };
}

it('a queue is warned of from 128 entries on, every half minute', () => {
  const { watched, warnings, fill } = watch({}, 3);
  fill(127);
  watched.tick(30_000);
  assert.deepEqual(warnings, []);
  fill(1);
  watched.tick(59_999);
  assert.deepEqual(warnings, []);
  assert.equal(watched.nextDeadline(), 60_000);
  watched.tick(60_000);
  assert.deepEqual(warnings, [{ queue: 'event', depth: 128, dropped: 0 }]);
});

it('without a minimum the maximum holds at once', () => {
  const { broadcasts, fill } = watch({ queueEntriesMax: 100 }, 3);
  fill(150);
  assert.equal(broadcasts.depth('event'), 100);
  assert.equal(broadcasts.pruned, 50);
});

it('with a minimum a queue is cut to two entries per member, or to the minimum', () => {
  for (const { members, left } of [
    { members: 10, left: 64 },
    { members: 50, left: 100 },
  ]) {
    const { broadcasts, watched, warnings, fill } = watch({ queueEntriesMin: 64, queueDepthWarning: 100 }, members);
    fill(300);
    assert.equal(broadcasts.depth('event'), 300);
    watched.tick(30_000);
    assert.equal(broadcasts.depth('event'), left);
    assert.deepEqual(warnings, [{ queue: 'event', depth: 300, dropped: 300 - left }]);
    // The newest are kept: they were sent the least.
    assert.ok(broadcasts.take(2, 1_000, members).some((bytes) => bytes[1] === (299 & 255) && bytes[2] === 1));
  }
});
