import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SWIM_TIMING } from '../../src/swim/config.ts';
import { suspicionSpan } from '../../src/swim/suspicion.ts';
import { Network } from './network.ts';
import type { Node } from './network.ts';

const SECOND = 1_000;
const MINUTE = 60_000;

function node(network: Network, n: number): Node {
  return network.nodes[n - 1] as Node;
}

/** When the last running node declared `name` dead, after `since`. */
function noticedByAllAfter(network: Network, name: string, since: number): number | undefined {
  const noticed = new Map<string, number>();
  for (const { at, by, event } of network.seen) {
    if (event.kind === 'memberLeft' && event.member.name === name && at >= since) noticed.set(by, at);
  }
  if (network.up.some((one) => !noticed.has(one.name))) return undefined;
  return Math.max(...noticed.values()) - since;
}

describe('a cluster', () => {
  for (const count of [3, 5, 10, 50]) {
    it(`of ${count} nodes that join one of them converges, by push/pull at the latest, and then is quiet`, (t) => {
      const network = new Network({ seed: count });
      network.grow(count);
      const tookMs = network.runUntil(() => network.isAllAlive(count), 60 * SECOND);
      assert.ok(tookMs !== undefined, `views differ: ${network.up.map((one) => one.view()).join('\n')}`);
      network.run(20 * SECOND);
      const before = network.datagrams;
      network.run(10 * SECOND);
      const perNode = (network.datagrams - before) / count / 10;
      t.diagnostic(
        `converged ${Math.round(tookMs)} ms after the last join; ${perNode.toFixed(1)} datagrams/s per node`,
      );
      assert.ok(perNode < 4, 'a probe and its answer per second, no gossip without news');
      assert.deepEqual(network.falseDeaths(), []);
      assert.ok(network.isAllAlive(count));
      network.check();
    });
  }

  it('spreads new metadata to all within a second or two', () => {
    const network = new Network({ seed: 4 });
    network.cluster(20);
    network.run(10 * SECOND);
    network.setMeta(node(network, 7), Uint8Array.of(200));
    const known = (): boolean => network.up.every(({ swim }) => swim.member('n7')?.meta[0] === 200);
    const tookMs = network.runUntil(known, 10 * SECOND);
    assert.ok(tookMs !== undefined && tookMs < 3 * SECOND);
  });

  it('runs the same way twice from one seed, and another way from another', () => {
    const traceOf = (seed: number): string => {
      const network = new Network({ seed, loss: 0.1 });
      network.cluster(7);
      network.run(20 * SECOND);
      network.kill(node(network, 3));
      network.run(20 * SECOND);
      return `${network.trace} ${network.datagrams} ${network.up.map((one) => one.view()).join('|')}`;
    };
    assert.equal(traceOf(11), traceOf(11));
    assert.notEqual(traceOf(11), traceOf(12));
  });
});

