/** The server around the calls: binding, health, reflection, hostile bytes, limits, stopping. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { connectManagement } from '../../src/client.ts';
import { BindFailedError } from '../../src/management/errors.ts';
import { createManagementServer } from '../../src/management/server.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';
import { clusterOfTwo, KeptLog, LOOPBACK, type ServedNode, serve } from './cluster-of-two.ts';

const healthService = loadSync(protoPath, { enums: String, defaults: true })[
  'grpc.health.v1.Health'
] as ServiceDefinition;

function aNode(state: 'Operational' | 'Resharding' = 'Operational'): FakeNodeHandle {
  return new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1', state }));
}

function clientOf(node: ServedNode): Client {
  return new Client(node.address, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
}

function check(node: ServedNode, service: string): Promise<string> {
  const method = healthService['check'] ?? healthService['Check'];
  assert(method !== undefined);
  const client = clientOf(node);
  return new Promise((resolve, reject) => {
    const read = method.responseDeserialize as (bytes: Buffer) => { status: string };
    client.makeUnaryRequest(method.path, method.requestSerialize, read, { service }, (error, answer) => {
      client.close();
      if (error) reject(error);
      else resolve(answer?.status ?? '');
    });
  });
}

/** What the server answers to these bytes before it hangs up. */
function sendBytes(port: number, bytes: Uint8Array | string): Promise<number> {
  return new Promise((resolve) => {
    let received = 0;
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
    socket.write(bytes);
  });
}

describe('binding', () => {
  it('takes any free port for 0 and says which', async () => {
    const { server } = await serve(aNode());
    assert.equal(server.endpoint.host, '127.0.0.1');
    assert(server.endpoint.port > 0);
    await server.close();
  });

  it('names the endpoint and the reason when it cannot be had, and leaves nothing behind', async () => {
    const { server } = await serve(aNode());
    const handle = aNode();
    for (const [endpoint, reason] of [
      [server.endpoint, 'EADDRINUSE'],
      [{ host: '192.0.2.1', port: 7948 }, 'EADDRNOTAVAIL'],
    ] as const) {
      await assert.rejects(createManagementServer({ handle, endpoint }), (error: unknown) => {
        assert(error instanceof BindFailedError);
        assert.equal(error.reason, reason);
        assert(error.message.includes(`${endpoint.host}:${endpoint.port}`));
        return true;
      });
    }
    assert.equal(handle.listenerCount, 0);
    await server.close();
  });
});

describe('grpc.health.v1', () => {
  it('serves, as a whole and per service, while Operational and not otherwise', async () => {
    const node = await serve(aNode('Resharding'));
    const services = ['', 'managepb.ClusterManagement', 'funk.v1.Node', 'clusterpb.ClusterLeaderService'];
    for (const service of services) assert.equal(await check(node, service), 'NOT_SERVING');
    node.handle.enter('Operational');
    for (const service of services) assert.equal(await check(node, service), 'SERVING');
    node.handle.enter('Draining');
    assert.equal(await check(node, ''), 'NOT_SERVING');
    await assert.rejects(check(node, 'no.such.Service'), (error: ServiceError) => error.code === status.NOT_FOUND);
    await node.server.close();
  });

  it('tells watchers of each change, and lets them go when the server stops', async () => {
    const node = await serve(aNode());
    const client = clientOf(node);
    const method = healthService['watch'] ?? healthService['Watch'];
    assert(method !== undefined);
    const read = method.responseDeserialize as (bytes: Buffer) => { status: string };
    const stream = client.makeServerStreamRequest(method.path, method.requestSerialize, read, { service: '' });
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      stream.on('data', (message: { status: string }) => {
        seen.push(message.status);
        if (seen.length === 1) node.handle.enter('Voting');
        if (seen.length === 2) void node.server.close();
      });
      stream.on('error', () => resolve());
      stream.on('end', () => resolve());
    });
    assert.deepEqual(seen.slice(0, 2), ['SERVING', 'NOT_SERVING']);
    await node.server.close();
    client.close();
  });
});

