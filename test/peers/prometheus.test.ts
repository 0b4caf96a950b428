/** Real Prometheus finds three nodes by asking one of them, scrapes them, and answers queries of our dashboard. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { createHttpServer, type HttpServer } from '../../src/metrics/http-server.ts';
import type { NodeMetrics } from '../../src/metrics/node-metrics.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';
import { countingStats, LineLogger, sampleMetrics } from '../metrics/sample-node.ts';
import { peerOrSkip } from './peer.ts';

const NAMES: readonly string[] = ['n1', 'n2', 'n3'];
/** Three scrapes at one a second, and Prometheus's own start; then it is given up. */
const PATIENCE_MS = 60_000;

interface Target {
  readonly health: string;
  readonly lastError: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface Answer<Data> {
  readonly status: string;
  readonly data: Data;
}

interface Vector {
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value: readonly [number, string];
  }[];
}

interface Trio {
  readonly servers: readonly HttpServer[];
  close(): Promise<void>;
}

/** Three nodes that know each other's HTTP endpoints, as gossip would have told them. */
async function threeNodes(): Promise<Trio> {
  const handles = NAMES.map((id) => new FakeNodeHandle(fakeView({ id, leader: 'n1' })));
  const metrics: NodeMetrics[] = [];
  const servers: HttpServer[] = [];
  for (const handle of handles) {
    handle.setStats(countingStats());
    const source = sampleMetrics(handle);
    metrics.push(source);
    const endpoint = { host: '127.0.0.1', port: 0 };
    servers.push(await createHttpServer({ handle, endpoint, metrics: source, logger: new LineLogger() }));
  }
  const members = NAMES.map((name, at) => ({ name, tags: { 'ep.http': `127.0.0.1:${servers[at]?.local.port}` } }));
  for (const handle of handles) handle.change({ members: fakeView({ id: 'n1', members }).members });
  const close = async (): Promise<void> => {
    for (const source of metrics) source.close();
    await Promise.all(servers.map((server) => server.close()));
  };
  return { servers, close };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function ask<Data>(base: string, path: string): Promise<Data | undefined> {
  try {
    const answer = await fetch(base + path, { signal: AbortSignal.timeout(2_000) });
    if (!answer.ok) return undefined;
    return ((await answer.json()) as Answer<Data>).data;
  } catch (cause) {
    // It is still starting.
    assert.ok(cause instanceof Error);
    return undefined;
  }
}

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await pause(200)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`never: ${what}`);
}

function vectorOf(base: string, query: string): Promise<Vector | undefined> {
  return ask<Vector>(base, `/api/v1/query?query=${encodeURIComponent(query)}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(timer);
}

describe('peers: Prometheus', () => {
  it('finds three nodes through /sd of one, scrapes them all, and has nothing to say against it', {
    timeout: 90_000,
  }, async (test) => {
    const prometheus = peerOrSkip(test, 'prometheus');
    if (prometheus === undefined) return;
    const folder = mkdtempSync(join(tmpdir(), 'funknode-prometheus-'));
    const trio = await threeNodes();
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [
        {
          job_name: 'funknode',
          http_sd_configs: [{ url: `http://127.0.0.1:${trio.servers[0]?.local.port}/sd`, refresh_interval: '1s' }],
        },
      ],
    };
    // JSON is YAML.
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const child = spawn(
      prometheus,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        '--storage.tsdb.retention.time=1h',
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder },
    );
    let log = '';
    child.stderr?.on('data', (chunk) => {
      log = (log + String(chunk)).slice(-20_000);
    });
    try {
      const targets = await until('three healthy targets', async () => {
        const found = await ask<{ activeTargets: Target[] }>(base, '/api/v1/targets');
        const active = found?.activeTargets ?? [];
        return active.length === 3 && active.every(({ health }) => health === 'up') ? active : undefined;
      }).catch((cause: unknown) => {
        throw new Error(`${String(cause)}\n${log}`);
      });
      assert.deepEqual(
        targets.map(({ labels }) => [labels['cluster'], labels['node'], labels['node_kind'], labels['job']]).sort(),
        NAMES.map((name) => ['demo', name, 'voter', 'funknode']),
      );
      assert.deepEqual(
        targets.map(({ lastError }) => lastError),
        ['', '', ''],
      );

      const operational = await until('three nodes in state Operational', async () => {
        const vector = await vectorOf(base, 'funknode_node_state{state="Operational"} == 1');
        return vector?.result.length === 3 ? vector : undefined;
      });
      assert.deepEqual(operational.result.map(({ metric }) => metric['node']).sort(), NAMES);

      const typed = await ask<Record<string, readonly { readonly type: string }[]>>(base, '/api/v1/metadata');
      assert.equal(typed?.['funknode_storage_sync_duration_seconds']?.[0]?.type, 'histogram');
      assert.equal(typed?.['funknode_node_state']?.[0]?.type, 'gauge');

      const quantile = 'histogram_quantile(0.5, funknode_storage_sync_duration_seconds_bucket{node="n2"})';
      const median = await until('a quantile of the disk', async () => (await vectorOf(base, quantile))?.result[0]);
      assert.ok(Number(median.value[1]) > 0.001 && Number(median.value[1]) < 0.01, String(median.value[1]));

      const counter = await vectorOf(base, 'funknode_swim_probes_total');
      assert.equal(counter?.result.length, 3, 'a counter keeps its name through OpenMetrics');
    } finally {
      await stop(child);
      await trio.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
