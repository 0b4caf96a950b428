/** Encrypted clusters in invented networks, and their keyrings managed from any member: wire-gossip.md 6, 17.2. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBase64 } from '../../src/base/base64.ts';
import type { KeyOperation, KeysOutcome } from '../../src/model/gossip-request.ts';
import { serfConfig } from '../../src/serf/config.ts';
import { KeyDesk } from '../../src/serf/keys.ts';
import { KEYS_MAX, Keyring } from '../../src/swim/keyring.ts';
import { encodeSerfMessage, type Query } from '../../src/wire/serf/messages.ts';
import { decodeQueryPayload, encodeQueryPayload, type KeyResponse } from '../../src/wire/serf/payloads.ts';
import { VirtualNetwork, type VirtualNode } from './network.ts';

const K1 = new Uint8Array(16).fill(1);
const K2 = new Uint8Array(32).fill(2);
const K3 = new Uint8Array(24).fill(3);
const [B1, B2] = [encodeBase64(K1), encodeBase64(K2)];

function outcomeOf(net: VirtualNetwork, node: VirtualNode, operation: KeyOperation, key?: string): unknown {
  const request = { kind: 'keys', operation, ...(key === undefined ? {} : { key }) } as const;
  const id = net.ask(node, (requestId) => ({ ...request, requestId }));
  net.run(4_000);
  return node.replies.get(id);
}

function keys(net: VirtualNetwork, node: VirtualNode, operation: KeyOperation, key?: string): KeysOutcome {
  const outcome = outcomeOf(net, node, operation, key) as KeysOutcome;
  assert.equal(outcome?.kind, 'keys');
  return outcome;
}

function allAlive(nodes: readonly VirtualNode[]): boolean {
  return nodes.every((node) => nodes.every((other) => node.statusOf(other.serf.name) === 'alive'));
}

function failuresOf(nodes: readonly VirtualNode[]): string[] {
  return nodes.flatMap((node) => node.heard('memberFailed'));
}

describe('a keyring', () => {
  it('keeps memberlist rules: the first seals, use moves to the front, the primary one stays, a strange one cannot be used', () => {
    const ring = new Keyring([K1, K2, K1]);
    assert.deepEqual(ring.keys, [K1, K2]);
    assert.equal(ring.install(K3), undefined);
    assert.equal(ring.install(K3), undefined);
    assert.deepEqual(ring.keys, [K1, K2, K3]);
    assert.equal(ring.use(K3), undefined);
    assert.deepEqual(ring.keys, [K3, K1, K2]);
    assert.equal(ring.use(new Uint8Array(16)), 'requested key is not in the keyring');
    assert.equal(ring.remove(K3), 'removing the primary key is not allowed');
    assert.equal(ring.remove(K1), undefined);
    assert.equal(ring.remove(K1), undefined);
    assert.deepEqual(ring.keys, [K3, K2]);
    assert.equal(ring.install(new Uint8Array(15)), 'key size must be 16, 24 or 32 bytes');
  });

  it('has a limit, since every key is one more trial for hostile packets', () => {
    const ring = new Keyring(Array.from({ length: KEYS_MAX }, (_, i) => new Uint8Array(16).fill(i)));
    assert.match(ring.install(K2) ?? '', /keyring is full/);
    assert.equal(ring.install(new Uint8Array(16)), undefined, 'one that is there is no problem');
    assert.equal(ring.keys.length, KEYS_MAX);
  });
});

describe('an encrypted cluster', () => {
  it('forms, and who has another key, none, or another label stays outside', () => {
    const net = new VirtualNetwork(11);
    const nodes = net.cluster(4, { swim: { keys: [K1], label: 'blue' } });
    assert.ok(allAlive(nodes));
    const strangers = [
      net.add('other-key', { swim: { keys: [K2], label: 'blue' } }),
      net.add('no-key', { swim: { label: 'blue' } }),
      net.add('other-label', { swim: { keys: [K1], label: 'green' } }),
      net.add('no-label', { swim: { keys: [K1] } }),
    ];
    const joins = strangers.map((node) => net.join(node, nodes[0] as VirtualNode));
    net.run(15_000);
    for (const [at, node] of strangers.entries()) {
      assert.match(JSON.stringify(node.replies.get(joins[at] as number)), /"count":0/, node.serf.name);
      assert.equal(node.statusOf('n1'), undefined);
    }
    for (const node of nodes)
      assert.deepEqual(
        node.serf
          .members()
          .map(({ name }) => name)
          .sort(),
        ['n1', 'n2', 'n3', 'n4'],
      );
    const { dropped } = (nodes[0] as VirtualNode).serf.swimStats;
    assert.deepEqual(Object.keys(dropped).sort(), ['labelled', 'noKeyFits', 'notEncrypted', 'unlabelled']);
    const refusal = JSON.stringify(strangers[1]?.replies.get(joins[1] as number));
    assert.match(refusal, /remote state is encrypted and encryption is not configured/);
  });

  it('takes the same course from the same seed', () => {
    const course = (): string => {
      const net = new VirtualNetwork(14);
      net.loss = 0.05;
      const [n1] = net.cluster(4, { swim: { keys: [K1] } }) as [VirtualNode];
      keys(net, n1, 'install', B2);
      net.run(20_000);
      return net.trace.join('\n');
    };
    const first = course();
    assert.ok(first.length > 2_000);
    assert.equal(course(), first);
  });

  it('never sends more bytes in a packet than it may, however much there is to tell', () => {
    const net = new VirtualNetwork(12);
    const tags = new Map([['filler', 'x'.repeat(400)]]);
    const label = 'l'.repeat(100);
    const nodes = net.cluster(12, { tags, swim: { keys: [K1], label, compression: false } });
    assert.ok(allAlive(nodes));
    const sizes = net.trace
      .map((line) => / > \d+ (\d+)$/.exec(line)?.[1])
      .flatMap((size) => (size === undefined ? [] : [Number(size)]));
    assert.ok(Math.max(...sizes) <= 1_400 && Math.max(...sizes) > 1_000, `${Math.max(...sizes)}`);
  });

  it('is reached from a plain one by three restarts of every node, one switch at a time, and nobody is missed', () => {
    for (const seed of [13, 15]) {
      const net = new VirtualNetwork(seed);
      let nodes = net.cluster(4);
      let port = 7_100;
      for (const swim of [
        { keys: [K1], verifyIncoming: false, verifyOutgoing: false },
        { keys: [K1], verifyIncoming: false },
        { keys: [K1] },
      ]) {
        for (const [at, old] of nodes.entries()) {
          net.leave(old);
          net.run(4_000);
          net.kill(old);
          port += 1;
          // memberlist lets who has left come back at another address.
          const fresh = net.add(old.serf.name, { swim, port });
          nodes = nodes.with(at, fresh);
          for (const other of nodes) if (other !== fresh) net.join(fresh, other);
          net.run(6_000);
          assert.ok(allAlive(nodes), `${old.serf.name} is back with ${JSON.stringify(Object.keys(swim))}`);
        }
      }
      net.run(60_000);
      assert.ok(allAlive(nodes));
      assert.deepEqual(failuresOf(nodes), []);
      const plain = net.add('plain');
      const joined = net.join(plain, nodes[0] as VirtualNode);
      net.run(5_000);
      assert.match(JSON.stringify(plain.replies.get(joined)), /"count":0/);
    }
  });
});

describe('key management', () => {
  const swim = { keys: [K1] };

  it('17.2: changes the key of a whole cluster under way, from any member, and nobody is missed', () => {
    const net = new VirtualNetwork(21);
    const nodes = net.cluster(5, { swim, config: { hasKeyringFile: true } });
    const [n1, n2, n3] = nodes as [VirtualNode, VirtualNode, VirtualNode];
    assert.deepEqual([...keys(net, n1, 'list').keys], [[B1, 5]]);
    const installed = keys(net, n1, 'install', B2);
    assert.deepEqual([installed.members, installed.responses, installed.failures], [5, 5, 0]);
    for (const node of nodes) assert.deepEqual(node.keyringFile, [B1, B2]);
    assert.equal(keys(net, n2, 'use', B2).responses, 5);
    for (const node of nodes) assert.deepEqual(node.keyringFile, [B2, B1]);
    net.run(10_000);
    const refused = keys(net, n3, 'remove', B2);
    assert.deepEqual([refused.responses, refused.failures], [5, 5]);
    assert.deepEqual(new Set(refused.messages.values()), new Set(['removing the primary key is not allowed']));
    assert.equal(keys(net, n3, 'remove', B1).failures, 0);
    const list = keys(net, n1, 'list');
    assert.deepEqual([[...list.keys], [...list.primaryKeys]], [[[B2, 5]], [[B2, 5]]]);
    net.run(30_000);
    assert.ok(allAlive(nodes));
    assert.deepEqual(failuresOf(nodes), []);
    assert.deepEqual(
      nodes.map((node) => node.events.filter(({ kind }) => kind === 'keysChanged').length),
      [3, 3, 3, 3, 3],
    );
  });

  it('tells who could not do it: a key that is not there, and a disk that refuses', () => {
    const net = new VirtualNetwork(22);
    const [n1, n2, n3] = net.cluster(3, { swim, config: { hasKeyringFile: true } }) as [
      VirtualNode,
      VirtualNode,
      VirtualNode,
    ];
    assert.deepEqual(
      new Set(keys(net, n1, 'use', B2).messages.values()),
      new Set(['requested key is not in the keyring']),
    );
    n2.diskError = 'EROFS: read-only file system';
    const installed = keys(net, n3, 'install', B2);
    assert.deepEqual([installed.responses, installed.failures], [3, 1]);
    assert.deepEqual([...installed.messages], [['n2', 'Failed to write keyring file: EROFS: read-only file system']]);
    assert.equal(n2.heard('keyringNotSaved').length, 1);
    assert.equal(keys(net, n1, 'list').keys.get(B2), 3, 'it counts in memory all the same, as with Serf');
    const short = keys(net, n1, 'install', encodeBase64(new Uint8Array(5)));
    assert.deepEqual(new Set(short.messages.values()), new Set(['key size must be 16, 24 or 32 bytes']));
    assert.match(JSON.stringify(outcomeOf(net, n1, 'install', 'not base64!')), /refused.*not base64/);
    assert.match(JSON.stringify(outcomeOf(net, n1, 'use')), /refused.*needs a key/);
    assert.match(JSON.stringify(outcomeOf(net, n1, 'list', B1)), /refused.*takes no key/);
  });

  it('ends at once when all have answered, and with the query when somebody does not', () => {
    const net = new VirtualNetwork(23);
    const nodes = net.cluster(3, { swim });
    const [n1, , n3] = nodes as [VirtualNode, VirtualNode, VirtualNode];
    const quick = net.ask(n1, (requestId) => ({ kind: 'keys', requestId, operation: 'list' }));
    net.run(1_200);
    assert.equal((n1.replies.get(quick) as KeysOutcome | undefined)?.responses, 3);
    net.pause(n3);
    const slow = net.ask(n1, (requestId) => ({ kind: 'keys', requestId, operation: 'list' }));
    net.run(1_200);
    assert.equal(n1.replies.get(slow), undefined);
    net.run(2_500);
    const outcome = n1.replies.get(slow) as KeysOutcome;
    assert.deepEqual([outcome.members, outcome.responses, outcome.failures], [3, 2, 0]);
    const alone = new VirtualNetwork(24);
    const single = alone.add('n1', { swim });
    const asked = alone.ask(single, (requestId) => ({ kind: 'keys', requestId, operation: 'list' }));
    assert.equal((single.replies.get(asked) as KeysOutcome | undefined)?.responses, 1, 'alone it need not wait');
  });

  it('is refused, in the words of Serf, where nothing is encrypted', () => {
    const net = new VirtualNetwork(25);
    const [n1] = net.cluster(2) as [VirtualNode];
    const list = keys(net, n1, 'list');
    assert.deepEqual([list.failures, list.messages.get('n2')], [2, 'Keyring is empty (encryption not enabled)']);
    const installed = keys(net, n1, 'install', B1);
    assert.equal(installed.messages.get('n1'), 'No keyring to modify (encryption not enabled)');
    assert.equal(keys(net, n1, 'list').failures, 2, 'and nobody can encrypt a plain cluster by it');
  });

  it('cuts a list that is too long for one answer as Serf does, and says so', () => {
    const config = serfConfig({ swim: { name: 'n1', advertise: { host: '10.0.0.1', port: 7946 } } });
    const query: Query = {
      kind: 'query',
      lamportTime: 3,
      id: 9,
      name: '_serf_list-keys',
      payload: encodeQueryPayload({ kind: 'keyRequest', key: new Uint8Array(0) }),
      address: Uint8Array.of(10, 0, 0, 1),
      port: 7946,
      sourceNode: 'n1',
      filters: undefined,
      flags: 0,
      relayFactor: 0,
      timeoutNs: 1e9,
    };
    for (const [size, count] of [
      [32, 64],
      [16, 60],
      [32, 20],
      [16, 3],
    ] as const) {
      const list = Array.from({ length: count }, (_, i) => new Uint8Array(size).fill(i));
      const ring = new Keyring(list);
      const answers: Uint8Array[] = [];
      const desk = new KeyDesk({ config, keyring: () => ring, save: () => undefined, notify: () => undefined });
      assert.ok(desk.onQuery(query, (payload) => answers.push(payload)));
      const [payload] = answers as [Uint8Array];
      const answer = decodeQueryPayload(payload) as KeyResponse;
      const shown = answer.keys?.length ?? 0;
      const sizeOf = (bytes: Uint8Array): number =>
        encodeSerfMessage({ kind: 'queryResponse', lamportTime: 3, id: 9, from: 'n1', flags: 0, payload: bytes })
          .length;
      assert.ok(answer.result && sizeOf(payload) <= 1_024);
      assert.equal(answer.primaryKey, encodeBase64(list[0] as Uint8Array));
      assert.deepEqual(answer.keys, list.slice(0, shown).map(encodeBase64));
      if (shown === count) {
        assert.equal(answer.message, '');
        continue;
      }
      assert.equal(answer.message, `truncated key list response, showing first ${shown} of ${count} keys`);
      const more = { ...answer, keys: list.slice(0, shown + 1).map(encodeBase64) };
      assert.ok(shown === 40 || sizeOf(encodeQueryPayload(more)) > 1_024, 'not one less than fits');
    }
  });

  it('lets no queue of changes grow behind a disk that stands still', () => {
    const config = serfConfig({
      swim: { name: 'n1', advertise: { host: '10.0.0.1', port: 7946 } },
      hasKeyringFile: true,
    });
    const ring = new Keyring([K1, K2]);
    const saves: number[] = [];
    const desk = new KeyDesk({
      config,
      keyring: () => ring,
      save: (save) => saves.push(save),
      notify: () => undefined,
    });
    const answers: KeyResponse[] = [];
    const use = (key: Uint8Array): void => {
      const payload = encodeQueryPayload({ kind: 'keyRequest', key });
      const query = { name: '_serf_use-key', payload } as Query;
      desk.onQuery(query, (answer) => answers.push(decodeQueryPayload(answer) as KeyResponse));
    };
    for (let i = 0; i < 100; i++) use(i % 2 === 0 ? K2 : K1);
    assert.equal(saves.length, 64);
    assert.deepEqual(
      new Set(answers.map(({ message }) => message)),
      new Set(['too many keyring changes are under way']),
    );
    for (const save of saves) desk.onSaved(save, undefined);
    desk.onSaved(1, undefined);
    assert.equal(answers.filter(({ result }) => result).length, 64);
  });
});
