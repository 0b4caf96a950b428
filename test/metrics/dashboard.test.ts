/** The dashboard that ships with the package: whole, tidy, and naming nothing that is not there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { peerOrSkip } from '../peers/peer.ts';
import { sampleMetrics } from './sample-node.ts';

interface GridPos {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: GridPos;
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const FOLDER: string = fileURLToPath(new URL('../../../grafana/', import.meta.url));
const dashboards: Dashboard[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Dashboard);

function expressionsOf(dashboard: Dashboard): string[] {
  return dashboard.panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr));
}

/** What Prometheus would be asked, with Grafana's variables filled in. */
function filledIn(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '1h')
    .replaceAll('$cluster', '.*')
    .replaceAll('$instance', '.*');
}

function overlap(a: GridPos, b: GridPos): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

describe('grafana: the dashboard', () => {
  it('ids are unique, in it and among dashboards', () => {
    assert.ok(dashboards.length >= 1);
    assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
    for (const { panels } of dashboards) assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  });

  it('no panel lies on another or beyond the edge, and every row has panels', () => {
    for (const { panels } of dashboards) {
      for (const [at, panel] of panels.entries()) {
        const { x, w, h } = panel.gridPos;
        assert.ok(x >= 0 && w > 0 && h > 0 && x + w <= 24, panel.title);
        for (const other of panels.slice(at + 1)) {
          assert.ok(!overlap(panel.gridPos, other.gridPos), `${panel.title} lies on ${other.title}`);
        }
        if (panel.type === 'row')
          assert.ok(panels[at + 1] !== undefined && panels[at + 1]?.type !== 'row', panel.title);
      }
    }
  });

  it('every panel has a unit, a title of its own and something to show', () => {
    for (const { panels } of dashboards) {
      assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
      for (const panel of panels.filter(({ type }) => type !== 'row')) {
        assert.ok((panel.fieldConfig?.defaults.unit ?? '') !== '', `${panel.title} has no unit`);
        const ids = (panel.targets ?? []).map(({ refId }) => refId);
        assert.ok(ids.length > 0 && new Set(ids).size === ids.length, panel.title);
      }
    }
  });

  it('every variable it uses is defined', () => {
    for (const dashboard of dashboards) {
      const defined = new Set(dashboard.templating.list.map(({ name }) => name));
      const used = JSON.stringify(dashboard).matchAll(/\$\{?([a-z]\w*)\}?/g);
      for (const [, name = ''] of used) assert.ok(defined.has(name), `$${name}`);
    }
  });

  it('every metric in an expression exists, with the labels that are asked for, and every room is shown', async () => {
    const metrics = sampleMetrics();
    const { body } = await metrics.render('text');
    const families = await metrics.describe();
    metrics.close();
    const samples = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const series = new Set(samples.map((line) => line.slice(0, line.search(/[{ ]/))));
    // Garbage collection has no sample before the first collection; its family is there.
    for (const { name, type } of families) {
      if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) series.add(`${name}_${part}`);
    }
    const shown = new Set<string>();
    for (const dashboard of dashboards) {
      const queries = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
      for (const text of [...expressionsOf(dashboard), ...queries]) {
        for (const [name] of text.matchAll(/\b(?:funknode|process|nodejs)_[a-z0-9_]+/g)) {
          assert.ok(series.has(name), `${name} does not exist`);
          shown.add(name);
        }
        for (const [, name = '', label = '', value = ''] of text.matchAll(/\b(\w+)\{[^}]*?\b(state|kind)="(\w+)"/g)) {
          assert.ok(
            samples.some((line) => line.startsWith(name) && line.includes(`${label}="${value}"`)),
            text,
          );
        }
      }
    }
    const rooms = [
      'node',
      'swim',
      'serf',
      'raft',
      'sharding',
      'liveness',
      'storage',
      'peers',
      'loop',
      'management',
      'http',
      'routing',
    ];
    for (const room of rooms)
      assert.ok(
        [...shown].some((name) => name.startsWith(`funknode_${room}_`)),
        room,
      );
  });

  it('promtool parses every expression', (test) => {
    const promtool = peerOrSkip(test, 'promtool');
    if (promtool === undefined) return;
    const folder = mkdtempSync(join(tmpdir(), 'funknode-rules-'));
    try {
      const rules = dashboards
        .flatMap(expressionsOf)
        .map((expr, at) => ({ record: `dashboard:expression:${at}`, expr: filledIn(expr) }));
      const file = join(folder, 'rules.yml');
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      const checked = spawnSync(promtool, ['check', 'rules', file], { encoding: 'utf8', timeout: 20_000 });
      assert.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