describe('server reflection', () => {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve('@grpc/reflection/package.json')), 'build/proto');
  const contract: PackageDefinition = loadSync('grpc/reflection/v1/reflection.proto', {
    includeDirs: [folder],
    defaults: true,
    keepCase: true,
  });
  const service = contract['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;

  type Reflected = { error_response: object | null; list_services_response: { service: { name: string }[] } | null };

  function reflect(node: ServedNode, request: object): Promise<Reflected> {
    const method = service['ServerReflectionInfo'];
    assert(method !== undefined);
    const client = clientOf(node);
    const read = method.responseDeserialize as (bytes: Buffer) => Reflected;
    const stream: ClientDuplexStream<object, Reflected> = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      read,
    );
    return new Promise((resolve, reject) => {
      stream.on('data', (answer: Reflected) => {
        stream.end();
        client.close();
        resolve(answer);
      });
      stream.on('error', reject);
      stream.write(request);
    });
  }

  it('lists every service and describes their messages', async () => {
    const node = await serve(aNode());
    const listed = (await reflect(node, { list_services: '' })).list_services_response;
    const names = listed?.service.map((one) => one.name).sort() ?? [];
    for (const name of [
      'clusterpb.ClusterLeaderService',
      'funk.v1.Node',
      'grpc.health.v1.Health',
      'managepb.ClusterManagement',
    ]) {
      assert(names.includes(name), name);
    }
    for (const symbol of [
      'funk.v1.Node',
      'funk.v1.WatchResponse',
      'managepb.Error',
      'managepb.ClusterManagement.AddNode',
    ]) {
      assert.equal((await reflect(node, { file_containing_symbol: symbol })).error_response ?? null, null, symbol);
    }
    await node.server.close();
  });

  it('refuses bytes that are no message of its own, and serves on', async () => {
    const node = await serve(aNode());
    const client = clientOf(node);
    const same = (bytes: Buffer): Buffer => bytes;
    for (const version of ['v1', 'v1alpha']) {
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const stream = client.makeBidiStreamRequest(path, same, same);
      const failed = new Promise<ServiceError>((resolve) =>
        stream.on('error', (error: ServiceError) => resolve(error)),
      );
      stream.on('data', () => undefined);
      // There is no wire type 6.
      for (let sent = 0; sent < 3; sent++) stream.write(Buffer.from([0x7e, 0x01]));
      const { code, details } = await failed;
      assert.equal(code, status.INTERNAL);
      assert.match(details, /^Error deserializing request/);
    }
    client.close();
    assert.equal((await reflect(node, { list_services: '' })).error_response ?? null, null);
    await node.server.close();
  });
});

