import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../src/base/bytes.ts';
import { IntentBuffer } from '../../src/serf/intent-buffer.ts';
import { LamportClock } from '../../src/serf/lamport-clock.ts';
import { RecentRing } from '../../src/serf/recent-ring.ts';
import { encodeUser } from '../../src/wire/memberlist/messages.ts';
import { encodeFilter } from '../../src/wire/serf/filters.ts';
import { encodeSerfMessage, LAMPORT_TIME_MAX, type Query, type QueryResponse } from '../../src/wire/serf/messages.ts';
import { decodeQueryPayload, encodeQueryPayload } from '../../src/wire/serf/payloads.ts';
import { fromHex, vectors } from '../vectors.ts';
import { BenchNode } from './bench-node.ts';

/** With n2 present, who asks and answers. */
function withPeer(config: ConstructorParameters<typeof BenchNode>[0] = {}): BenchNode {
  const node = new BenchNode(config);
  node.arrive(2);
  return node;
}

function query(over: Partial<Query> = {}): Query {
  return {
    kind: 'query',
    lamportTime: 5,
    id: 77,
    name: 'uptime',
    payload: undefined,
    address: Uint8Array.of(10, 0, 0, 2),
    port: 7946,
    sourceNode: 'n2',
    filters: undefined,
    flags: 1,
    relayFactor: 0,
    timeoutNs: 1_000_000_000,
    ...over,
  };
}

/** What was answered at once, without the gossip. */
function answersTo(node: BenchNode, asked: Query): QueryResponse[] {
  node.sent = [];
  node.hear(asked);
  return node.sent.flatMap(({ message }) => (message.kind === 'queryResponse' ? [message] : []));
}

describe('Lamport clocks', () => {
  it('14.1: begin at 1 and are later than whatever they have witnessed', () => {
    const clock = new LamportClock();
    assert.equal(clock.time, 1);
    clock.witness(0);
    assert.equal(clock.time, 1);
    clock.witness(1);
    assert.equal(clock.time, 2);
    clock.witness(9);
    clock.increment();
    assert.equal(clock.time, 11);
  });

  it('are witnessed from intents, events and queries, each its own, and refuse times without room above', () => {
    const node = withPeer();
    node.joinIntent('n2', 40);
    node.hear({ kind: 'userEvent', lamportTime: 50, name: 'e', payload: undefined, coalesce: false });
    node.hear(query({ lamportTime: 60 }));
    const { memberClock, eventClock, queryClock } = node.serf.stats;
    assert.deepEqual([memberClock, eventClock, queryClock], [41, 51, 61]);
    node.joinIntent('n2', LAMPORT_TIME_MAX + 1);
    assert.equal(node.serf.stats.memberClock, 41);
    assert.ok(node.kinds().includes('dropped'));
  });
});

