/** The program as an operator meets it: started, asked to stop, and started wrongly. Loopback only, each test its own cluster. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../cmd/funknode/main.js', import.meta.url));
const state = mkdtempSync(join(tmpdir(), 'funknode-program-'));
const started: Program[] = [];

class Program {
  readonly child: ChildProcess;
  text = '';
  readonly #ended: Promise<number>;

  constructor(...argv: string[]) {
    const env = { PATH: process.env['PATH'], XDG_STATE_HOME: state };
    this.child = spawn(process.execPath, [MAIN, '--interface', '127.0.0.1', ...argv], { env, detached: true });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
    });
    this.#ended = once(this.child, 'close').then(
      ([code, signal]) => (code as number | null) ?? -(signal as string).length,
    );
    started.push(this);
  }

  /** Resolves when stderr holds `pattern`; fails when the program ends or half a minute passes before. */
  async says(pattern: RegExp): Promise<void> {
    const timeout = AbortSignal.timeout(60_000);
    while (!pattern.test(this.text)) {
      const isOver = this.child.exitCode !== null || timeout.aborted;
      assert.ok(!isOver, `never said ${String(pattern)}:\n${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The exit code. */
  async ends(): Promise<number> {
    const late = AbortSignal.timeout(40_000);
    const code = await Promise.race([this.#ended, once(late, 'abort').then(() => 'late')]);
    assert.notEqual(code, 'late', `did not end:\n${this.text}`);
    return code as number;
  }
}

function clusterName(what: string): string {
  return `${what}-${process.pid}`;
}

describe('funknode', { concurrency: true }, () => {
  after(() => {
    for (const { child } of started) if (child.exitCode === null) child.kill('SIGKILL');
    rmSync(state, { recursive: true, force: true });
  });

  it('shows a banner, becomes Operational, and leaves in order when a Ctrl-C reaches it more than once, as npm passes it on', async () => {
    const node = new Program('--zeroconf', '--cluster-name', clusterName('sig'), '--log-format', 'text');
    await node.says(/state Operational/);
    const [banner = '', ...rest] = node.text.split('member ');
    assert.match(banner, /^funknode \d+\.\d+\.\d+\n {2}node /);
    for (const name of ['cluster', 'gossip', 'raft', 'management', 'data', 'try'])
      assert.ok(banner.includes(`  ${name} `), name);
    assert.ok(rest.length > 0);
    // Again and again until it is gone: npm may be slow to pass it on, and the node quick to leave.
    const press = (): boolean => node.child.kill('SIGINT');
    press();
    const again = setInterval(press, 1);
    assert.equal(await node.ends(), 0);
    clearInterval(again);
    assert.match(node.text, /leaving the cluster in order/);
    assert.match(node.text, /stopped: /);
  });

  it('takes one SIGTERM as an orderly stop, even right after the start', async () => {
    const node = new Program('--zeroconf', '--in-memory', '--cluster-name', clusterName('now'));
    await node.says(/funknode \d/);
    node.child.kill('SIGTERM');
    assert.equal(await node.ends(), 0);
  });

  it('refuses to start without a way to a cluster, and names the four', async () => {
    const node = new Program('--cluster-name', clusterName('lost'));
    assert.equal(await node.ends(), 78);
    for (const way of ['--zeroconf', '--join', '--bootstrap ', '--bootstrap-expect'])
      assert.ok(node.text.includes(way), way);
  });

  it('names the port that was asked for and is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const words = [
        '--zeroconf',
        '--in-memory',
        '--cluster-name',
        clusterName('port'),
        '--management-endpoint',
        `:${port}`,
      ];
      const node = new Program(...words);
      assert.equal(await node.ends(), 78);
      assert.match(node.text, new RegExp(`management-endpoint.*${port}|${port}.*management-endpoint`));
    } finally {
      server.close();
    }
  });

  it('refuses a data directory that another node holds', async () => {
    const words = ['--bootstrap', '--cluster-name', clusterName('lock'), '--data-dir', join(state, 'held')];
    const holder = new Program(...words);
    await holder.says(/state Operational/);
    const second = new Program(...words);
    assert.equal(await second.ends(), 78);
    assert.match(second.text, /held/);
    holder.child.kill('SIGTERM');
    assert.equal(await holder.ends(), 0);
  });

  it('writes one JSON object a line when nobody looks', async () => {
    const node = new Program(
      '--zeroconf',
      '--in-memory',
      '--cluster-name',
      clusterName('json'),
      '--log-format',
      'json',
    );
    await node.says(/"to":"Operational"/);
    node.child.kill('SIGTERM');
    assert.equal(await node.ends(), 0);
    const lines = node.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.ok(lines.every(({ level, time, msg }) => [level, time, msg].every((field) => typeof field === 'string')));
    assert.equal(lines.filter(({ event }) => event === 'started').length, 1);
  });
});
