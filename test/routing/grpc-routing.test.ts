import { Metadata, status as Status } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as headers from '../../src/routing/route-headers.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type Echo, type Said, WordClient, type WordServer, wordServers, WORDS } from './grpc-rig.ts';

/** Of shard 0, 1, 2 in turn. */
const NODES = ['n1', 'n2', 'n3'];

let cluster: FakeCluster;
let servers: WordServer[];
let n1: WordServer;
let n2: WordServer;
let n3: WordServer;
let client: WordClient;

async function open(options: Parameters<typeof wordServers>[2] = {}): Promise<void> {
  cluster = new FakeCluster(NODES);
  servers = await wordServers(cluster, NODES, options);
  [n1, n2, n3] = servers as [WordServer, WordServer, WordServer];
  client = new WordClient(n1);
}

function close(): void {
  client.close();
  for (const server of servers) server.close();
}

function reasonOf({ error }: Said): string | undefined {
  return error?.metadata.get(headers.HEADER_REASON)[0]?.toString();
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Until it is so; what a test waits for happens in another turn, not at another time. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !isSo(); turn++) await settled();
  assert.ok(isSo());
}

function routed(values: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

describe('routing of gRPC calls', () => {
  beforeEach(() => open());
  afterEach(() => close());

  it('serves what this node owns, with the token in the handler’s hands and in the answer', async () => {
    const said = await client.say(0, 'hello', { metadata: routed({ [headers.HEADER_EPOCH]: '999999' }) });
    assert.deepEqual(said.echo, { node: 'n1', text: 'hello', epoch: 41 });
    assert.equal(said.metadata.get(headers.HEADER_OWNER)[0], 'n1');
    assert.equal(said.metadata.get(headers.HEADER_EPOCH)[0], '41');
  });

  it('brings any shard to its owner from any node', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, (_, shard) => client.say(shard, `w${shard}`)));
    assert.deepEqual(
      all.map(({ echo }) => echo?.node),
      Array.from({ length: 12 }, (_, shard) => NODES[shard % 3]),
    );
    assert.equal(all[1]?.metadata.get(headers.HEADER_OWNER)[0], 'n2');
    assert.equal(n1.routing.connections, 2);
  });

  it('carries metadata both ways, binary too, and trailers', async () => {
    const binary = Buffer.from([0, 1, 254, 255]);
    n2.handlers.say = (call, callback) => {
      const answer = new Metadata();
      answer.set('x-seen', call.metadata.get('x-text').join('+'));
      answer.set('x-seen-bin', call.metadata.get('x-bin')[0] as Buffer);
      call.sendMetadata(answer);
      const trailer = new Metadata();
      trailer.set('x-last-bin', binary);
      callback(null, n2.echo(call.metadata, 'ok'), trailer);
    };
    const metadata = new Metadata();
    metadata.add('x-text', 'a');
    metadata.add('x-text', 'b');
    metadata.set('x-bin', binary);
    const said = await client.say(1, 'hello', { metadata });
    assert.equal(said.metadata.get('x-seen')[0], 'a, b');
    assert.deepEqual(said.metadata.get('x-seen-bin')[0], binary);
    assert.deepEqual(said.trailers.get('x-last-bin')[0], binary);
  });

  it('carries the application’s errors: status, text and trailers', async () => {
    n2.handlers.say = (_call, callback) => {
      const metadata = new Metadata();
      metadata.set('x-why', 'because');
      callback({ code: Status.ALREADY_EXISTS, details: 'schon da: größer', metadata });
    };
    const { error } = await client.say(1, 'hello');
    assert.equal(error?.code, Status.ALREADY_EXISTS);
    assert.equal(error.details, 'schon da: größer');
    assert.equal(error.metadata.get('x-why')[0], 'because');
    assert.equal(error.metadata.get(headers.HEADER_OWNER)[0], 'n2');
  });

  it('streams to the owner: many words, one answer', async () => {
    for (const shard of [0, 1]) {
      const { path, requestSerialize, responseDeserialize } = WORDS.Gather;
      const echo = await new Promise<Echo>((resolve, reject) => {
        const call = client.client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          (error, value) => (error ? reject(error) : resolve(value as Echo)),
        );
        for (const text of ['one', 'two', 'three']) call.write({ shard, text });
        call.end();
      });
      assert.deepEqual(echo, { node: NODES[shard], text: 'one two three', epoch: 41 });
    }
  });

  it('streams from the owner: one word, many answers', async () => {
    for (const shard of [0, 1]) {
      const { path, requestSerialize, responseDeserialize } = WORDS.Recite;
      const call = client.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
        shard,
        text: 'a b c',
      });
      const texts: string[] = [];
      for await (const echo of call) texts.push((echo as Echo).text);
      assert.deepEqual(texts, ['a', 'b', 'c']);
    }
  });

  it('talks with the owner, by the first message or by metadata', async () => {
    for (const [method, shard] of [
      ['Talk', 0],
      ['Talk', 2],
      ['Tell', 0],
      ['Tell', 2],
    ] as const) {
      const { path, requestSerialize, responseDeserialize } = WORDS[method];
      const metadata = routed({ shard: String(shard) });
      const call = client.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      for (const text of ['ping', 'pong']) {
        const answer = once(call, 'data');
        call.write({ shard, text });
        const [echo] = (await answer) as [Echo];
        assert.deepEqual([echo.node, echo.text], [NODES[shard], text]);
      }
      const ended = once(call, 'end');
      call.end();
      await ended;
    }
  });

  it('holds a fast sender back when the owner reads slowly', async () => {
    let resume: () => void = () => undefined;
    n2.handlers.talk = (call) => {
      call.pause();
      call.on('error', () => undefined);
      resume = () => {
        call.on('data', () => undefined);
        call.on('end', () => call.end());
        call.resume();
      };
    };
    const { path, requestSerialize, responseDeserialize } = WORDS.Talk;
    const call = client.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call.on('data', () => undefined);
    const text = 'x'.repeat(64 * 1024);
    let taken = 0;
    for (let i = 0; i < 400; i++) call.write({ shard: 1, text }, () => (taken += 1));
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Windows of both connections, and a few messages between them: far from the 25 MB that were offered.
    assert.ok(taken < 200, `${taken} of 400 messages of 64 KiB left though nobody reads`);
    const ended = once(call, 'end');
    resume();
    call.end();
    await ended;
    assert.equal(taken, 400);
  });

  it('passes an answer of many bytes on whole', async () => {
    const long = 'y'.repeat(3_000_000);
    n2.handlers.say = (call, callback) => callback(null, n2.echo(call.metadata, long));
    const said = await client.say(1, 'z'.repeat(2_000_000));
    assert.equal(said.echo?.text, long);
  });

  it('tells the owner when the caller has gone, and of the deadline', async () => {
    const { promise, resolve } = withResolvers<{ cancelled: Promise<unknown>; deadline: number }>();
    n2.handlers.say = (call) => resolve({ cancelled: once(call, 'cancelled'), deadline: Number(call.getDeadline()) });
    const controller = new AbortController();
    const said = client.say(1, 'hello', { signal: controller.signal, timeoutMs: 7_000 });
    const { cancelled, deadline } = await promise;
    const left = deadline - Date.now();
    assert.ok(left > 3_000 && left <= 7_001, `${left}`);
    controller.abort();
    await cancelled;
    assert.equal((await said).error?.code, Status.CANCELLED);
  });

  it('ends at the deadline when the owner does not answer', async () => {
    n2.handlers.say = () => undefined;
    const said = await client.say(1, 'hello', { timeoutMs: 100 });
    assert.equal(said.error?.code, Status.DEADLINE_EXCEEDED);
  });

  it('waits while a shard is on its way, and goes to the new owner', async () => {
    cluster.pause('n2');
    const said = client.say(1, 'patient');
    await until(() => n2.router.waiting === 1);
    cluster.move([1], 'n3');
    assert.deepEqual((await said).echo, { node: 'n3', text: 'patient', epoch: 51 });
    assert.deepEqual([n2.seen, n3.seen], [[], ['patient']]);
  });

  it('waits for its own lease, and serves', async () => {
    cluster.pause('n1');
    const said = client.say(0, 'patient');
    await until(() => n1.router.waiting === 1);
    cluster.resume('n1');
    assert.equal((await said).echo?.node, 'n1');
  });

  it('waits until it knows the map that the sender knows, so that stale maps cannot loop', async () => {
    cluster.move([1], 'n1', ['n1']);
    // n2 still believes to own it and serves: its lease says so. n3 is behind, and n1 owns it.
    const stale = new WordClient(n3);
    const said = stale.say(1, 'newer', { metadata: routed({ [headers.HEADER_MAP]: String(cluster.mapVersion) }) });
    await until(() => n3.router.waiting === 1);
    cluster.tell(['n2', 'n3']);
    assert.equal((await said).echo?.node, 'n1');
    stale.close();
  });

  it('answers "moved" to a sender that wants no proxy, with all it needs to go there', async () => {
    const said = await client.say(1, 'hello', { metadata: routed({ [headers.HEADER_REDIRECT]: '1' }) });
    assert.equal(said.error?.code, Status.FAILED_PRECONDITION);
    const answer = headers.readRouteAnswer((name) => said.error?.metadata.get(name)[0]?.toString());
    assert.deepEqual(answer, {
      owner: 'n2',
      epoch: undefined,
      endpoint: `127.0.0.1:${n2.endpoint.port}`,
      map: 40,
      reason: 'moved',
    });
    // An owner serves whoever asks for no proxy.
    const there = await client.say(0, 'hello', { metadata: routed({ [headers.HEADER_REDIRECT]: '1' }) });
    assert.equal(there.echo?.node, 'n1');
  });

  it('refuses a request that has passed too many routers, and names the limit', async () => {
    for (const hops of ['3', '4', 'garbled']) {
      const said = await client.say(1, 'hello', { metadata: routed({ [headers.HEADER_HOPS]: hops }) });
      assert.equal(said.error?.code, Status.UNAVAILABLE);
      assert.equal(reasonOf(said), 'too-many-hops');
      assert.match(said.error.details, /3 are allowed/);
    }
    assert.equal((await client.say(1, 'hello', { metadata: routed({ [headers.HEADER_HOPS]: '2' }) })).echo?.node, 'n2');
    // Where it belongs it is served, however long its way was.
    assert.equal((await client.say(0, 'hello', { metadata: routed({ [headers.HEADER_HOPS]: '9' }) })).echo?.node, 'n1');
  });

  it('refuses a call whose shard cannot be told: negative, fractional, beyond the count, no message at all', async () => {
    for (const shard of [-1, 0.5, 12, Number.NaN]) {
      const said = await client.say(shard, 'hello');
      assert.equal(said.error?.code, Status.INVALID_ARGUMENT, `${shard}`);
      assert.equal(reasonOf(said), 'bad-key');
    }
    const { path, requestSerialize, responseDeserialize } = WORDS.Talk;
    const call = client.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    call.on('data', () => undefined);
    const failed = once(call, 'error');
    call.end();
    const [error] = (await failed) as [{ code: number }];
    assert.equal(error.code, Status.INVALID_ARGUMENT);
    assert.deepEqual(n1.seen, []);
  });

  it('leaves methods without a route alone', async () => {
    const { path, requestSerialize, responseDeserialize } = WORDS.Here;
    const echo = await new Promise<Echo | undefined>((resolve) => {
      const word = { shard: 1, text: 'here' };
      client.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, word, (_error, value) =>
        resolve(value),
      );
    });
    assert.deepEqual(echo, { node: 'n1', text: 'here', epoch: 0 });
  });

  it('tries again while nothing was sent: an owner that comes back at its endpoint is reached without a failed call', async () => {
    assert.equal((await client.say(1, 'before')).echo?.node, 'n2');
    n2.kill();
    const said = client.say(1, 'during');
    await until(() => n1.router.waiting === 1);
    await n2.restart();
    assert.equal((await said).echo?.node, 'n2');
    assert.deepEqual(n2.seen, ['before', 'during']);
  });

  it('goes elsewhere when the map moves the shard of an owner that does not answer', async () => {
    n2.kill();
    const said = client.say(1, 'hello');
    await until(() => n1.router.waiting === 1);
    cluster.move([1], 'n3');
    assert.equal((await said).echo?.node, 'n3');
  });

  it('does not repeat what the owner may have seen: its death is told, and the handler ran once', async () => {
    n2.handlers.say = () => n2.kill();
    const said = await client.say(1, 'once');
    assert.equal(said.error?.code, Status.UNAVAILABLE);
    assert.equal(reasonOf(said), 'broken');
    assert.deepEqual(n2.seen, ['once']);
  });

  it('ends a stream whose owner dies', async () => {
    const { path, requestSerialize, responseDeserialize } = WORDS.Recite;
    n2.handlers.recite = (call) => call.write(n2.echo(call.metadata, 'first'));
    const word = { shard: 1, text: '' };
    const call = client.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, word);
    const failed = once(call, 'error');
    const [first] = (await once(call, 'data')) as [Echo];
    assert.equal(first.text, 'first');
    n2.kill();
    const [error] = (await failed) as [{ code: number; metadata: Metadata }];
    assert.equal(error.code, Status.UNAVAILABLE);
    assert.equal(error.metadata.get(headers.HEADER_REASON)[0], 'broken');
  });

  it('takes "moved" from an owner as news: the call is repeated where the newer map says', async () => {
    cluster.move([1], 'n3', ['n3']);
    n2.handlers.say = (_call, callback) => {
      const news = { [headers.HEADER_REASON]: 'moved', [headers.HEADER_MAP]: String(cluster.mapVersion) };
      callback({ code: Status.FAILED_PRECONDITION, details: 'moved', metadata: routed(news) });
    };
    const said = client.say(1, 'hello');
    // What n1 does not know yet it waits for.
    await until(() => n2.seen.length === 1 && n1.router.waiting === 1);
    cluster.tell(['n1']);
    assert.equal((await said).echo?.node, 'n3');
    assert.deepEqual([n2.seen, n3.seen], [['hello'], ['hello']]);
  });

  it('passes on what a router in between refuses, with its reason', async () => {
    cluster.move([1], 'n3', ['n2']);
    cluster.publish('n3', 'words', undefined, ['n2']);
    const said = await client.say(1, 'hello', { timeoutMs: 8_000 });
    assert.equal(reasonOf(said), 'no-endpoint');
  });

  it('lets a hand-over wait for what is being served', async () => {
    const { promise, resolve } = withResolvers<() => void>();
    n1.handlers.say = (call, callback) => resolve(() => callback(null, n1.echo(call.metadata, 'done')));
    const said = client.say(0, 'slow');
    const answer = await promise;
    let isIdle = false;
    const idle = n1.router.whenIdle([0, 3] as never).then(() => (isIdle = true));
    await n1.router.whenIdle([1] as never);
    await settled();
    assert.equal(isIdle, false);
    answer();
    await idle;
    assert.equal((await said).echo?.text, 'done');
  });

  it('refuses what waits when the node leaves, and still brings to others what is theirs', async () => {
    cluster.pause('n1');
    const waiting = client.say(0, 'waits');
    await until(() => n1.router.waiting === 1);
    cluster.handle('n1').enter('Stopping');
    for (const said of [await waiting, await client.say(0, 'late')]) {
      assert.equal(said.error?.code, Status.UNAVAILABLE);
      assert.equal(reasonOf(said), 'stopping');
    }
    assert.equal((await client.say(1, 'hello')).echo?.node, 'n2');
  });

  it('refuses at once when the node has stopped, and what waited with it', async () => {
    cluster.pause('n1');
    const waiting = client.say(0, 'waits');
    await until(() => n1.router.waiting === 1);
    cluster.stop('n1');
    for (const said of [await waiting, await client.say(0, 'late')]) {
      assert.equal(said.error?.code, Status.UNAVAILABLE);
      assert.equal(reasonOf(said), 'stopping');
    }
  });

  it('closes a connection when its endpoint goes, and keeps no listener', async () => {
    for (let round = 0; round < 20; round++) {
      assert.equal((await client.say(1, `r${round}`)).echo?.node, 'n2');
      const endpoint = n2.endpoint;
      cluster.publish('n2', 'words', undefined);
      await until(() => n1.routing.connections === 0);
      cluster.publish('n2', 'words', endpoint);
    }
    assert.equal(cluster.handle('n1').listenerCount, 1);
  });

  it('counts by destination and full method, and tells the node', async () => {
    await client.say(0, 'a');
    await client.say(1, 'b');
    await client.say(1, 'c');
    await client.say(-1, 'd');
    n1.router.close();
    const [report] = cluster.handle('n1').reports;
    assert.deepEqual(report?.requests, [
      { destination: 'n1', method: '/test.Words/Say', count: 1 },
      { destination: 'n2', method: '/test.Words/Say', count: 2 },
    ]);
    assert.deepEqual(report.refusals, [{ reason: 'bad-key', count: 1 }]);
    assert.equal(report.connections, 1);
  });
});