describe('bytes that are no request', () => {
  it('counts garbage, logs it at a bounded rate, and serves on', async () => {
    const logger = new KeptLog();
    const node = await serve(aNode(), { logger });
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const garbage: (string | Uint8Array)[] = [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      new Uint8Array(4096).fill(0xff),
      new Uint8Array(70_000),
      `${preface}${'x'.repeat(4000)}`,
    ];
    for (const bytes of garbage) await sendBytes(node.server.endpoint.port, bytes);
    const stats = node.server.stats();
    assert.equal(stats.connectionsMalformed, garbage.length);
    assert.equal(stats.connectionsAccepted, garbage.length);
    assert.equal(stats.connections, 0);
    assert.deepEqual(logger.events(), ['malformedConnection']);
    const client = await connectManagement(node.address);
    assert.equal((await client.status()).status.nodeId, 'n1');
    client.close();
    await node.server.close();
  });

  it('counts the garbage of somebody who is gone already, and no connection that says nothing', async () => {
    const node = await serve(aNode());
    const { port } = node.server.endpoint;
    for (const bytes of ['no HTTP/2', '']) {
      for (let sent = 0; sent < 10; sent++) {
        await new Promise<void>((resolve) => {
          const socket = connect(port, '127.0.0.1', () => {
            // Closed without reading what the server says first: the kernel resets it.
            if (bytes === '') socket.destroy();
            else socket.write(bytes, () => socket.destroy());
          });
          socket.once('close', () => resolve());
        });
      }
    }
    const client = await connectManagement(node.address);
    assert.equal((await client.status()).status.nodeId, 'n1');
    assert.equal(node.server.stats().connectionsMalformed, 10);
    client.close();
    await node.server.close();
  });

  it('does not wait at its end for connections that say nothing', async () => {
    const node = await serve(aNode(), { stopGraceMs: 60_000 });
    const silent = connect(node.server.endpoint.port, '127.0.0.1');
    const ended = new Promise<void>((resolve) => silent.once('close', () => resolve()));
    await new Promise<void>((resolve) => silent.once('connect', () => resolve()));
    const client = await connectManagement(node.address);
    await client.status();
    client.close();
    await node.server.close();
    await ended;
  });

  it('bears connections that come and go, and requests that are cut short', async () => {
    const node = await serve(aNode());
    // The last is a SETTINGS frame with a length that is no multiple of six: answered by GOAWAY.
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const badFrame = Buffer.concat([preface, Buffer.from([0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5])]);
    const openings = ['PRI * HT', preface, badFrame];
    for (let i = 0; i < 21; i++) {
      await new Promise<void>((resolve) => {
        const socket = connect(node.server.endpoint.port, '127.0.0.1', () => {
          socket.write(openings[i % openings.length] as Buffer, () => socket.resetAndDestroy());
        });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
      });
    }
    const client = await connectManagement(node.address);
    assert.equal((await client.status()).status.nodeId, 'n1');
    client.close();
    await node.server.close();
  });

  it('refuses garbled messages and ones beyond the size limit, each as a status', async () => {
    const node = await serve(aNode());
    const client = clientOf(node);
    const send = (bytes: Buffer): Promise<ServiceError | null> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          '/funk.v1.Node/AddNode',
          () => bytes,
          () => undefined,
          {},
          (error) => resolve(error),
        );
      });
    const garbled = await send(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert(garbled !== null && garbled.code !== status.OK);
    const huge = await send(Buffer.alloc(5 * 1024 * 1024, 0x41));
    assert.equal(huge?.code, status.RESOURCE_EXHAUSTED);
    assert.deepEqual(node.handle.calls, []);
    client.close();
    await node.server.close();
  });

  it('answers errors nobody foresaw with INTERNAL, tells the log and not the caller', async () => {
    const logger = new KeptLog();
    const node = await serve(aNode(), { logger });
    node.handle.answers.drain = () => Promise.reject(new TypeError('secret detail'));
    const client = await connectManagement(node.address);
    await assert.rejects(client.drain(), (error: Error) => !error.message.includes('secret'));
    assert.deepEqual(logger.events(), ['callFailed']);
    assert.deepEqual(node.server.stats().requests, [{ method: 'funk.v1.Node/Drain', code: 'INTERNAL', count: 1 }]);
    client.close();
    await node.server.close();
  });
});

describe('stopping', () => {
  it('lets a call under way end, takes no new ones, and lets go of the node', async () => {
    const node = await serve(aNode());
    let finish: () => void = () => undefined;
    node.handle.answers.drain = () => new Promise((resolve) => (finish = resolve));
    const client = await connectManagement(node.address);
    const draining = client.drain();
    while (node.handle.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const closed = node.server.close();
    await assert.rejects(connectManagement(node.address), { code: 'FUNK_UNREACHABLE' });
    finish();
    assert.equal(await draining, 'n1');
    await closed;
    assert.equal(node.handle.listenerCount, 0);
    assert.equal(node.server.close(), node.server.close());
    client.close();
  });

  it('cuts what does not end in time, and says so', async () => {
    const logger = new KeptLog();
    const node = await serve(aNode(), { logger, stopGraceMs: 20 });
    node.handle.answers.drain = () => new Promise(() => undefined);
    const client = await connectManagement(node.address);
    const draining = client.drain();
    while (node.handle.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([node.server.close(), assert.rejects(draining)]);
    assert.deepEqual(logger.events(), ['callsCut']);
    client.close();
  });

  it('closes its channel to the leader', async () => {
    const cluster = await clusterOfTwo();
    const client = await connectManagement(cluster.follower.address);
    await client.removeNode('n3');
    client.close();
    await cluster.follower.server.close();
    assert.equal(cluster.follower.handle.listenerCount, 0);
    await cluster.leader.server.close();
    assert.equal(cluster.leader.server.stats().connections, 0);
  });

  it('binds anew where it was', async () => {
    const first = await serve(aNode());
    await first.server.close();
    const again = await createManagementServer({ handle: aNode(), endpoint: first.server.endpoint });
    assert.deepEqual(again.endpoint, first.server.endpoint);
    await again.close();
    assert.deepEqual(LOOPBACK.port, 0);
  });
});
