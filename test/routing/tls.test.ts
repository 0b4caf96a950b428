/** Routing between nodes that speak TLS, each to each with certificates of one authority. */
import { credentials, ServerCredentials, status as Status } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { text } from 'node:stream/consumers';
import { HttpRouting } from '../../src/routing/http-routing.ts';
import type { OwnerTls, OwnerTlsSettings } from '../../src/routing/owner-tls.ts';
import * as headers from '../../src/routing/route-headers.ts';
import { ShardRouter } from '../../src/routing/shard-router.ts';
import { AUTHORITY, NODE_CERTIFICATE, NODE_KEY, STRANGE_AUTHORITY } from './certificates.ts';
import { FakeCluster } from './fake-cluster.ts';
import { WordClient, wordServers } from './grpc-rig.ts';

const NODES = ['n1', 'n2', 'n3'];
const TRUSTED: OwnerTlsSettings = {
  ca: AUTHORITY,
  cert: NODE_CERTIFICATE,
  key: NODE_KEY,
  servername: 'owner.test',
};
const SERVED = { ca: AUTHORITY, cert: NODE_CERTIFICATE, key: NODE_KEY, requestCert: true, rejectUnauthorized: true };
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function openWords(tls: OwnerTls): Promise<WordClient> {
  const [authority, key, certificate] = [AUTHORITY, NODE_KEY, NODE_CERTIFICATE].map((pem) => Buffer.from(pem)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const serverCredentials = ServerCredentials.createSsl(
    authority,
    [{ private_key: key, cert_chain: certificate }],
    true,
  );
  const servers = await wordServers(new FakeCluster(NODES), NODES, { tls, serverCredentials, waitMsMax: 500 });
  const client = new WordClient(servers[0] as (typeof servers)[0], credentials.createSsl(authority, key, certificate));
  closers.push(() => client.close(), ...servers.map((server) => () => server.close()));
  return client;
}

interface Page {
  readonly status: number | undefined;
  readonly body: string;
}

/** Three shops that serve `/<shard>` by HTTPS; answers how to ask the first. */
async function openShops(tls: OwnerTls): Promise<(path: string) => Promise<Page>> {
  const cluster = new FakeCluster(NODES);
  const ports: number[] = [];
  for (const id of NODES) {
    const router = new ShardRouter({ handle: cluster.handle(id) }, { service: 'shop', waitMsMax: 500, tls });
    const routing = new HttpRouting(router);
    const handler = routing.handler(
      ({ url }) => Number(url?.slice(1)),
      (request, response) => void response.end(`${id} ${request.headers[headers.HEADER_HOPS] ?? 0}`),
    );
    const server: Server = createServer(SERVED, handler);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    ports.push(port);
    cluster.publish(id, 'shop', { host: '127.0.0.1', port });
    closers.push(() => {
      server.close();
      server.closeAllConnections();
      routing.close();
      router.close();
    });
  }
  return async (path) => {
    const request = httpsRequest({ ...TRUSTED, host: '127.0.0.1', port: ports[0], path, agent: false });
    request.end();
    const [response] = await once(request, 'response');
    return { status: response.statusCode, body: await text(response) };
  };
}

describe('routing by TLS', () => {
  it('brings gRPC calls to their owners, who know each other by their certificates', async () => {
    const client = await openWords(TRUSTED);
    const said = await Promise.all([0, 1, 2].map((shard) => client.say(shard, 'hello')));
    assert.deepEqual(
      said.map(({ echo }) => echo?.node),
      NODES,
    );
  });

  it('brings HTTP requests to their owners', async () => {
    const ask = await openShops(TRUSTED);
    assert.deepEqual(await ask('/0'), { status: 200, body: 'n1 0' });
    assert.deepEqual(await ask('/1'), { status: 200, body: 'n2 1' });
    assert.deepEqual(await ask('/2'), { status: 200, body: 'n3 1' });
  });

  for (const [what, tls] of [
    ['an owner whose authority is not trusted', { ...TRUSTED, ca: STRANGE_AUTHORITY }],
    ['an owner of another name', { ...TRUSTED, servername: 'somebody.else' }],
    ['an owner that asks for a certificate, without one', { ca: AUTHORITY, servername: 'owner.test' }],
  ] as const) {
    it(`brings nothing to ${what}, and says that it does not answer`, async () => {
      const client = await openWords(tls);
      const { echo, error } = await client.say(1, 'secret');
      assert.equal(echo, undefined);
      assert.equal(error?.code, Status.UNAVAILABLE);
      const ask = await openShops(tls);
      const page = await ask('/1');
      assert.ok(page.status === 503 || page.status === 502, `${page.status} ${page.body}`);
      assert.equal((await ask('/0')).status, 200, 'what is its own it serves');
    });
  }

  it('takes settings anew for each connection, so that renewed certificates are used', async () => {
    let settings: OwnerTlsSettings = { ...TRUSTED, ca: STRANGE_AUTHORITY };
    const client = await openWords(() => settings);
    const ask = await openShops(() => settings);
    assert.notEqual((await client.say(1, 'too early')).error, undefined);
    assert.notEqual((await ask('/1')).status, 200);
    settings = TRUSTED;
    assert.equal((await client.say(1, 'hello')).echo?.node, 'n2');
    assert.deepEqual(await ask('/1'), { status: 200, body: 'n2 1' });
  });
});