describe('a killed node (G-5)', () => {
  for (const count of [3, 5, 10, 30]) {
    it(`is declared dead by all of ${count} within the computed bound`, (t) => {
      const took: number[] = [];
      const { probeIntervalMs } = SWIM_TIMING.lan;
      const { minMs, maxMs } = suspicionSpan(SWIM_TIMING.lan, count);
      for (let seed = 1; seed <= 10; seed++) {
        const network = new Network({ seed: seed * 100 + count });
        network.cluster(count);
        network.run(20 * SECOND + seed * 137);
        const victim = node(network, 2);
        const since = network.now;
        network.kill(victim);
        network.runUntil(() => noticedByAllAfter(network, victim.name, since) !== undefined, 2 * MINUTE);
        const tookMs = noticedByAllAfter(network, victim.name, since);
        assert.ok(tookMs !== undefined, `seed ${seed}: somebody never noticed`);
        // Somebody probes it within a turn of the list, judges at the end of the interval, scaled by health that failing
        // probes cost; then the suspicion, at the longest unconfirmed; then gossip.
        const boundMs = (count + 3) * probeIntervalMs + (count < 4 ? minMs : maxMs) + 3 * SECOND;
        assert.ok(tookMs <= boundMs, `seed ${seed}: ${tookMs} ms, bound ${boundMs} ms`);
        assert.deepEqual(network.falseDeaths(), []);
        took.push(tookMs);
      }
      took.sort((a, b) => a - b);
      const seconds = took.map((ms) => (ms / 1_000).toFixed(1));
      t.diagnostic(`noticed by all: median ${seconds[5]} s, slowest ${seconds[9]} s`);
    });
  }

  it('that comes back at its address under incarnation 1 is a member again', () => {
    const network = new Network({ seed: 21 });
    network.cluster(5);
    network.run(10 * SECOND);
    network.kill(node(network, 3));
    network.run(25 * SECOND);
    const again = network.add('n3', 3);
    network.join(again, node(network, 1).endpoint);
    const back = (): boolean => network.up.every(({ swim }) => swim.member('n3')?.state === 'alive');
    assert.ok(network.runUntil(back, 20 * SECOND) !== undefined, again.view());
    network.run(10 * SECOND);
    assert.ok(network.isAllAlive(5));
  });

  it('among many is back in the eyes of all within one turn of its probes, even where most members are dead', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const network = new Network({ seed: 500 + seed, settings: { pushPullIntervalMs: 0 } });
      network.grow(8);
      for (const one of network.nodes) network.join(one, node(network, 1).endpoint);
      network.run(5 * SECOND);
      assert.ok(network.isAllAlive(8));
      for (const n of [2, 3, 4, 5]) network.kill(node(network, n));
      const noticed = (): boolean => network.up.every(({ swim }) => swim.presentCount === 4);
      assert.ok(network.runUntil(noticed, MINUTE) !== undefined);
      const again = network.add('n3', 3);
      network.join(again, node(network, 1).endpoint);
      const back = (): boolean => network.up.every(({ swim }) => swim.member('n3')?.state === 'alive');
      // Half of all gossip goes to the dead. Whoever was missed learns it when the returned one pings it.
      assert.ok(network.runUntil(back, 8 * SECOND) !== undefined, `seed ${seed}`);
    }
  });

  it('that comes back at another port takes its name back as soon as the old one is dead, if the layer above agrees', () => {
    const network = new Network({ seed: 22 });
    network.cluster(5);
    for (const one of network.nodes) one.delegate.reclaims = () => true;
    network.run(10 * SECOND);
    network.kill(node(network, 3));
    network.run(500);
    const again = network.add('n3', 3, 8_000);
    network.join(again, node(network, 1).endpoint);
    const back = (): boolean =>
      network.up.every(({ swim }) => {
        const row = swim.member('n3');
        return row?.state === 'alive' && row.address.port === 8_000;
      });
    const tookMs = network.runUntil(back, MINUTE);
    assert.ok(tookMs !== undefined, network.up.map((one) => one.view()).join('\n'));
    network.run(30 * SECOND);
    assert.ok(network.isAllAlive(5));
  });
});

describe('a paused node', () => {
  it('of 3 s dies in nobody’s eyes, and blames nobody when it wakes', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const network = new Network({ seed });
      network.cluster(10);
      network.run(10 * SECOND);
      const sleeper = node(network, 4);
      network.pause(sleeper);
      network.run(3 * SECOND);
      network.resume(sleeper);
      network.run(30 * SECOND);
      assert.deepEqual(network.falseDeaths(), [], `seed ${seed}`);
      assert.ok(network.isAllAlive(10));
      const blamed = network.seen.filter(({ by, event }) => by === sleeper.name && event.kind === 'memberSuspected');
      assert.deepEqual(blamed, [], 'it could not have heard an answer');
    }
  });

  it('that was suspected refutes with a higher incarnation within a gossip interval or two of waking (G-4)', () => {
    const network = new Network({ seed: 5 });
    network.cluster(5);
    network.run(10 * SECOND);
    const sleeper = node(network, 2);
    const isSuspected = (): boolean => network.up.some(({ swim }) => swim.member('n2')?.state === 'suspect');
    network.pause(sleeper);
    assert.ok(network.runUntil(isSuspected, 20 * SECOND) !== undefined);
    network.run(500);
    network.resume(sleeper);
    const refuted = (): boolean => network.up.every(({ swim }) => (swim.member('n2')?.incarnation ?? 0) > 1);
    const tookMs = network.runUntil(refuted, 10 * SECOND);
    assert.ok(tookMs !== undefined && tookMs < 1 * SECOND, `${tookMs} ms`);
    assert.deepEqual(network.falseDeaths(), []);
  });

  it('for so long that it is declared dead comes back by itself', () => {
    const network = new Network({ seed: 6 });
    network.cluster(5);
    network.run(10 * SECOND);
    const sleeper = node(network, 2);
    network.pause(sleeper);
    network.run(25 * SECOND);
    assert.equal(node(network, 1).swim.member('n2')?.state, 'dead');
    network.resume(sleeper);
    assert.ok(network.runUntil(() => network.isAllAlive(5), 30 * SECOND) !== undefined);
  });
});

