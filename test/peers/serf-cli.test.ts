/**
 * The stock `serf` command line drives a funknode: every command is given to a real agent and to a funknode of the same cluster, and
 * what it prints, and how it exits, is compared.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { FunknodeProgram } from './funknode-program.ts';
import { freePort, pause, skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';
import {
  type CliResult,
  exactly,
  firstLine,
  inAnyOrder,
  infoShape,
  jsonInAnyOrder,
  memberRows,
  monitoredEvents,
  noKeyring,
  type Normalise,
  serfCli,
  withoutFigures,
} from './serf-cli.ts';

const MEET_MS = 60_000;
const KEY = 'MDEyMzQ1Njc4OWFiY2RlZg==';
const NEXT_KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

/** A funknode whose RPC the command line is pointed at. */
async function node(name: string, args: readonly string[]): Promise<{ node: FunknodeProgram; rpc: string }> {
  const rpc = `127.0.0.1:${await freePort()}`;
  const flags = ['--role', 'non-member', '--serf-rpc-addr', rpc, ...args];
  return { node: await FunknodeProgram.start(name, flags), rpc };
}

async function seeEachOther(peers: readonly (SerfAgent | FunknodeProgram)[], wanted: string): Promise<void> {
  for (const peer of peers) {
    const seen = async (): Promise<string | true> => {
      const statuses = await peer.statuses();
      return statuses === wanted || statuses;
    };
    await until(`${peer.name} sees ${wanted}`, seen, MEET_MS);
  }
}

/** Gives a command to both, and compares. The row goes into the test's output. */
async function compare(
  t: TestContext,
  rpcs: readonly [agent: string, node: string],
  args: readonly string[],
  normalise: Normalise,
): Promise<readonly [agent: CliResult, node: CliResult]> {
  const [agent, funknode] = [await serfCli(rpcs[0], args), await serfCli(rpcs[1], args)];
  const shown = `serf ${args.map((arg) => arg.replace(/x{100,}/, ({ length }) => `x*${length}`)).join(' ')}`;
  assert.deepEqual(normalise(funknode.text), normalise(agent.text), shown);
  assert.equal(funknode.exitCode, agent.exitCode, shown);
  t.diagnostic(`same, exit ${agent.exitCode}: ${shown}`);
  return [agent, funknode];
}