describe('Serf member states', () => {
  it('14.2: a silent member fails, one that said so leaves, and both come back', () => {
    const node = withPeer();
    node.die(2);
    assert.equal(node.statusOf('n2'), 'failed');
    node.arrive(2, 2);
    node.leaveIntent('n2', 3);
    assert.equal(node.statusOf('n2'), 'leaving');
    node.die(2, 'left', 2);
    assert.equal(node.statusOf('n2'), 'left');
    node.arrive(2, 3);
    assert.equal(node.statusOf('n2'), 'alive');
    const told = node.kinds().filter((kind) => kind.endsWith('n2'));
    assert.deepEqual(told, [
      'memberJoined n2',
      'memberFailed n2',
      'memberJoined n2',
      'memberLeft n2',
      'memberJoined n2',
    ]);
  });

  it('14.3: a join intent is news once, ignored when older, and takes back a leave', () => {
    const node = withPeer();
    node.joinIntent('n2', 4);
    assert.deepEqual(node.gossiped(), [{ kind: 'joinIntent', node: 'n2', lamportTime: 4 }]);
    node.joinIntent('n2', 4);
    node.joinIntent('n2', 3);
    assert.deepEqual(node.gossiped(), []);
    node.leaveIntent('n2', 6);
    node.joinIntent('n2', 5);
    assert.equal(node.statusOf('n2'), 'leaving');
    node.joinIntent('n2', 7);
    assert.equal(node.statusOf('n2'), 'alive');
  });

  it('14.4: a leave intent makes a failed member a left one, and is news once', () => {
    const node = withPeer();
    node.arrive(3);
    node.die(3);
    node.leaveIntent('n3', 5);
    assert.equal(node.statusOf('n3'), 'left');
    assert.ok(node.kinds().includes('memberLeft n3'));
    assert.equal(node.gossiped().length, 1);
    node.leaveIntent('n3', 5);
    assert.deepEqual(node.gossiped(), []);
    node.leaveIntent('n3', 6);
    assert.equal(node.gossiped().length, 1, 'a later one is spread again, once');
  });

  it('14.4: word of our own leave is refuted with a later join intent and not passed on', () => {
    const node = withPeer();
    node.leaveIntent('me', 9);
    assert.equal(node.statusOf('me'), 'alive');
    assert.deepEqual(node.gossiped(), [{ kind: 'joinIntent', node: 'me', lamportTime: 10 }]);
    node.leaveIntent('me', 9);
    assert.deepEqual(node.gossiped(), []);
  });

  it('14.4: prune forgets who is gone at once, and who is there when it goes', () => {
    const node = withPeer();
    node.arrive(3);
    node.die(3);
    node.leaveIntent('n3', 5, true);
    assert.equal(node.statusOf('n3'), 'unknown');
    node.leaveIntent('n2', 6, true);
    assert.equal(node.statusOf('n2'), 'leaving');
    node.die(2, 'left');
    assert.equal(node.statusOf('n2'), 'unknown');
    assert.deepEqual(
      node.kinds().filter((kind) => kind.startsWith('memberReaped')),
      ['memberReaped n3', 'memberReaped n2'],
    );
  });

  it('14.5: intents wait for their member, the latest wins, and five minutes are enough', () => {
    const node = new BenchNode();
    node.leaveIntent('n3', 5);
    node.joinIntent('n3', 4);
    node.arrive(3);
    assert.equal(node.statusOf('n3'), 'leaving');
    node.leaveIntent('n4', 5);
    node.joinIntent('n4', 6);
    node.arrive(4);
    assert.equal(node.statusOf('n4'), 'alive');
    node.leaveIntent('n5', 7);
    node.pass(320_000);
    node.arrive(5);
    assert.equal(node.statusOf('n5'), 'alive');
  });

  it('14.5: the intent buffer is bounded and drops the oldest', () => {
    const buffer = new IntentBuffer(2);
    for (const name of ['a', 'b', 'c']) assert.ok(buffer.offer(name, { kind: 'leave', lamportTime: 1, at: 0 }));
    assert.equal(buffer.offer('b', { kind: 'join', lamportTime: 1, at: 0 }), false);
    assert.deepEqual([buffer.get('a'), buffer.get('b')?.kind, buffer.size], [undefined, 'leave', 2]);
    buffer.check();
  });

  it('14.6: the failed are dialled, likelier the more of them there are', () => {
    const node = withPeer();
    node.die(2);
    node.pass(31_000);
    // One failed and one present: certain.
    assert.deepEqual(node.dialled, [{ host: '10.0.0.2', port: 7946 }]);
  });
});

describe('leaving', () => {
  it('14.7: says the intent before it tells gossip, and waits for neither for ever', () => {
    const node = withPeer();
    const id = node.ask((requestId) => ({ kind: 'leave', requestId }));
    assert.equal(node.statusOf('me'), 'leaving');
    assert.deepEqual(node.gossiped(), [{ kind: 'leaveIntent', node: 'me', lamportTime: 1, prune: false }]);
    node.pass(1_000);
    assert.equal(node.statusOf('me'), 'left', 'the intent went out its full number of times');
    node.pass(2_000);
    assert.deepEqual(node.replies.get(id), { kind: 'left' });
    node.leaveIntent('me', 50);
    assert.equal(node.statusOf('me'), 'left', 'who has left does not object');
  });

  it('14.7: answers a forced leave when the intent is out', () => {
    const node = withPeer();
    node.arrive(3);
    node.die(3);
    const id = node.ask((requestId) => ({ kind: 'forceLeave', requestId, node: 'n3', prune: false }));
    assert.equal(node.statusOf('n3'), 'left');
    assert.equal(node.replies.get(id), undefined);
    node.pass(3_000);
    assert.deepEqual(node.replies.get(id), { kind: 'done' });
  });
});

