import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clusterOfTwo } from './cluster-of-two.ts';
import { again, run } from './funkctl-program.ts';

describe('funkctl keys', () => {
  it('shows the sum on stdout, what single members say on stderr, failure by the exit code', async () => {
    await using cluster = await clusterOfTwo();
    const { answers, calls } = cluster.leader.handle;
    const base = { kind: 'keys', members: 3, responses: 3, failures: 0, messages: new Map(), keys: new Map() } as const;
    answers.gossip = async () => ({
      ...base,
      keys: new Map([
        ['AA==', 3],
        ['BB==', 1],
      ]),
      primaryKeys: new Map([
        ['BB==', 1],
        ['AA==', 2],
      ]),
    });
    const list = await run(['-e', cluster.leader.address, 'keys', 'list']);
    assert.deepEqual([list.code, list.out], [0, 'AA== [3/3] primary [2/3]\nBB== [1/3] primary [1/3]\n']);
    assert.deepEqual(calls.at(-1), { name: 'gossip', argument: { kind: 'keys', operation: 'list', relayFactor: 0 } });
    answers.gossip = async () => ({ ...base, primaryKeys: new Map() });
    assert.equal(
      (await again(['-e', cluster.leader.address, 'keys', 'use', 'AA=='])).out,
      'Primary key changed on 3 of 3 nodes\n',
    );
    const argument = { kind: 'keys', operation: 'use', relayFactor: 0, key: 'AA==' };
    assert.deepEqual(calls.at(-1), { name: 'gossip', argument });
    const messages = new Map([['n\u001b2', 'removing the primary key is not allowed']]);
    answers.gossip = async () => ({ ...base, failures: 1, messages, primaryKeys: new Map() });
    const failed = await run(['-e', cluster.leader.address, 'keys', 'remove', 'AA==']);
    const said = 'n\\x1b2: removing the primary key is not allowed\nfunkctl: 1/3 nodes reported failure\n';
    assert.deepEqual([failed.code, failed.out, failed.err], [1, '', said]);
    answers.gossip = async () => ({ ...base, responses: 2, primaryKeys: new Map() });
    const silent = await again(['-e', cluster.leader.address, 'keys', 'install', 'AA==', '--json']);
    assert.deepEqual([silent.code, silent.err], [1, 'funkctl: 2/3 nodes reported success\n']);
    assert.equal(JSON.parse(silent.out).responses, 2);
    answers.gossip = async () => ({ kind: 'refused', reason: 'the key is not base64' });
    const refused = await again(['-e', cluster.leader.address, 'keys', 'install', '!']);
    assert.deepEqual([refused.code, refused.err], [1, 'funkctl: the key is not base64\n']);
    const [one, other] = await Promise.all([run(['keygen']), again(['keygen'])]);
    assert.match(one.out, /^[A-Za-z0-9+/]{43}=\n$/);
    assert.notEqual(one.out, other.out);
  });
});
