/** Old words of honest members, said again by somebody else (reliability.md 13, S-2): Lamport times tell them from new ones. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom, shuffle } from '../../src/base/random.ts';
import type { SerfEvent } from '../../src/serf/messages.ts';
import { VirtualNetwork, type VirtualNode } from './network.ts';

const STRANGER = { host: '10.9.9.9', port: 40_000 };
const EMPTY = new Uint8Array(0);

/** Events of these kinds, as words. */
function heard(node: VirtualNode, ...kinds: readonly SerfEvent['kind'][]): string[] {
  return node.events
    .filter(({ kind }) => kinds.includes(kind))
    .map((event) => `${event.kind} ${'member' in event ? event.member.name : 'name' in event ? event.name : ''}`)
    .sort();
}

describe('a whole history of Serf, replayed in any order', () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`delivers no event and asks no query twice, and moves no member: seed ${seed}`, () => {
      const network = new VirtualNetwork(seed);
      const datagrams: { readonly to: VirtualNode; readonly bytes: Uint8Array }[] = [];
      const give = network.give.bind(network);
      network.give = (node, input) => {
        if (input.kind === 'datagram') datagrams.push({ to: node, bytes: input.bytes.slice() });
        give(node, input);
      };
      const nodes = network.cluster(6);
      const [n1, n2, n3, n4] = nodes;
      assert.ok(n1 !== undefined && n2 !== undefined && n3 !== undefined && n4 !== undefined);
      for (let i = 0; i < 5; i++) {
        network.ask(n1, (requestId) => ({
          kind: 'userEvent',
          requestId,
          name: `deploy-${i}`,
          payload: EMPTY,
          coalesce: false,
        }));
        network.run(300);
      }
      const parameters = { name: 'load', payload: EMPTY, wantsAck: true };
      network.ask(n2, (requestId) => ({ kind: 'query', requestId, query: 7, parameters }));
      // Somebody may have missed an event of so small a cluster, and has it by push/pull.
      network.run(45_000);
      network.leave(n3);
      network.run(8_000);
      network.kill(n3);
      network.kill(n4);
      network.run(12_000);
      const living = [n1, n2, ...nodes.slice(4)];
      const kinds = [
        'userEvent',
        'queryAsked',
        'memberJoined',
        'memberLeft',
        'memberFailed',
        'memberUpdated',
        'queryAck',
      ] as const;
      const before = living.map((node) => heard(node, ...kinds));
      for (const words of before) assert.equal(words.filter((word) => word.startsWith('userEvent')).length, 5);
      const status = (node: VirtualNode): string[] =>
        nodes.map(({ serf }) => `${serf.name} ${node.statusOf(serf.name)}`);
      const statuses = living.map(status);
      assert.ok(statuses[0]?.includes('n3 left') && statuses[0].includes('n4 failed'));
      for (const { to, bytes } of shuffle(new SeededRandom(seed), [...datagrams]))
        if (to.isUp) give(to, { kind: 'datagram', from: STRANGER, bytes });
      network.run(3_000);
      assert.deepEqual(
        living.map((node) => heard(node, ...kinds)),
        before,
      );
      assert.deepEqual(living.map(status), statuses);
    });
  }
});
