/**
 * Clients of a cluster whose nodes are killed and started again, one after the other: nothing that waits is lost, and nothing is left behind. Half a
 * minute of it; ten with FUNKNODE_LONG=1, and then the figures are printed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { credentials, Metadata, status } from '@grpc/grpc-js';
import {
  CLUSTER_CHANNEL_OPTIONS,
  type ClusterReader,
  openClusterReader,
  serveClusterScheme,
  type ShardCalls,
  shardCalls,
  shardOfInteger,
} from '../../src/client.ts';
import { type EchoClient, echoClient, say } from '../routing/client/echo-server.ts';

const IS_LONG = process.env['FUNKNODE_LONG'] === '1';
const DURATION_MS = IS_LONG ? 600_000 : 25_000;
const CALL_EVERY_MS = 25;
const NAMES = ['n1', 'n2', 'n3'] as const;
const PROGRAM = fileURLToPath(new URL('programs/echo-node.js', import.meta.url));

interface Addresses {
  readonly serf: string;
  readonly management: string;
}

/** Three processes that can be killed and started under their names. */
class Nodes {
  readonly #folder = mkdtempSync(join(tmpdir(), 'funknode-churn-'));
  readonly #cluster = `churn-${process.pid}`;
  readonly #running: Map<string, { readonly child: ChildProcess; readonly at: Addresses }> = new Map();

