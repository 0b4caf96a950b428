/** `npm start` as a newcomer meets it: from a terminal and from a script, once and again, one and three at a time. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectManagement } from '../../src/client.ts';
import { skipWithout } from '../peers/peer.ts';
import { ROOT } from '../tools/source-tree.ts';
import { freshClusterName } from './node-process.ts';

/** The build that `npm start` would begin with is the one that this test runs from; rebuilding it would disturb the other tests. */
const NPM_START: readonly string[] = ['start', '--ignore-scripts', '--silent', '--'];
const PATIENCE_MS = 90_000;
const CTRL_C = '\u0003';

const state = mkdtempSync(join(tmpdir(), 'funknode-start-'));
const started: NpmStart[] = [];

interface Identity {
  readonly id: string;
  readonly dataDir: string;
  readonly clusterId: string;
}

interface Started {
  readonly id: string;
  readonly dataDir: string;
  readonly endpoints: Readonly<Record<string, string>>;
}

function everything(): string {
  return started.map(({ output }) => output).join('\n');
}

/** One `npm start` in its own process group, as in a terminal of its own. */
class NpmStart {
  readonly child: ChildProcess;
  output = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(command: string, args: readonly string[], folder = state) {
    const env = { ...process.env, XDG_STATE_HOME: folder, NO_COLOR: '1' };
    this.child = spawn(command, [...args], { cwd: ROOT, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    this.ended = new Promise((resolve) => this.child.once('close', (code, signal) => resolve({ code, signal })));
    started.push(this);
  }

  static piped(cluster: string, folder?: string): NpmStart {
    return new NpmStart('npm', [...NPM_START, '--log-format', 'json', '--cluster-name', cluster], folder);
  }

  /** Resolves with the match when the output holds the pattern. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (const end = performance.now() + PATIENCE_MS; ; await sleep(20)) {
      const found = pattern.exec(this.output);
      if (found !== null) return found;
      const isOver = this.child.exitCode !== null || performance.now() > end;
      if (isOver) assert.fail(`never said ${String(pattern)}:\n${this.output}\n\nAll have said:\n${everything()}`);
    }
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** What a Ctrl-C in a terminal is: a SIGINT to every process of the foreground group. */
  interrupt(): void {
    process.kill(-(this.child.pid as number), 'SIGINT');
  }

  async stopsInOrder(): Promise<void> {
    this.interrupt();
    assert.deepEqual(await this.ended, { code: 0, signal: null }, this.output);
    assert.match(this.output, /left in order/);
  }

  async identity(): Promise<Identity> {
    await this.says(/"to":"Operational"/);
    const line = await this.says(/^\{.*"event":"started".*$/m);
    const { id, dataDir, endpoints } = JSON.parse(line[0]) as Started;
    using client = await connectManagement(String(endpoints['ep.clusterfunk.management']), {
      connectTimeoutMs: 60_000,
    });
    const { status } = await client.status();
    return { id, dataDir, clusterId: status.clusterId };
  }
}

describe('npm start', () => {
  after(async () => {
    for (const { child, isRunning } of started) if (isRunning) process.kill(-(child.pid as number), 'SIGKILL');
    await Promise.all(started.map(({ ended }) => ended));
    rmSync(state, { recursive: true, force: true });
  });

  it('is Operational, ends with 0 when the process group is interrupted, and is the same node the next time', async (t) => {
    const cluster = freshClusterName();
    const begunAt = performance.now();
    const first = NpmStart.piped(cluster);
    const identity = await first.identity();
    t.diagnostic(`npm start to Operational: ${Math.round(performance.now() - begunAt)} ms`);
    assert.equal(identity.dataDir, join(state, 'funknode', cluster, '1'));
    await first.stopsInOrder();
    const second = NpmStart.piped(cluster);
    assert.deepEqual(await second.identity(), identity);
    assert.doesNotMatch(second.output, /clusterFounded/);
    await second.stopsInOrder();
  });

  it('takes three slots three times, and brings the same three nodes back to the same cluster', async () => {
    const cluster = freshClusterName();
    const identities = async (nodes: readonly NpmStart[]): Promise<string[]> => {
      for (const node of nodes) await node.says(/3334,?.*of 10000 shards[\s\S]*"to":"Operational"/);
      const all = await Promise.all(nodes.map((node) => node.identity()));
      assert.equal(new Set(all.map(({ clusterId }) => clusterId)).size, 1);
      return all.map(({ id, dataDir, clusterId }) => `${clusterId} ${id} ${dataDir}`).sort();
    };
    const three = (): NpmStart[] => [1, 2, 3].map(() => NpmStart.piped(cluster));
    const before = three();
    const ids = await identities(before);
    assert.deepEqual(ids.map((line) => line.split('/').at(-1)).sort(), ['1', '2', '3']);
    await Promise.all(before.map((node) => node.stopsInOrder()));
    const after = three();
    assert.deepEqual(await identities(after), ids);
    // One after the other this time: whoever is left goes on, and stands alone at the end.
    for (const node of after) await node.stopsInOrder();
    const alone = NpmStart.piped(cluster);
    const { clusterId, id } = await alone.identity();
    assert.ok(ids.some((line) => line.startsWith(`${clusterId} ${id} `)));
    await alone.stopsInOrder();
  });

  it('shows a banner on a terminal, and leaves with a Ctrl-C there', { skip: skipWithout('script') }, async () => {
    const words = ['npm', ...NPM_START, '--cluster-name', freshClusterName()];
    const terminal = new NpmStart('script', [
      '--quiet',
      '--return',
      '--command',
      `exec ${words.join(' ')}`,
      '/dev/null',
    ]);
    await terminal.says(/state Operational/);
    assert.match(terminal.output, /^funknode \d+\.\d+\.\d+/m);
    for (const name of ['node', 'cluster', 'interface', 'gossip', 'raft', 'management', 'liveness', 'data', 'try'])
      assert.match(terminal.output, new RegExp(`^ {2}${name} `, 'm'));
    terminal.child.stdin?.write(CTRL_C);
    assert.deepEqual(await terminal.ended, { code: 0, signal: null }, terminal.output);
    assert.match(terminal.output, /stopped: left in order/);
  });
});
