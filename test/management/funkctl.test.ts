/**
 * `funkctl` as people and scripts run it, against servers with fake nodes behind them. Each verb has a process of its own once; further runs share one.
 */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { Discovery } from '../../src/discovery/discovery.ts';
import { FakeNodeHandle, fakeMember, fakeView } from '../fake-node-handle.ts';
import { type ClusterOfTwo, clusterOfTwo, type ServedNode, serve } from './cluster-of-two.ts';
import type { Ended } from '../tools/hosted-program.ts';
import { again, PROGRAM, run, start } from './funkctl-program.ts';

/** Stands in no name of a cluster that anybody runs. */
const NO_CLUSTER = `funkctl-test-${process.pid}`;

/** The table as rows of cells; cells stand at least one blank apart. */
function rows(out: string): string[][] {
  return out
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}

describe('funkctl: showing', () => {
  let cluster: ClusterOfTwo;
  before(async () => {
    cluster = await clusterOfTwo();
  });
  after(() => cluster[Symbol.asyncDispose]());
  const ask = (...args: string[]): Promise<Ended> => run(['-e', cluster.follower.address, ...args]);
  const askAgain = (...args: string[]): Promise<Ended> => again(['-e', cluster.follower.address, ...args]);

  it('status: an aligned list', async () => {
    const { code, out, err } = await ask('status');
    assert.deepEqual([code, err], [0, '']);
    const lines = new Map(
      out
        .trimEnd()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    );
    assert.equal(lines.get('Cluster name'), 'demo');
    assert.match(lines.get('Created at') ?? '', /^Tue, 14 Nov 2023 22:13:20 GMT \(\d+d .*\ds ago\)$/);
    assert.deepEqual(
      ['Node ID', 'State', 'Role', 'Leader ID', 'Nodes', 'Shards'].map((name) => lines.get(name)),
      ['n2', 'Operational for 10s', 'Follower', 'n1', '3 Raft, 2 Serf', '100, 33 here'],
    );
    assert.match(lines.get('Your IP') ?? '', /^127\.0\.0\.1:\d+$/);
    const columns = new Set(
      out
        .trimEnd()
        .split('\n')
        .map((line) => /^[^:]*:\s+/.exec(line)?.[0].length),
    );
    assert.equal(columns.size, 1);
  });

  it('status: says what is waited for and what to do', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n9', state: 'Voting' })));
    const nodes = [fakeView({ id: 'n1' }).id];
    const calm = await again(['-e', node.address, 'status']);
    assert.match(calm.out, /Voters: +3: the loss of 1 can be survived\n/);
    const dead = node.handle
      .view()
      .members.map((one) => (one.name === 'n3' ? { ...one, status: 'failed' as const } : one));
    node.handle.change({ members: dead });
    const one = await again(['-e', node.address, 'status']);
    assert.match(one.out, /Voters: +3: 1 is down, and no further loss can be survived\n/);
    node.handle.change({ waiting: { reason: 'quorum', nodes, since: 57_000, advice: 'start n1 again' } });
    const { code, out } = await again(['-e', node.address, 'status']);
    assert.equal(code, 0);
    assert.match(out, /Voters: +3: 1 missing, and the rest is no majority\n/);
    assert.match(out, /Waiting for: +quorum of n1 for 3\.0s: start n1 again\n/);
    assert.match(out, /Leader ID: +none\n/);
    await node.server.close();
  });

  it('nodes: the leader starred, then who reports and who leads', async () => {
    const { code, out } = await ask('nodes');
    assert.equal(code, 0);
    const expected = [
      '  Node ID Raft  Serf',
      '* n1      Voter alive',
      '  n2      Voter alive',
      '  n3      Voter failed',
      '',
      'Reporting node: n2   Leader node: n1',
      '',
    ];
    assert.equal(out, expected.join('\n'));
  });

  it('nodes: refused by a cluster that is not Operational, with advice', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', state: 'Voting' })));
    const { code, out, err } = await run(['-e', node.address, 'nodes']);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^funkctl: Cluster is not in operational state; .*funkctl members.*\n$/);
    await node.server.close();
  });

  it('members: name, role, age, state, address, heartbeat; addresses and tags when asked', async () => {
    const { out } = await ask('members');
    assert.deepEqual(rows(out), [
      ['NAME', 'ROLE', 'AGE', 'STATE', 'API-ADDR', 'HEARTBEAT'],
      ['n1', 'Leader', '50s', 'alive', cluster.leader.address, '0.5s'],
      ['n2', 'Follower', '50s', 'alive', cluster.follower.address, '0.0s'],
      ['n3', 'Follower', '50s', 'failed', '-', '0.5s'],
    ]);
    const tagged = rows((await askAgain('members', '--tags')).out);
    assert.deepEqual(tagged[0]?.slice(-2), ['ADDRESS', 'TAGS']);
    assert.match(tagged[3]?.at(-1) ?? '', /ep\.raft=10\.0\.0\.3:7947,/);
  });

  it('members: what peers call themselves cannot steer the terminal', async () => {
    const view = fakeView({ id: 'n1', members: [{ name: 'n1' }] });
    const evil = { ...fakeMember({ name: 'n2' }), name: 'a\u001b[2Jb\r' };
    const node = await serve(new FakeNodeHandle({ ...view, members: [...view.members, evil] }));
    const { out } = await again(['-e', node.address, 'members']);
    assert(!out.includes('\u001b') && !out.includes('\r'));
    assert(out.includes('a\\x1b[2Jb\\x0d'));
    await node.server.close();
  });

  it('endpoints: a tree, a table, name=value and JSON by node', async () => {
    const tree = (await ask('endpoints', '--filter', 'ep.raft')).out;
    const rule = '-'.repeat(48);
    assert.equal(
      tree,
      `${rule}\nNode: n1, Service: demo\n  \\- ep.raft -> 10.0.0.1:7947\n${rule}\nNode: n2, Service: demo\n  \\- ep.raft -> 10.0.0.2:7947\n`,
    );
    assert.match(
      (await askAgain('endpoints')).out,
      /\n {2}\|- ep\.raft -> 10\.0\.0\.1:7947\n {2}\\- ep\.serf -> 10\.0\.0\.1:7946\n/,
    );
    assert.deepEqual(rows((await askAgain('endpoints', 'serf', '--format=plain')).out), [
      ['Node', 'Service', 'Name', 'Endpoint'],
      ['n1', 'demo', 'ep.serf', '10.0.0.1:7946'],
      ['n2', 'demo', 'ep.serf', '10.0.0.2:7946'],
    ]);
    assert.equal(
      (await askAgain('endpoints', 'serf', '--format', 'namevalue', '--show-inactive')).out,
      'n1.demo.ep.serf=10.0.0.1:7946\nn2.demo.ep.serf=10.0.0.2:7946\nn3.demo.ep.serf=10.0.0.3:7946\n',
    );
    const json = { nodeId: 'n1', service: 'demo', endpoints: [{ name: 'ep.raft', listenAddress: '10.0.0.1:7947' }] };
    assert.deepEqual(JSON.parse((await askAgain('endpoints', 'raft', '--format=json')).out).n1, json);
    assert.equal((await askAgain('endpoints', '--service', 'other')).out, '');
  });

  it('shards: count and percent per node, then the total', async () => {
    const { code, out } = await ask('shards');
    assert.equal(code, 0);
    const expected = [
      'Node ID Shards Percent',
      'n1      34     (34.0%)',
      'n2      33     (33.0%)',
      'n3      33     (33.0%)',
      '',
      'Reporting node: n2    Total shards: 100',
      '',
    ];
    assert.equal(out, expected.join('\n'));
  });

  it('prints JSON with stable names for every verb', async () => {
    const keys = async (...args: string[]): Promise<string[]> => {
      const { code, out } = await askAgain(...args, '--json');
      assert.equal(code, 0);
      return Object.keys(JSON.parse(out)).sort();
    };
    assert.deepEqual(await keys('nodes'), ['leaderId', 'nodeId', 'nodes']);
    assert.deepEqual(await keys('members'), ['leaderId', 'members', 'nodeId']);
    assert.deepEqual(await keys('shards'), [
      'committedAt',
      'nextShardCount',
      'nodeId',
      'owners',
      'pendingVersion',
      'shardCount',
      'version',
    ]);
    assert.deepEqual(await keys('endpoints', 'raft'), ['n1', 'n2']);
    const status = JSON.parse((await askAgain('--json', 'status')).out);
    assert.equal(status.state, 'Operational');
    assert.equal(status.endpoints['ep.clusterfunk.management'], cluster.follower.address);
    const members = JSON.parse((await askAgain('members', '--json')).out);
    assert.equal(members.members[0].tags['ep.raft'], '10.0.0.1:7947');
  });
});

