/** The agent's RPC before a node that a test plays: order, keys, streams, slow readers and hostile bytes. wire-gossip.md 20. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { fromUtf8 } from '../../src/base/bytes.ts';
import { AgentEvents } from '../../src/events/agent-events.ts';
import type { CoalescerTiming } from '../../src/events/coalescer.ts';
import type { GossipOutcome, GossipRequest } from '../../src/model/gossip-request.ts';
import type { Member } from '../../src/model/member.ts';
import { LogLines } from '../../src/serf-rpc/log-lines.ts';
import { createSerfRpcServer, type SerfRpcServer } from '../../src/serf-rpc/server.ts';
import { MsgpackReader, type MsgpackValue } from '../../src/wire/msgpack/reader.ts';
import { MsgpackWriter } from '../../src/wire/msgpack/writer.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';

type Fields = Readonly<Record<string, unknown>>;
type Value = string | number | boolean | Uint8Array | readonly string[] | Readonly<Record<string, string>>;

const closers: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

interface Setup {
  readonly server: SerfRpcServer;
  readonly handle: FakeNodeHandle;
  readonly log: LogLines;
  readonly left: () => number;
}

/** Everything is told at once. */
const AT_ONCE = { windowMs: 0, quietMs: 0 };

async function serve(
  authKey?: string,
  gossip?: (request: GossipRequest) => Promise<GossipOutcome>,
  timing: CoalescerTiming = AT_ONCE,
): Promise<Setup> {
  const handle = new FakeNodeHandle(
    fakeView({ id: 'n1', members: [{ name: 'n1' }, { name: 'n2' }] }),
    gossip === undefined ? {} : { gossip },
  );
  const log = new LogLines(() => 0);
  let leaves = 0;
  const events = new AgentEvents({ members: timing, users: timing });
  handle.subscribe((event) => events.note(event));
  closers.push(() => events.close());
  const server = await createSerfRpcServer({
    handle,
    endpoint: { host: '127.0.0.1', port: 0 },
    authKey,
    events: events.subscribe,
    facts: { eventHandlers: ['user:deploy=script'] },
    log,
    resolve: (addresses) =>
      Promise.resolve({ endpoints: addresses.map((host) => ({ host, port: 7946 })), failures: [] }),
    leave: () => {
      leaves += 1;
    },
  });
  closers.push(() => server.close());
  return { server, handle, log, left: () => leaves };
}

function write(out: MsgpackWriter, value: Value): void {
  if (typeof value === 'string') out.text(value);
  else if (typeof value === 'number') out.int(value);
  else if (typeof value === 'boolean') out.bool(value);
  else if (value instanceof Uint8Array) out.bytes(value);
  else if (Array.isArray(value)) {
    out.arrayHeader(value.length);
    for (const item of value as readonly string[]) out.text(item);
  } else {
    out.mapHeader(Object.keys(value).length);
    for (const [key, item] of Object.entries(value)) out.text(key).text(String(item));
  }
}

function encode(seq: number, command: string, body?: Readonly<Record<string, Value>>): Uint8Array {
  const out = new MsgpackWriter(64, 'parted').mapHeader(2).text('Command').text(command).text('Seq').int(seq);
  if (body !== undefined) {
    out.mapHeader(Object.keys(body).length);
    for (const [key, value] of Object.entries(body)) write(out.text(key), value);
  }
  return out.finish();
}

function plain(value: MsgpackValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [plain(key), plain(item)]));
  if (value instanceof Uint8Array) return fromUtf8(value);
  return Array.isArray(value) ? value.map(plain) : value;
}

/** A client that shows every value that came. */
class Client {
  readonly values: Fields[] = [];
  readonly socket: Socket;
  isClosed = false;
  #unread: Uint8Array = new Uint8Array(0);

  constructor({ server }: Setup) {
    this.socket = connect(server.local.port, server.local.host);
    this.socket.on('data', (chunk: Uint8Array) => this.#onData(chunk));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    closers.push(() => void this.socket.destroy());
  }

  send(...requests: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(requests));
  }

