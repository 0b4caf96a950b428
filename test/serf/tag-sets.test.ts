/** Tags that gossip is too small for, between simulated nodes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomBelow, SeededRandom } from '../../src/base/random.ts';
import { TAG_SET, TAG_STAMP } from '../../src/model/tags.ts';
import type { Member } from '../../src/model/member.ts';
import type { SerfConfig } from '../../src/serf/config.ts';
import type { SerfEvent } from '../../src/serf/messages.ts';
import { digestOf, encodeTagSetMessage } from '../../src/wire/serf/tag-set.ts';
import { encodeTags } from '../../src/wire/serf/tags.ts';
import { encodeUser } from '../../src/wire/memberlist/messages.ts';
import { encodeStreamUser } from '../../src/wire/memberlist/stream.ts';
import { type NodeOptions, VirtualNetwork, type VirtualNode } from './network.ts';

const SEEDS: number = process.env['FUNKNODE_LONG'] === '1' ? 60 : 3;

/** Some 5 kB. */
function large(mark: string, extra: readonly (readonly [string, string])[] = []): Map<string, string> {
  const many = Array.from({ length: 100 }, (_, i) => [`service-${i}`, `${mark} ${'v'.repeat(32)}`] as const);
  return new Map([[TAG_STAMP, mark.padEnd(16, '0')] as const, ['ep.raft', '10.0.0.1:1'] as const, ...many, ...extra]);
}

function small(mark: string): Map<string, string> {
  return new Map([[TAG_STAMP, mark.padEnd(16, '0')]]);
}

function cluster(net: VirtualNetwork, options: readonly NodeOptions[]): VirtualNode[] {
  const nodes = options.map((one, i) => net.add(`n${i + 1}`, one));
  for (const node of nodes.slice(1)) net.join(node, nodes[0] as VirtualNode);
  net.run(3_000);
  return nodes;
}

function seen(by: VirtualNode, of: VirtualNode): { tags: ReadonlyMap<string, string>; tagsComplete: boolean } {
  const member = by.serf.member(of.serf.name);
  assert.ok(member !== undefined);
  return member;
}

function membersTold(node: VirtualNode, kind: SerfEvent['kind']): Member[] {
  return node.events.flatMap((event) => (event.kind === kind && 'member' in event ? [event.member] : []));
}

