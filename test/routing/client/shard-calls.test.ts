/** Clients that go straight to the owner, against real servers on loopback and a painted cluster. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, Metadata, status } from '@grpc/grpc-js';
import { SeededRandom } from '../../../src/base/random.ts';
import { ShardCalls, type ShardCallsOptions } from '../../../src/routing/client/shard-calls.ts';
import { fakeShardMap } from '../../fake-node-handle.ts';
import { type EchoClient, echoClient, EchoServer, say as sayTo, type Said } from './echo-server.ts';
import { FakeSource } from './fake-source.ts';

const open: (() => void)[] = [];

afterEach(() => {
  while (open.length > 0) open.pop()?.();
});

const byNumber = (request: unknown, count: number): number => Number.parseInt(String(request), 10) % count;

interface Rig {
  readonly source: FakeSource;
  readonly servers: readonly EchoServer[];
  readonly calls: ShardCalls;
  readonly client: EchoClient;
}

/** Servers of these names, and ten shards dealt to them in turn: shard 0 to the first. */
async function rig(names: readonly string[], options: Partial<ShardCallsOptions> = {}): Promise<Rig> {
  const servers = await Promise.all(names.map((name) => new EchoServer(name).start()));
  const source = new FakeSource();
  const paths = ['Say', 'Wait', 'Chat', 'List'].map((name) => `/test.Echo/${name}`);
  const calls = new ShardCalls({
    source,
    endpoint: 'echo',
    credentials: credentials.createInsecure(),
    shardOf: Object.fromEntries(paths.map((path) => [path, byNumber])),
    random: new SeededRandom(3),
    ...options,
  });
  const client = echoClient('nobody', calls.clientOptions());
  open.push(() => {
    client.close();
    calls.close();
    for (const server of servers) server.kill();
  });
  return { source, servers, calls, client };
}

function show({ source, servers }: Pick<Rig, 'source' | 'servers'>, owners: readonly string[], version = 40): void {
  source.showNodes(Object.fromEntries(servers.map((server) => [server.name, { 'ep.echo': server.address }])));
  source.show({ shardMap: fakeShardMap(owners, 10, version) });
}

function say(to: EchoClient, text: string, options: { timeoutMs?: number; metadata?: Metadata } = {}): Promise<Said> {
  return sayTo(to, text, { metadata: new Metadata(), ...options });
}

type Refusal = ReturnType<EchoServer['refuse']>;

function refusal(reason: string, headers: Readonly<Record<string, string>> = {}): Refusal {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries({ 'funknode-reason': reason, ...headers })) metadata.set(name, value);
  const code = reason === 'moved' ? status.FAILED_PRECONDITION : status.UNAVAILABLE;
  return { code, details: `refused: ${reason}`, metadata };
}