  async until(what: string, isThere: (values: readonly Fields[]) => boolean): Promise<void> {
    for (let tries = 0; !isThere(this.values); tries++) {
      assert.ok(tries < 1_000, `${what}; there is ${JSON.stringify(this.values).slice(0, 2_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async closed(): Promise<void> {
    await this.until('the connection is closed', () => this.isClosed);
  }

  #onData(chunk: Uint8Array): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length > 0) {
      const reader = new MsgpackReader(this.#unread);
      try {
        reader.skip();
      } catch {
        // The rest of the value comes with the next chunk.
        return;
      }
      this.values.push(plain(new MsgpackReader(this.#unread).value()) as Fields);
      this.#unread = this.#unread.subarray(reader.at);
    }
  }
}

const HELLO = encode(1, 'handshake', { Version: 1 });

describe('the agent’s RPC', { timeout: 60_000 }, () => {
  it('serves several requests in flight in their order', async () => {
    const client = new Client(await serve());
    // The last one is cut in two between its header and its body.
    const [stop, stopHead] = [encode(5, 'stop', { Stop: 9 }), encode(5, 'stop')];
    client.send(HELLO, encode(2, 'members'), encode(3, 'stats'), encode(4, 'event', { Name: 'x' }), stopHead);
    await client.until('six values', (values) => values.length >= 6);
    assert.deepEqual(
      client.values.filter((value) => 'Seq' in value).map((value) => value['Seq']),
      [1, 2, 3, 4],
    );
    client.send(stop.subarray(stopHead.length));
    await client.until('the last', (values) => values.some((value) => value['Seq'] === 5));
  });

  it('wants a handshake first, and closes after it was left out', async () => {
    const setup = await serve();
    const client = new Client(setup);
    client.send(encode(7, 'members'));
    await client.closed();
    assert.deepEqual(client.values, [{ Error: 'Handshake required', Seq: 7 }]);
    const second = new Client(setup);
    second.send(encode(1, 'handshake', { Version: 9 }), HELLO, encode(2, 'handshake', { Version: 1 }));
    await second.until('three answers', (values) => values.length === 3);
    const errors = second.values.map((value) => value['Error']);
    assert.deepEqual(errors, ['Unsupported IPC version', '', 'Handshake already performed']);
    second.send(encode(3, 'bogus'));
    await second.closed();
    assert.deepEqual(second.values.at(-1), { Error: 'Unsupported command', Seq: 3 });
  });

  it('lets nobody in without the key, and gives up on who guesses', async () => {
    const setup = await serve('sekret');
    const client = new Client(setup);
    client.send(HELLO, encode(2, 'members'), encode(3, 'auth', { AuthKey: 'wrong' }));
    client.send(encode(4, 'auth', { AuthKey: 'sekret' }), encode(5, 'members'));
    await client.until('all answers', (values) => values.length === 6);
    assert.deepEqual(
      client.values.slice(0, 5).map((value) => value['Error']),
      ['', 'Authentication required', 'Invalid authentication token', '', ''],
    );
    const guesser = new Client(setup);
    guesser.send(HELLO, ...Array.from({ length: 20 }, (_, i) => encode(i + 2, 'auth', { AuthKey: `guess${i}` })));
    await guesser.closed();
    assert.equal(guesser.values.length, 1 + 8);
    assert.equal(setup.server.stats().wrongKeys, 9);
  });

  it('streams what passes the filter, and lets a client answer a query once', async () => {
    const asked: GossipRequest[] = [];
    const setup = await serve(undefined, (request) => {
      asked.push(request);
      return Promise.resolve({ kind: 'done' });
    });
    const client = new Client(setup);
    client.send(HELLO, encode(2, 'stream', { Type: 'user:deploy,query' }), encode(2, 'stream', { Type: '*' }));
    client.send(encode(3, 'stream', { Type: 'nonsense' }));
    await client.until('the streams are open', (values) => values.length === 4);
    assert.deepEqual(
      client.values.slice(1).map((value) => value['Error']),
      ['', 'Stream with given sequence exists', 'Invalid event filter'],
    );
    const event = { kind: 'userEvent', lamportTime: 3, payload: new Uint8Array(0), coalesce: true } as const;
    setup.handle.emit({ ...event, name: 'other' });
    setup.handle.emit({ ...event, name: 'deploy' });
    const query = { kind: 'queryAsked', lamportTime: 4, name: 'q', source: 'n', payload: new Uint8Array(0) } as const;
    setup.handle.emit({ ...query, token: 77, deadline: setup.handle.now() + 1_000 });
    await client.until('both records', (values) => values.length === 8);
    const [, deploy, , told] = client.values.slice(4);
    assert.deepEqual(deploy, { Coalesce: true, Event: 'user', LTime: 3, Name: 'deploy', Payload: undefined });
    assert.deepEqual(told, { Event: 'query', ID: 1, LTime: 4, Name: 'q', Payload: undefined });
    const answer = encode(5, 'respond', { ID: 1, Payload: new Uint8Array([1]) });
    client.send(answer, answer, encode(5, 'respond', { ID: 2 }));
    await client.until('three answers', (values) => values.length === 11);
    assert.deepEqual(
      client.values.slice(8).map((value) => value['Error']),
      ['', 'failed to respond to key query: response already sent', 'No pending queries matching ID'],
    );
    assert.deepEqual(asked, [{ kind: 'respond', token: 77, payload: Buffer.from([1]) }]);
    client.send(encode(6, 'stop', { Stop: 2 }));
    await client.until('the stop', (values) => values.length === 12);
    setup.handle.emit({ ...event, name: 'deploy' });
    client.send(encode(7, 'stop', { Stop: 2 }));
    await client.until('the next answer', (values) => values.length === 13);
  });

  it('19.2: streams bursts as one record, as an agent does, to those too who came meanwhile', async () => {
    const setup = await serve(undefined, undefined, { windowMs: 2_000, quietMs: 150 });
    const tell = (name: string, kind: 'memberJoined' | 'memberFailed'): void =>
      setup.handle.emit({ kind, member: { ...(setup.handle.view().members[0] as Member), name } });
    tell('early', 'memberJoined');
    const client = new Client(setup);
    client.send(HELLO, encode(2, 'stream', { Type: 'member-join,member-failed,user' }));
    await client.until('the stream is open', (values) => values.length === 2);
    tell('a', 'memberJoined');
    tell('b', 'memberJoined');
    tell('a', 'memberFailed');
    const user = { kind: 'userEvent', name: 'deploy', payload: new Uint8Array(0) } as const;
    for (const lamportTime of [5, 9, 7]) setup.handle.emit({ ...user, lamportTime, coalesce: true });
    setup.handle.emit({ ...user, lamportTime: 8, coalesce: false });
    const records = (values: readonly Fields[]): Fields[] => values.filter((value) => 'Event' in value);
    await client.until('all records', (values) => records(values).length >= 4);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const brief = records(client.values).map((record) => {
      const members = record['Members'] as readonly Fields[] | undefined;
      const what = members === undefined ? record['LTime'] : members.map((one) => one['Name']).join();
      return `${String(record['Event'])} ${String(what)}`;
    });
    assert.equal(brief[0], 'user 8', 'what must not coalesce comes at once');
    assert.deepEqual(brief.slice(1).sort(), ['member-failed a', 'member-join early,b', 'user 9']);
    assert.ok(setup.log.recent('INFO').some((line) => line.includes('agent: Received event: member-join')));
  });

  it('gives a query its answers behind its acceptance, and a refusal as an error', async () => {
    const setup = await serve(undefined, (request) => {
      if (request.kind !== 'query') return Promise.resolve({ kind: 'refused', reason: 'no such query' });
      if (request.parameters.name === 'bad') return Promise.resolve({ kind: 'refused', reason: 'too long' });
      const { query } = request;
      setup.handle.emit({ kind: 'queryAck', query, from: 'n1' });
      setup.handle.emit({ kind: 'queryResponse', query: query + 1, from: 'n9', payload: new Uint8Array(0) });
      return new Promise((resolve) => {
        setTimeout(() => {
          setup.handle.emit({ kind: 'queryEnded', query });
          resolve({ kind: 'queryEnded', acks: 1, responses: 0 });
        }, 20);
      });
    });
    const client = new Client(setup);
    client.send(HELLO, encode(2, 'query', { Name: 'bad' }), encode(3, 'query', { Name: 'good', Timeout: 5_000_000 }));
    client.send(encode(4, 'query', { Name: '_serf_x' }));
    await client.until('the end', (values) => values.some((value) => value['Type'] === 'done'));
    const errors = client.values.filter((value) => 'Error' in value).map((value) => [value['Seq'], value['Error']]);
    assert.deepEqual(errors, [
      [1, ''],
      [2, 'too long'],
      [3, ''],
      [3, ''],
      [4, "Queries cannot contain the '_serf_' prefix"],
      [3, ''],
    ]);
    assert.equal(setup.handle.listenerCount, 2, 'only the log and what streams carry listen when no query is open');
  });

  it('drops records for a client that does not read, and tells a monitor how many', async () => {
    const setup = await serve();
    const client = new Client(setup);
    client.send(HELLO, encode(2, 'monitor', { LogLevel: 'info' }), encode(3, 'monitor', { LogLevel: 'info' }));
    await client.until('the monitor is open', (values) => values.some((value) => value['Seq'] === 3));
    client.socket.pause();
    const line = 'x'.repeat(1_900);
    for (let i = 0; i < 20_000; i++) setup.log.note('INFO', 'test', line);
    assert.ok(setup.server.stats().recordsLost > 10_000);
    client.socket.resume();
    const notice = (value: Fields): boolean => /\d+ lines were lost/.test(String(value['Log']));
    await client.until('the notice', (values) => values.some(notice));
    client.send(encode(4, 'members'));
    await client.until('an answer', (values) => values.some((value) => value['Seq'] === 4));
  });

  it('closes on bytes that are no request, and serves the others', async () => {
    const setup = await serve();
    const honest = new Client(setup);
    honest.send(HELLO);
    const hostile = [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.alloc(5_000, 0x82),
      Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
      Buffer.concat([HELLO, encode(2, 'auth', { AuthKey: 'a'.repeat(2_000) })]),
      Buffer.concat([HELLO, Buffer.from([0xc1])]),
      Buffer.concat([HELLO, encode(2, 'members-filtered', { Name: '(', Status: '', Tags: {} })]),
    ];
    for (const bytes of hostile) {
      const client = new Client(setup);
      client.send(bytes);
      await client.closed();
    }
    assert.equal(setup.server.stats().cut.malformed, hostile.length);
    honest.send(encode(2, 'members'));
    await honest.until('members', (values) => values.length === 3);
    assert.equal(setup.server.stats().open, 1);
  });

  it('begins to leave when it is told to, and says so when that is done', async () => {
    const setup = await serve();
    const client = new Client(setup);
    client.send(HELLO, encode(2, 'leave'));
    await client.until('the handshake', (values) => values.length === 1);
    while (setup.left() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(client.values.length, 1);
    setup.handle.emit({ kind: 'stopped', reason: 'left in order', exitCode: 0 });
    await client.closed();
    assert.deepEqual(client.values, [
      { Error: '', Seq: 1 },
      { Error: '', Seq: 2 },
    ]);
    await setup.server.close();
    assert.equal(setup.handle.listenerCount, 1, 'the one that is ours');
  });
});
