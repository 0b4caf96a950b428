/** User events and queries through the library and through `funkctl`, with a real Serf agent on the other side. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FunkNode, type IncomingQuery, type QueryOptions, RefusedError } from '../../src/index.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { FUNKCTL, freshClusterName } from '../e2e/node-process.ts';
import { runProgram, skipWithout, until } from './peer.ts';
import { type CliResult, serfCli } from './serf-cli.ts';
import { SerfAgent } from './serf-agent.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('user events and queries beside a real Serf agent', { skip: skipWithout('serf') }, () => {
  let agent: SerfAgent;
  let node: FunkNode;

  before(async () => {
    agent = await SerfAgent.start('web1', [
      ...['-event-handler', 'query:load=echo 0.42', '-tag', 'role=web'],
      ...['-event-handler', 'query:fill=head -c "$(cat)" /dev/zero | tr "\\0" z'],
    ]);
    node = new FunkNode({
      nodeId: 'f1',
      clusterName: freshClusterName(),
      bootstrap: true,
      inMemory: true,
      interface: '127.0.0.1',
      join: [formatEndpoint(agent.address)],
    });
    await node.start();
    await until('they know each other', () => node.members.length === 2 || String(node.members.length), 20_000);
  });

  after(async () => {
    await node.stop();
    await agent.kill();
  });

  it('the library asks, and gathers acks and answers until the time is up', async () => {
    const heard: string[] = [];
    const answers = node.gossip.query('load', '', { wantsAck: true, timeoutMs: 1_500 });
    for (;;) {
      const { done, value } = await answers.next();
      if (done === true) {
        assert.deepEqual(value, { acks: 2, responses: 1 });
        break;
      }
      heard.push(value.kind === 'ack' ? `ack ${value.from}` : `${value.from}: ${text(value.payload).trim()}`);
    }
    assert.deepEqual(heard.sort(), ['ack f1', 'ack web1', 'web1: 0.42']);
    await assert.rejects(node.gossip.query('').next(), RefusedError);
  });

  it('a loop that is left ends its query', async () => {
    for await (const answer of node.gossip.query('load', '', { wantsAck: true, timeoutMs: 60_000 })) {
      assert.ok(['ack', 'response'].includes(answer.kind));
      break;
    }
    const { acks } = await settle(node.gossip.query('load', '', { timeoutMs: 300, nodes: ['nobody'] }));
    assert.equal(acks, 0);
  });

  it('the library answers what the agent asks, once', async () => {
    let second: Promise<void> | undefined;
    const end = node.gossip.onQuery((query) => {
      assert.deepEqual([query.name, text(query.payload), query.source], ['uptime', 'please', 'web1']);
      second = query.respond('12 days').then(async () => {
        await assert.rejects(query.respond('again'), /answered already/);
      });
    });
    const told = await agent.cli('query', '-format=json', '-timeout=2s', 'uptime', 'please');
    assert.deepEqual((JSON.parse(told) as { Responses: Record<string, string> }).Responses, { f1: '12 days' });
    await second;
    end();
  });

  it('user events go both ways, through the library and funkctl', async () => {
    const seen: string[] = [];
    const end = node.gossip.onEvent(({ name, payload }) => seen.push(`${name} ${text(payload)}`));
    await node.gossip.userEvent('deploy', 'v1');
    await agent.cli('event', 'release', 'v2');
    const { endpoints } = node.view();
    const management = endpoints.get('ep.clusterfunk.management');
    assert.ok(management !== undefined);
    const tool = [FUNKCTL, '--endpoint', formatEndpoint(management)];
    await runProgram(process.execPath, [...tool, 'event', 'third', 'v3']);
    const asked = await runProgram(process.execPath, [...tool, 'query', 'load', '--wait', '1s', '--tag', 'role=^w']);
    assert.match(asked, /Ack from 'web1'\nResponse from 'web1': 0\.42\n\nTotal Acks: 1\nTotal Responses: 1\n/);
    await until('all three events', () => seen.length === 3 || seen.join(), 45_000);
    assert.deepEqual(seen.sort(), ['deploy v1', 'release v2', 'third v3']);
    for (const name of ['deploy', 'third'])
      await until(
        `the agent hears ${name}`,
        () => agent.log.includes(`user-event: ${name}`) || 'not in its log',
        45_000,
      );
    await assert.rejects(node.gossip.userEvent('big', 'x'.repeat(600)), /limit of 512 bytes before encoding/);
    end();
  });
});

describe('queries among three, two of them real Serf agents', { skip: skipWithout('serf') }, () => {
  let agent: SerfAgent;
  let other: SerfAgent;
  let node: FunkNode;

  before(async () => {
    const args = [
      ...['-event-handler', 'query:load=echo 0.42', '-tag', 'role=web'],
      ...['-event-handler', 'query:fill=head -c "$(cat)" /dev/zero | tr "\\0" z'],
    ];
    [agent, other] = await Promise.all([SerfAgent.start('web1', args), SerfAgent.start('web2', args)]);
    node = new FunkNode({
      nodeId: 'f1',
      clusterName: freshClusterName(),
      bootstrap: true,
      inMemory: true,
      interface: '127.0.0.1',
      join: [formatEndpoint(agent.address), formatEndpoint(other.address)],
    });
    await node.start();
    for (const each of [agent, other])
      await until(
        'all three know each other',
        async () => (await each.members()).length === 3 || each.statuses(),
        45_000,
      );
  });

  after(async () => {
    await node.stop();
    await Promise.all([agent.kill(), other.kill()]);
  });

  it('filters choose who answers, in both directions', async () => {
    const end = node.gossip.onQuery((query) => void query.respond('from f1'));
    assert.equal(await answersOf(agent, '-tag=role=^w', 'load'), 'web1 web2');
    assert.equal(await answersOf(agent, '-node=f1', '-node=web2', 'load'), 'f1 web2');
    assert.equal(await answersOf(agent, '-node=f1', '-tag=role=web', 'load'), '');
    const chosen = await Promise.all([
      chosenBy(node, { nodes: ['web2', 'nobody'] }),
      chosenBy(node, { tags: new Map([['role', 'w.b']]) }),
      chosenBy(node, { nodes: ['web1', 'f1'], tags: new Map([['role', 'db']]) }),
    ]);
    assert.deepEqual(chosen, ['web2', 'web1 web2', '']);
    end();
  });

  it('answers that come a second time by relays count once, in both directions', async () => {
    const end = node.gossip.onQuery((query) => void query.respond('from f1'));
    for (const relayFactor of [1, 2]) {
      assert.equal(await answersOf(agent, `-relay-factor=${relayFactor}`, 'load'), 'f1 web1 web2');
      const counts = await settle(node.gossip.query('load', '', { relayFactor, wantsAck: true, timeoutMs: 1_500 }));
      assert.deepEqual(counts, { acks: 3, responses: 3 });
    }
    end();
  });

  it('the largest query of either passes, and is the same size; one byte more is refused by both', async () => {
    // As encoded, ours and the agent's differ in the name of the asker alone: the filter, the width of the timeout and the flags are the same.
    const options: QueryOptions = { nodes: ['f1'], wantsAck: true, timeoutMs: 1_000 };
    const ask = (size: number): ReturnType<typeof node.gossip.query> =>
      node.gossip.query('size', 'y'.repeat(size), options);
    const lengths: number[] = [];
    const end = node.gossip.onQuery(({ payload }) => void lengths.push(payload.length));
    const ours = await largest(async (size) => {
      assert.equal((await settle(ask(size))).acks, 1);
    });
    await assert.rejects(ask(ours + 1).next(), /query exceeds limit of 1024 bytes/);

    const cli = (size: number): Promise<CliResult> =>
      serfCli(agent.rpc, ['query', '-format=json', '-timeout=1s', '-node=f1', 'size', 'y'.repeat(size)]);
    const theirs = ours - ('web1'.length - 'f1'.length);
    const passed = await cli(theirs);
    assert.deepEqual((JSON.parse(passed.text) as { readonly Acks: readonly string[] }).Acks, ['f1']);
    const refused = await cli(theirs + 1);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.text, /exceeds limit of 1024 bytes/);
    assert.deepEqual(lengths, [ours, theirs]);
    end();
  });

  it('the largest answer of either passes, and is the same size; one byte more is refused by both', async () => {
    let ours = 0;
    const refused: string[] = [];
    const answer = async (query: IncomingQuery): Promise<void> => {
      ours = await largest(
        (size) => query.respond('x'.repeat(size)),
        (error) => refused.push(error),
      );
    };
    let answered: Promise<void> | undefined;
    const end = node.gossip.onQuery((query) => {
      answered = answer(query);
    });
    const told = await agent.cli('query', '-format=json', '-timeout=2s', '-node=f1', 'fill');
    const { Responses } = JSON.parse(told) as { readonly Responses: Readonly<Record<string, string>> };
    await answered;
    assert.ok(ours > 900);
    assert.equal(Responses['f1']?.length, ours);
    assert.match(refused.at(-1) ?? '', /response exceeds limit of 1024 bytes/);
    end();

    // The agent's script prints as much as it is asked for.
    const theirs = ours - ('web1'.length - 'f1'.length);
    const lengthOf = async (size: number, timeoutMs: number): Promise<number | undefined> => {
      for await (const answer of node.gossip.query('fill', String(size), { nodes: ['web1'], timeoutMs }))
        if (answer.kind === 'response') return answer.payload.length;
      return undefined;
    };
    assert.equal(await lengthOf(theirs, 10_000), theirs);
    assert.equal(await lengthOf(theirs + 1, 2_000), undefined);
    assert.match(agent.log, /exceeds limit of 1024 bytes/);
  });
});

/** How much fits: the first size, from above, that is not refused. It is sent. */
async function largest(
  send: (size: number) => Promise<unknown>,
  onRefused: (reason: string) => void = () => undefined,
): Promise<number> {
  for (let size = 1_024; size > 900; size--) {
    const error = await send(size).then(
      () => undefined,
      (reason: unknown) => String(reason),
    );
    if (error === undefined) return size;
    onRefused(error);
  }
  return assert.fail('nothing fits');
}

/** Who answers the query of an agent, sorted. One at a time: an agent tells its open queries apart by Lamport time alone. */
async function answersOf(agent: SerfAgent, ...args: readonly string[]): Promise<string> {
  const told = await agent.cli('query', '-format=json', '-timeout=1500ms', ...args);
  const { Responses } = JSON.parse(told) as { readonly Responses: Readonly<Record<string, string>> | null };
  return Object.keys(Responses ?? {})
    .sort()
    .join(' ');
}

/** Who acknowledges a query of the node, sorted. */
async function chosenBy(node: FunkNode, options: QueryOptions): Promise<string> {
  const heard = new Set<string>();
  const answers = node.gossip.query('load', '', { ...options, wantsAck: true, timeoutMs: 1_500 });
  for await (const { kind, from } of answers) if (kind === 'ack') heard.add(from);
  return [...heard].sort().join(' ');
}

async function settle<T, R>(generator: AsyncGenerator<T, R>): Promise<R> {
  for (;;) {
    const { done, value } = await generator.next();
    if (done === true) return value;
  }
}
