/** HTTP requests to the owner, against real servers on loopback and a painted cluster. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../../src/base/random.ts';
import { shardOfInteger } from '../../../src/model/shard-functions.ts';
import { NoOwnerError, ShardFetch, type ShardFetchOptions } from '../../../src/routing/client/shard-fetch.ts';
import { fakeShardMap } from '../../fake-node-handle.ts';
import { FakeSource } from './fake-source.ts';

class NamedServer {
  readonly name: string;
  seen: IncomingMessage[] = [];
  bodies: string[] = [];
  port = 0;
  /** Headers of a refusal, in place of an answer. */
  refuse: () => Readonly<Record<string, string>> | undefined = () => undefined;
  /** Breaks the connection after the request was read. */
  breaks = false;
  #server: Server | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      this.seen.push(request);
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        this.bodies.push(body);
        const refusal = this.refuse();
        if (this.breaks) request.socket.destroy();
        else if (refusal !== undefined) response.writeHead(421, refusal).end('refused');
        else response.end(`${this.name}:${request.url ?? ''}:${body}`);
      });
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  kill(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
  }
}

const open: (() => void)[] = [];

afterEach(() => {
  while (open.length > 0) open.pop()?.();
});

async function rig(
  names: readonly string[],
  options: Partial<ShardFetchOptions> = {},
): Promise<{ source: FakeSource; servers: readonly NamedServer[]; web: ShardFetch }> {
  const servers = await Promise.all(names.map((name) => new NamedServer(name).start()));
  for (const server of servers) open.push(() => server.kill());
  const source = new FakeSource();
  return { source, servers, web: new ShardFetch({ source, endpoint: 'web', random: new SeededRandom(5), ...options }) };
}

function show(source: FakeSource, servers: readonly NamedServer[], owners: readonly string[], version = 40): void {
  source.showNodes(Object.fromEntries(servers.map((server) => [server.name, { 'ep.web': server.address }])));
  source.show({ shardMap: fakeShardMap(owners, 10, version) });
}

const of = (key: number) => ({ shardOf: (count: number) => shardOfInteger(key, count) });

describe('fetch by shard', () => {
  it('asks the owner, with path, query, body and headers of its own', async () => {
    const { source, servers, web } = await rig(['a', 'b'], { redirect: true });
    show(source, servers, ['a', 'b']);
    const response = await web.fetch('/cart?x=1', { ...of(13), method: 'POST', body: 'apple', headers: { mine: '1' } });
    assert.equal(await response.text(), 'b:/cart?x=1:apple');
    const headers = servers[1]?.seen[0]?.headers;
    assert.deepEqual(
      [headers?.['mine'], headers?.['funknode-shard'], headers?.['funknode-map'], headers?.['funknode-redirect']],
      ['1', '3', '40', '1'],
    );
  });

  it('without a key asks any node in turn', async () => {
    const { source, servers, web } = await rig(['a', 'b']);
    show(source, servers, ['a', 'b']);
    const texts = [await web.fetch('/'), await web.fetch('/')].map((response) => response.text());
    assert.deepEqual((await Promise.all(texts)).sort(), ['a:/:', 'b:/:']);
  });

  it('follows "moved" at once with the hint, body and all, and remembers it', async () => {
    const { source, servers, web } = await rig(['a', 'b']);
    const [a, b] = servers as [NamedServer, NamedServer];
    show(source, servers, ['a']);
    a.refuse = () => ({
      'funknode-reason': 'moved',
      'funknode-owner': 'b',
      'funknode-endpoint': b.address,
      'funknode-map': '50',
    });
    const post = async (): Promise<string> =>
      await (await web.fetch('/x', { ...of(1), method: 'POST', body: 'apple' })).text();
    assert.equal(await post(), 'b:/x:apple');
    // The Fetch standard itself asks once more after a 421.
    const asked = a.seen.length;
    assert.ok(asked <= 2);
    assert.equal(await post(), 'b:/x:apple');
    assert.equal(a.seen.length, asked, 'the second request knew');
  });

  it('waits while the owner is dead or the shard has none, and goes on with the next map', async () => {
    const { source, servers, web } = await rig(['a', 'b']);
    const [a, b] = servers as [NamedServer, NamedServer];
    show(source, servers, ['a']);
    a.kill();
    const waiting = web.fetch('/x', { ...of(1), method: 'POST', body: 'apple' });
    await sleep(100);
    show(source, servers, ['b'], 50);
    assert.equal(await (await waiting).text(), 'b:/x:apple');
    assert.deepEqual(b.bodies, ['apple']);
    assert.deepEqual([web.waiting, source.listenerCount], [0, 0]);
  });

  it('sends again after a break what is idempotent, and nothing else', async () => {
    const { source, servers, web } = await rig(['a']);
    const [a] = servers as [NamedServer];
    show(source, servers, ['a']);
    a.breaks = true;
    await assert.rejects(web.fetch('/x', { ...of(1), method: 'POST', body: 'apple' }), /fetch failed/);
    assert.equal(a.seen.length, 1);
    const waiting = web.fetch('/x', of(1));
    await sleep(50);
    a.breaks = false;
    assert.equal(await (await waiting).text(), 'a:/x:');
  });

  it('gives a refusal that is not about the owner to the caller', async () => {
    const { source, servers, web } = await rig(['a']);
    const [a] = servers as [NamedServer];
    show(source, servers, ['a']);
    a.refuse = () => ({ 'funknode-reason': 'bad-key' });
    assert.equal((await web.fetch('/x', of(1))).status, 421);
  });

  it('ends by signal, by patience, and when too many wait', async () => {
    const { web } = await rig([], { queuedMax: 1, patienceMs: 300 });
    const aborter = new AbortController();
    const aborted = web.fetch('/x', { ...of(1), signal: aborter.signal });
    await assert.rejects(web.fetch('/x', of(1)), NoOwnerError);
    aborter.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    await assert.rejects(web.fetch('/x', of(1)), /never answered: no shard map is known yet/);
    assert.equal(web.waiting, 0);
  });

  it('throws what the shard function throws', async () => {
    const { source, servers, web } = await rig(['a']);
    show(source, servers, ['a']);
    await assert.rejects(web.fetch('/x', of(-1)), { code: 'FUNK_SHARD_KEY' });
  });
});