describe('a lossy network (G-6)', () => {
  it('of 25 % loss kills nobody in five minutes, of 10 % not even without the help of TCP', (t) => {
    let suspected = 0;
    for (let seed = 1; seed <= 4; seed++) {
      const tcpPing = seed % 2 === 0;
      const network = new Network({ seed, loss: tcpPing ? 0.25 : 0.1, settings: { tcpPing } });
      network.cluster(10);
      network.run(5 * MINUTE);
      assert.deepEqual(network.falseDeaths(), [], `seed ${seed}`);
      suspected += network.seen.filter(({ event }) => event.kind === 'memberSuspected').length;
      network.loss = 0;
      assert.ok(network.runUntil(() => network.isAllAlive(10), MINUTE) !== undefined);
    }
    t.diagnostic(`${suspected} suspicions in 200 node-minutes, all refuted`);
  });

  it('that carries no datagrams at all is survived by TCP pings', () => {
    const network = new Network({ seed: 9, settings: { pushPullIntervalMs: 5_000 } });
    network.cluster(3);
    network.run(5 * SECOND);
    network.loss = 1;
    network.run(MINUTE);
    assert.deepEqual(network.falseDeaths(), []);
    assert.ok(network.seen.some(({ event }) => event.kind === 'datagramsBlocked'));
  });
});

describe('a partition', () => {
  it('shorter than the suspicions that it causes leaves no trace (G-1)', () => {
    const network = new Network({ seed: 31 });
    network.cluster(6);
    network.run(10 * SECOND);
    network.partition((one) => (Number(one.name.slice(1)) <= 3 ? 1 : 2));
    network.run(4 * SECOND);
    assert.ok(network.seen.some(({ event }) => event.kind === 'memberSuspected'));
    network.heal();
    const tookMs = network.runUntil(() => network.isAllAlive(6), 90 * SECOND);
    assert.ok(tookMs !== undefined, network.up.map((one) => one.view()).join('\n'));
    assert.deepEqual(network.falseDeaths(), []);
  });

  it('that made the halves declare each other dead heals by the gossip to the dead, once there is news', () => {
    for (let seed = 1; seed <= 8; seed++) {
      const network = new Network({ seed: 330 + seed, settings: { pushPullIntervalMs: 5_000 } });
      network.cluster(6);
      network.run(10 * SECOND);
      network.partition((one) => (Number(one.name.slice(1)) <= 3 ? 1 : 2));
      const isSplit = (): boolean => network.up.every(({ swim }) => swim.presentCount === 3);
      assert.ok(network.runUntil(isSplit, MINUTE) !== undefined, `seed ${seed}: nobody died`);
      network.heal();
      network.setMeta(node(network, 1), Uint8Array.of(9));
      const tookMs = network.runUntil(() => network.isAllAlive(6), 90 * SECOND);
      assert.ok(tookMs !== undefined, `seed ${seed}: ${network.up.map((one) => one.view()).join('\n')}`);
    }
  });

  it('longer than that needs a join, which brings everybody back (G-13)', () => {
    const network = new Network({ seed: 32 });
    network.cluster(6);
    network.run(10 * SECOND);
    network.partition((one) => (Number(one.name.slice(1)) <= 3 ? 1 : 2));
    network.run(2 * MINUTE);
    assert.deepEqual(
      network.up.map(({ swim }) => swim.memberCount),
      [3, 3, 3, 3, 3, 3],
      'the dead were removed',
    );
    network.heal();
    network.join(node(network, 1), node(network, 5).endpoint);
    assert.ok(network.runUntil(() => network.isAllAlive(6), MINUTE) !== undefined);
  });
});