describe('calls to the owner of a shard', () => {
  it('go straight to it, with shard and map in their headers', async () => {
    const at = await rig(['a', 'b']);
    show(at, ['a', 'b']);
    for (let shard = 0; shard < 10; shard++) {
      assert.deepEqual((await say(at.client, String(shard))).by, shard % 2 === 0 ? 'a' : 'b');
    }
    const { lastMetadata } = at.servers[1] as EchoServer;
    assert.deepEqual(lastMetadata?.get('funknode-shard'), ['9']);
    assert.deepEqual(lastMetadata?.get('funknode-map'), ['40']);
    assert.deepEqual(lastMetadata?.get('funknode-redirect'), []);
    assert.deepEqual(at.calls.counts(), { calls: 10, retries: {}, refused: 0, waiting: 0, channels: 2 });
  });

  it('ask for a redirect when told to', async () => {
    const at = await rig(['a'], { redirect: true });
    show(at, ['a']);
    await say(at.client, '1');
    assert.deepEqual(at.servers[0]?.lastMetadata?.get('funknode-redirect'), ['1']);
  });

  it('without a key go to any node in turn, and by the metadata of the call where that names a shard', async () => {
    const at = await rig(['a', 'b'], { shardOf: {} });
    show(at, ['a', 'b']);
    const all = new Set<string>();
    for (let call = 0; call < 4; call++) all.add((await say(at.client, 'x')).by);
    assert.deepEqual([...all].sort(), ['a', 'b']);
    const metadata = new Metadata();
    metadata.set('funknode-shard', '3');
    for (let call = 0; call < 4; call++) assert.equal((await say(at.client, 'x', { metadata })).by, 'b');
  });

  it('stream both ways and one way, whatever the first message comes', async () => {
    const at = await rig(['a', 'b']);
    show(at, ['a', 'b']);
    const chat = at.client.chat(new Metadata());
    const heard: string[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      chat.on('data', (text: string) => heard.push(text));
      chat.on('end', resolve);
      chat.on('error', reject);
    });
    for (let word = 0; word < 100; word++) chat.write(`1 ${word}`);
    chat.end();
    await ended;
    assert.deepEqual(
      heard,
      Array.from({ length: 100 }, (_, word) => `b:1 ${word}`),
    );
    const listed: string[] = [];
    for await (const letter of at.client.list('12', new Metadata())) listed.push(letter as string);
    assert.deepEqual(listed, ['a:1', 'a:2']);
  });

  it('a key that is none ends the call as the caller’s mistake', async () => {
    const at = await rig(['a']);
    show(at, ['a']);
    const refused = await say(at.client, 'not a number');
    assert.equal(refused.code, status.INVALID_ARGUMENT);
    assert.equal(at.servers[0]?.handled, 0);
  });

  it('wait for a source that is late, and no longer than their deadline', async () => {
    const at = await rig(['a']);
    const expired = await say(at.client, '1', { timeoutMs: 60 });
    assert.equal(expired.code, status.DEADLINE_EXCEEDED);
    assert.match(expired.details, /never sent: no shard map is known yet/);
    const waiting = say(at.client, '1');
    await sleep(20);
    show(at, ['a']);
    assert.equal((await waiting).by, 'a');
  });
});

