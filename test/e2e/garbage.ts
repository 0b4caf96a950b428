/** Garbage on every port of three nodes: it is counted, told with restraint, and changes nothing. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { randomBelow, SeededRandom } from '../../src/base/random.ts';
import { type Endpoint, parseEndpoint } from '../../src/model/endpoint.ts';
import { IS_LONG, type NodeProcess, settled } from './node-process.ts';

const SEED = IS_LONG ? Date.now() % 2 ** 31 : 20_261;
const DATAGRAMS = IS_LONG ? 5_000 : 400;
const STREAMS = IS_LONG ? 300 : 25;
const CALLS = IS_LONG ? 300 : 25;
/** So many packets at once, then a breath: the kernel must not drop what shall be counted. */
const BURST = 20;
const METHODS: readonly string[] = [
  '/managepb.ClusterManagement/AddNode',
  '/managepb.ClusterManagement/FindEndpoint',
  '/managepb.ClusterManagement/NoSuchCall',
  '/funk.v1.Node/Owns',
  '/funk.v1.Node/Watch',
  '/funk.v1.Node/Join',
  '/grpc.health.v1.Health/Check',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/funk.v1.Peer/Exchange',
];
/** What a message of memberlist begins with, the label and our own liveness included. */
const FIRST_BYTES: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 244];
const HTTP_STARTS: readonly string[] = [
  'GET /metrics HTTP/1.1\r\n',
  'GET /',
  'POST /sd HTTP/1.1\r\nContent-Length: 9\r\n\r\n',
];
const HTTP2_START = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const random = new SeededRandom(SEED);

function randomBytes(max: number, start: readonly number[] = []): Buffer {
  const bytes = Buffer.alloc(start.length + randomBelow(random, max));
  for (let at = 0; at < bytes.length; at++) bytes[at] = start[at] ?? randomBelow(random, 256);
  return bytes;
}

async function throwDatagrams(at: Endpoint, make: () => Buffer): Promise<void> {
  const socket = createSocket('udp4');
  try {
    for (let sent = 0; sent < DATAGRAMS; sent++) {
      const bytes = make();
      await new Promise<void>((resolve) => socket.send(bytes, at.port, at.host, () => resolve()));
      if (sent % BURST === 0) await sleep(5);
    }
  } finally {
    socket.close();
  }
}

/** A connection that says something senseless and then is gone at once, ends, breaks, or waits to be closed for a while. */
async function throwStream(at: Endpoint, bytes: Buffer): Promise<void> {
  const socket = connect(at.port, at.host);
  // Whether the other side resets the connection is its affair.
  socket.on('error', () => undefined).resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (randomBelow(random, 4) === 0) {
    socket.write(bytes, () => socket.destroy());
    return closed;
  }
  socket.write(bytes);
  const patience = sleep(100 + randomBelow(random, 200), undefined, { ref: false });
  if (randomBelow(random, 2) === 0) socket.end();
  await Promise.race([closed, patience]);
  socket.destroy();
  await closed;
}

async function throwStreams(at: Endpoint, starts: readonly string[]): Promise<void> {
  for (let sent = 0; sent < STREAMS; sent++) {
    const start = Buffer.from(starts[sent % starts.length] ?? '');
    await throwStream(at, Buffer.concat([start, randomBytes(2_000)]));
  }
}

