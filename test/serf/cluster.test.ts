import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualNetwork, type VirtualNode } from './network.ts';

/** What each node thinks of all, one text per node. */
function pictures(nodes: readonly VirtualNode[]): string[] {
  return nodes.map((node) =>
    node.serf
      .members()
      .map((member) => `${member.name}:${member.status}:${[...member.tags].join(';')}`)
      .sort()
      .join(' '),
  );
}

function assertAllSee(nodes: readonly VirtualNode[], name: string, status: string | undefined): void {
  for (const node of nodes) assert.equal(node.statusOf(name), status, `${node.serf.name} of ${name}`);
}

describe('a network of Serf machines', () => {
  for (const count of [1, 2, 3, 8, 20]) {
    it(`of ${count} comes together, everyone knowing everyone's tags`, () => {
      const net = new VirtualNetwork(count);
      const nodes = Array.from({ length: count }, (_, i) => net.add(`n${i}`, { tags: new Map([['i', String(i)]]) }));
      const joins = nodes.slice(1).map((node) => ({ node, id: net.join(node, nodes[0] as VirtualNode) }));
      net.run(5_000);
      for (const { node, id } of joins)
        assert.deepEqual(node.replies.get(id), { kind: 'joined', count: 1, errors: [] });
      assert.equal(new Set(pictures(nodes)).size, 1);
      assert.equal(nodes[0]?.serf.members().length, count);
      for (const [i] of nodes.entries()) {
        for (const node of nodes) assert.equal(node.serf.member(`n${i}`)?.tags.get('i'), String(i));
      }
      assert.ok(nodes.every((node) => node.heard('memberJoined').length === count));
    });
  }

  it('sees an orderly leave as left, never as failed, and answers when the word is out', () => {
    const net = new VirtualNetwork(1);
    const nodes = net.cluster(5);
    const leaver = nodes[2] as VirtualNode;
    const id = net.leave(leaver);
    net.run(800);
    assert.equal(leaver.replies.get(id), undefined, 'the intent is not out yet');
    net.run(10_000);
    assert.deepEqual(leaver.replies.get(id), { kind: 'left' });
    assertAllSee(nodes, 'n3', 'left');
    for (const node of nodes) assert.deepEqual(node.heard('memberFailed'), []);
    net.kill(leaver);
    net.run(60_000);
    assertAllSee(
      nodes.filter((node) => node !== leaver),
      'n3',
      'left',
    );
  });

  it('lets a node that is alone leave at once', () => {
    const net = new VirtualNetwork(1);
    const [node] = net.cluster(1) as [VirtualNode];
    const id = net.leave(node);
    assert.deepEqual(node.replies.get(id), { kind: 'left' });
    const again = net.leave(node);
    assert.deepEqual(node.replies.get(again), { kind: 'left' });
    const join = net.join(node, node);
    assert.deepEqual(node.replies.get(join), { kind: 'refused', reason: 'this node is leaving' });
  });

  it('sees a killed node as failed, dials it, and takes it back under its name at the same address', () => {
    const net = new VirtualNetwork(4);
    const nodes = net.cluster(4);
    const rest = nodes.slice(0, 3);
    net.kill(nodes[3] as VirtualNode);
    net.run(20_000);
    assertAllSee(rest, 'n4', 'failed');
    for (const node of rest) assert.equal(node.serf.stats.membersFailed, 1);
    const back = net.add('n4', { port: (nodes[3] as VirtualNode).address.port });
    // Nobody asked it to join: the others find it again by dialling. Serf's rule makes that take a while.
    net.run(600_000);
    assertAllSee([...rest, back], 'n4', 'alive');
    assert.equal(new Set(pictures([...rest, back])).size, 1);
  });

  it('takes a failed or left member back at a new address at once', () => {
    for (const how of ['kill', 'leave'] as const) {
      const net = new VirtualNetwork(7);
      const nodes = net.cluster(4);
      const rest = nodes.slice(0, 3);
      if (how === 'leave') net.leave(nodes[3] as VirtualNode);
      net.run(how === 'leave' ? 5_000 : 0);
      net.kill(nodes[3] as VirtualNode);
      net.run(20_000);
      assertAllSee(rest, 'n4', how === 'leave' ? 'left' : 'failed');
      const back = net.add('n4', { port: 9_000 });
      net.join(back, nodes[0] as VirtualNode);
      net.run(5_000);
      for (const node of [...rest, back]) {
        assert.equal(node.statusOf('n4'), 'alive', `${how}: ${node.serf.name}`);
        assert.equal(node.serf.member('n4')?.address.port, 9_000);
        assert.deepEqual(node.heard('nameConflict'), []);
      }
    }
  });

  it('takes a member back at a new address before anyone missed it, if its stamp is the same', () => {
    const net = new VirtualNetwork(9);
    const tags = (n: number): ReadonlyMap<string, string> =>
      new Map([
        ['fn.stamp', `stamp${n}`],
        ['fn.cid', 'c'],
        ['n', `${n}`],
      ]);
    const nodes = [1, 2, 3, 4].map((n) => net.add(`n${n}`, { tags: tags(n) }));
    for (const node of nodes.slice(1)) net.join(node, nodes[0] as VirtualNode);
    net.run(3_000);
    // A few updates, so that its incarnation is above that of the process that comes back.
    for (let i = 0; i < 5; i++) {
      net.give(nodes[3] as VirtualNode, { kind: 'setTags', tags: new Map([...tags(4), ['round', `${i}`]]) });
      net.run(500);
    }
    net.kill(nodes[3] as VirtualNode);
    const back = net.add('n4', { port: 9_000, tags: tags(4) });
    net.join(back, nodes[0] as VirtualNode);
    net.run(5_000);
    for (const node of [...nodes.slice(0, 3), back]) {
      assert.equal(node.statusOf('n4'), 'alive');
      assert.equal(node.serf.member('n4')?.address.port, 9_000, node.serf.name);
      assert.deepEqual(node.heard('nameConflict'), []);
      assert.deepEqual(node.heard('memberFailed'), []);
    }
    net.run(60_000);
    assertAllSee([...nodes.slice(0, 3), back], 'n4', 'alive');
  });

  it('takes a node back that was started again without its data, as soon as its former process is known to be silent', () => {
    for (const loss of [0, 0.1]) {
      const net = new VirtualNetwork(12);
      net.loss = loss;
      const tags = (stamp: string): ReadonlyMap<string, string> => new Map([['fn.stamp', stamp]]);
      const nodes = [1, 2, 3, 4, 5].map((n) => net.add(`n${n}`, { tags: tags(`s${n}`) }));
      for (const node of nodes.slice(1)) net.join(node, nodes[0] as VirtualNode);
      net.run(5_000);
      net.kill(nodes[4] as VirtualNode);
      const back = net.add('n5', { port: 9_000, tags: tags('new') });
      net.join(back, nodes[0] as VirtualNode);
      net.run(loss === 0 ? 2_500 : 6_000);
      for (const node of [...nodes.slice(0, 4), back]) {
        assert.equal(node.statusOf('n5'), 'alive', node.serf.name);
        assert.equal(node.serf.member('n5')?.address.port, 9_000, node.serf.name);
        assert.deepEqual(node.heard('memberFailed'), []);
      }
      net.run(40_000);
      assertAllSee([...nodes.slice(0, 4), back], 'n5', 'alive');
      for (const node of [...nodes, back]) assert.deepEqual(node.heard('nameLost'), []);
    }
  });

  it('17.3: stops the second of two live processes of one name by the vote of the others, and not the first', () => {
    for (const seed of [21, 22, 23]) {
      const net = new VirtualNetwork(seed);
      const nodes = [1, 2, 3, 4].map((n) => net.add(`n${n}`, { tags: new Map([['fn.stamp', `s${n}`]]) }));
      for (const node of nodes.slice(1)) net.join(node, nodes[0] as VirtualNode);
      net.run(3_000);
      const twin = net.add('n2', { port: 9_000, tags: new Map([['fn.stamp', 'two']]) });
      net.join(twin, nodes[0] as VirtualNode);
      net.run(8_000);
      const [lost] = twin.events.filter((event) => event.kind === 'nameLost');
      assert.match(JSON.stringify(lost), /(\d) of \1 members hold it for the bearer/);
      for (const node of nodes) {
        assert.deepEqual(node.heard('nameLost'), [], node.serf.name);
        assert.equal(node.serf.member('n2')?.address.port, nodes[1]?.address.port);
      }
    }
  });

  it('17.3: with nobody to ask, the one that has just come gives way', () => {
    const net = new VirtualNetwork(24);
    const first = net.add('n1');
    net.run(70_000);
    const twin = net.add('n1', { port: 9_000 });
    net.join(twin, first);
    net.run(10_000);
    assert.match(JSON.stringify(twin.events), /it was there first/);
    assert.deepEqual(first.heard('nameLost'), []);
  });

  it('keeps the first of two processes of one name, and says so', () => {
    const net = new VirtualNetwork(9);
    const tags = new Map([['fn.stamp', 'one']]);
    const nodes = [1, 2, 3].map((n) => net.add(`n${n}`, { tags }));
    for (const node of nodes.slice(1)) net.join(node, nodes[0] as VirtualNode);
    net.run(3_000);
    const twin = net.add('n2', { port: 9_000, tags: new Map([['fn.stamp', 'two']]) });
    net.join(twin, nodes[0] as VirtualNode);
    net.run(5_000);
    for (const node of nodes) {
      assert.equal(node.serf.member('n2')?.address.port, nodes[1]?.address.port);
      assert.ok(node.heard('nameConflict').length <= 1, 'one word, no flood');
      // The twin takes the real n2 for itself, and gossips to the others only.
      const hasSeen = node.events.some((event) => event.kind === 'nameConflict' && event.name === 'n2');
      assert.equal(hasSeen, node !== nodes[1], node.serf.name);
    }
  });

  it('forces a failed node out everywhere, and forgets it when told to prune', () => {
    const net = new VirtualNetwork(5);
    const nodes = net.cluster(5);
    const rest = nodes.slice(0, 4);
    const [first] = rest as [VirtualNode];
    net.kill(nodes[4] as VirtualNode);
    net.run(20_000);
    const forced = net.ask(first, (requestId) => ({ kind: 'forceLeave', requestId, node: 'n5', prune: false }));
    net.run(4_000);
    assert.deepEqual(first.replies.get(forced), { kind: 'done' });
    assertAllSee(rest, 'n5', 'left');
    net.ask(first, (requestId) => ({ kind: 'forceLeave', requestId, node: 'n5', prune: true }));
    net.run(4_000);
    assertAllSee(rest, 'n5', undefined);
    for (const node of rest) assert.deepEqual(node.heard('memberReaped'), ['n5']);
    net.run(60_000);
    assertAllSee(rest, 'n5', undefined);
    const own = net.ask(first, (requestId) => ({ kind: 'forceLeave', requestId, node: 'n1', prune: false }));
    assert.equal(first.replies.get(own)?.kind, 'refused');
  });

  it('cannot force out a node that is there: it objects', () => {
    const net = new VirtualNetwork(6);
    const nodes = net.cluster(5);
    net.ask(nodes[0] as VirtualNode, (requestId) => ({ kind: 'forceLeave', requestId, node: 'n4', prune: true }));
    net.run(10_000);
    assertAllSee(nodes, 'n4', 'alive');
    net.kill(nodes[3] as VirtualNode);
    net.run(20_000);
    assertAllSee(
      nodes.filter((_, i) => i !== 3),
      'n4',
      'failed',
    );
  });

  it('spreads a change of tags, and tells of the update', () => {
    const net = new VirtualNetwork(8);
    const nodes = net.cluster(8);
    net.give(nodes[5] as VirtualNode, { kind: 'setTags', tags: new Map([['role', 'db']]) });
    // Gossip alone misses a node in a hundred; the next push/pull does not.
    net.run(40_000);
    for (const node of nodes) {
      assert.deepEqual(node.serf.member('n6')?.tags, new Map([['role', 'db']]));
      assert.deepEqual(node.heard('memberUpdated'), ['n6']);
    }
  });

  it('heals after a cut: both halves saw the other fail, and both come back without a hand', () => {
    const net = new VirtualNetwork(10);
    const nodes = net.cluster(6);
    const half = new Set(nodes.slice(0, 3));
    net.isCut = (from, to) => half.has(from) !== half.has(to);
    net.run(60_000);
    assertAllSee(nodes.slice(0, 3), 'n6', 'failed');
    net.isCut = () => false;
    net.run(300_000);
    for (const node of nodes) assertAllSee(nodes, node.serf.name, 'alive');
  });

  it('loses nobody while a fifth of all packets is lost', () => {
    const net = new VirtualNetwork(11);
    const nodes = net.cluster(10);
    net.loss = 0.2;
    net.run(180_000);
    for (const node of nodes) assert.deepEqual(node.heard('memberFailed'), []);
  });

  it('refuses nodes that the merge filter does not want, and keeps them out of all tables', () => {
    const net = new VirtualNetwork(12);
    const mergeFilter = (tags: ReadonlyMap<string, string>, name: string): string | undefined =>
      tags.get('cluster') === 'b' ? `${name} belongs to b` : undefined;
    const ours = [1, 2, 3].map((n) => net.add(`n${n}`, { mergeFilter, tags: new Map([['cluster', 'a']]) }));
    for (const node of ours.slice(1)) net.join(node, ours[0] as VirtualNode);
    net.run(2_000);
    const plain = net.add('plain');
    net.join(plain, ours[0] as VirtualNode);
    const foreign = net.add('foreign', { tags: new Map([['cluster', 'b']]) });
    net.join(foreign, ours[0] as VirtualNode);
    net.run(5_000);
    assertAllSee(ours, 'plain', 'alive');
    assertAllSee(ours, 'foreign', undefined);
    assert.ok(ours[0]?.events.some((event) => event.kind === 'mergeRefused' && event.reason.includes('belongs to b')));
    // A bridge that lets everyone in does not carry the foreigner over.
    net.join(foreign, plain);
    net.run(60_000);
    assertAllSee(ours, 'foreign', undefined);
  });

  it('refuses names that are not letters, digits, dashes and dots, where it is told to', () => {
    const net = new VirtualNetwork(15);
    const strict = net.add('n1', { config: { validatesNames: true } });
    const lenient = net.add('n2');
    for (const name of ['web-1.example', 'a_b', 'a b']) net.join(net.add(name), lenient);
    net.run(2_000);
    net.join(lenient, strict);
    net.join(net.add('n3'), strict);
    net.run(60_000);
    assertAllSee([strict], 'n3', 'alive');
    for (const name of ['a_b', 'a b']) {
      assertAllSee([lenient], name, 'alive');
      assertAllSee([strict], name, undefined);
    }
  });

  it('says since when it knows a member and when it last heard it', () => {
    const net = new VirtualNetwork(13);
    const nodes = net.cluster(3);
    const [first] = nodes as [VirtualNode];
    net.run(30_000);
    assert.ok((first.serf.knownSince('n2') ?? Number.POSITIVE_INFINITY) < 1_000);
    assert.ok(net.now - (first.serf.lastHeard('n2') ?? 0) < 3_000);
    net.kill(nodes[1] as VirtualNode);
    net.run(30_000);
    assert.equal(first.serf.knownSince('n2'), undefined);
    assert.ok(net.now - (first.serf.lastHeard('n2') ?? 0) >= 30_000);
    assert.equal(first.serf.lastHeard('nobody'), undefined);
  });

  it('forgets failed and left members after their time', () => {
    const net = new VirtualNetwork(14);
    const config = { reconnectTimeoutMs: 60_000, tombstoneTimeoutMs: 90_000 };
    const nodes = net.cluster(4, { config });
    net.leave(nodes[3] as VirtualNode);
    net.run(5_000);
    net.kill(nodes[3] as VirtualNode);
    net.kill(nodes[2] as VirtualNode);
    net.run(30_000);
    const rest = nodes.slice(0, 2);
    assertAllSee(rest, 'n3', 'failed');
    assertAllSee(rest, 'n4', 'left');
    net.run(65_000);
    assertAllSee(rest, 'n3', undefined);
    net.run(60_000);
    assertAllSee(rest, 'n4', undefined);
    for (const node of rest) assert.deepEqual(node.heard('memberReaped').sort(), ['n3', 'n4']);
  });

  it('runs the same way for the same seed', () => {
    const run = (seed: number): string => {
      const net = new VirtualNetwork(seed);
      net.loss = 0.1;
      const nodes = net.cluster(5);
      net.kill(nodes[1] as VirtualNode);
      net.run(20_000);
      return net.trace.join('\n');
    };
    assert.equal(run(3), run(3));
    assert.notEqual(run(3), run(4));
  });
});
