/** The HTTP endpoint over real sockets on loopback. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { HttpBindError } from '../../src/metrics/errors.ts';
import { formatFor } from '../../src/metrics/http-pages.ts';
import { createHttpServer, type HttpServer } from '../../src/metrics/http-server.ts';
import { LoopWatch } from '../../src/metrics/loop-watch.ts';
import type { MetricsSource } from '../../src/metrics/metrics-source.ts';
import { scrapeTargets } from '../../src/metrics/service-discovery.ts';
import type { NodeState } from '../../src/model/node-state.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';
import { peerOrSkip } from '../peers/peer.ts';
import { LineLogger, sampleMetrics, sampleNode, waitForQuorum } from './sample-node.ts';

interface Running {
  readonly server: HttpServer;
  readonly base: string;
  readonly logger: LineLogger;
}

async function serve(handle: FakeNodeHandle, metrics?: MetricsSource): Promise<Running> {
  const logger = new LineLogger();
  const server = await createHttpServer({ handle, endpoint: { host: '127.0.0.1', port: 0 }, metrics, logger });
  return { server, base: `http://127.0.0.1:${server.local.port}`, logger };
}

/** Sends bytes as they are; answers with what came back until the other side closed. */
function raw(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let answer = '';
    socket.on('data', (chunk) => {
      answer += String(chunk);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer));
    socket.write(bytes);
  });
}