/** Well-formed calls with senseless messages, to methods that exist and to one that does not. */
async function throwCalls(at: string): Promise<void> {
  const client = new Client(at, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  try {
    for (let sent = 0; sent < CALLS; sent++) {
      const method = METHODS[sent % METHODS.length] as string;
      const bytes = randomBytes(300);
      const asIs = (value: Buffer): Buffer => value;
      await new Promise<void>((resolve) => {
        const deadline = Date.now() + 300;
        const call = client.makeServerStreamRequest(method, asIs, asIs, bytes, new Metadata(), { deadline });
        call.on('data', () => call.cancel());
        call.once('error', () => resolve());
        call.once('end', () => resolve());
      });
    }
  } finally {
    client.close();
  }
}

async function throwAt(node: NodeProcess): Promise<void> {
  const at = async (tag: Parameters<NodeProcess['endpoint']>[0]): Promise<Endpoint> =>
    parseEndpoint(await node.endpoint(tag)) as Endpoint;
  const serf = await at('ep.serf');
  const raft = await at('ep.raft');
  const management = await at('ep.clusterfunk.management');
  const gossip = (): Buffer => {
    const first = FIRST_BYTES[randomBelow(random, FIRST_BYTES.length * 2)];
    return randomBytes(1_400, first === undefined ? [] : [first]);
  };
  await Promise.all([
    throwDatagrams(serf, gossip),
    throwDatagrams(await at('ep.liveness'), () => randomBytes(1_400)),
    throwStreams(serf, ['', String.fromCharCode(6), String.fromCharCode(10), String.fromCharCode(9)]),
    throwStreams(raft, ['', HTTP2_START]),
    throwStreams(management, ['', HTTP2_START]),
    throwStreams(await at('ep.http'), ['', ...HTTP_STARTS]),
    throwCalls(await node.endpoint('ep.clusterfunk.management')),
    throwCalls(await node.endpoint('ep.raft')),
  ]);
}

/** Every series by its name with its labels, and the sum of all of a name by the name alone. */
async function counters(node: NodeProcess): Promise<Map<string, number>> {
  const answer = await fetch(`http://${await node.endpoint('ep.http')}/metrics`);
  assert.equal(answer.status, 200);
  const sums = new Map<string, number>();
  for (const line of (await answer.text()).split('\n')) {
    const [, name, labels, value] = /^([a-z_]+)(\{[^}]*\})? (\S+)/.exec(line) ?? [];
    if (name === undefined) continue;
    if (labels !== undefined) sums.set(name + labels, Number(value));
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}

/** It is counted and told with restraint, and the cluster stays what it is. */
export async function isBorne(t: TestContext, nodes: readonly NodeProcess[]): Promise<void> {
  const before = await settled(nodes, { voters: 3 });
  const counted = await Promise.all(nodes.map(counters));
  const marks = nodes.map((node) => node.lines.length);
  t.diagnostic(`seed ${SEED}`);

  await Promise.all(nodes.map(throwAt));

  assert.ok(
    nodes.every((node) => node.isRunning),
    nodes.map(({ output }) => output.slice(-2_000)).join('\n'),
  );
  assert.equal((await settled(nodes, { voters: 3 })).clusterId, before.clusterId);
  for (const [index, node] of nodes.entries()) {
    const now = await counters(node);
    const more = (name: string): number => (now.get(name) ?? Number.NaN) - (counted[index]?.get(name) ?? 0);
    assert.ok(more('funknode_swim_dropped_total') > DATAGRAMS / 2, `gossip: ${more('funknode_swim_dropped_total')}`);
    assert.ok(more('funknode_liveness_dropped_total') > 0, 'liveness');
    assert.ok(more('funknode_peers_connections_total{outcome="malformed"}') > STREAMS / 2, 'raft connections');
    assert.ok(more('funknode_node_events_total{kind="dropped"}') > DATAGRAMS / 2, 'raft frames and gossip');
    assert.ok(more('funknode_management_connections_total{outcome="malformed"}') > STREAMS / 2, 'management');
    assert.ok(more('funknode_http_garbage_total') > 0, 'http');
    const told = node.lines.slice(marks[index]);
    assert.ok(
      told.some(({ event }) => event === 'dropped'),
      'it is told',
    );
    const complaints = told.filter(({ event }) => /^(?:dropped|httpGarbage|malformedConnection)$/.test(event));
    assert.ok(complaints.length < 60, `${complaints.length} lines for ${2 * DATAGRAMS} packets`);
    assert.ok(!told.some(({ event }) => event === 'memberFailed' || event === 'broken'));
    t.diagnostic(
      `${node.id}: ${complaints.length} lines, ${more('funknode_swim_dropped_total')} gossip messages dropped`,
    );
  }
}
