/** Every verb of `funkctl` against a real cluster: as a program of its own the first time, and in one process what is asked once more. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ended, HostedProgram } from '../tools/hosted-program.ts';
import { FUNKCTL, type NodeProcess, settled } from './node-process.ts';
import { started } from './program-runs.ts';

const hosted = new HostedProgram(FUNKCTL);

type Run = (...words: readonly string[]) => Promise<Ended>;

const again: Run = (...words) => hosted.run(words);

const run: Run = async (...words) => {
  const { code, stdout, stderr } = await started(FUNKCTL, words);
  return { code, out: stdout, err: stderr };
};

/** Expects success; the output. On a busy machine a lease may lapse: a cluster that reshards is asked again. */
async function successOf(tool: Run, words: readonly string[]): Promise<string> {
  let outcome = await tool(...words);
  for (let tries = 1; tries < 20 && /not in operational state/.test(outcome.err); tries++)
    outcome = await tool(...words);
  assert.equal(outcome.code, 0, `funkctl ${words.join(' ')}: ${outcome.err}`);
  return outcome.out;
}

function ok(...words: readonly string[]): Promise<string> {
  return successOf(run, words);
}

async function json<T = Record<string, unknown>>(...words: readonly string[]): Promise<T> {
  return JSON.parse(await successOf(again, [...words, '--json'])) as T;
}

/** Shows and steers three voters and a non-voter `nv`, which is drained in the end. */
export async function obeysEveryVerb(cluster: string, nodes: readonly NodeProcess[]): Promise<void> {
  const { clusterId } = await settled(nodes, { voters: 3 });
  const asked = nodes.find(({ id }) => id === 'nv') as NodeProcess;
  const to = ['--endpoint', await asked.endpoint('ep.clusterfunk.management')];
  await showsAll(to, { cluster, clusterId });
  await findsThemItself(cluster, to);
  await steers(to, nodes);
  await watches(to);

  const refused = await run(...to, 'node', 'add', 'nobody');
  assert.equal(refused.code, 1);
  assert.match(refused.err, /nobody/);
  assert.equal((await again(...to, 'node', 'add')).code, 2);
  assert.equal((await again('--endpoint', '127.0.0.1:1', 'status')).code, 3);
}

async function showsAll(
  to: readonly string[],
  { cluster, clusterId }: { cluster: string; clusterId: string },
): Promise<void> {
  const status = await ok(...to, 'status');
  assert.match(status, new RegExp(`^Cluster name:\\s+${cluster}$`, 'm'));
  assert.match(status, /^Role:\s+NonVoter$/m);
  assert.match(status, /^Nodes:\s+3 Raft, 4 Serf$/m);
  const told = await json(...to, 'status');
  assert.deepEqual([told['nodeId'], told['clusterId'], told['voterCount']], ['nv', clusterId, 3]);
  assert.match(await ok(...to, 'nodes'), /^\* n\d +Voter +alive$/m);
  const { nodes } = await json<{ nodes: readonly { readonly nodeId: string; readonly raftState: string }[] }>(
    ...to,
    'nodes',
  );
  assert.deepEqual(nodes.map(({ nodeId, raftState }) => `${nodeId}:${raftState}`).sort(), [
    'n1:Voter',
    'n2:Voter',
    'n3:Voter',
    'nv:',
  ]);
  const members = await ok(...to, 'members');
  assert.match(members, /^NAME +ROLE +AGE +STATE +API-ADDR +HEARTBEAT$/m);
  assert.match(members, /^nv +NonVoter +\S+ +alive +127\.0\.0\.1:\d+ +\S+$/m);
  const { members: list } = await json<{ members: readonly { readonly name: string }[] }>(...to, 'members');
  assert.deepEqual(list.map(({ name }) => name).sort(), ['n1', 'n2', 'n3', 'nv']);
  assert.match(await ok(...to, 'endpoints', 'raft'), /^Node: n1, Service: .*\n {2}\\- ep\.raft -> 127\.0\.0\.1:\d+$/m);
  assert.match(
    await ok(...to, 'endpoints', '--format', 'namevalue'),
    new RegExp(`^n2\\.${cluster}\\.ep\\.serf=127`, 'm'),
  );
  assert.deepEqual(Object.keys(await json(...to, 'endpoints')).sort(), ['n1', 'n2', 'n3', 'nv']);
  assert.match(await ok(...to, 'shards'), /^nv +2500 +\(25\.0%\)$/m);
  const { owners } = await json<{ owners: readonly { readonly shardCount: number }[] }>(...to, 'shards');
  assert.deepEqual(
    owners.map(({ shardCount }) => shardCount),
    [2_500, 2_500, 2_500, 2_500],
  );
}