describe('a leave (G-7)', () => {
  it('is seen as left by all, never as dead', () => {
    const network = new Network({ seed: 41 });
    network.cluster(8);
    network.run(10 * SECOND);
    const leaver = node(network, 5);
    const request = network.leave(leaver);
    assert.ok(network.runUntil(() => leaver.outcomes.has(request), 6 * SECOND) !== undefined);
    network.kill(leaver);
    network.run(20 * SECOND);
    for (const { swim } of network.up) assert.equal(swim.member('n5')?.state ?? 'left', 'left');
    const deaths = network.seen.filter(({ event }) => event.kind === 'memberLeft' && event.member.state === 'dead');
    assert.deepEqual(deaths, []);
  });

  it('is over for all when the node is back, though it came through one that had just been started itself', () => {
    const network = new Network({ seed: 42, settings: { pushPullIntervalMs: 0 } });
    network.grow(5);
    for (const one of network.nodes) network.join(one, node(network, 1).endpoint);
    network.run(5 * SECOND);
    const [helper, leaver] = [node(network, 4), node(network, 5)];
    const request = network.leave(leaver);
    assert.ok(network.runUntil(() => leaver.outcomes.has(request), 6 * SECOND) !== undefined);
    for (const one of [leaver, helper]) network.kill(one);
    network.run(3 * SECOND);
    const [helperAgain, again] = [network.add('n4', 4), network.add('n5', 5)];
    network.join(again, helperAgain.endpoint);
    network.run(SECOND);
    network.join(helperAgain, node(network, 1).endpoint);
    const back = (): boolean => network.up.every(({ swim }) => swim.member('n5')?.state === 'alive');
    assert.ok(network.runUntil(back, 8 * SECOND) !== undefined, network.up.map((one) => one.view()).join('\n'));
  });
});

describe('two nodes of one name (G-9)', () => {
  it('are told so; the first keeps it', () => {
    const network = new Network({ seed: 51 });
    network.cluster(4);
    network.run(5 * SECOND);
    const impostor = network.add('n2', 77);
    network.join(impostor, node(network, 1).endpoint);
    network.run(10 * SECOND);
    const conflicts = network.seen.filter(({ event }) => event.kind === 'nameConflict');
    assert.ok(conflicts.some(({ by }) => by === 'n1'));
    for (const one of network.up) {
      if (one !== impostor) assert.equal(one.swim.member('n2')?.address.host, '10.0.0.2');
    }
  });
});

describe('a random history', () => {
  it('of pauses, crashes, leaves, partitions and loss keeps every invariant and heals (G-1, G-3)', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const network = new Network({ seed: 900 + seed, loss: 0.05, settings: { pushPullIntervalMs: 10_000 } });
      network.cluster(7);
      network.run(5 * SECOND);
      const paused = node(network, 1 + (seed % 7));
      network.pause(paused);
      network.run(2 * SECOND * seed);
      network.partition((one) => Number(one.name.slice(1)) % 2);
      network.run(3 * SECOND);
      network.resume(paused);
      network.run(4 * SECOND);
      network.heal();
      network.kill(node(network, 1 + ((seed + 1) % 7)));
      network.leave(node(network, 1 + ((seed + 2) % 7)));
      network.run(6 * SECOND);
      network.kill(node(network, 1 + ((seed + 2) % 7)));
      network.loss = 0;
      const survivors = (): boolean => network.isConverged() && network.up.every(({ swim }) => swim.presentCount === 5);
      assert.ok(
        network.runUntil(survivors, 2 * MINUTE) !== undefined,
        `seed ${seed}: ${network.up.map((one) => one.view()).join('\n')}`,
      );
      network.check();
    }
  });
});