describe('http: pages', () => {
  it('/metrics answers in the form that is asked for', async () => {
    const handle = sampleNode();
    const metrics = sampleMetrics(handle);
    const { server, base } = await serve(handle, metrics);
    const text = await fetch(`${base}/metrics`, { headers: { accept: '*/*' } });
    assert.match(text.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.ok((await text.text()).includes('\nfunknode_node_state{state="Operational"} 1\n'));
    const prometheus =
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const open = await fetch(`${base}/metrics?x=1`, { headers: { accept: prometheus } });
    assert.match(open.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
    assert.ok((await open.text()).endsWith('# EOF\n'));
    const theirs = await fetch(`${base}/metrics/clusterfunk`);
    assert.ok((await theirs.text()).includes('cf_cluster_shard_count{node="n1"} 2'));
    await server.close();
    metrics.close();
  });

  it('the header decides between the two forms', () => {
    assert.equal(formatFor(''), 'text');
    assert.equal(formatFor('*/*'), 'text');
    assert.equal(formatFor('application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.9'), 'text');
    assert.equal(formatFor('application/openmetrics-text; q=0'), 'text');
    assert.equal(formatFor('text/plain;q=0.5, Application/OpenMetrics-Text'), 'openmetrics');
  });

  it('with the sink off there are no metrics, and everything else is there', async () => {
    const { server, base } = await serve(sampleNode());
    for (const path of ['/metrics', '/metrics/clusterfunk']) {
      const answer = await fetch(base + path);
      assert.equal(answer.status, 404);
      assert.match(await answer.text(), /--metrics none/);
    }
    for (const path of ['/', '/healthz', '/readyz', '/sd']) assert.equal((await fetch(base + path)).status, 200);
    await server.close();
  });

  it('ready means Operational and nothing else; otherwise it says why', async () => {
    const handle = sampleNode();
    const { server, base } = await serve(handle);
    const states: NodeState[] = ['Invalid', 'Starting', 'Joining', 'Voting', 'Resharding', 'Draining', 'Stopping'];
    for (const state of states) {
      handle.enter(state);
      assert.equal((await fetch(`${base}/readyz`)).status, 503, state);
    }
    handle.enter('Voting');
    waitForQuorum(handle);
    const answer = await fetch(`${base}/readyz`);
    const { state, reason, waitingFor, waitingSeconds, advice } = (await answer.json()) as Record<string, unknown>;
    assert.deepEqual(
      { state, reason, waitingFor, waitingSeconds, advice },
      {
        state: 'Voting',
        reason: 'quorum',
        waitingFor: ['n2'],
        waitingSeconds: 4,
        advice: 'start n2',
      },
    );
    handle.enter('Operational');
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
    await server.close();
  });

  it('healthy means that the loop turns', async () => {
    const handle = sampleNode();
    const watch = new LoopWatch(handle);
    const loop = handle.stats().loop;
    for (let turns = 2; turns < 40; turns++) {
      handle.setStats({ loop: { ...loop, turns } });
      watch.look();
    }
    for (let looks = 0; looks < 3; looks++) watch.look();
    assert.equal(watch.turns, true);
    watch.look();
    assert.equal(watch.turns, false);
    handle.setStats({ loop: { ...loop, turns: 100 } });
    watch.look();
    assert.equal(watch.turns, true);
    handle.emit({ kind: 'stopped', reason: 'the disk failed', exitCode: 74 });
    assert.equal(watch.turns, false);
    watch.close();
    assert.equal(handle.listenerCount, 0);

    const other = sampleNode();
    const { server, base } = await serve(other);
    assert.equal((await fetch(`${base}/healthz`)).status, 200);
    other.emit({ kind: 'stopped', reason: 'the disk failed', exitCode: 74 });
    assert.equal((await fetch(`${base}/healthz`)).status, 503);
    await server.close();
    assert.equal(other.listenerCount, 0);
  });

  it('the index names the node in safe HTML and forbids every script', async () => {
    const handle = sampleNode();
    handle.change({ clusterName: '<script>alert(1)</script>' });
    const { server, base } = await serve(handle);
    const answer = await fetch(base);
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    const body = await answer.text();
    assert.ok(body.includes('&lt;script&gt;') && !body.includes('<script>'));
    await server.close();
  });
});

describe('http: whom Prometheus should scrape', () => {
  const view = fakeView({
    id: 'n1',
    members: [
      { name: 'n1', tags: { 'ep.http': '10.0.0.1:7950' } },
      { name: 'n2', tags: { 'ep.http': '10.0.0.2:7950', 'ep.metrics': '10.0.0.2:9100' } },
      { name: 'n3', tags: { 'ep.http': '[fd00::3]:7950', 'fn.role': 'non-voter' } },
      { name: 'n4', status: 'failed', tags: { 'ep.http': '10.0.0.4:7950' } },
      { name: 'n5', tags: { 'ep.http': 'nonsense/../' } },
      { name: 'n6', raft: '', tags: { 'ep.metrics': 'db.internal:9187', 'fn.role': 'a label of my own' } },
      { name: 'n7' },
    ],
  });

  it('every live member by ep.metrics, or else ep.http', () => {
    assert.deepEqual(
      scrapeTargets(view).map(({ targets, labels }) => [
        labels['node'],
        targets[0],
        labels['node_kind'],
        labels['cluster'],
      ]),
      [
        ['n1', '10.0.0.1:7950', 'voter', 'demo'],
        ['n2', '10.0.0.2:9100', 'voter', 'demo'],
        ['n3', '[fd00::3]:7950', 'non-voter', 'demo'],
        ['n6', 'db.internal:9187', 'unknown', 'demo'],
      ],
    );
  });

  it('promtool reads the list over HTTP and makes targets of it', { timeout: 30_000 }, async (test) => {
    const promtool = peerOrSkip(test, 'promtool');
    if (promtool === undefined) return;
    const { server, base } = await serve(new FakeNodeHandle(view));
    const folder = mkdtempSync(join(tmpdir(), 'funknode-sd-'));
    try {
      const file = join(folder, 'prometheus.yml');
      writeFileSync(
        file,
        `scrape_configs:\n  - job_name: funknode\n    http_sd_configs: [{ url: "${base}/sd", refresh_interval: 1s }]\n`,
      );
      const argv = ['check', 'service-discovery', '--timeout=3s', file, 'funknode'];
      const { stdout } = await promisify(execFile)(promtool, argv, { timeout: 20_000, cwd: folder });
      for (const target of ['10.0.0.1:7950', '10.0.0.2:9100', '[fd00::3]:7950', 'db.internal:9187']) {
        assert.ok(stdout.includes(`"__address__": "${target}"`), stdout);
      }
      assert.ok(stdout.includes('"node": "n1"') && stdout.includes('"node_kind": "voter"'), stdout);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await server.close();
    }
  });
});

describe('http: what does not belong there', () => {
  it('only GET and HEAD are answered; HEAD without a body', async () => {
    const { server, base } = await serve(sampleNode());
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const answer = await fetch(`${base}/sd`, { method, ...(method === 'POST' ? { body: 'x'.repeat(100) } : {}) });
      assert.equal(answer.status, 405, method);
      assert.equal(answer.headers.get('allow'), 'GET, HEAD');
    }
    const head = await fetch(`${base}/sd`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.ok(Number(head.headers.get('content-length')) > 0);
    assert.equal(await head.text(), '');
    const unknown = await fetch(`${base}/../../etc/passwd`);
    assert.equal(unknown.status, 404);
    assert.deepEqual(server.stats().requests.find(({ path, code }) => path === '/sd' && code === '405')?.count, 5);
    await server.close();
  });

  it('garbage is counted and logged once in ten seconds, and the next scrape is answered', {
    timeout: 30_000,
  }, async () => {
    const handle = sampleNode();
    const { server, base, logger } = await serve(handle);
    const { port } = server.local;
    const noise = Uint8Array.from({ length: 2_000 }, (_, at) => (at * 73 + 19) & 255);
    const garbage: (string | Uint8Array)[] = [
      'nonsense\r\n\r\n',
      noise,
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
      'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ];
    const answers = await Promise.all(garbage.map((bytes) => raw(port, bytes)));
    assert.ok(
      answers.every((answer) => answer === '' || /^HTTP\/1\.1 4/.test(answer)),
      answers.join('|'),
    );
    const counted = (): number => Object.values(server.stats().garbage).reduce((sum, count) => sum + count, 0);
    assert.equal(counted(), garbage.length);
    assert.equal(logger.lines.length, 1);
    handle.monotonicMs += 10_001;
    await raw(port, 'more nonsense\r\n\r\n');
    assert.deepEqual(
      logger.lines.map(({ event, fields }) => [event, fields['count']]),
      [
        ['httpGarbage', 1],
        ['httpGarbage', garbage.length],
      ],
    );
    assert.equal((await fetch(`${base}/healthz`)).status, 200);
    await server.close();
  });

  it('a request with a body is answered and its connection closed, the body unread', { timeout: 20_000 }, async () => {
    const { server } = await serve(sampleNode());
    const answer = await raw(server.local.port, `GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\nConnection: close\r\n/i);
    await server.close();
  });

  it('a silent connection keeps neither a scraper out nor the server from closing', { timeout: 20_000 }, async () => {
    const { server, base } = await serve(sampleNode());
    const silent = Array.from({ length: 40 }, () => connect({ host: '127.0.0.1', port: server.local.port }));
    for (const socket of silent) {
      socket.on('error', () => socket.destroy());
      socket.write('GET /healthz HT');
    }
    assert.equal((await fetch(`${base}/healthz`)).status, 200);
    assert.ok(server.stats().connections >= 40);
    await server.close();
    await server.close();
    for (const socket of silent) socket.destroy();
  });

  it('a metrics source that fails is a 500 that is logged, not a crash', async () => {
    const broken: MetricsSource = {
      render: () => Promise.reject(new Error('no reading')),
      renderClusterfunk: () => Promise.reject(new Error('no reading')),
    };
    const { server, base, logger } = await serve(sampleNode(), broken);
    assert.equal((await fetch(`${base}/metrics`)).status, 500);
    assert.deepEqual(
      logger.lines.map(({ event }) => event),
      ['httpAnswerFailed'],
    );
    await server.close();
  });

  it('a port that is taken is an error that names it, and leaves nothing behind', async () => {
    const handle = sampleNode();
    const { server } = await serve(handle);
    const again = new FakeNodeHandle(fakeView({ id: 'n2' }));
    await assert.rejects(
      createHttpServer({ handle: again, endpoint: server.local, metrics: undefined, logger: new LineLogger() }),
      (error) => error instanceof HttpBindError && error.message.includes(`127.0.0.1:${server.local.port}`),
    );
    assert.equal(again.listenerCount, 0);
    await server.close();
  });
});