describe('a shard that has moved', () => {
  it('is followed by the hint of the answer at once, and for later calls, until the map knows', async () => {
    const at = await rig(['a', 'b']);
    const [a, b] = at.servers as [EchoServer, EchoServer];
    show(at, ['a']);
    a.refuse = () => refusal('moved', { 'funknode-owner': 'b', 'funknode-endpoint': b.address, 'funknode-map': '50' });
    assert.equal((await say(at.client, '1')).by, 'b');
    assert.deepEqual(b.lastMetadata?.get('funknode-map'), ['50']);
    assert.deepEqual(at.calls.counts().retries, { moved: 1 });
    assert.equal((await say(at.client, '1')).by, 'b');
    assert.deepEqual(at.calls.counts().retries, { moved: 1 }, 'the second call knew');
    // A map as new as the hint takes its place.
    a.refuse = () => undefined;
    show(at, ['a'], 50);
    assert.equal((await say(at.client, '1')).by, 'a');
  });

  it('is learned from an answer that was passed on, too', async () => {
    const at = await rig(['a', 'b']);
    const [a] = at.servers as [EchoServer];
    show(at, ['a']);
    // As if a had proxied: the answer names b as who served.
    const end = refusal('bad-key', { 'funknode-owner': 'b' });
    a.refuse = () => end;
    assert.equal((await say(at.client, '1')).details, 'refused: bad-key');
    assert.equal((await say(at.client, '1')).by, 'b');
  });

  it('streams whose messages are all held follow it, too', async () => {
    const at = await rig(['a', 'b']);
    const [a, b] = at.servers as [EchoServer, EchoServer];
    show(at, ['a']);
    a.refuse = () => refusal('moved', { 'funknode-owner': 'b', 'funknode-map': '50' });
    const chat = at.client.chat(new Metadata());
    const heard: string[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      chat.on('data', (text: string) => heard.push(text));
      chat.on('end', resolve);
      chat.on('error', reject);
    });
    for (let word = 0; word < 20; word++) chat.write(`1 ${word}`);
    chat.end();
    await ended;
    assert.deepEqual(
      heard,
      Array.from({ length: 20 }, (_, word) => `${b.name}:1 ${word}`),
    );
  });

  it('is waited for while nobody has it, and the call goes as soon as the map says who', async () => {
    const at = await rig(['a', 'b']);
    const [a] = at.servers as [EchoServer];
    show(at, ['a']);
    let refusals = 0;
    a.refuse = () => {
      refusals += 1;
      return refusal('moving');
    };
    const waiting = say(at.client, '1');
    // The first refusal comes over a connection that is yet to be made.
    for (const end = performance.now() + 60_000; refusals === 0 && performance.now() < end; ) await sleep(5);
    await sleep(150);
    assert.equal(at.calls.counts().waiting, 1);
    const began = performance.now();
    show(at, ['b'], 50);
    assert.equal((await waiting).by, 'b');
    assert.ok(performance.now() - began < 200, 'the change ends the pause');
    assert.ok(refusals < 8, `asked ${refusals} times in 150 ms`);
    assert.equal(at.source.listenerCount, 1, 'the room listens to nothing while it is empty');
  });

  it('nodes that send a call round in a ring are asked ever more slowly', async () => {
    const at = await rig(['a', 'b']);
    const [a, b] = at.servers as [EchoServer, EchoServer];
    show(at, ['a']);
    let asked = 0;
    const ring = (owner: string) => (): Refusal => {
      asked += 1;
      return refusal('moved', { 'funknode-owner': owner, 'funknode-map': '50' });
    };
    a.refuse = ring('b');
    b.refuse = ring('a');
    const refused = await say(at.client, '1', { timeoutMs: 600 });
    assert.equal(refused.code, status.DEADLINE_EXCEEDED);
    assert.ok(asked > 4 && asked < 60, `asked ${asked} times`);
  });

  it('only so many calls wait; the next is refused at once, and seats are given back', async () => {
    const at = await rig(['a'], { queuedMax: 3 });
    const held = [1, 2, 3].map((shard) => say(at.client, String(shard)));
    await sleep(20);
    const refused = await say(at.client, '4');
    assert.equal(refused.code, status.RESOURCE_EXHAUSTED);
    assert.equal(at.calls.counts().refused, 1);
    show(at, ['a']);
    assert.deepEqual(
      (await Promise.all(held)).map((said) => said.by),
      ['a', 'a', 'a'],
    );
    assert.equal((await say(at.client, '4')).by, 'a');
    assert.equal(at.calls.counts().waiting, 0);
  });

  it('a call without a deadline waits for its patience; a cancelled one leaves at once', async () => {
    const at = await rig(['a'], { patienceMs: 80 });
    const said = await new Promise<{ code?: number }>((resolve) => {
      at.client.say('1', new Metadata(), {}, (error) => resolve((error ?? {}) as { code?: number }));
    });
    assert.equal(said.code, status.UNAVAILABLE);
    const cancelled = await new Promise<{ code?: number }>((resolve) => {
      const call = at.client.wait('1', new Metadata(), {}, (error) => resolve((error ?? {}) as { code?: number }));
      setTimeout(() => call.cancel(), 10);
    });
    assert.equal(cancelled.code, status.CANCELLED);
    await sleep(5);
    assert.equal(at.calls.counts().waiting, 0);
  });
});

