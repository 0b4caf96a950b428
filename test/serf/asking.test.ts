/** User events and queries that a node sends itself: wire-gossip.md 15.1, 16.1, 16.4, in invented networks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromUtf8, utf8 } from '../../src/base/bytes.ts';
import type { GossipEvent, QueryParameters } from '../../src/model/gossip-request.ts';
import { VirtualNetwork, type VirtualNode } from './network.ts';

function told<Kind extends GossipEvent['kind']>(node: VirtualNode, kind: Kind): Extract<GossipEvent, { kind: Kind }>[] {
  return node.events.flatMap((event) => (event.kind === kind ? [event as Extract<GossipEvent, { kind: Kind }>] : []));
}

function ask(net: VirtualNetwork, node: VirtualNode, query: number, over: Partial<QueryParameters> = {}): number {
  const parameters = { name: 'uptime', payload: utf8('since'), ...over };
  return net.ask(node, (requestId) => ({ kind: 'query', requestId, query, parameters }));
}

/** Every node answers what it has been asked with its name. */
function answerAll(net: VirtualNetwork, nodes: readonly VirtualNode[]): void {
  for (const node of nodes) {
    for (const { token } of told(node, 'queryAsked'))
      net.ask(node, (requestId) => ({ kind: 'respond', requestId, token, payload: utf8(node.serf.name) }));
  }
}

function names(list: readonly { readonly from: string }[]): string[] {
  return list.map(({ from }) => from).sort();
}