function sorted(tags: ReadonlyMap<string, string>): [string, string][] {
  return [...tags].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Everyone shows the whole of what `of` has. */
function allSee(nodes: readonly VirtualNode[], of: VirtualNode, tags: ReadonlyMap<string, string>): boolean {
  return nodes.every((by) => {
    const { tags: shown = new Map<string, string>(), tagsComplete = false } = by.serf.member(of.serf.name) ?? {};
    return tagsComplete && JSON.stringify(sorted(shown)) === JSON.stringify(sorted(tags));
  });
}

function until(net: VirtualNetwork, holds: () => boolean, withinMs: number): number {
  const from = net.now;
  while (!holds()) {
    assert.ok(net.now - from < withinMs, `it did not come about within ${withinMs} ms`);
    net.run(10);
  }
  return net.now - from;
}

describe('tags that gossip is too small for', () => {
  it('are seen whole by every funknode, and asked for by nobody else', () => {
    const net = new VirtualNetwork(1);
    const nodes = cluster(net, [{ tags: large('a') }, { tags: large('b') }, { tags: small('c') }, {}]);
    const [a, b, c, plain] = nodes as [VirtualNode, VirtualNode, VirtualNode, VirtualNode];
    for (const [owner, mark] of [
      [a, 'a'],
      [b, 'b'],
    ] as const)
      assert.ok(allSee(nodes, owner, large(mark)));
    assert.ok(!seen(c, a).tags.has(TAG_SET), 'the name of the set is no tag');
    for (const owner of [a, b, c]) assert.ok(seen(plain, owner).tagsComplete);
    assert.equal(plain.serf.stats.tags.answered, 0, 'one without a stamp is no funknode');
    assert.equal(a.serf.stats.tags.fetched, 1);
    assert.equal(a.serf.stats.tags.setBytes, encodeTags(large('b')).length);
    assert.equal(a.serf.stats.tags.refused, 0);
  });

  it('are seen whole when they change, and what stays is never missed meanwhile', (t) => {
    const net = new VirtualNetwork(2);
    const nodes = cluster(net, [
      { tags: large('a') },
      ...Array.from({ length: 9 }, (_, i) => ({ tags: small(`b${i}`) })),
    ]);
    const a = nodes[0] as VirtualNode;
    for (const node of nodes) node.events.length = 0;
    const changed = large('a', [
      ['service-7', 'moved'],
      ['one-more', 'x'],
    ]);
    changed.delete('service-99');
    net.give(a, { kind: 'setTags', tags: changed });
    const took = until(net, () => allSee(nodes, a, changed), 5_000);
    t.diagnostic(`all 10 nodes saw the whole of it ${took} ms after the change`);
    for (const node of nodes.slice(1)) {
      const told = membersTold(node, 'memberUpdated');
      for (const member of told) assert.equal(member.tags.get('service-50'), changed.get('service-50'));
      assert.deepEqual(
        told.map(({ tagsComplete }) => tagsComplete),
        [false, true],
        'first what gossip says, then all of it',
      );
    }
  });

  it('become small again, and large again', () => {
    const net = new VirtualNetwork(3);
    const nodes = cluster(net, [{ tags: large('a') }, { tags: small('b') }]);
    const [a, b] = nodes as [VirtualNode, VirtualNode];
    net.give(a, { kind: 'setTags', tags: small('a') });
    until(net, () => allSee(nodes, a, small('a')), 5_000);
    assert.equal(b.serf.stats.tags.setBytes, 0, 'what nobody names is not held');
    net.give(a, { kind: 'setTags', tags: large('a') });
    until(net, () => allSee(nodes, a, large('a')), 5_000);
  });

  it('are fetched from others when their owner is out of reach for streams', () => {
    const net = new VirtualNetwork(4);
    const nodes = cluster(net, [{ tags: large('a') }, { tags: small('b') }, { tags: small('c') }]);
    const [a, , c] = nodes as [VirtualNode, VirtualNode, VirtualNode];
    net.isStreamCut = (from, to) => [from, to].includes(a) && [from, to].includes(c);
    const changed = large('z');
    changed.set(TAG_STAMP, 'a'.padEnd(16, '0'));
    net.give(a, { kind: 'setTags', tags: changed });
    until(net, () => allSee(nodes, a, changed), 20_000);
    assert.ok(c.serf.stats.tags.failed >= 1, 'the owner was asked first');
  });

  it('are never asked of a plain agent, even when nobody else can be asked', () => {
    const net = new VirtualNetwork(15);
    // Without push/pulls and TCP pings every stream is a question.
    const swim = { pushPullIntervalMs: 0, tcpPing: false };
    const nodes = cluster(net, [
      { tags: small('a'), swim },
      { tags: new Map([['role', 'db']]), swim },
      { tags: small('c'), swim },
    ]);
    const [a, plain, c] = nodes as [VirtualNode, VirtualNode, VirtualNode];
    const opened: string[] = [];
    net.isStreamCut = (from, to) => {
      opened.push(`${from.serf.name} ${to.serf.name}`);
      return to === a;
    };
    net.give(a, { kind: 'setTags', tags: large('a') });
    net.run(60_000);
    assert.ok(!seen(c, a).tagsComplete);
    const asked = opened.filter((way) => way === 'n3 n1').length;
    assert.ok(asked >= 4, `${asked} times the owner was asked`);
    assert.deepEqual(
      opened.filter((way) => way.endsWith(plain.serf.name)),
      [],
    );
  });

  it('are sealed and labelled like all gossip', () => {
    const net = new VirtualNetwork(5);
    const swim = { compression: false, keys: [Uint8Array.from({ length: 32 }, (_, i) => i)], label: 'here' };
    const nodes = cluster(net, [
      { tags: large('secret'), swim },
      { tags: small('b'), swim },
    ]);
    assert.ok(allSee(nodes, nodes[0] as VirtualNode, large('secret')));
    const sent = net.streamed.map((bytes) => new TextDecoder('latin1').decode(bytes)).join('');
    assert.ok(sent.length > 5_000);
    assert.ok(!sent.includes('service-50'), 'nothing of it in the clear');
  });

  it('stay hidden as far as they are too large for the reader, who says so once', () => {
    const net = new VirtualNetwork(6);
    const config: Partial<Omit<SerfConfig, 'swim'>> = { tagsBytesMax: 2_000 };
    const [a, b] = cluster(net, [{ tags: large('a') }, { tags: small('b'), config }]) as [VirtualNode, VirtualNode];
    net.run(60_000);
    assert.ok(!seen(b, a).tagsComplete);
    assert.equal(seen(b, a).tags.get('ep.raft'), '10.0.0.1:1', 'what is well known is seen');
    assert.ok(seen(b, a).tags.has(TAG_SET));
    assert.equal(a.serf.stats.tags.answered, 0, 'nothing is asked for in vain');
    const told = b.events.filter((event) => event.kind === 'tagsMissing');
    assert.deepEqual(
      told.map(({ node }) => node),
      ['n1'],
    );
    assert.match(told[0]?.reason ?? '', /have \d+ bytes, and this node takes 2000/);
  });

  it('of all others together keep their limit, and are fetched when there is room', () => {
    const net = new VirtualNetwork(7);
    const config: Partial<Omit<SerfConfig, 'swim'>> = { tagsHeldBytesMax: 6_000 };
    const nodes = cluster(net, [{ tags: small('r'), config }, { tags: large('a') }, { tags: large('b') }]);
    const [reader, a, b] = nodes as [VirtualNode, VirtualNode, VirtualNode];
    net.run(5_000);
    const complete = [a, b].filter((owner) => seen(reader, owner).tagsComplete);
    assert.equal(complete.length, 1);
    const held = complete[0] as VirtualNode;
    const other = held === a ? b : a;
    net.give(held, { kind: 'setTags', tags: small('h') });
    until(net, () => seen(reader, other).tagsComplete, 60_000);
  });

  it('are believed only when they are what gossip names', () => {
    const net = new VirtualNetwork(8);
    const swim = { compression: false };
    const [a, b] = cluster(net, [{ tags: small('a'), swim }, { tags: small('b') }]) as [VirtualNode, VirtualNode];
    const set = encodeTags(large('a'));
    const wrong = encodeTags(large('x'));
    assert.equal(wrong.length, set.length);
    net.forge = (from, bytes) => {
      const text = new TextDecoder('latin1').decode(bytes);
      if (from !== a || !text.includes('Digest')) return bytes;
      return encodeStreamUser(encodeTagSetMessage({ kind: 'tagSetAnswer', digest: digestOf(set).text, set: wrong }));
    };
    net.give(a, { kind: 'setTags', tags: large('a') });
    net.run(20_000);
    assert.ok(!seen(b, a).tagsComplete);
    assert.ok(!seen(b, a).tags.has('service-98'));
    const { refused, failed } = b.serf.stats.tags;
    assert.ok(refused >= 3 && refused === failed, `${refused} refused, ${failed} failed`);
    const told = b.events.filter((event) => event.kind === 'tagsMissing');
    assert.equal(told.length, 1, 'told once in half a minute');
    assert.match(told[0]?.reason ?? '', /not the one that gossip names: it has another hash/);
  });

  it('do not grow by answers without end', () => {
    const net = new VirtualNetwork(9);
    const swim = { compression: false };
    const [a, b] = cluster(net, [{ tags: small('a'), swim }, { tags: small('b') }]) as [VirtualNode, VirtualNode];
    net.forge = (from, bytes) => {
      const text = new TextDecoder('latin1').decode(bytes);
      return from === a && text.includes('Digest') ? encodeStreamUser(new Uint8Array(1_000_000)) : bytes;
    };
    net.give(a, { kind: 'setTags', tags: large('a') });
    net.run(5_000);
    assert.equal(b.serf.stats.tags.refused, 0);
    assert.ok(b.serf.stats.tags.failed >= 2);
    assert.ok((b.serf.swimStats.dropped['tooLarge'] ?? 0) >= 2);
  });

  it('outlive the failure of their owner, and are new when it comes back with others', () => {
    const net = new VirtualNetwork(10);
    const nodes = cluster(net, [{ tags: small('a') }, { tags: large('b') }, { tags: small('c') }]);
    const [a, b] = nodes as [VirtualNode, VirtualNode];
    net.kill(b);
    until(net, () => a.statusOf('n2') === 'failed', 60_000);
    assert.ok(seen(a, b).tagsComplete && seen(a, b).tags.has('service-3'));
    const again = net.add('n2', { tags: large('d'), port: b.address.port });
    a.events.length = 0;
    net.join(again, a);
    until(net, () => allSee([a, again], again, large('d')), 10_000);
    const [joined] = membersTold(a, 'memberJoined');
    assert.ok(joined !== undefined && !joined.tagsComplete);
    assert.ok(!joined.tags.has('service-99'), 'what its former process said counts no more');
  });

  it('reach fifty nodes without a storm on their owner', (t) => {
    const net = new VirtualNetwork(11);
    const count = 50;
    const nodes = cluster(net, [
      { tags: large('a') },
      ...Array.from({ length: count - 1 }, (_, i) => ({ tags: small(`b${i}`) })),
    ]);
    net.run(5_000);
    const a = nodes[0] as VirtualNode;
    const changed = large('a', [['one-more', 'x']]);
    net.give(a, { kind: 'setTags', tags: changed });
    const took = until(net, () => allSee(nodes, a, changed), 20_000);
    t.diagnostic(
      `all ${count} nodes saw the whole of it after ${took} ms; the owner has answered ${a.serf.stats.tags.answered} times`,
    );
    const dropped = nodes.reduce((sum, { serf }) => sum + (serf.swimStats.dropped['tooManyStreams'] ?? 0), 0);
    assert.equal(dropped, 0);
  });

  it('are what filters of queries look at', () => {
    const net = new VirtualNetwork(12);
    const [, b] = cluster(net, [{ tags: small('a') }, { tags: large('b', [['zz-last', 'yes']]) }]) as [
      VirtualNode,
      VirtualNode,
    ];
    const a = net.nodes[0] as VirtualNode;
    const parameters = {
      name: 'who',
      payload: new Uint8Array(0),
      tags: new Map([['zz-last', '^yes$']]),
      wantsAck: true,
    };
    const id = net.ask(a, (requestId) => ({ kind: 'query', requestId, query: 1, parameters }));
    net.run(5_000);
    assert.deepEqual(a.replies.get(id), { kind: 'queryEnded', acks: 1, responses: 0 });
    assert.equal(b.heard('queryAsked').length, 1);
  });

  it('come right after loss, cut streams, forged answers, deaths and changes, whatever the seed', (t) => {
    let slowest = 0;
    let refused = 0;
    for (let seed = 100; seed < 100 + SEEDS; seed++) {
      const net = new VirtualNetwork(seed);
      const chance = new SeededRandom(seed);
      const options = { swim: { compression: false } };
      const nodes = cluster(
        net,
        Array.from({ length: 8 }, (_, i) => ({ ...options, tags: large(`${i}`) })),
      );
      const wanted = new Map(nodes.map((node, i) => [node, large(`${i}`)]));
      net.loss = 0.2;
      const cut = randomBelow(chance, 8);
      net.isStreamCut = (from, to) => (nodes.indexOf(from) + nodes.indexOf(to)) % 8 === cut;
      net.forge = (_from, bytes) => {
        if (chance.next() < 0.7 || !new TextDecoder('latin1').decode(bytes).includes('Digest')) return bytes;
        return bytes.map((byte, at) => (at > 100 && at % 500 === 7 ? byte ^ 1 : byte));
      };
      for (let round = 0; round < 20; round++) {
        net.run(500 * chance.next());
        const at = randomBelow(chance, nodes.length);
        const node = nodes[at] as VirtualNode;
        if (round % 7 === 3 && at !== 0) {
          net.kill(node);
          net.nodes.splice(net.nodes.indexOf(node), 1);
          const again = net.add(node.serf.name, { ...options, tags: large(`again${round}`), port: node.address.port });
          wanted.delete(node);
          wanted.set(again, large(`again${round}`));
          nodes[at] = again;
          net.join(again, nodes[0] as VirtualNode);
        } else {
          const tags = chance.next() < 0.2 ? small(`${at}`) : large(`${at}`, [['round', `${round}`]]);
          wanted.set(node, tags);
          net.give(node, { kind: 'setTags', tags });
        }
      }
      net.loss = 0;
      net.isStreamCut = () => false;
      net.forge = (_from, bytes) => bytes;
      // A join may have been cut, too.
      for (const node of nodes.slice(1)) net.join(node, nodes[0] as VirtualNode);
      slowest = Math.max(
        slowest,
        until(net, () => [...wanted].every(([of, tags]) => allSee(nodes, of, tags)), 150_000),
      );
      for (const node of nodes) refused += node.serf.stats.tags.refused;
    }
    assert.ok(refused > 0, 'some of the answers were forged');
    t.diagnostic(
      `all of 8 nodes see the tags of all ${slowest} ms after the trouble at the latest; ${refused} sets refused`,
    );
  });

  it('are not given to who asks by datagram, whose sender may be forged', () => {
    const net = new VirtualNetwork(14);
    const [a, b] = cluster(net, [{ tags: large('a') }, { tags: small('b') }]) as [VirtualNode, VirtualNode];
    const sent = net.trace.length;
    const request = { kind: 'tagSetRequest', node: 'n1', digest: digestOf(encodeTags(large('a'))).text } as const;
    net.give(a, { kind: 'datagram', from: b.address, bytes: encodeUser(encodeTagSetMessage(request)) });
    assert.deepEqual(
      net.trace.slice(sent).map((line) => line.split(' ').slice(1).join(' ')),
      ['n1 dropped'],
    );
  });

  it('of the same seed make the same trace', () => {
    const trace = (): readonly string[] => {
      const net = new VirtualNetwork(13);
      cluster(net, [{ tags: large('a') }, { tags: large('b') }, { tags: small('c') }]);
      net.run(2_000);
      return net.trace;
    };
    assert.deepEqual(trace(), trace());
  });
});