describe('funkctl: steering', () => {
  it('adds and removes by position or by clusterfunk’s flag', async () => {
    for (const flag of [[], ['-N'], ['--id']]) {
      const joiner = { name: 'n4', raft: '', tags: { 'ep.raft': '10.0.0.4:7947' } } as const;
      await using cluster = await clusterOfTwo([joiner]);
      const endpoint = ['--endpoint', cluster.follower.address];
      const give = flag.length === 0 ? run : again;
      const added = await give([...endpoint, 'node', 'add', ...flag, 'n4']);
      assert.deepEqual(added, { code: 0, out: 'Node n4 added to cluster\n', err: '' });
      const removed = await give(['node', 'rm', ...flag, 'n4', '-z', ...endpoint]);
      assert.deepEqual(removed, { code: 0, out: 'Node n4 removed from cluster\n', err: '' });
    }
  });

  it('makes the leader step down and says who did', async () => {
    await using cluster = await clusterOfTwo();
    const { code, out } = await run(['-e', cluster.follower.address, 'step-down']);
    assert.deepEqual([code, out], [0, 'Leader node n1 has stepped down\nLeader node n2 has taken over\n']);
  });

  it('drains the node that is asked or the one that is named', async () => {
    await using cluster = await clusterOfTwo();
    assert.equal((await run(['-e', cluster.follower.address, 'drain', 'n1'])).out, 'Node n1 is drained\n');
    assert.equal(cluster.leader.handle.view().state, 'Draining');
    assert.equal(cluster.follower.handle.view().state, 'Operational');
    const json = await again(['-e', cluster.follower.address, 'drain', '--json']);
    assert.deepEqual(JSON.parse(json.out), { nodeId: 'n2', drained: true });
    const unknown = await again(['-e', cluster.follower.address, 'drain', 'nobody']);
    assert.deepEqual([unknown.code, unknown.out], [1, '']);
  });

  it('joins addresses', async () => {
    await using cluster = await clusterOfTwo();
    const { code, out } = await run(['-e', cluster.leader.address, 'join', '10.9.9.9:7946', '10.9.9.8']);
    assert.deepEqual([code, out], [0, '2 of 2 addresses answered\n']);
  });
});