/** Without an endpoint the tool looks for one by multicast; the environment may name one too. */
async function findsThemItself(cluster: string, to: readonly string[]): Promise<void> {
  const here = ['--cluster-name', cluster, '--interface', '127.0.0.1'];
  assert.match(await ok(...here, 'status'), new RegExp(`^Cluster name:\\s+${cluster}$`, 'm'));
  const found = await json<Record<string, unknown> | unknown[]>(...here, 'diag');
  for (const id of ['n1', 'n2', 'n3', 'nv'])
    for (const kind of ['mgmt', 'serf'])
      assert.ok(JSON.stringify(found).includes(`${cluster}_${kind}_${id}`), kind + id);
  assert.equal((await json(...to, 'status'))['nodeId'], 'nv');
}

async function steers(to: readonly string[], nodes: readonly NodeProcess[]): Promise<void> {
  const before = await settled(nodes, { voters: 3 });
  assert.match(await ok(...to, 'step-down'), new RegExp(`^Leader node ${before.leader} has stepped down`));
  const { leader } = await settled(nodes, { voters: 3 });
  assert.notEqual(leader, before.leader);

  const follower = nodes.find(({ id }) => id !== leader && id !== 'nv') as NodeProcess;
  assert.match(await ok(...to, 'node', 'rm', follower.id), new RegExp(`^Node ${follower.id} removed from cluster`));
  await settled(
    nodes.filter((node) => node !== follower),
    { voters: 2 },
  );
  assert.doesNotMatch(await ok(...to, 'nodes'), new RegExp(`${follower.id} +Voter`));
  assert.equal((await json(...to, 'node', 'add', '--id', follower.id))['added'], true);
  await settled(nodes, { voters: 3 });

  const asked = nodes.find(({ id }) => id === 'n1') as NodeProcess;
  assert.equal((await json(...to, 'join', await asked.endpoint('ep.serf')))['answered'], 1);

  assert.deepEqual(await json(...to, 'drain', 'nv'), { nodeId: 'nv', drained: true });
  assert.doesNotMatch(await ok(...to, 'shards'), /^nv /m);
}

/** `funkctl watch | head`: who has seen enough closes the pipe, and the tool ends well with the next line that it has to tell. */
async function watches(to: readonly string[]): Promise<void> {
  const words = [process.execPath, FUNKCTL, ...to, 'watch', '--json'];
  const script = 'set -o pipefail; "$@" | head -n 3; echo "watch ended with $?"';
  const shell = spawn('bash', ['-c', script, 'bash', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [shell.stdout, shell.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  let isOver = false;
  const closed = new Promise((resolve) => shell.once('close', resolve)).then(() => {
    isOver = true;
  });
  while (!isOver) {
    await again(...to, 'step-down');
    await Promise.race([closed, sleep(500)]);
  }
  const lines = text.trim().split('\n');
  assert.equal(lines.pop(), 'watch ended with 0', text);
  assert.deepEqual(lines.map((line) => (JSON.parse(line) as { readonly kind: string }).kind).slice(0, 2), [
    'status',
    'members',
  ]);
}
