/** Serf's own mDNS against a captured exchange of two real agents, and between sockets on loopback. wire-gossip.md 21. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { after, describe, it } from 'node:test';
import { SerfDiscover } from '../../src/discovery/serf-discover.ts';
import { serfAnswers, serfPeersIn, serfRecords } from '../../src/discovery/serf-records.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { fromHex, tellVectors, vectors } from '../vectors.ts';

interface CapturedAnswer {
  readonly name: string;
  readonly type: number;
  readonly ttl: number;
  readonly priority?: number;
  readonly weight?: number;
  readonly port?: number;
  readonly target?: string;
  readonly a?: string;
  readonly ptr?: string;
  readonly txt?: readonly string[];
}

interface Captured {
  readonly vectors: readonly {
    readonly hex: string;
    readonly decoded: { readonly answers: readonly CapturedAnswer[] };
  }[];
}

const ON = { address: '127.0.0.1', name: undefined };
const AGENT = { name: 'mycluster', node: 'm1', host: 'node-a', endpoint: { host: '10.88.0.1', port: 7946 } };
const TYPES: Readonly<Record<number, string>> = { 1: 'A', 12: 'PTR', 16: 'TXT', 33: 'SRV' };

function undotted(name: string): string {
  return name.replace(/\.$/, '');
}

const packets = vectors<Captured>('mdns.json').vectors;
const answered = (packets.at(-1)?.decoded.answers ?? []).map(({ type, name, ttl, ...rest }) => {
  const { priority, weight, port, target, a, ptr, txt } = rest;
  const service = target === undefined ? undefined : { target: undotted(target), port, priority, weight };
  const data = service ?? a ?? txt ?? undotted(ptr ?? '');
  return { type: TYPES[type], name: undotted(name), ttl, data };
});

describe('Serf’s mDNS', () => {
  it('answers with the four records of a real agent, in its order', (t) => {
    assert.deepEqual(serfRecords(AGENT), answered);
    tellVectors(t, 'mdns', `${packets.length} packets; ${answered.length} records given as an agent gives them`);
    const asked = { name: '_Serf_mycluster._tcp.local', type: 'PTR' };
    assert.deepEqual(serfAnswers(AGENT, asked), answered, 'whatever the case of the letters');
  });

  it('answers only what is about itself', () => {
    const typesOf = (name: string, type: string): string[] =>
      serfAnswers(AGENT, { name, type }).map((record) => record.type);
    assert.deepEqual(typesOf('_serf_other._tcp.local', 'PTR'), []);
    assert.deepEqual(typesOf('_serf_mycluster._tcp.local', 'A'), []);
    assert.deepEqual(typesOf('m1._serf_mycluster._tcp.local', 'SRV'), ['SRV', 'A', 'TXT']);
    assert.deepEqual(typesOf('m1._serf_mycluster._tcp.local', 'TXT'), ['TXT']);
    assert.deepEqual(typesOf('m1._serf_mycluster._tcp.local', 'AAAA'), []);
    assert.deepEqual(typesOf('node-a', 'A'), ['A']);
    assert.deepEqual(typesOf('_services._dns-sd._udp.local', 'PTR'), ['PTR']);
  });

  it('reads a peer from port and address together, and never from a goodbye', () => {
    assert.deepEqual(serfPeersIn(serfRecords(AGENT), 'mycluster'), [AGENT.endpoint]);
    assert.deepEqual(serfPeersIn(serfRecords(AGENT), 'other'), []);
    const without = (type: string) => serfRecords(AGENT).filter((record) => record.type !== type);
    assert.deepEqual(serfPeersIn(without('A'), 'mycluster'), []);
    assert.deepEqual(serfPeersIn(without('SRV'), 'mycluster'), []);
    const goodbye = serfRecords(AGENT).map((record) => ({ ...record, ttl: 0 }));
    assert.deepEqual(serfPeersIn(goodbye, 'mycluster'), []);
  });
});

describe('Serf’s mDNS on loopback', { timeout: 30_000 }, () => {
  const running: SerfDiscover[] = [];
  after(() => Promise.all(running.map((one) => one.stop())));

  const start = async (name: string, node: string, port: number, known: readonly number[] = []) => {
    const joined: number[] = [];
    const one = new SerfDiscover({
      interface: ON,
      name,
      node,
      host: `host-${node}`,
      endpoint: { host: '127.0.0.1', port },
      join: (endpoints: readonly Endpoint[]) => {
        joined.push(...endpoints.map((endpoint) => endpoint.port));
        return Promise.resolve(endpoints.length);
      },
      isMember: (endpoint) => known.includes(endpoint.port),
      onWarning: () => undefined,
    });
    running.push(one);
    await one.start();
    return joined;
  };

  const seen = async (joined: readonly number[], port: number): Promise<void> => {
    while (!joined.includes(port)) await new Promise((resolve) => setTimeout(resolve, 20));
  };

  it('finds each other by name, never itself, nor who is a member', async () => {
    const cluster = `t${process.pid}`;
    const first = await start(cluster, 'a', 21_001, [21_003]);
    const second = await start(cluster, 'b', 21_002);
    const member = await start(cluster, 'c', 21_003);
    const stranger = await start(`${cluster}x`, 'd', 21_004);
    await Promise.all([seen(first, 21_002), seen(second, 21_001), seen(member, 21_001)]);
    assert.ok(!first.includes(21_001) && !first.includes(21_003) && !first.includes(21_004));
    assert.deepEqual(stranger, []);
  });

  it('answers the captured question of a real agent, to the port that asked', async () => {
    await start('mycluster', 'm1', 7_946);
    const asker = createSocket('udp4');
    await new Promise<void>((resolve) => asker.bind(0, '127.0.0.1', resolve));
    asker.setMulticastInterface('127.0.0.1');
    const reply = new Promise<Uint8Array>((resolve) => asker.once('message', resolve));
    asker.send(fromHex(packets[0]?.hex ?? ''), 5353, '224.0.0.251');
    const bytes = Buffer.from(await reply);
    asker.close();
    assert.equal(bytes.readUInt16BE(2), 0x8400, 'an authoritative response');
    assert.deepEqual([bytes.readUInt16BE(4), bytes.readUInt16BE(6)], [0, 4], 'no question, four answers');
    assert.ok(bytes.includes("Serf 'mycluster' cluster"));
  });
});