describe('routing of gRPC calls within bounds', () => {
  afterEach(() => close());

  it('refuses when its time is over, with the reason', async () => {
    await open({ waitMsMax: 60 });
    cluster.pause('n1');
    assert.equal(reasonOf(await client.say(0, 'moving')), 'moving');
    cluster.publish('n2', 'words', undefined);
    assert.equal(reasonOf(await client.say(1, 'nowhere')), 'no-endpoint');
    n3.kill();
    assert.equal(reasonOf(await client.say(2, 'dead')), 'unreachable');
    const ahead = { metadata: routed({ [headers.HEADER_MAP]: '9999' }) };
    cluster.publish('n2', 'words', n2.endpoint);
    assert.equal(reasonOf(await client.say(1, 'ahead', ahead)), 'map-behind');
  });

  it('refuses one more than may wait, and at once', async () => {
    await open({ waitingMax: 2 });
    cluster.pause('n1');
    const waiting = [client.say(0, 'a'), client.say(0, 'b')];
    await until(() => n1.router.waiting === 2);
    assert.equal(reasonOf(await client.say(0, 'c')), 'queue-full');
    cluster.resume('n1');
    for (const said of await Promise.all(waiting)) assert.equal(said.echo?.node, 'n1');
  });

  it('refuses more bytes than may wait', async () => {
    await open({ waitingBytesMax: 1_000 });
    cluster.pause('n1');
    assert.equal(reasonOf(await client.say(0, 'x'.repeat(2_000))), 'queue-full');
  });

  it('lets go of a waiting request whose caller has gone or whose deadline has passed', async () => {
    await open();
    cluster.pause('n1');
    const controller = new AbortController();
    const gone = client.say(0, 'gone', { signal: controller.signal });
    await until(() => n1.router.waiting === 1);
    controller.abort();
    assert.equal((await gone).error?.code, Status.CANCELLED);
    assert.equal((await client.say(0, 'late', { timeoutMs: 50 })).error?.code, Status.DEADLINE_EXCEEDED);
    await until(() => n1.router.waiting === 0);
    cluster.resume('n1');
    await settled();
    assert.deepEqual(n1.seen, []);
  });
});

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