describe('a query of ours', () => {
  it('16.1: reaches every member, this one too, and ends at its deadline with what has come', () => {
    const net = new VirtualNetwork(1);
    const nodes = net.cluster(5, { tags: new Map([['dc', 'ams']]) });
    const [n1] = nodes as [VirtualNode];
    const asked = ask(net, n1, 7, { wantsAck: true });
    net.run(1_000);
    for (const node of nodes) {
      const [question, ...more] = told(node, 'queryAsked');
      assert.deepEqual(
        [question?.name, fromUtf8(question?.payload ?? utf8('')), question?.source],
        ['uptime', 'since', 'n1'],
      );
      assert.equal(more.length, 0, 'each is asked once');
    }
    answerAll(net, nodes);
    net.run(100);
    const all = ['n1', 'n2', 'n3', 'n4', 'n5'];
    assert.deepEqual(names(told(n1, 'queryAck')), all);
    assert.deepEqual(names(told(n1, 'queryResponse')), all);
    for (const { from, payload } of told(n1, 'queryResponse')) assert.equal(fromUtf8(payload), from);
    assert.equal(n1.replies.get(asked), undefined, 'it is open until its time is up');
    net.run(2_100);
    assert.deepEqual(n1.replies.get(asked), { kind: 'queryEnded', acks: 5, responses: 5 });
    assert.deepEqual(told(n1, 'queryEnded'), [{ kind: 'queryEnded', query: 7 }]);
  });

  it('13.6: is answered by whom its filters name, and by nobody else', () => {
    const net = new VirtualNetwork(2);
    const nodes = ['web', 'web', 'db'].map((role, i) => net.add(`n${i + 1}`, { tags: new Map([['role', role]]) }));
    const [n1, n2, n3] = nodes as [VirtualNode, VirtualNode, VirtualNode];
    for (const node of [n2, n3]) net.join(node, n1);
    net.run(2_000);
    ask(net, n1, 1, { nodes: ['n2', 'n3'], tags: new Map([['role', '^we']]), wantsAck: true });
    net.run(1_000);
    assert.deepEqual(names(told(n1, 'queryAck')), ['n2']);
    assert.equal(told(n3, 'queryAsked').length, 0);
    const bad = ask(net, n1, 2, { tags: new Map([['role', '(']]) });
    assert.match(JSON.stringify(n1.replies.get(bad)), /refused.*no regular expression/);
  });

  it('16.3: an answer is taken once, before the deadline, and within its size', () => {
    const net = new VirtualNetwork(3);
    const [n1, n2] = net.cluster(2) as [VirtualNode, VirtualNode];
    ask(net, n1, 1, { timeoutMs: 1_000 });
    net.run(500);
    const token = told(n2, 'queryAsked')[0]?.token ?? assert.fail('nobody asked');
    const respond = (payload: Uint8Array): unknown => {
      const id = net.ask(n2, (requestId) => ({ kind: 'respond', requestId, token, payload }));
      return n2.replies.get(id);
    };
    assert.match(JSON.stringify(respond(new Uint8Array(1_024))), /response exceeds limit of 1024 bytes/);
    assert.deepEqual(respond(utf8('yes')), { kind: 'done' });
    assert.match(JSON.stringify(respond(utf8('again'))), /answered already/);
    net.run(100);
    assert.deepEqual(names(told(n1, 'queryResponse')), ['n2']);
    ask(net, n1, 2, { timeoutMs: 1_000 });
    net.run(1_500);
    const late = told(n2, 'queryAsked').at(-1)?.token ?? 0;
    const id = net.ask(n2, (requestId) => ({ kind: 'respond', requestId, token: late, payload: utf8('late') }));
    assert.match(JSON.stringify(n2.replies.get(id)), /deadline has passed/);
  });

  it('16.3: with a relay factor arrives though the straight way back is cut', () => {
    const net = new VirtualNetwork(4);
    const [n1, n2] = net.cluster(6) as [VirtualNode, VirtualNode];
    net.isCut = (from, to) => from === n2 && to === n1;
    ask(net, n1, 1, { wantsAck: true, relayFactor: 3 });
    net.run(1_500);
    assert.ok(names(told(n1, 'queryAck')).includes('n2'));
  });

  it('can be closed, and refuses what is wrong with it before anything is sent', () => {
    const net = new VirtualNetwork(5);
    const [n1] = net.cluster(2) as [VirtualNode];
    const refusal = (over: Partial<QueryParameters>): string => JSON.stringify(n1.replies.get(ask(net, n1, 9, over)));
    assert.match(refusal({ name: '' }), /needs a name/);
    assert.match(refusal({ name: '_serf_list-keys' }), /Serf's own/);
    assert.match(refusal({ payload: new Uint8Array(1_100) }), /query exceeds limit of 1024 bytes/);
    assert.match(refusal({ relayFactor: 6 }), /from 0 to 5/);
    assert.match(refusal({ timeoutMs: -1 }), /timeout/);
    const asked = ask(net, n1, 9);
    assert.match(JSON.stringify(n1.replies.get(ask(net, n1, 9))), /open already/);
    const closed = net.ask(n1, (requestId) => ({ kind: 'closeQuery', requestId, query: 9 }));
    assert.deepEqual(n1.replies.get(closed), { kind: 'done' });
    assert.equal(n1.replies.get(asked)?.kind, 'queryEnded');
  });
});

describe('a user event of ours', () => {
  it('15.1: is told to every member once, this one too', () => {
    const net = new VirtualNetwork(6);
    net.loss = 0.1;
    const nodes = net.cluster(8);
    const id = net.ask(nodes[2] as VirtualNode, (requestId) => ({
      kind: 'userEvent',
      requestId,
      name: 'deploy',
      payload: utf8('v2'),
      coalesce: true,
    }));
    assert.deepEqual(nodes[2]?.replies.get(id), { kind: 'done' });
    net.run(35_000);
    for (const node of nodes) {
      const [event, ...more] = told(node, 'userEvent');
      assert.deepEqual(
        [event?.name, fromUtf8(event?.payload ?? utf8('')), event?.coalesce, more.length],
        ['deploy', 'v2', true, 0],
      );
    }
  });

  it('15.1: larger than the limit is refused, and leaves the clock alone', () => {
    const net = new VirtualNetwork(7);
    const [n1] = net.cluster(2) as [VirtualNode];
    const { eventClock } = n1.serf.stats;
    const send = (name: string, bytes: number): string => {
      const payload = new Uint8Array(bytes);
      const id = net.ask(n1, (requestId) => ({ kind: 'userEvent', requestId, name, payload, coalesce: false }));
      return JSON.stringify(n1.replies.get(id));
    };
    assert.match(send('x', 512), /user event exceeds configured limit of 512 bytes before encoding/);
    assert.match(send('x', 490), /encoded user event exceeds configured limit of 512 bytes after encoding/);
    assert.match(send('', 1), /needs a name/);
    assert.equal(n1.serf.stats.eventClock, eventClock);
    assert.match(send('x', 400), /done/);
    assert.equal(n1.serf.stats.eventClock, eventClock + 1);
  });
});
