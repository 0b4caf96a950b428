/**
 * What an outsider can do with datagrams that it has heard, or signs with another's address (reliability.md 13, S-2 and S-3).
 * Gossip without keys is open to whoever reaches the port; these tests say how far that goes. With keys, a stranger can replay, no more.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom, shuffle } from '../../src/base/random.ts';
import {
  encodeAck,
  encodeDead,
  encodeIndirectPing,
  encodeNack,
  encodePing,
  encodeSuspect,
} from '../../src/wire/memberlist/messages.ts';
import { addressOfHost } from '../../src/wire/memberlist/address.ts';
import { alive, Bench, dead, endpoint, suspect } from './harness.ts';
import { GossipWorld } from '../sim/gossip/world.ts';

const SECOND = 1_000;
const STRANGER = endpoint(200);
const VICTIM = endpoint(201);

/** Bytes sent to each host since the last look. */
function bytesByHost(bench: Bench): Map<string, number> {
  const sums = new Map<string, number>();
  for (const effect of bench.effects) {
    if (effect.kind !== 'sendDatagram') continue;
    sums.set(effect.to.host, (sums.get(effect.to.host) ?? 0) + effect.bytes.length);
  }
  return sums;
}

describe('replayed datagrams (S-2)', () => {
  it('of a whole history, in any order, change nobody’s mind while the members are remembered', () => {
    for (const seed of [1, 2, 3]) {
      const world = new GossipWorld({ seed });
      const heard: { readonly to: string; readonly bytes: Uint8Array }[] = [];
      world.sniff((_, to, bytes) => heard.push({ to: to.host, bytes }));
      world.grow(8);
      world.run(5 * SECOND);
      const [n1, n2, n3, n4] = world.nodes;
      assert.ok(n1 !== undefined && n2 !== undefined && n3 !== undefined && n4 !== undefined);
      world.give(n2, { kind: 'setMeta', meta: Uint8Array.of(200) });
      world.pause(n4);
      world.run(5 * SECOND);
      world.resume(n4);
      world.leave(n3);
      world.run(3 * SECOND);
      world.kill(n3);
      const before = new Map(world.up.map((node) => [node.name, states(node.view())]));
      const events: string[] = [];
      world.watch(({ observer, event }) => {
        if ('member' in event && event.kind !== 'memberSuspected' && event.kind !== 'memberRefuted')
          events.push(`${observer.name}: ${event.kind} ${event.member.name}`);
      });
      for (const { to, bytes } of shuffle(new SeededRandom(seed), [...heard])) {
        const target = world.up.find((node) => node.endpoint.host === to);
        if (target !== undefined) world.give(target, { kind: 'datagram', from: STRANGER, bytes });
      }
      world.check();
      world.run(3 * SECOND);
      assert.deepEqual(events, [], `seed ${seed}`);
      for (const node of world.up) assert.equal(states(node.view()), before.get(node.name));
    }
  });

  it('of a member that died come too late, while its row is there and after it was dropped', () => {
    const bench = new Bench().withMembers(4);
    bench.hear(dead(2, 1, 'n3'));
    bench.hear(alive(2, 1));
    assert.equal(bench.stateOf(2), 'dead@1');
    for (let i = 0; i < 60; i++) {
      bench.hear(alive(3, 2 + i), alive(4, 2 + i));
      bench.advance(SECOND);
    }
    assert.equal(bench.stateOf(2), undefined);
    for (let i = 0; i < 10; i++) {
      bench.hear(alive(2, 1), alive(3, 100 + i), alive(4, 100 + i));
      bench.advance(SECOND);
      assert.equal(bench.stateOf(2), undefined);
    }
  });

  it('that accuse us again and again are answered at most fifty times a second', () => {
    const bench = new Bench({ compression: false }).withMembers(4);
    bench.hear(suspect(1, 1, 'n2'));
    assert.equal(bench.swim.self.incarnation, 2);
    bench.forget();
    for (let ms = 0; ms < SECOND; ms++) {
      bench.step({ kind: 'datagram', from: endpoint(2), bytes: encodeSuspect(suspect(1, 1, 'n2')) });
      bench.stall(1);
    }
    assert.equal(bench.swim.self.incarnation, 2, 'what was refuted is not refuted again');
    assert.ok(bench.sent().length <= 51);
  });
});

describe('spoofed answers', () => {
  it('with other sequence numbers, older or newer, do not save a member that is silent', () => {
    const bench = new Bench({ pushPullIntervalMs: 0, tcpPing: false, indirectChecks: 0 }).withMembers(2);
    for (let i = 0; i < 400 && bench.stateOf(2) === 'alive@1'; i++) {
      bench.advance(10);
      const asked = bench.sentOf('ping').at(-1)?.message.sequence ?? 0;
      for (const sequence of [0, asked - 1, asked + 1, asked + 2, 0xffff_ffff]) {
        if (sequence < 0) continue;
        const bytes = encodeAck({ kind: 'ack', sequence, payload: undefined });
        bench.step({ kind: 'datagram', from: STRANGER, bytes });
      }
    }
    assert.equal(bench.stateOf(2), 'suspect@1');
  });

  it('of nacks by the thousand are as good for our health as those that we asked for, and no better', () => {
    const healthAfter = (nacks: number): number => {
      const bench = new Bench({ pushPullIntervalMs: 0, tcpPing: false }).withMembers(6);
      bench.advance(4 * SECOND);
      const before = bench.swim.stats.healthScore;
      for (let i = 0; i < 200; i++) {
        bench.advance(50);
        for (const { message } of bench.sentOf('indirectPing'))
          for (let n = 0; n < nacks; n++)
            bench.step({
              kind: 'datagram',
              from: STRANGER,
              bytes: encodeNack({ kind: 'nack', sequence: message.sequence }),
            });
        bench.forget();
      }
      assert.ok(bench.swim.stats.healthScore >= 0);
      return bench.swim.stats.healthScore - before;
    };
    assert.equal(healthAfter(300), healthAfter(3));
  });
});