describe('an owner that dies', () => {
  it('costs calls that were not sent nothing but time: they go to the next owner', async () => {
    const at = await rig(['a', 'b']);
    const [a, b] = at.servers as [EchoServer, EchoServer];
    show(at, ['a', 'b']);
    assert.equal((await say(at.client, '0')).by, 'a');
    a.kill();
    await sleep(20);
    const waiting = Array.from({ length: 20 }, () => say(at.client, '0'));
    await sleep(200);
    assert.equal((await say(at.client, '1')).by, 'b', 'shards of others are served throughout');
    show(at, ['b'], 50);
    assert.deepEqual([...new Set((await Promise.all(waiting)).map((said) => said.by))], ['b']);
    assert.equal(b.handled, 21);
  });

  it('and comes back at its address is used again within a second or two', async () => {
    const at = await rig(['a']);
    const [a] = at.servers as [EchoServer];
    show(at, ['a']);
    await say(at.client, '0');
    a.kill();
    await sleep(300);
    const waiting = say(at.client, '0');
    await a.start();
    const began = performance.now();
    assert.equal((await waiting).by, 'a');
    assert.ok(performance.now() - began < 3_000);
  });

  it('a call that was under way is not sent again, unless its method is said to bear it', async () => {
    const [none, wait] = [[], ['/test.Echo/Wait']];
    for (const [idempotent, headersFirst] of [
      [none, false],
      [wait, false],
      [none, true],
      [wait, true],
    ] as const) {
      const at = await rig(['a', 'b'], { idempotent });
      const [a, b] = at.servers as [EchoServer, EchoServer];
      // A connection may break in the middle of an answer, too.
      a.headersFirst = headersFirst;
      show(at, ['a']);
      const answered = new Promise<{ code: number; by: string }>((resolve) => {
        at.client.wait('400', new Metadata(), {}, (error, answer = '') =>
          resolve({ code: (error as { code?: number } | null)?.code ?? status.OK, by: answer.split(':')[0] ?? '' }),
        );
      });
      await sleep(100);
      assert.equal(a.handled, 1);
      a.kill();
      show(at, ['b'], 50);
      const { code, by } = await answered;
      if (idempotent.length > 0) assert.deepEqual([code, by, b.handled], [status.OK, 'b', 1]);
      else assert.deepEqual([code === status.OK, by, b.handled], [false, '', 0]);
    }
  });

  it('an error of the application is the caller’s, and is never tried again', async () => {
    const at = await rig(['a']);
    const [a] = at.servers as [EchoServer];
    show(at, ['a']);
    a.refuse = () => ({ code: status.FAILED_PRECONDITION, details: 'no money', metadata: new Metadata() });
    assert.deepEqual([(await say(at.client, '0')).details, at.calls.counts().retries], ['no money', {}]);
  });
});

describe('channels to owners', () => {
  it('are closed when their address is published no more; what is under way ends first', async () => {
    const at = await rig(['a', 'b']);
    const [a, b] = at.servers as [EchoServer, EchoServer];
    show(at, ['a', 'b']);
    await say(at.client, '0');
    await say(at.client, '1');
    assert.equal(at.calls.counts().channels, 2);
    const slow = new Promise<string>((resolve, reject) => {
      at.client.wait('300', new Metadata(), {}, (error, answer = '') =>
        error === null ? resolve(answer) : reject(error),
      );
    });
    await sleep(50);
    show({ source: at.source, servers: [b] }, ['b'], 50);
    assert.equal(at.calls.counts().channels, 1);
    assert.equal((await say(at.client, '0')).by, 'b');
    assert.equal(await slow, 'a:300');
    assert.equal(a.handled, 2);
  });

  it('waitForReady of a client waits until somebody can be asked', async () => {
    const at = await rig(['a']);
    const late = new Promise<Error | undefined>((resolve) => at.client.waitForReady(new Date(0), resolve));
    assert.ok((await late) instanceof Error);
    const ready = new Promise<Error | undefined>((resolve) =>
      at.client.waitForReady(Number.POSITIVE_INFINITY, resolve),
    );
    show(at, ['a']);
    assert.equal(await ready, undefined);
  });

  it('close refuses those that wait and all that come after', async () => {
    const at = await rig(['a']);
    const waiting = say(at.client, '0');
    await sleep(10);
    at.calls.close();
    assert.equal((await waiting).code, status.UNAVAILABLE);
    assert.equal(at.source.listenerCount, 0);
  });
});
