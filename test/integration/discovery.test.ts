/** Discovery on real sockets, on loopback: nothing leaves the machine. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { browse } from '../../src/discovery/browse.ts';
import { Discovery, type FoundNode } from '../../src/discovery/discovery.ts';
import type { Discovered } from '../../src/runtime/node-handle.ts';

const LOOPBACK = { address: '127.0.0.1', name: 'lo' };
const GROUP = '224.0.0.251';
/** Tests of other checkouts may run on this machine at the same time. */
const CLUSTER = `t${process.pid}`;

class Watched {
  readonly found: FoundNode[] = [];
  readonly gone: FoundNode[] = [];
  readonly pictures: Discovered[] = [];
  readonly discovery: Discovery;
  #changed: (() => void)[] = [];

  constructor(nodeId: string, clusterName: string = CLUSTER) {
    const changed = (): void => {
      for (const wake of this.#changed.splice(0)) wake();
    };
    this.discovery = new Discovery({
      interface: LOOPBACK,
      clusterName,
      nodeId,
      random: new SeededRandom(nodeId.length),
      onFound: (node) => this.found.push(node),
      onGone: (node) => this.gone.push(node),
      onDiscovered: (picture) => {
        this.pictures.push(picture);
        setImmediate(changed);
      },
    });
  }

  async until(what: string, isTrue: () => boolean): Promise<void> {
    const timeout = AbortSignal.timeout(8000);
    while (!isTrue()) {
      if (timeout.aborted) throw new Error(`not in time: ${what}; last ${JSON.stringify(this.pictures.at(-1))}`);
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        setTimeout(resolve, 100).unref();
      });
    }
  }

  get ports(): number[] {
    return (this.pictures.at(-1)?.gossip ?? []).map(({ port }) => port).sort();
  }
}

function at(port: number): { serf: { host: string; port: number }; mgmt: { host: string; port: number } } {
  return { serf: { host: '127.0.0.1', port }, mgmt: { host: '127.0.0.1', port: port + 100 } };
}

describe('discovery on loopback', { timeout: 60_000 }, () => {
  it('shows nodes that start together to each other before any of them believes to be alone', async () => {
    const nodes = ['a', 'b.c', 'd_e'].map((id) => new Watched(id));
    try {
      for (const [index, { discovery }] of nodes.entries()) discovery.announce(at(4001 + index));
      await Promise.all(nodes.map(({ discovery }) => discovery.start()));
      for (const node of nodes) await node.until('searched', () => node.pictures.at(-1)?.searched === true);
      for (const node of nodes) {
        const first = node.pictures.find(({ searched }) => searched);
        assert.equal(first?.gossip.length, 2, 'both others are known when the search is done');
      }
      assert.deepEqual(
        nodes.map(({ ports }) => ports),
        [
          [4002, 4003],
          [4001, 4003],
          [4001, 4002],
        ],
      );
      assert.deepEqual(
        nodes[0]?.found
          .filter(({ nodeId }) => nodeId === 'b.c')
          .map(({ kind }) => kind)
          .sort(),
        ['mgmt', 'serf'],
      );
    } finally {
      await Promise.all(nodes.map(({ discovery }) => discovery.stop()));
    }
  });

  it('follows a change of ports and a goodbye at once, and keeps clusters apart', async () => {
    const [one, two, other] = [new Watched('one'), new Watched('two'), new Watched('one', `${CLUSTER}_serf`)];
    const all = [one, two, other];
    try {
      for (const [index, { discovery }] of all.entries()) {
        await discovery.start();
        discovery.announce(at(4101 + index));
      }
      await one.until('two is found', () => one.ports.join() === '4102');
      two.discovery.announce({ serf: { host: '127.0.0.1', port: 4109 } });
      await one.until('the new port', () => one.ports.join() === '4109');
      assert.deepEqual(
        one.gone.map(({ kind }) => kind),
        ['mgmt'],
        'the endpoint that is no more was taken back',
      );
      await two.discovery.stop();
      await one.until('two is gone', () => one.ports.length === 0);
      assert.ok(other.found.length === 0 && !one.found.some(({ endpoint }) => endpoint.port === 4103));
    } finally {
      await Promise.all(all.map(({ discovery }) => discovery.stop()));
    }
  });

  it('shows the control tool what is there, and ends early when that is enough', async () => {
    const node = new Watched('n1');
    try {
      node.discovery.announce(at(4201));
      await node.discovery.start();
      const begun = performance.now();
      const found = await browse({
        interface: LOOPBACK,
        clusterName: CLUSTER,
        kind: 'mgmt',
        forMs: 5000,
        random: new SeededRandom(1),
        isEnough: (services) => services.length > 0,
      });
      assert.ok(performance.now() - begun < 4000);
      assert.deepEqual(
        found.map(({ instance, endpoint, ipv4 }) => [instance, endpoint.port, ipv4]),
        [[`${CLUSTER}_mgmt_n1`, 4301, ['127.0.0.1']]],
      );
      const none = await browse({
        interface: LOOPBACK,
        clusterName: `${CLUSTER}x`,
        forMs: 300,
        random: new SeededRandom(1),
      });
      assert.deepEqual(none, []);
    } finally {
      await node.discovery.stop();
    }
  });

  it('drops and counts hostile packets, answers plain resolvers, and goes on', async () => {
    const node = new Watched('n1');
    const stranger = createSocket('udp4');
    try {
      node.discovery.announce(at(4401));
      await node.discovery.start();
      stranger.bind(0, '127.0.0.1');
      await once(stranger, 'listening');
      stranger.setMulticastInterface('127.0.0.1');
      const send = (bytes: Uint8Array): Promise<unknown> =>
        new Promise((resolve) => stranger.send(bytes, 5353, GROUP, resolve));
      const garbage = [[], [0], new Array(12).fill(255), new Array(600).fill(0xc0)];
      for (const bytes of garbage) await send(Uint8Array.from(bytes as number[]));
      await send(Buffer.from(`000084000000ffff00000000${'c00c'.repeat(30)}`, 'hex'));
      // A response from another port than 5353 was not sent by a responder.
      await send(Buffer.from('000084000000000000000000', 'hex'));
      const query = Buffer.from(
        '1234000000010000000000000c5f636c757374657266756e6b045f756470056c6f63616c00000c0001',
        'hex',
      );
      // Nodes of other tests on this machine may answer too.
      const answered = new Promise<Buffer>((resolve) => {
        stranger.on('message', (bytes) => {
          if (bytes.includes(`${CLUSTER}_serf_n1`)) resolve(bytes);
        });
      });
      await send(query);
      assert.equal((await answered).readUInt16BE(0), 0x1234, 'a plain resolver gets its own id back');
      const { dropped } = node.discovery.stats();
      assert.ok((dropped['garbled'] ?? 0) >= 3, JSON.stringify(dropped));
      assert.ok((dropped['wrongPort'] ?? 0) >= 1, JSON.stringify(dropped));
    } finally {
      stranger.close();
      await node.discovery.stop();
    }
  });
});