describe('funkctl: exit codes', () => {
  let cluster: ClusterOfTwo;
  before(async () => {
    cluster = await clusterOfTwo();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const oneLine = (err: string): void => assert.match(err, /^funkctl: [^\n]+\n$/);

  it('1: the request was refused', async () => {
    const { code, out, err } = await run(['-e', cluster.leader.address, 'node', 'add', 'n1']);
    assert.deepEqual([code, out, err], [1, '', 'funkctl: node n1 is a voter already\n']);
  });

  it('2: wrong usage, which says what would be right', async () => {
    const wrong = [
      ['nosuchverb'],
      ['status', '--nosuch'],
      ['node', 'add'],
      ['join'],
      ['keys', 'use'],
      ['keys', 'forge', 'AA=='],
      ['endpoints', '--format=xml'],
      ['--timeout=soon', 'status'],
      ['-z=perhaps', 'status'],
      [],
      ['-e', 'no:port', 'status'],
    ];
    // Commander ends with it, and so do we ourselves: a process of its own for the first and the last.
    for (const [at, args] of wrong.entries()) {
      const { code, out, err } = await (at === 0 || at === wrong.length - 1 ? run : again)(args);
      assert.deepEqual([code, out], [2, ''], args.join(' '));
      assert(err.length > 0);
    }
  });

  it('3: nobody answers', async () => {
    const dead = await run(['-e', '127.0.0.1:1', 'status']);
    assert.deepEqual([dead.code, dead.out], [3, '']);
    oneLine(dead.err);
    const none = await again(['-n', NO_CLUSTER, '-z=false', 'status']);
    assert.equal(none.code, 3);
    oneLine(none.err);
    assert.match(none.err, /--endpoint/);
  });

  it('3: something else listens there, and the process does not hang on it', async () => {
    const sockets: Socket[] = [];
    const mute = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    await once(mute.listen(0, '127.0.0.1'), 'listening');
    const { port } = mute.address() as { port: number };
    const { code, err } = await run(['-e', `127.0.0.1:${port}`, '--timeout', '300ms', 'status']);
    assert.equal(code, 3);
    oneLine(err);
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  it('4: no answer in time', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1' })), { stopGraceMs: 1 });
    node.handle.answers.drain = () => new Promise(() => undefined);
    const { code, err } = await run(['-e', node.address, '--timeout', '300ms', 'drain']);
    assert.equal(code, 4);
    assert.match(err, /^n1: 34 shards left\nfunkctl: [^\n]+ did not answer in time\n$/);
    await node.server.close();
  });

  it('0: help and version, without loading what they do not need', async () => {
    const help = await run(['--help']);
    assert.equal(help.code, 0);
    for (const verb of [
      'status',
      'nodes',
      'members',
      'endpoints',
      'shards',
      'watch',
      'node',
      'step-down',
      'drain',
      'join',
      'keys',
      'keygen',
      'diag',
    ]) {
      assert.match(help.out, new RegExp(`^  ${verb}\\b`, 'm'));
    }
    assert.match((await run(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
    const traced = await new Promise<string>((resolve) => {
      const code = `process.argv = [process.argv[0], ${JSON.stringify(PROGRAM)}, '--help'];
        process.on('exit', () => console.error(Object.keys(require.cache).join()));
        import(${JSON.stringify(PROGRAM)});`;
      const child = spawn(process.execPath, ['-e', code]);
      let err = '';
      child.stderr.on('data', (chunk) => {
        err += chunk;
      });
      child.on('close', () => resolve(err));
    });
    assert.match(traced, /commander/);
    assert.doesNotMatch(traced, /grpc-js|protobufjs|multicast-dns/);
  });
});

describe('funkctl: finding a node', () => {
  it('takes FUNKCTL_ENDPOINT, and --endpoint before it', async () => {
    await using cluster = await clusterOfTwo();
    const env = { FUNKCTL_ENDPOINT: cluster.follower.address };
    assert.equal(JSON.parse((await run(['status', '--json'], env)).out).nodeId, 'n2');
    const named = await again(['status', '--json', '-e', cluster.leader.address], env);
    assert.equal(JSON.parse(named.out).nodeId, 'n1');
  });

  it('finds one by mDNS, past those that are dead', async () => {
    const clusterName = NO_CLUSTER;
    const view = { ...fakeView({ id: 'n2', leader: 'n2' }), clusterName };
    const node: ServedNode = await serve(new FakeNodeHandle(view));
    const on = { address: '127.0.0.1', name: 'lo' };
    const announce = async (nodeId: string, port: number): Promise<Discovery> => {
      const random = new SeededRandom(port);
      const discovery = new Discovery({ interface: on, clusterName, nodeId, random });
      discovery.announce({ mgmt: { host: '127.0.0.1', port } });
      await discovery.start();
      return discovery;
    };
    const dead = await announce('n1', 1);
    const alive = await announce('n2', node.server.endpoint.port);
    const options = ['--interface', '127.0.0.1', '--cluster-name', clusterName];
    const { code, out, err } = await run([...options, 'status', '--json']);
    assert.equal(err, '');
    assert.deepEqual([code, JSON.parse(out).nodeId], [0, 'n2']);
    const diag = rows((await run([...options, '--timeout', '1s', 'diag'])).out);
    assert.deepEqual(diag[0], ['Instance', 'HostName', 'Port', 'IPv4', 'IPv6']);
    assert.deepEqual(
      diag.slice(1).map(([instance, , port, ip]) => [instance, port, ip]),
      [
        [`${clusterName}_mgmt_n1`, '1', '127.0.0.1'],
        [`${clusterName}_mgmt_n2`, String(node.server.endpoint.port), '127.0.0.1'],
      ],
    );
    await Promise.all([dead.stop(), alive.stop()]);
    const none = await again([...options, 'status']);
    assert.deepEqual([none.code, none.out], [3, '']);
    assert.match(none.err, /mDNS/);
    await node.server.close();
  });
});

describe('funkctl watch', () => {
  /** Lines as they come. */
  async function* linesOf(child: ChildProcessWithoutNullStreams): AsyncGenerator<string, void, undefined> {
    let rest = '';
    for await (const chunk of child.stdout) {
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
  }

  async function until(lines: AsyncGenerator<string, void, undefined>, wanted: RegExp): Promise<string> {
    for (;;) {
      const { value } = await lines.next();
      assert(typeof value === 'string', `the watch ended before ${wanted}`);
      if (wanted.test(value)) return value;
    }
  }

  it('prints the picture, then one line per change, and ends well when interrupted', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' })));
    const child = start(['-e', node.address, 'watch']);
    const lines = linesOf(child);
    await until(lines, /^\d\d:\d\d:\d\d node n1 of demo: Operational, Leader, term 3, leader n1$/);
    await until(lines, /member n3 alive, Follower, 10\.0\.0\.3:7946$/);
    await until(lines, /shard map 40 of 100: n1 34, n2 33, n3 33$/);
    node.handle.enter('Resharding');
    await until(lines, /state Operational -> Resharding$/);
    node.handle.change({
      members: node.handle.view().members.map((one) => (one.name === 'n3' ? { ...one, status: 'failed' } : one)),
    });
    node.handle.emit({ kind: 'warning', text: 'two clusters of one name' });
    await until(lines, /member n3 alive -> failed$/);
    await until(lines, /warning: two clusters of one name$/);
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0);
    await node.server.close();
  });

  it('prints JSON lines, without ten thousand numbers unless asked', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' })));
    for (const full of [false, true]) {
      const child = start(['-e', node.address, 'watch', '--json', ...(full ? ['--full'] : [])]);
      const lines = linesOf(child);
      const seen = new Map<string, Record<string, unknown>>();
      while (!seen.has('synced')) {
        const line = JSON.parse(await until(lines, /^\{/));
        assert.match(line.at, /^\d{4}-\d\d-\d\dT/);
        seen.set(line.kind, line);
      }
      assert.deepEqual([...seen.keys()], ['status', 'members', 'shardMap', 'synced']);
      const map = seen.get('shardMap')?.['shardMap'];
      assert(typeof map === 'object' && map !== null);
      assert.equal('ownerOf' in map, full);
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await node.server.close();
  });

  it('ends with 3 when the node goes, and with 0 when its reader does', async () => {
    const node = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' })));
    const cut = start(['-e', node.address, 'watch']);
    await until(linesOf(cut), /shard map/);
    const piped = start(['-e', node.address, 'watch']);
    piped.stdout.destroy();
    while (node.server.stats().streams < 2 && piped.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 20));
    node.handle.enter('Voting');
    const [pipedCode] = piped.exitCode === null ? ((await once(piped, 'exit')) as [number | null]) : [piped.exitCode];
    assert.equal(pipedCode, 0);
    const closed = once(cut, 'exit');
    await node.server.close();
    const [code] = (await closed) as [number | null];
    assert.equal(code, 3);
  });
});