  async start(name: string): Promise<Addresses> {
    const others = [...this.#running.values()].map(({ at }) => at.serf);
    const args = [name, join(this.#folder, name), this.#cluster, others.join(',') || 'found'];
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    lines.close();
    child.stdout.resume();
    const at = JSON.parse(line) as Addresses;
    this.#running.set(name, { child, at });
    return at;
  }

  async kill(name: string): Promise<void> {
    const child = this.#running.get(name)?.child;
    this.#running.delete(name);
    if (child === undefined) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async end(): Promise<void> {
    for (const name of NAMES) await this.kill(name);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface Tally {
  calls: number;
  readonly failures: Map<string, number>;
  longestMs: number;
}

function note(tally: Tally, code: number, ms: number): void {
  tally.calls += 1;
  tally.longestMs = Math.max(tally.longestMs, ms);
  if (code !== status.OK) tally.failures.set(status[code] ?? '', (tally.failures.get(status[code] ?? '') ?? 0) + 1);
}

/** Calls at a steady rate, whether those before are answered or not, until `signal`. */
async function load(client: EchoClient, signal: AbortSignal, tally: Tally): Promise<void> {
  const open = new Set<Promise<void>>();
  for (let key = 0; !signal.aborted; key++) {
    const began = performance.now();
    const call = say(client, String(key), { metadata: new Metadata(), timeoutMs: 60_000, waitForReady: true }).then(
      ({ code }) => note(tally, code, performance.now() - began),
    );
    open.add(call);
    void call.then(() => open.delete(call));
    await sleep(CALL_EVERY_MS);
  }
  await Promise.all(open);
}

interface Sample {
  readonly heapKb: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly channels: number;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function sample(calls: ShardCalls): Sample {
  for (let round = 0; round < 3; round++) collectGarbage();
  const resources: Record<string, number> = {};
  // Timers of calls under way come and go; what is left behind would add up in the others just as well.
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapKb: Math.round(process.memoryUsage().heapUsed / 1024), resources, channels: calls.counts().channels };
}

/** Until every node serves. */
async function settled(reader: ClusterReader): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`never settled: ${stateOf(reader)}`)), 90_000);
  try {
    for await (const { members, shardMap } of reader.pictures({ signal: late.signal })) {
      const there = members.filter((member) => member.status === 'alive' && member.tags.has('ep.echo'));
      if (there.length === NAMES.length && shardMap?.owners.length === NAMES.length) return;
    }
  } finally {
    clearTimeout(timer);
  }
}

function stateOf({ watched, leader, members, shardMap }: ClusterReader): string {
  const seen = members.map(({ name, status: state, tags }) => `${name} ${state} ${tags.get('ep.echo') ?? ''}`);
  return JSON.stringify({
    watched,
    leader,
    seen,
    map: shardMap?.version,
    owners: shardMap?.owners.map(({ node }) => node),
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

describe('clients while nodes die and come back', { timeout: DURATION_MS + 240_000 }, () => {
  const nodes = new Nodes();
  after(() => nodes.end());

  it('go on, and leave no connection, timer or listener behind', async (t) => {
    const contacts: string[] = [];
    for (const name of NAMES) contacts.push((await nodes.start(name)).management);
    const reader = openClusterReader(contacts);
    const endScheme = serveClusterScheme(reader, { authority: 'churn' });
    const anyNode = echoClient('cluster://churn/echo', CLUSTER_CHANNEL_OPTIONS);
    const calls = shardCalls({
      source: reader,
      endpoint: 'echo',
      credentials: credentials.createInsecure(),
      shardOf: { '/test.Echo/Say': (text, count) => shardOfInteger(Number(text), count) },
      idempotent: ['/test.Echo/Say'],
      patienceMs: 60_000,
    });
    const byShard = echoClient('unused', calls.clientOptions());
    await settled(reader);

    const [roundRobin, sharded]: readonly Tally[] = [0, 1].map(() => ({ calls: 0, failures: new Map(), longestMs: 0 }));
    assert.ok(roundRobin !== undefined && sharded !== undefined);
    const stop = new AbortController();
    const loads = [load(anyNode, stop.signal, roundRobin), load(byShard, stop.signal, sharded)];
    const samples: Sample[] = [];
    const until = performance.now() + DURATION_MS;
    for (let round = 0; performance.now() < until; round++) {
      const victim = NAMES[round % NAMES.length] as string;
      await nodes.kill(victim);
      await sleep(3_000);
      await nodes.start(victim);
      await settled(reader);
      await sleep(2_000);
      samples.push(sample(calls));
      if (IS_LONG) t.diagnostic(`round ${round}: ${JSON.stringify(samples.at(-1))}`);
    }
    stop.abort();
    await Promise.all(loads);
    for (const [name, tally] of Object.entries({ roundRobin, sharded })) {
      const { calls: count, failures, longestMs } = tally;
      t.diagnostic(
        `${name}: ${count} calls, failed ${JSON.stringify([...failures])}, longest ${Math.round(longestMs)} ms`,
      );
    }
    t.diagnostic(`sent again: ${JSON.stringify(calls.counts().retries)}`);

    // Said twice is harmless here, so every call to an owner succeeds; of those by turns only what a killed node had begun is lost.
    assert.deepEqual([...sharded.failures], []);
    const lost = [...roundRobin.failures.values()].reduce((sum, count) => sum + count, 0);
    assert.ok(lost <= 10 * samples.length, `${lost} calls lost by ${samples.length} deaths`);
    checkFlat(samples);

    anyNode.close();
    byShard.close();
    calls.close();
    endScheme();
    await reader.close();
  });
});

/** The first rounds fill caches and make connections; after that nothing grows. */
function checkFlat(samples: readonly Sample[]): void {
  if (samples.length < 6) return;
  const third = Math.floor(samples.length / 3);
  const [early, late] = [samples.slice(1, 1 + third), samples.slice(-third)];
  const heaps = [early, late].map((part) => median(part.map(({ heapKb }) => heapKb)));
  assert.ok((heaps[1] ?? 0) < (heaps[0] ?? 0) * 1.1 + 2_048, `the heap grew from ${heaps[0]} to ${heaps[1]} kB`);
  for (const kind of ['TCPSocketWrap', 'Timeout']) {
    const counts = [early, late].map((part) => median(part.map(({ resources }) => resources[kind] ?? 0)));
    assert.ok((counts[1] ?? 0) <= (counts[0] ?? 0) + 3, `${kind}: ${counts[0]} at first, ${counts[1]} in the end`);
  }
  assert.ok(samples.every(({ channels }) => channels <= NAMES.length));
}