describe('user events of others', () => {
  const event = (lamportTime: number, name = 'deploy', payload?: Uint8Array): Parameters<BenchNode['hear']>[0] => ({
    kind: 'userEvent',
    lamportTime,
    name,
    payload,
    coalesce: true,
  });

  it('15.2: are passed on exactly once, with payload and all, and two may share a time', () => {
    const node = withPeer();
    node.hear(event(3, 'deploy', utf8('v1')));
    assert.deepEqual(node.gossiped(), [{ ...event(3, 'deploy'), payload: utf8('v1') }]);
    node.hear(event(3, 'deploy', utf8('v1')));
    assert.deepEqual(node.gossiped(), []);
    node.hear(event(3, 'other'));
    node.hear(event(3, 'deploy', utf8('v2')));
    assert.equal(node.gossiped().length, 2);
  });

  it('15.2: are dropped when the ring has gone round since', () => {
    const node = withPeer();
    node.hear(event(1_000));
    node.gossiped();
    node.hear(event(489));
    node.hear(event(488));
    assert.equal(node.gossiped().length, 1);
  });

  it('are bounded in size and in number per time', () => {
    const node = withPeer({ recentPerTime: 3 });
    node.hear(event(5, 'big', new Uint8Array(9_300)));
    for (let i = 0; i < 9; i++) node.hear(event(6, `e${i}`));
    assert.equal(node.gossiped().length, 3);
    const ring = new RecentRing<string>({ times: 4, itemsPerTime: 1 }, (a, b) => a === b);
    assert.deepEqual(
      [
        ring.remember(1, 2, 'a'),
        ring.remember(1, 2, 'a'),
        ring.remember(1, 2, 'b'),
        ring.remember(5, 6, 'c'),
        ring.remember(1, 6, 'a'),
      ],
      ['new', 'seen', 'full', 'new', 'tooOld'],
    );
    ring.forgetBefore(9);
    assert.equal(ring.remember(8, 9, 'd'), 'tooOld');
    ring.check();
  });
});

