/** A node with nothing to say sleeps from probe to probe; news wakes it at the next tick of gossip, as if it had never slept. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alive, Bench } from './harness.ts';

/** How often the machine wants to be woken in `ms`. */
function wakeUps(bench: Bench, ms: number): number {
  const end = bench.now + ms;
  let count = 0;
  while (bench.swim.nextDeadline() <= end) {
    bench.now = Math.max(bench.now, bench.swim.nextDeadline());
    bench.tick();
    count += 1;
  }
  bench.now = end;
  return count;
}

describe('a quiet node', () => {
  it('wakes for its probes, not for gossip without news', () => {
    const bench = new Bench({ pushPullIntervalMs: 0, probeIntervalMs: 600_000 }).withMembers(5);
    bench.hear(alive(2, 7));
    assert.ok(wakeUps(bench, 2_000) >= 2, 'there is news to tell');
    assert.ok(wakeUps(bench, 5_000) <= 1, 'and then there is none');
  });

  it('gossips news within an interval, on the beat that it had before', () => {
    const bench = new Bench({ pushPullIntervalMs: 0 }).withMembers(5);
    bench.advance(200);
    const beats: number[] = [];
    for (const quietMs of [0, 7_130, 12_345]) {
      bench.advance(60_000 + quietMs);
      for (let n = 2; n <= 5; n++) bench.hear(alive(n, 100 + bench.now));
      const since = bench.now;
      assert.ok(bench.swim.nextDeadline() <= since + bench.config.gossipIntervalMs);
      bench.forget();
      while (bench.sentOf('alive').length === 0) bench.advance(1);
      assert.ok(bench.now - since <= bench.config.gossipIntervalMs + 1);
      beats.push(bench.now % bench.config.gossipIntervalMs);
    }
    assert.ok(Math.max(...beats) - Math.min(...beats) <= 2, `beats: ${beats.join(', ')}`);
  });

  it('wakes for news of the layer above, too', () => {
    const bench = new Bench({ pushPullIntervalMs: 0 }).withMembers(5);
    bench.advance(60_000);
    assert.ok(bench.swim.nextDeadline() > bench.now + 200 || !bench.delegate.hasBroadcasts());
    bench.delegate.broadcasts = [Uint8Array.of(1, 2, 3)];
    assert.ok(bench.swim.nextDeadline() <= bench.now + bench.config.gossipIntervalMs);
    bench.forget();
    bench.advance(bench.config.gossipIntervalMs);
    assert.ok(bench.sentOf('user').length > 0);
  });
});