describe('spoofed sources (S-3)', () => {
  it('turn us on a stranger with no more than a few bytes beyond what was sent to us', () => {
    const bench = new Bench({ compression: false }).withMembers(20);
    // News waits to be told: a stranger gets none of it.
    for (let n = 2; n <= 20; n++) bench.hear(alive(n, 5, { meta: new Uint8Array(300) }));
    bench.forget();
    const source = { sourceAddress: addressOfHost(VICTIM.host), sourcePort: VICTIM.port, sourceNode: 'n9' };
    const questions = [
      encodePing({ kind: 'ping', node: '', sequence: 1, sourceAddress: undefined, sourcePort: 0, sourceNode: '' }),
      encodePing({ kind: 'ping', node: 'n1', sequence: 1, ...source }),
      encodeIndirectPing({
        kind: 'indirectPing',
        node: 'n2',
        sequence: 1,
        target: addressOfHost(VICTIM.host),
        port: 53,
        nack: true,
        ...source,
      }),
      encodeSuspect(suspect(1, 1, 'n77')),
      encodeDead(dead(1, 1, 'n77')),
    ];
    for (const bytes of questions) {
      bench.forget();
      bench.step({ kind: 'datagram', from: STRANGER, bytes });
      const answered = bytesByHost(bench);
      const outside = (answered.get(STRANGER.host) ?? 0) + (answered.get(VICTIM.host) ?? 0);
      // The shortest ping has 15 bytes and names nobody; an ack has 18 whoever asks.
      assert.ok(outside <= Math.max(18, bytes.length), `${outside} bytes for ${bytes.length}`);
    }
  });

  it('of members get the news that waits, each piece so often as gossip would send it, and then acks alone', () => {
    const bench = new Bench({ compression: false, gossipIntervalMs: 60_000 }).withMembers(20);
    for (let n = 3; n <= 20; n++) bench.hear(alive(n, 7, { meta: new Uint8Array(300) }));
    bench.forget();
    const ping = encodePing({
      kind: 'ping',
      node: 'n1',
      sequence: 1,
      sourceAddress: undefined,
      sourcePort: 0,
      sourceNode: '',
    });
    for (let i = 0; i < 2_000; i++) bench.step({ kind: 'datagram', from: endpoint(2), bytes: ping });
    const sent = bytesByHost(bench).get('10.0.0.2') ?? 0;
    // 19 members; each piece of news some 400 bytes, eight times: 4 * ceil(log10(21)).
    const news = 19 * 8 * 450;
    assert.ok(sent <= 2_000 * 40 + news, `${sent} bytes`);
    bench.forget();
    bench.step({ kind: 'datagram', from: endpoint(2), bytes: ping });
    assert.ok((bytesByHost(bench).get('10.0.0.2') ?? 0) <= 40);
  });

  it('cannot make us ping whom we do not know', () => {
    const bench = new Bench().withMembers(5);
    const target = addressOfHost(VICTIM.host);
    for (const node of ['n2', 'n77', 'n1', '']) {
      const asked = { kind: 'indirectPing', node, sequence: 3, target, port: 53, nack: true } as const;
      const source = { sourceAddress: undefined, sourcePort: 0, sourceNode: '' };
      bench.step({ kind: 'datagram', from: STRANGER, bytes: encodeIndirectPing({ ...asked, ...source }) });
    }
    assert.equal(bytesByHost(bench).get(VICTIM.host), undefined);
  });

  it('that say goodbye in a member’s name are refuted by it, by the next push/pull at the latest', () => {
    const world = new GossipWorld({ seed: 8 });
    world.grow(10);
    world.run(10 * SECOND);
    const [n1, , n3] = world.nodes;
    assert.ok(n1 !== undefined && n3 !== undefined);
    const { incarnation } = n3.swim.self;
    const bytes = encodeDead({ kind: 'dead', node: 'n3', incarnation, from: 'n3' });
    world.give(n1, { kind: 'datagram', from: n3.endpoint, bytes });
    assert.equal(n1.swim.member('n3')?.state, 'left');
    const isBack = (): boolean =>
      world.up.every(({ swim }) => {
        const seen = swim.member('n3');
        return seen?.state === 'alive' && seen.incarnation > incarnation;
      });
    const tookMs = world.runUntil(isBack, { limitMs: 60 * SECOND });
    // Who has left is not gossiped to: it hears of its own goodbye with the ack of one of its probes, or by push/pull.
    assert.ok(tookMs !== undefined && tookMs < 35 * SECOND, `${tookMs} ms`);
  });
});

/** Names with address and metadata, without incarnations: a refutation may come of a replay, a change may not. */
function states(view: string): string {
  return view.replaceAll(/ \d+ (\d+|undefined)/g, '');
}