describe('the serf command line on a funknode', { skip: skipWithout('serf'), timeout: 240_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'funknode-serf-cli-'));
  const running: (SerfAgent | FunknodeProgram)[] = [];
  const rpcs: [string, string] = ['', ''];
  let s1: SerfAgent;
  let s2: SerfAgent;
  let f1: FunknodeProgram;

  before(async () => {
    s1 = await SerfAgent.start('s1', ['-tag', 'role=web']);
    running.push(s1);
    s2 = await SerfAgent.start('s2', [
      ...['-tag', 'role=db', `-join=${formatEndpoint(s1.address)}`],
      '-event-handler=query:uptime=echo up',
    ]);
    running.push(s2);
    const started = await node('f1', ['--tag', 'role=web', '--join', formatEndpoint(s1.address)]);
    f1 = started.node;
    running.push(f1);
    [rpcs[0], rpcs[1]] = [s1.rpc, started.rpc];
    await seeEachOther(running, 'f1:alive s1:alive s2:alive');
  });

  after(async () => {
    await Promise.all(running.map((peer) => peer.kill()));
    rmSync(folder, { recursive: true, force: true });
  });

  it('members and info', async (t) => {
    const table: readonly (readonly [readonly string[], Normalise])[] = [
      [['members'], memberRows],
      [['members', '-detailed'], memberRows],
      [['members', '-format=json'], jsonInAnyOrder],
      [['members', '-format=json', '-detailed', '-status=alive', '-tag', 'role=w.*', '-name=s.*|f.*'], jsonInAnyOrder],
      [['members', '-status=alive|failed', '-tag', 'role=d[a-c]'], memberRows],
      [['members', '-tag', 'nosuch='], memberRows],
      [['members', '-name=nobody'], exactly],
      [['members', '-name=nobody', '-format=json'], exactly],
      [['members', '-name=(', '-format=json'], exactly],
      [['info'], infoShape],
    ];
    for (const [args, normalise] of table) await compare(t, rpcs, args, normalise);
  });

  it('event and query', async (t) => {
    const table: readonly (readonly [readonly string[], Normalise])[] = [
      [['event', 'deploy', 'payload-1'], exactly],
      [['event', '-coalesce=false', 'single'], exactly],
      [['event', 'large', 'x'.repeat(600)], exactly],
      [['event', 'large', 'x'.repeat(500)], exactly],
      [['query', 'large', 'x'.repeat(1_000)], exactly],
      [['query', '-timeout=1s', '-node=nobody', 'uptime'], exactly],
      [['query', '_serf_ping', 'a'], exactly],
      [['query', '-timeout=2s', 'uptime', 'hello?'], inAnyOrder],
      [['query', '-timeout=1s', '-no-ack', '-node=s2', '-tag', 'role=db', 'uptime'], inAnyOrder],
      [['query', '-timeout=1s', '-relay-factor=2', 'uptime'], inAnyOrder],
      [['query', '-timeout=1s', '-tag', 'role=none', 'uptime'], inAnyOrder],
      [['query', '-timeout=2s', '-format=json', 'uptime'], jsonInAnyOrder],
      [['query', '_serf_x', 'a'], exactly],
      [['reachability'], exactly],
    ];
    for (const [args, normalise] of table) await compare(t, rpcs, args, normalise);
  });

  it('tags, join and rtt', async (t) => {
    const table: readonly (readonly [readonly string[], Normalise])[] = [
      [['tags', '-set', 'zone=a', '-set', 'shelf=b'], exactly],
      [['tags', '-delete', 'shelf', '-set', 'zone=c'], exactly],
      [['join', formatEndpoint(s2.address)], exactly],
      [['join', '-replay', formatEndpoint(s2.address), '127.0.0.1:1'], exactly],
      [['join', '127.0.0.1:1'], firstLine],
      [['rtt', 's1', 's2'], withoutFigures],
      [['rtt', 's1', 'f1'], withoutFigures],
      [['rtt', 's1', 'nobody'], exactly],
    ];
    for (const [args, normalise] of table) await compare(t, rpcs, args, normalise);
    await until(
      's2 sees the tags',
      async () => {
        const zones = (await s2.members()).map(({ tags }) => `${tags['zone'] ?? '-'}${tags['shelf'] ?? '-'}`).sort();
        return zones.join() === '--,c-,c-' || zones.join();
      },
      MEET_MS,
    );
  });

  it('monitor', async (t) => {
    const watching = [serfCli(rpcs[0], ['monitor', '-log-level=debug'], 5_000)];
    watching.push(serfCli(rpcs[1], ['monitor', '-log-level=debug'], 5_000));
    await pause(1_500);
    // Two of one name within a moment are one event, to both.
    await Promise.all([s2.cli('event', 'first', 'data'), s2.cli('event', 'first', 'data')]);
    await s2.cli('event', '-coalesce=false', 'second');
    await s2.cli('query', '-timeout=1s', 'third', 'question');
    await s2.cli('tags', '-set', 'seen=1');
    const [agent, funknode] = (await Promise.all(watching)) as [CliResult, CliResult];
    const events = monitoredEvents(agent.text);
    assert.deepEqual(monitoredEvents(funknode.text), events);
    assert.equal(events.length, 3, agent.text);
    const versions =
      '"DelegateCur":5, "DelegateMax":5, "DelegateMin":2, "Name":"s2", "Port":0x[0-9a-f]+, ' +
      '"ProtocolCur":2, "ProtocolMax":5, "ProtocolMin":1, "Status":"alive"';
    const updated = new RegExp(`"Addr":\\[\\]uint8{0x7f, 0x0, 0x0, 0x1}, ${versions}, .*"seen":"1"`);
    for (const { text } of [agent, funknode]) {
      assert.match(text, /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[INFO\] serf: EventMemberJoin: s2 127\.0\.0\.1$/m);
      assert.match(text, /\[INFO\] agent: Received event: user-event: first$/m);
      assert.match(text, /\[INFO\] agent: Received event: query: third$/m);
      // The only one whose order of fields and tags is Go's own: a member with all that an agent says of it.
      assert.match(text, /Event: "member-update"/);
      assert.match(text, updated);
    }
    t.diagnostic(`same: serf monitor -log-level=debug, ${events.length} events and a member`);
    await compare(t, rpcs, ['monitor', '-log-level=nonsense'], exactly);
  });

  it('force-leave', async (t) => {
    const joined = [];
    for (const name of ['d1', 'd2', 'd3', 'd4'])
      joined.push(await SerfAgent.start(name, [`-join=${formatEndpoint(s1.address)}`]));
    running.push(...joined);
    const all = (status: string): string => `d1:${status} d2:${status} d3:${status} d4:${status}`;
    const stay = [s1, s2, f1];
    await seeEachOther(stay, `${all('alive')} f1:alive s1:alive s2:alive`);
    await Promise.all(joined.map((peer) => peer.kill()));
    await seeEachOther(stay, `${all('failed')} f1:alive s1:alive s2:alive`);
    const forced = async (name: string, rpc: string, ...flags: string[]): Promise<CliResult> =>
      await serfCli(rpc, ['force-leave', ...flags, name]);
    const [agent, funknode, agentPruned, funknodePruned] = await Promise.all([
      forced('d1', rpcs[0]),
      forced('d2', rpcs[1]),
      forced('d3', rpcs[0], '-prune'),
      forced('d4', rpcs[1], '-prune'),
    ]);
    assert.deepEqual([funknode, funknodePruned], [agent, agentPruned]);
    t.diagnostic('same: serf force-leave, serf force-leave -prune');
    // Word of it is gossiped so many times and no more, to the dead as well: an operator says it again to whom it has not reached.
    const again = (): Promise<unknown> => Promise.all(['d3', 'd4'].map((name) => forced(name, s2.rpc, '-prune')));
    for (const peer of stay) {
      const seen = async (): Promise<string | true> => {
        const statuses = await peer.statuses();
        if (/d[34]/.test(statuses)) await again();
        return statuses === 'd1:left d2:left f1:alive s1:alive s2:alive' || statuses;
      };
      await until(`${peer.name} has let go`, seen, MEET_MS);
    }
    await compare(t, rpcs, ['force-leave', 'nobody'], exactly);
  });

  it('keys, and a key to be let in', async (t) => {
    await compare(t, rpcs, ['keys', '-list'], noKeyring);
    const settings = join(folder, 'agent.json');
    writeFileSync(settings, JSON.stringify({ rpc_auth: 'sekret' }));
    const k1 = await SerfAgent.start('k1', [`-encrypt=${KEY}`, `-config-file=${settings}`], undefined, 'sekret');
    running.push(k1);
    const flags = ['--join', formatEndpoint(k1.address), '--encrypt', KEY, '--serf-rpc-auth', 'sekret'];
    const { node: k2, rpc } = await node('k2', flags);
    running.push(k2);
    await seeEachOther([k1, k2], 'k1:alive k2:alive');
    const both: [string, string] = [k1.rpc, rpc];
    await compare(t, both, ['members'], exactly);
    await compare(t, both, ['members', '-rpc-auth=wrong'], exactly);
    const auth = '-rpc-auth=sekret';
    await compare(t, both, ['members', auth], memberRows);
    const table: readonly (readonly string[])[] = [
      ['keys', auth, '-list'],
      ['keys', auth, '-install', NEXT_KEY],
      ['keys', auth, '-list'],
      ['keys', auth, '-use', NEXT_KEY],
      ['keys', auth, '-remove', NEXT_KEY],
      ['keys', auth, '-remove', KEY],
      ['keys', auth, '-list'],
      ['keys', auth, '-install', 'nonsense'],
    ];
    for (const args of table) await compare(t, both, args, inAnyOrder);
  });

  it('leave', async (t) => {
    // Among the living: word of a leave is gossiped to those who have just died, too, and may then miss who is left.
    const [l1, l2] = [await SerfAgent.start('l1'), await SerfAgent.start('l2')];
    const started = await node('l3', ['--join', formatEndpoint(l1.address), '--join', formatEndpoint(l2.address)]);
    running.push(l1, l2, started.node);
    await seeEachOther([l1, l2, started.node], 'l1:alive l2:alive l3:alive');
    await compare(t, [l1.rpc, started.rpc], ['leave'], exactly);
    await seeEachOther([l2], 'l1:left l2:alive l3:left');
    await until('both processes have ended', () => (l1.hasEnded && started.node.hasEnded) || 'not yet', MEET_MS);
  });
});
