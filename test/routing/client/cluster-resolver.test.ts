/** `cluster:///` for clients of grpc-js, against real servers on loopback and a painted cluster. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, it } from 'node:test';
import { type ClientOptions, experimental, Metadata, status } from '@grpc/grpc-js';
import { SchemeTakenError } from '../../../src/routing/client/errors.ts';
import {
  CLUSTER_CHANNEL_OPTIONS,
  CLUSTER_SCHEME,
  serveClusterScheme,
} from '../../../src/routing/client/cluster-resolver.ts';
import { until } from '../../peers/peer.ts';
import { type EchoClient, echoClient, EchoServer, say as sayTo, type Said } from './echo-server.ts';
import { FakeSource } from './fake-source.ts';

const open: (() => void)[] = [];
let authorities = 0;

afterEach(() => {
  while (open.length > 0) open.pop()?.();
});

/** An authority of its own, so that no test meets another's source. */
function served(source: FakeSource): string {
  authorities += 1;
  const authority = `t${authorities}`;
  open.push(serveClusterScheme(source, { authority }));
  return `cluster://${authority}/`;
}

function client(target: string, options: ClientOptions = {}): EchoClient {
  const made = echoClient(target, { ...CLUSTER_CHANNEL_OPTIONS, ...options });
  open.push(() => made.close());
  return made;
}

async function servers(...names: string[]): Promise<EchoServer[]> {
  const started = await Promise.all(names.map((name) => new EchoServer(name).start()));
  for (const server of started) open.push(() => server.kill());
  return started;
}

function say(to: EchoClient, text = 'x', options: { timeoutMs?: number; waitForReady?: boolean } = {}): Promise<Said> {
  return sayTo(to, text, { metadata: new Metadata(), ...options });
}

function show(source: FakeSource, running: readonly EchoServer[], name = 'ep.echo'): void {
  source.showNodes(Object.fromEntries(running.map((server) => [server.name, { [name]: server.address }])));
}

async function whoAnswers(to: EchoClient, calls = 12): Promise<string[]> {
  const answers: Said[] = [];
  for (let call = 0; call < calls; call++) answers.push(await say(to, 'x', { waitForReady: true }));
  assert.deepEqual(
    answers.filter((answer) => answer.code !== status.OK),
    [],
  );
  return [...new Set(answers.map((answer) => answer.by))].sort();
}

const PATIENCE_MS = 60_000;

/** Whatever was put off until the present turn of the event loop is over has been done; a timer alone may come before it. */
async function soon(): Promise<void> {
  await sleep(5);
  await new Promise((done) => setImmediate(done));
}

describe('the resolver interface of grpc-js, which is experimental', () => {
  it('is what cluster-resolver.ts was written against', () => {
    assert.equal(typeof experimental.registerResolver, 'function');
    assert.equal(experimental.registerResolver.length, 2);
    assert.equal(typeof experimental.createResolver, 'function');
    assert.deepEqual(experimental.statusOrFromValue([1]), { ok: true, value: [1] });
    const target = { scheme: CLUSTER_SCHEME, authority: 'interface', path: 'ep.echo' };
    assert.equal(experimental.uriToString(target), 'cluster://interface/ep.echo');
  });

  it('gives addresses as a status-or of endpoints, with attributes, service config and note behind it, never from within', async () => {
    const source = new FakeSource();
    source.showNodes({ a: { 'ep.echo': '10.0.0.1:70' } });
    const uri = { scheme: CLUSTER_SCHEME, authority: served(source).slice('cluster://'.length, -1), path: 'ep.echo' };
    const told: unknown[][] = [];
    const resolver = experimental.createResolver(uri, (...told1) => told.push(told1) > 0, {});
    resolver.updateResolution();
    assert.deepEqual(told, [], 'grpc-js forbids an answer from within');
    await soon();
    const addresses = [{ addresses: [{ host: '10.0.0.1', port: 70 }] }];
    const config = { ok: true, value: { loadBalancingConfig: [{ round_robin: {} }], methodConfig: [] } };
    assert.deepEqual(told, [[{ ok: true, value: addresses }, {}, config, '']]);
    // Asked again without news, it says nothing: an answer would begin a loop.
    for (let again = 0; again < 10; again++) resolver.updateResolution();
    source.tellAgain();
    await soon();
    assert.equal(told.length, 1);
    resolver.destroy();
    assert.equal(source.listenerCount, 1, 'the scheme listens, the resolver no more');
    source.showNodes({ a: { 'ep.echo': '10.0.0.2:70' } });
    await soon();
    assert.equal(told.length, 1);
    // A channel that fell idle begins anew.
    resolver.updateResolution();
    await soon();
    assert.equal(told.length, 2);
    resolver.destroy();
  });
});