describe('queries of others', () => {
  it('16.2: are acknowledged when that is wanted, and passed on once', () => {
    const node = withPeer();
    const [ack, ...more] = answersTo(node, query());
    assert.deepEqual(ack, { kind: 'queryResponse', lamportTime: 5, id: 77, from: 'me', flags: 1, payload: undefined });
    assert.deepEqual(more, []);
    assert.deepEqual(node.gossiped(), [query()]);
    assert.deepEqual(answersTo(node, query()), []);
    assert.deepEqual(node.gossiped(), []);
    assert.deepEqual(answersTo(node, query({ id: 78, flags: 0 })), []);
    assert.equal(node.gossiped().length, 1);
  });

  it('16.2: are passed on although the filters do not match, but not when they forbid it', () => {
    const node = withPeer();
    const filters = [encodeFilter({ kind: 'tag', tag: 'role', expression: '^db' })];
    assert.deepEqual(answersTo(node, query({ filters })), []);
    assert.equal(node.gossiped().length, 1);
    const ours = [
      encodeFilter({ kind: 'tag', tag: 'role', expression: '^w' }),
      encodeFilter({ kind: 'nodes', names: ['me'] }),
    ];
    assert.equal(answersTo(node, query({ id: 2, flags: 3, filters: ours })).length, 1);
    assert.deepEqual(node.gossiped(), []);
    assert.equal(
      answersTo(node, query({ id: 3, filters: [fromHex('0290')] })).length,
      0,
      'an unknown filter matches nobody',
    );
    assert.equal(answersTo(node, query({ id: 4, filters: [new Uint8Array(0)] })).length, 0, 'nor does an empty one');
  });

  it('do not make us speak to a stranger', () => {
    const node = withPeer();
    assert.deepEqual(answersTo(node, query({ address: Uint8Array.of(192, 0, 2, 1) })), []);
    assert.deepEqual(answersTo(node, query({ id: 2, port: 53 })), []);
    const mapped = fromHex('00000000000000000000ffff0a000002');
    assert.equal(answersTo(node, query({ id: 3, address: mapped })).length, 1, 'the mapped form is the same address');
  });

  it('16.3: are answered by way of others too when they ask for it', () => {
    const node = withPeer();
    node.arrive(3);
    node.arrive(4);
    node.sent = [];
    node.hear(query({ relayFactor: 2 }));
    const relays = node.sent.filter(({ message }) => message.kind === 'relay');
    assert.deepEqual(relays.map(({ to }) => to.host).sort(), ['10.0.0.3', '10.0.0.4']);
  });

  it('16.3: relays reach members only, and carry responses only', () => {
    const node = withPeer();
    const response = encodeSerfMessage({
      kind: 'queryResponse',
      lamportTime: 1,
      id: 1,
      from: 'n3',
      flags: 1,
      payload: undefined,
    });
    const relay = {
      kind: 'relay',
      address: Uint8Array.of(10, 0, 0, 2),
      port: 7946,
      zone: '',
      node: 'n2',
      message: response,
    } as const;
    node.sent = [];
    node.hear(relay);
    assert.deepEqual(
      node.sent.map(({ to, message }) => `${to.host} ${message.kind}`),
      ['10.0.0.2 queryResponse'],
    );
    node.sent = [];
    node.hear({ ...relay, address: Uint8Array.of(192, 0, 2, 1) });
    node.hear({ ...relay, message: encodeSerfMessage({ kind: 'joinIntent', lamportTime: 1, node: 'x' }) });
    assert.deepEqual(node.sent, []);
  });

  it('17: Serf’s own questions are answered as a node without encryption answers them', () => {
    const node = withPeer();
    const list = answersTo(
      node,
      query({
        name: '_serf_list-keys',
        flags: 0,
        payload: encodeQueryPayload({ kind: 'keyRequest', key: new Uint8Array(0) }),
      }),
    );
    const keys = decodeQueryPayload(list[0]?.payload ?? new Uint8Array(0));
    assert.ok(keys.kind === 'keyResponse' && !keys.result && keys.message.startsWith('Keyring is empty'));
    const conflict = (id: number, name: string): ReturnType<typeof decodeQueryPayload> | undefined => {
      const [answer] = answersTo(node, query({ id, name: '_serf_conflict', flags: 0, payload: utf8(name) }));
      return answer?.payload === undefined ? undefined : decodeQueryPayload(answer.payload);
    };
    const vote = conflict(2, 'n2');
    assert.ok(vote?.kind === 'conflictResponse' && vote.member?.name === 'n2' && vote.member.port === 7946);
    assert.deepEqual(conflict(3, 'nobody'), { kind: 'conflictResponse', member: undefined });
    assert.equal(conflict(4, 'me'), undefined, 'about our own name we do not vote');
  });
});

describe('a Serf machine under fire', () => {
  it('keeps its invariants through 20,000 mutated packets of real agents', () => {
    const text = JSON.stringify([
      vectors('udp-plain.json'),
      vectors('udp-compressed.json'),
      vectors('serf-messages.json'),
    ]);
    const packets = [
      ...new Set([...text.matchAll(/"hex":"([0-9a-f]{8,3000})"/g)].map((match) => fromHex(match[1] as string))),
    ];
    const node = withPeer();
    let given = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...packets),
        fc.array(fc.tuple(fc.nat(1_500), fc.nat(255)), { maxLength: 4 }),
        (packet, changes) => {
          const bytes = packet.slice();
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
          node.packet(given % 3 === 0 ? encodeUser(bytes) : bytes);
          given += 1;
          if (given % 500 === 0) node.pass(300);
        },
      ),
      { numRuns: 20_000, endOnFailure: true },
    );
    assert.ok(node.serf.members().length < 4_096);
    assert.ok(node.serf.stats.intentsQueued <= 4_096);
  });
});
