/** Real Prometheus finds three real nodes by asking one of them, and scrapes them; promtool has nothing to say against any. */
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort, PeerProcess, peerOrSkip, until } from '../peers/peer.ts';
import type { NodeProcess } from './node-process.ts';

const PATIENCE_MS = 45_000;

interface Target {
  readonly health: string;
  readonly lastError: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function ask<T>(base: string, path: string): Promise<T | string> {
  try {
    const answer = await fetch(base + path, { signal: AbortSignal.timeout(2_000) });
    return answer.ok ? ((await answer.json()) as { readonly data: T }).data : `HTTP ${answer.status}`;
  } catch (error) {
    // It is still starting.
    return String(error);
  }
}

async function query(base: string, expression: string): Promise<readonly Sample[]> {
  const found = await ask<{ readonly result: readonly Sample[] }>(
    base,
    `/api/v1/query?query=${encodeURIComponent(expression)}`,
  );
  return typeof found === 'string' ? [] : found.result;
}

/** It finds them through /sd of one, and scrapes them all. */
export async function scrapes(test: TestContext, cluster: string, nodes: readonly NodeProcess[]): Promise<void> {
  const prometheus = peerOrSkip(test, 'prometheus');
  const promtool = peerOrSkip(test, 'promtool');
  if (prometheus === undefined || promtool === undefined) return;
  const http = await Promise.all(nodes.map((node) => node.endpoint('ep.http')));
  for (const [at, address] of http.entries()) {
    const input = await (await fetch(`http://${address}/metrics`)).text();
    const checked: SpawnSyncReturns<string> = spawnSync(promtool, ['check', 'metrics'], {
      input,
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual([checked.status, checked.stderr, checked.stdout], [0, '', ''], `n${at + 1}`);
  }

  const folder = mkdtempSync(join(tmpdir(), 'funknode-prometheus-'));
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [
      { job_name: 'funknode', http_sd_configs: [{ url: `http://${http[0]}/sd`, refresh_interval: '1s' }] },
    ],
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const scraper = new PeerProcess('prometheus', [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--storage.tsdb.retention.time=1h',
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  try {
    const look = async (): Promise<true | string> => {
      const found = await ask<{ readonly activeTargets: readonly Target[] }>(base, '/api/v1/targets');
      if (typeof found === 'string') return found;
      const up = found.activeTargets.filter(({ health }) => health === 'up').map(({ labels }) => labels);
      const told = up.map(({ node, node_kind: kind, cluster: name }) => `${name} ${node} ${kind}`).sort();
      const wanted = nodes.map(({ id }) => `${cluster} ${id} voter`);
      return told.join() === wanted.join() || JSON.stringify(found.activeTargets);
    };
    await until('three healthy targets', look, PATIENCE_MS);
    await until(
      'three nodes in state Operational, one of which leads',
      async () => {
        const operational = await query(base, 'funknode_node_state{state="Operational"} == 1');
        const leading = await query(base, 'funknode_node_role{role="Leader"} == 1');
        return (operational.length === 3 && leading.length === 1) || `${operational.length} and ${leading.length}`;
      },
      PATIENCE_MS,
    );
    // A label of ours that the target has too comes back under another name, and no query of the dashboard would find it.
    const labels = await ask<readonly string[]>(base, '/api/v1/labels');
    const renamed = typeof labels === 'string' ? [labels] : labels.filter((name) => name.startsWith('exported_'));
    assert.deepEqual(renamed.sort(), ['exported_cluster', 'exported_node'], 'those that say the same twice');
    const owned = await query(base, 'sum(funknode_sharding_shards_owned)');
    assert.equal(owned[0]?.value[1], '10000');
  } finally {
    await scraper.stop('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}