describe('cluster:///ep.name', () => {
  it('takes turns over all live endpoints, by either form of the name', async () => {
    const source = new FakeSource();
    const at = served(source);
    const running = await servers('a', 'b', 'c');
    show(source, running);
    assert.deepEqual(await whoAnswers(client(`${at}ep.echo`)), ['a', 'b', 'c']);
    assert.deepEqual(await whoAnswers(client(`${at}echo`)), ['a', 'b', 'c']);
  });

  it('follows endpoints that come, change and go, and several clients share one source', async () => {
    const source = new FakeSource();
    const at = served(source);
    const [a, b, c] = (await servers('a', 'b', 'c')) as [EchoServer, EchoServer, EchoServer];
    show(source, [a]);
    const both = [client(`${at}echo`), client(`${at}echo`)];
    for (const one of both) assert.deepEqual(await whoAnswers(one), ['a']);
    show(source, [a, b]);
    await sleep(50);
    for (const one of both) assert.deepEqual(await whoAnswers(one), ['a', 'b']);
    // The node b publishes another address: the old one is kept by nobody, though its server still runs.
    source.showNodes({ a: { 'ep.echo': a.address }, b: { 'ep.echo': c.address } });
    await sleep(50);
    for (const one of both) assert.deepEqual(await whoAnswers(one), ['a', 'c']);
    source.showNodes({ b: { 'ep.echo': c.address } });
    await sleep(50);
    for (const one of both) assert.deepEqual(await whoAnswers(one), ['c']);
    assert.equal(source.listenerCount, 1);
  });

  it('counts an address once that two nodes publish, and leaves out what is no address and who is not alive', async () => {
    const source = new FakeSource();
    const uri = { scheme: CLUSTER_SCHEME, authority: served(source).slice('cluster://'.length, -1), path: 'echo' };
    const told: unknown[] = [];
    const resolver = experimental.createResolver(uri, (list) => told.push(list) > 0, {});
    resolver.updateResolution();
    source.showNodes({
      a: { 'ep.echo': '10.0.0.1:70' },
      b: { 'ep.echo': '10.0.0.1:70' },
      c: { 'ep.echo': 'nonsense' },
    });
    await sleep(5);
    assert.deepEqual(told, [{ ok: true, value: [{ addresses: [{ host: '10.0.0.1', port: 70 }] }] }]);
    source.showNodes({ a: { 'ep.echo': '10.0.0.1:70' } }, 'failed');
    await sleep(5);
    assert.deepEqual(told[1], { ok: true, value: [] });
    assert.equal((told[2] as { ok: boolean }).ok, false);
    resolver.destroy();
  });

  it('waits for a source that is late, and for no longer than the deadline of the call', async () => {
    const source = new FakeSource();
    const at = served(source);
    const [a] = (await servers('a')) as [EchoServer];
    const late = client(`${at}echo`);
    const expired = await say(late, 'x', { timeoutMs: 50 });
    assert.equal(expired.code, status.DEADLINE_EXCEEDED);
    const waiting = say(late);
    await sleep(20);
    show(source, [a]);
    assert.equal((await waiting).by, 'a');
  });

  it('says at once that nobody publishes the name, and works as soon as somebody does', async () => {
    const source = new FakeSource();
    const at = served(source);
    const [a] = (await servers('a')) as [EchoServer];
    show(source, []);
    const to = client(`${at}echo`);
    const refused = await say(to);
    assert.equal(refused.code, status.UNAVAILABLE);
    assert.match(refused.details, /no live node of the cluster publishes ep\.echo/);
    show(source, [a]);
    await until('it works', async () => (await say(to)).by === 'a' || 'nobody answers', PATIENCE_MS);
    show(source, []);
    await until('it is refused', async () => (await say(to)).code === status.UNAVAILABLE || 'answered', PATIENCE_MS);
  });

  it('no update breaks a connection that stays, nor a call that is under way', async () => {
    const source = new FakeSource();
    const at = served(source);
    const [a, b] = (await servers('a', 'b')) as [EchoServer, EchoServer];
    show(source, [a]);
    const to = client(`${at}echo`);
    await whoAnswers(to, 2);
    const chat = to.chat(new Metadata());
    const heard: string[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      chat.on('data', (text: string) => heard.push(text));
      chat.on('end', resolve);
      chat.on('error', reject);
    });
    chat.write('1');
    for (let round = 0; round < 5; round++) {
      show(source, [a, b]);
      await sleep(20);
      show(source, [a]);
      await sleep(20);
    }
    chat.write('2');
    // Even its own server's withdrawal lets it end.
    show(source, [b]);
    await sleep(20);
    chat.write('3');
    chat.end();
    await ended;
    assert.deepEqual(heard, ['a:1', 'a:2', 'a:3']);
    assert.equal(a.peers.size, 1, `connections to a: ${[...a.peers].join(' ')}`);
  });

  it('survives the death of any server without a failed call, and is back at one that restarts within a second or two', async () => {
    const source = new FakeSource();
    const at = served(source);
    const running = await servers('a', 'b', 'c');
    show(source, running);
    const to = client(`${at}echo`);
    await whoAnswers(to);
    for (const victim of running) {
      victim.kill();
      // Gossip takes its seconds: the source still shows the dead one.
      const others = running.filter((one) => one !== victim).map((one) => one.name);
      assert.deepEqual(await whoAnswers(to, 30), others);
      await victim.start();
      const began = performance.now();
      while (!(await whoAnswers(to, 6)).includes(victim.name)) {
        assert.ok(performance.now() - began < 3_000, `${victim.name} is not used again`);
        await sleep(50);
      }
    }
  });

  it('a dead server is dialled a few times, not in a loop', async () => {
    const source = new FakeSource();
    const at = served(source);
    let asked = 0;
    const picture = source.picture.bind(source);
    source.picture = () => {
      asked += 1;
      return picture();
    };
    const [a, b] = (await servers('a', 'b')) as [EchoServer, EchoServer];
    show(source, [a, b]);
    const to = client(`${at}echo`);
    await whoAnswers(to);
    b.kill();
    await sleep(300);
    await whoAnswers(to);
    assert.ok(asked < 10, `the source was asked ${asked} times`);
  });

  it('refuses a second source for one authority, and takes one when the first has ended', async () => {
    const [first, second] = [new FakeSource(), new FakeSource()];
    const end = serveClusterScheme(first, { authority: 'taken' });
    open.push(end);
    assert.throws(() => serveClusterScheme(second, { authority: 'taken' }), SchemeTakenError);
    const [a, b] = (await servers('a', 'b')) as [EchoServer, EchoServer];
    show(first, [a]);
    const to = client('cluster://taken/echo');
    assert.deepEqual(await whoAnswers(to), ['a']);
    end();
    assert.equal(first.listenerCount, 0);
    assert.deepEqual(await whoAnswers(to), ['a'], 'without a source the addresses stay');
    show(second, [b]);
    open.push(serveClusterScheme(second, { authority: 'taken' }));
    await sleep(50);
    assert.deepEqual(await whoAnswers(to), ['b']);
  });

  it('lets a service config of the channel stand', async () => {
    const source = new FakeSource();
    const at = served(source);
    show(source, await servers('a', 'b', 'c'));
    const pickFirst = JSON.stringify({ loadBalancingConfig: [{ pick_first: {} }] });
    assert.equal((await whoAnswers(client(`${at}echo`, { 'grpc.service_config': pickFirst }))).length, 1);
  });
});
