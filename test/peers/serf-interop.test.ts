import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { utf8 } from '../../src/base/bytes.ts';
import { GossipShell } from './gossip-shell.ts';
import { freePort, IS_LONG, pause, PeerProcess, skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

const QUIET_MS = IS_LONG ? 600_000 : 8_000;

/** LAN timing: a death is believed some ten seconds later; after 24 s of suspicion at the latest, when nobody confirms it. */
const FAILURE_MS = 60_000;
/** Gossip misses one receiver in a hundred; the next push/pull, every 30 s, tells it. */
const HEALED_MS = 45_000;

describe('a cluster of real Serf agents and our nodes', {
  skip: skipWithout('serf'),
  timeout: QUIET_MS + 240_000,
}, () => {
  const agents = new Map<string, SerfAgent>();
  const nodes = new Map<string, GossipShell>();

  const agent = (name: string): SerfAgent => agents.get(name) ?? assert.fail(`no agent ${name}`);
  const node = (name: string): GossipShell => nodes.get(name) ?? assert.fail(`no node ${name}`);

  async function startAgent(name: string, args: readonly string[] = [], at?: SerfAgent['address']): Promise<void> {
    agents.set(name, await SerfAgent.start(name, args, at));
  }

  async function startNode(name: string, at?: GossipShell['address']): Promise<void> {
    const address = at ?? { host: '127.0.0.1', port: await freePort() };
    const tags = new Map([
      ['fn.role', 'voter'],
      ['ep.http', `127.0.0.1:${address.port}`],
    ]);
    nodes.set(name, await GossipShell.start({ name, address, tags }));
  }

  /** Waits until everyone named sees exactly these statuses, `name:status` sorted. */
  async function everyoneSees(statuses: string, viewers: readonly string[], timeoutMs = HEALED_MS): Promise<void> {
    const wanted = statuses.split(' ').sort().join(' ');
    for (const viewer of viewers) {
      await until(
        `${viewer} sees ${wanted}`,
        async () => {
          const shell = nodes.get(viewer);
          const seen =
            shell === undefined
              ? await agent(viewer).statuses()
              : shell.serf
                  .members()
                  .map(({ name, status }) => `${name}:${status}`)
                  .sort()
                  .join(' ');
          return seen === wanted ? true : seen;
        },
        timeoutMs,
      );
    }
  }

  before(async () => {
    await Promise.all([startAgent('s1', ['-tag', 'role=db']), startNode('f1'), startNode('f2')]);
  });

  after(async () => {
    await Promise.all([...agents.values()].map((peer) => peer.kill()));
    await Promise.all([...nodes.values()].map((shell) => shell.close()));
  });

  it('comes together from both sides: we join an agent, agents join us, with all tags', async () => {
    assert.deepEqual(await node('f1').join(agent('s1').address), { kind: 'joined', count: 1, errors: [] });
    const { host, port } = node('f1').address;
    await startAgent('s2', ['-tag', 'dc=west', `-join=${host}:${port}`]);
    await node('f2').join(agent('s2').address);
    await everyoneSees('f1:alive f2:alive s1:alive s2:alive', ['s1', 's2', 'f1', 'f2']);
    for (const name of ['s1', 's2']) {
      const members = new Map((await agent(name).members()).map((member) => [member.name, member]));
      assert.deepEqual(members.get('f1')?.tags, { 'fn.role': 'voter', 'ep.http': `127.0.0.1:${port}` });
      assert.equal(members.get('f1')?.addr, `${host}:${port}`);
    }
    for (const name of ['f1', 'f2']) {
      assert.deepEqual(node(name).serf.member('s1')?.tags, new Map([['role', 'db']]));
      assert.deepEqual(node(name).serf.member('s2')?.tags, new Map([['dc', 'west']]));
    }
  });

  it('changes tags on either side', async () => {
    node('f2').give({ kind: 'setTags', tags: new Map([['color', 'red']]) });
    await agent('s1').cli('tags', '-set', 'role=web');
    const roleOf = (): string => node('f1').serf.member('s1')?.tags.get('role') ?? 'none';
    await until('f1 sees the new role', () => (roleOf() === 'web' ? true : roleOf()), 45_000);
    await until(
      's1 sees the new color',
      async () => {
        const tags = (await agent('s1').members()).find(({ name }) => name === 'f2')?.tags;
        return tags?.['color'] === 'red' && tags['fn.role'] === undefined ? true : JSON.stringify(tags);
      },
      60_000,
    );
  });

  it('acknowledges queries, passes them on, and answers what Serf itself asks', async () => {
    const reachability = await agent('s1').cli('reachability');
    assert.match(reachability, /Successfully contacted all live nodes/);
    const filtered = await agent('s1').cli('query', '-format=json', '-timeout=2s', '-tag', 'color=^re[d]$', 'uptime');
    const { Acks } = JSON.parse(filtered) as { readonly Acks: readonly string[] };
    assert.deepEqual(Acks, ['f2']);
    const relayed = await agent('s2').cli('query', '-format=json', '-timeout=2s', '-relay-factor=2', 'uptime');
    assert.deepEqual([...(JSON.parse(relayed) as { readonly Acks: readonly string[] }).Acks].sort(), [
      'f1',
      'f2',
      's1',
      's2',
    ]);
    await agent('s1').cli('event', 'deploy', 'v1');
    await until('the event reaches s2', () => /deploy/.test(agent('s2').log) || 'not in its log', 45_000);
    for (const name of ['f1', 'f2']) {
      assert.ok(node(name).serf.stats.queryClock > 3, 'queries were witnessed');
      await until(`${name} witnesses the event`, () => node(name).serf.stats.eventClock > 1 || 'not yet', 45_000);
    }
  });

  it('sends user events and queries that agents take, and hears who acknowledges', async () => {
    const payload = utf8('v2');
    const sent = await node('f1').ask((requestId) => ({
      kind: 'userEvent',
      requestId,
      name: 'release',
      payload,
      coalesce: false,
    }));
    assert.deepEqual(sent, { kind: 'done' });
    for (const name of ['s1', 's2'])
      await until(
        `the event reaches ${name}`,
        () => /user-event: release/.test(agent(name).log) || 'not in its log',
        45_000,
      );
    const parameters = { name: 'load', payload, wantsAck: true, relayFactor: 1, timeoutMs: 2_000 };
    const ended = await node('f1').ask((requestId) => ({ kind: 'query', requestId, query: 1, parameters }));
    assert.deepEqual(ended, { kind: 'queryEnded', acks: 4, responses: 0 });
    const acks = node('f1').events.flatMap((event) => (event.kind === 'queryAck' ? [event.from] : []));
    assert.deepEqual(acks.sort(), ['f1', 'f2', 's1', 's2']);
  });

  it('stays together without a false failure and without a line of trouble in any log', async () => {
    for (const peer of agents.values()) peer.beginQuiet();
    await pause(QUIET_MS);
    await everyoneSees('f1:alive f2:alive s1:alive s2:alive', ['s1', 's2', 'f1', 'f2']);
    for (const peer of agents.values()) assert.deepEqual(peer.trouble(), [], peer.name);
    for (const shell of nodes.values()) {
      assert.deepEqual(
        shell.events.filter(({ kind }) => /^member(Left|Failed|Reaped)$|Conflict|Refused|dropped/.test(kind)),
        [],
      );
    }
  });

  it('sees an orderly leave on either side as left', async () => {
    await Promise.all([agent('s2').leave(), node('f2').leave()]);
    await everyoneSees('f1:alive f2:left s1:alive s2:left', ['s1', 'f1']);
    assert.deepEqual(agent('s1').trouble(), []);
  });

  it('takes back who left, on either side', async () => {
    await startAgent('s2', [`-join=${node('f1').address.host}:${node('f1').address.port}`], agent('s2').address);
    // One after the other: news is not gossiped to those who are held for left, so of two who come back in the same instant
    // one may learn of the other with the next push/pull only, up to half a minute later.
    await everyoneSees('f1:alive f2:left s1:alive s2:alive', ['s1', 'f1']);
    await startNode('f2', node('f2').address);
    await node('f2').join(agent('s1').address);
    await everyoneSees('f1:alive f2:alive s1:alive s2:alive', ['s1', 's2', 'f1', 'f2']);
  });

  it('sees killed processes on either side as failed, takes back one pair, and forces out and forgets the other', async () => {
    const joinOurs = `-join=${node('f1').address.host}:${node('f1').address.port}`;
    await Promise.all([startNode('f3'), startAgent('s3', [joinOurs]), startNode('f4'), startNode('f5')]);
    for (const name of ['f3', 'f4', 'f5']) await node(name).join(agent('s1').address);
    await everyoneSees(`${'f1 f2 f3 f4 f5 s1 s2 s3'.split(' ').join(':alive ')}:alive`, ['s1', 'f1', 's2', 'f2']);

    // Half of them stay: with fewer to confirm a suspicion, Lifeguard would take its time.
    const stayed = 'f1:alive f4:alive f5:alive s1:alive';
    await Promise.all([agent('s2').kill(), agent('s3').kill(), node('f2').close(), node('f3').close()]);
    await everyoneSees(`${stayed} f2:failed f3:failed s2:failed s3:failed`, ['s1', 'f1'], FAILURE_MS);

    await startAgent('s2', [joinOurs], agent('s2').address);
    await everyoneSees(`${stayed} f2:failed f3:failed s2:alive s3:failed`, ['s1', 'f1']);
    await startNode('f2', node('f2').address);
    await node('f2').join(agent('s1').address);
    // Whoever is new has never met the dead.
    await everyoneSees(`${stayed} f2:alive f3:failed s2:alive s3:failed`, ['s1', 'f1']);
    await everyoneSees(`${stayed} f2:alive s2:alive`, ['s2', 'f2']);

    await agent('s1').cli('force-leave', 'f3');
    await node('f1').ask((requestId) => ({ kind: 'forceLeave', requestId, node: 's3', prune: false }));
    await everyoneSees(`${stayed} f2:alive f3:left s2:alive s3:left`, ['s1', 'f1']);
    await agent('s1').cli('force-leave', '-prune', 'f3');
    await node('f1').ask((requestId) => ({ kind: 'forceLeave', requestId, node: 's3', prune: true }));
    await everyoneSees(`${stayed} f2:alive s2:alive`, ['s1', 's2', 'f1', 'f2']);
  });

  it('makes an agent give up that comes under the name of another, and keeps the first', async () => {
    const [bind, rpc] = [await freePort(), await freePort()];
    const { host, port } = node('f1').address;
    const args = [
      'agent',
      '-node=s1',
      `-bind=127.0.0.1:${bind}`,
      `-rpc-addr=127.0.0.1:${rpc}`,
      `-join=${host}:${port}`,
    ];
    const twin = new PeerProcess('serf', args);
    try {
      await until('the twin gives up', () => twin.hasEnded || 'it still runs', 45_000);
      assert.match(twin.lines.join('\n'), /minority in name conflict resolution/);
      assert.ok((await agent('s1').statuses()).includes('f1:alive'));
      assert.equal(node('f1').serf.member('s1')?.address.port, agent('s1').address.port);
    } finally {
      await twin.stop();
    }
  });
});
