import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Ownership } from '../../src/model/shard-map.ts';
import { HttpRouting, type HttpRoutingOptions } from '../../src/routing/http-routing.ts';
import * as headers from '../../src/routing/route-headers.ts';
import { ShardRouter, type ShardRouterOptions } from '../../src/routing/shard-router.ts';
import { FakeCluster } from './fake-cluster.ts';

const NODES = ['n1', 'n2', 'n3'];

/** `/<shard>/...` */
const shardOf = ({ url }: { readonly url?: string | undefined }, shardCount: number): number | undefined => {
  if (shardCount === 0) throw new Error('no shards');
  const [, first = ''] = new URL(url ?? '/', 'http://any').pathname.split('/');
  return first === 'status' ? undefined : Number(first);
};

type Handle = (request: IncomingMessage, response: ServerResponse, ownership: Ownership | undefined) => void;

class Shop {
  readonly id: string;
  readonly router: ShardRouter;
  readonly routing: HttpRouting;
  readonly seen: string[] = [];
  readonly fetch: (request: Request) => Promise<Response>;
  handle: Handle = (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => response.end(`${this.id} ${request.method} ${request.url} ${Buffer.concat(parts)}`));
  };
  readonly #upgraded: Set<Duplex> = new Set();
  #server: Server;
  #port = 0;

  constructor(id: string, cluster: FakeCluster, options: Partial<ShardRouterOptions & HttpRoutingOptions>) {
    this.id = id;
    this.router = new ShardRouter({ handle: cluster.handle(id) }, { service: 'shop', waitMsMax: 2_000, ...options });
    this.routing = new HttpRouting(this.router, options);
    this.fetch = this.routing.fetch(shardOf, async (request, ownership) => {
      this.seen.push(request.url);
      return new Response(`${id} fetched ${ownership?.epoch} ${await request.text()}`, { status: 201 });
    });
    this.#server = this.#make();
  }

  get endpoint(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  kill(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#upgraded) socket.destroy();
  }

  async restart(): Promise<void> {
    this.#server = this.#make();
    await this.listen(this.#port);
  }

  close(): void {
    this.kill();
    this.routing.close();
    this.router.close();
  }

  #make(): Server {
    const server = createServer(
      this.routing.handler(shardOf, (request, response, ownership) => {
        this.seen.push(`${request.method} ${request.url}`);
        this.handle(request, response, ownership);
      }),
    );
    server.on(
      'upgrade',
      this.routing.upgrade(shardOf, (request, socket, _head, ownership) => {
        this.seen.push(`upgrade ${request.url}`);
        this.#upgraded.add(socket);
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${request.headers.upgrade}\r\n`,
        );
        socket.write(`x-node: ${this.id}\r\nx-epoch: ${ownership?.epoch}\r\n\r\n`);
        socket.on('data', (bytes: Buffer) => socket.write(`${this.id}:${bytes}`));
        socket.on('end', () => socket.end());
      }),
    );
    return server;
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: string;
}

let cluster: FakeCluster;
let shops: Shop[];
let n1: Shop;
let n2: Shop;
let n3: Shop;
let agent: Agent;

async function open(options: Partial<ShardRouterOptions & HttpRoutingOptions> = {}): Promise<void> {
  cluster = new FakeCluster(NODES);
  shops = NODES.map((id) => new Shop(id, cluster, options));
  [n1, n2, n3] = shops as [Shop, Shop, Shop];
  for (const shop of shops) {
    await shop.listen();
    cluster.publish(shop.id, 'shop', shop.endpoint);
  }
  agent = new Agent({ keepAlive: true });
}

function close(): void {
  agent.destroy();
  for (const shop of shops) shop.close();
}

function ask(
  path: string,
  options: {
    readonly at?: Shop;
    readonly method?: string;
    readonly headers?: Record<string, string | string[]>;
    readonly body?: string;
    readonly trailers?: Record<string, string>;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Answer> {
  const { at = n1, method = 'GET', body, trailers, signal } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...at.endpoint,
        agent,
        method,
        path,
        headers: { ...options.headers, ...(trailers && { trailer: Object.keys(trailers).join() }) },
        ...(signal && { signal }),
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(parts).toString(),
          }),
        );
      },
    );
    request.on('error', reject);
    if (trailers !== undefined) request.addTrailers(trailers);
    request.end(body);
  });
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !isSo(); turn++) await settled();
  assert.ok(isSo());
}

function reasonOf({ body }: Answer): string {
  return (JSON.parse(body) as { reason: string }).reason;
}

describe('routing of HTTP requests', () => {
  beforeEach(() => open());
  afterEach(() => close());

  it('serves what this node owns, and brings the rest to its owner, with the owner and the token in the answer', async () => {
    for (const [shard, node] of [
      [0, 'n1'],
      [1, 'n2'],
      [2, 'n3'],
    ] as const) {
      const answer = await ask(`/${shard}/x?y=z`, { method: 'POST', body: 'hello' });
      assert.equal(answer.body, `${node} POST /${shard}/x?y=z hello`);
      assert.equal(answer.headers[headers.HEADER_OWNER], node);
      assert.equal(answer.headers[headers.HEADER_EPOCH], '41');
    }
  });

  it('serves what is of no shard where it comes', async () => {
    const answer = await ask('/status');
    assert.equal(answer.body, 'n1 GET /status ');
    assert.equal(answer.headers[headers.HEADER_EPOCH], undefined);
  });

  it('passes headers on, repeated ones too, and keeps those of the connection to it', async () => {
    let seen: IncomingHttpHeaders = {};
    n2.handle = (request, response) => {
      seen = request.headers;
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.setHeader('connection', 'x-private');
      response.setHeader('x-private', 'n2');
      response.setHeader('x-own', 'n2');
      response.end();
    };
    const answer = await ask('/1', {
      headers: {
        'x-a': '1',
        connection: 'x-secret, keep-alive',
        'x-secret': 's',
        'proxy-authorization': 'p',
        te: 'gzip',
      },
    });
    assert.deepEqual(
      [seen['x-a'], seen['x-secret'], seen['proxy-authorization'], seen['te'], seen[headers.HEADER_HOPS]],
      ['1', undefined, undefined, undefined, '1'],
    );
    assert.equal(seen.host, `127.0.0.1:${n1.endpoint.port}`);
    assert.equal(seen['x-forwarded-for'], '127.0.0.1');
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    assert.deepEqual([answer.headers['x-private'], answer.headers['x-own']], [undefined, 'n2']);
  });

  it('passes trailers on, both ways', async () => {
    n2.handle = (request, response) => {
      request.resume();
      request.on('end', () => {
        response.setHeader('trailer', 'x-sum');
        response.write('body');
        response.addTrailers({ 'x-sum': `${request.trailers['x-count']}` });
        response.end();
      });
    };
    const answer = await ask('/1', { method: 'POST', body: 'abc', trailers: { 'x-count': '3' } });
    assert.deepEqual([answer.body, answer.trailers['x-sum']], ['body', '3']);
  });

  it('streams bodies in both directions while they come', async () => {
    n2.handle = (request, response) => request.pipe(response);
    const request = httpRequest({ ...n1.endpoint, method: 'POST', path: '/1' });
    request.write('one');
    let heard = '';
    let isOver = false;
    request.once('response', (response) => {
      response.on('data', (part: Buffer) => (heard += part.toString()));
      response.on('end', () => (isOver = true));
    });
    await until(() => heard === 'one');
    request.end('two');
    await until(() => isOver);
    assert.equal(heard, 'onetwo');
  });

  it('passes answers without a body on: HEAD, 204, 304', async () => {
    n2.handle = (request, response) => {
      if (request.method === 'HEAD') response.setHeader('content-length', '12');
      else response.statusCode = request.url === '/1/a' ? 204 : 304;
      response.end();
    };
    assert.equal((await ask('/1', { method: 'HEAD' })).headers['content-length'], '12');
    assert.equal((await ask('/1/a')).status, 204);
    assert.equal((await ask('/1/b')).status, 304);
  });

  it('tells the owner when the caller has gone', async () => {
    const closed = new Promise((resolve) => {
      n2.handle = (_request, response) => response.once('close', () => resolve(response.writableFinished));
    });
    const controller = new AbortController();
    const asked = ask('/1', { signal: controller.signal });
    await until(() => n2.seen.length === 1);
    controller.abort();
    await assert.rejects(asked);
    assert.equal(await closed, false);
  });

  it('does not make a whole answer of one that breaks off', async () => {
    n2.handle = (_request, response) => {
      response.write('half');
      setImmediate(() => n2.kill());
    };
    await assert.rejects(ask('/1'));
  });

  it('waits while a shard is on its way, and goes to the new owner', async () => {
    cluster.pause('n2');
    const asked = ask('/1', { method: 'POST', body: 'patient' });
    await until(() => n2.router.waiting === 1);
    cluster.move([1], 'n3');
    assert.equal((await asked).body, 'n3 POST /1 patient');
    assert.deepEqual(n2.seen, []);
  });

  it('tries again while nothing was sent, the body not yet read', async () => {
    n2.kill();
    const asked = ask('/1', { method: 'POST', body: 'hello' });
    await until(() => n1.router.waiting === 1);
    await n2.restart();
    assert.equal((await asked).body, 'n2 POST /1 hello');
  });

  it('does not repeat what the owner may have seen', async () => {
    n2.handle = () => n2.kill();
    const answer = await ask('/1');
    assert.deepEqual([answer.status, reasonOf(answer)], [502, 'broken']);
    assert.deepEqual(n2.seen, ['GET /1']);
  });

  it('refuses with JSON: moved, loops, bad keys, a node that stops', async () => {
    const moved = await ask('/1', { headers: { [headers.HEADER_REDIRECT]: '1' } });
    assert.deepEqual([moved.status, reasonOf(moved)], [421, 'moved']);
    assert.equal(moved.headers[headers.HEADER_ENDPOINT], `127.0.0.1:${n2.endpoint.port}`);
    assert.equal(moved.headers[headers.HEADER_OWNER], 'n2');
    assert.equal(moved.headers[headers.HEADER_MAP], '40');
    const looped = await ask('/1', { headers: { [headers.HEADER_HOPS]: '3' } });
    assert.deepEqual([looped.status, reasonOf(looped)], [508, 'too-many-hops']);
    const bad = await ask('/nothing');
    assert.deepEqual([bad.status, reasonOf(bad)], [400, 'bad-key']);
    cluster.stop('n1');
    const stopping = await ask('/0');
    assert.deepEqual([stopping.status, reasonOf(stopping), stopping.headers['retry-after']], [503, 'stopping', '1']);
    assert.deepEqual([n1.seen, n2.seen], [[], []]);
  });

  it('waits for the first map, whatever the key function says to no shards at all', async () => {
    const { shardMap } = cluster.handle('n1').view();
    cluster.handle('n1').change({ shardMap: undefined });
    cluster.handle('n1').emit({ kind: 'eventsForgotten', count: 1 });
    const said = n1.fetch(new Request('http://shop/0'));
    await until(() => n1.router.waiting === 1);
    cluster.handle('n1').change({ shardMap });
    cluster.handle('n1').emit({ kind: 'eventsForgotten', count: 1 });
    assert.equal((await said).status, 201);
  });

  it('lets a hand-over wait for what is being served', async () => {
    let finish: () => void = () => undefined;
    n1.handle = (_request, response) => {
      finish = () => response.end('done');
    };
    const asked = ask('/0');
    await until(() => n1.seen.length === 1);
    let isIdle = false;
    const idle = n1.router.whenIdle([0] as never).then(() => (isIdle = true));
    await settled();
    assert.equal(isIdle, false);
    finish();
    await idle;
    assert.equal((await asked).body, 'done');
  });

  it('keeps connections, and closes them when their endpoint goes', async () => {
    for (let round = 0; round < 20; round++) {
      await ask('/1');
      await ask('/1');
      assert.equal(n1.routing.connections, 1);
      cluster.publish('n2', 'shop', undefined);
      await until(() => n1.routing.connections === 0);
      cluster.publish('n2', 'shop', n2.endpoint);
    }
    assert.equal(cluster.handle('n1').listenerCount, 1);
  });

  it('in the style of fetch: here, away, refused', async () => {
    const here = await n1.fetch(new Request('http://shop/0/a', { method: 'POST', body: 'hi' }));
    assert.deepEqual([here.status, await here.text()], [201, 'n1 fetched 41 hi']);
    assert.equal(here.headers.get(headers.HEADER_OWNER), 'n1');
    const away = await n1.fetch(new Request('http://shop/1/a?b', { method: 'PUT', body: 'hi' }));
    assert.deepEqual([away.status, await away.text()], [200, 'n2 PUT /1/a?b hi']);
    assert.equal(away.headers.get(headers.HEADER_OWNER), 'n2');
    const refused = await n1.fetch(new Request('http://shop/x'));
    assert.equal(refused.status, 400);
    assert.equal(((await refused.json()) as { code: string }).code, 'FUNK_ROUTE');
  });

  it('counts by destination and method', async () => {
    await ask('/0');
    await ask('/1', { method: 'POST', body: 'x' });
    await ask('/x');
    n1.router.close();
    const [report] = cluster.handle('n1').reports;
    assert.deepEqual(report?.requests, [
      { destination: 'n1', method: 'GET', count: 1 },
      { destination: 'n2', method: 'POST', count: 1 },
    ]);
    assert.deepEqual(report.refusals, [{ reason: 'bad-key', count: 1 }]);
  });
});

describe('routing of upgrades', () => {
  beforeEach(() => open());
  afterEach(() => close());

  async function upgraded(path: string): Promise<{ readonly socket: Socket; readonly head: string }> {
    const { host, port } = n1.endpoint;
    const socket = connect(port, host);
    socket.setEncoding('utf8');
    socket.on('error', () => undefined);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: shop\r\nconnection: Upgrade\r\nupgrade: words\r\n\r\n`);
    let head = '';
    while (!head.includes('\r\n\r\n')) head += String((await once(socket, 'data'))[0]);
    return { socket, head };
  }

  it('serves or joins them, byte by byte, until either side ends', async () => {
    for (const [shard, node] of [
      [0, 'n1'],
      [1, 'n2'],
    ] as const) {
      const { socket, head } = await upgraded(`/${shard}`);
      assert.match(head, /^HTTP\/1\.1 101 /);
      assert.match(head, new RegExp(`x-node: ${node}`));
      assert.match(head, /x-epoch: 41/);
      socket.write('ping');
      assert.equal((await once(socket, 'data'))[0], `${node}:ping`);
      socket.end();
      await once(socket, 'close');
    }
    await until(() => n1.routing.connections === 0);
  });

  it('ends with the owner, and with the routing', async () => {
    for (const end of [() => n2.kill(), () => n1.routing.close()]) {
      const { socket } = await upgraded('/1');
      const closed = once(socket, 'close');
      end();
      await closed;
      if (!n2.isListening) await n2.restart();
    }
  });

  it('refuses in the same words', async () => {
    const { head, socket } = await upgraded('/nothing');
    assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(head, /funknode-reason: bad-key/);
    socket.destroy();
  });

  it('waits for the owner, as requests do', async () => {
    cluster.pause('n2');
    const asked = upgraded('/1');
    await until(() => n2.router.waiting === 1);
    cluster.move([1], 'n3');
    const { head, socket } = await asked;
    assert.match(head, /x-node: n3/);
    socket.destroy();
  });
});

describe('routing of HTTP requests within bounds', () => {
  afterEach(() => close());

  it('refuses when its time is over', async () => {
    await open({ waitMsMax: 60 });
    cluster.pause('n1');
    const moving = await ask('/0');
    assert.deepEqual([moving.status, reasonOf(moving), moving.headers['retry-after']], [503, 'moving', '1']);
    n3.kill();
    assert.equal(reasonOf(await ask('/2')), 'unreachable');
  });

  it('refuses when the owner does not begin to answer', async () => {
    await open({ answerTimeoutMs: 60 });
    n2.handle = () => undefined;
    const answer = await ask('/1');
    assert.deepEqual([answer.status, reasonOf(answer)], [504, 'timeout']);
  });
});
