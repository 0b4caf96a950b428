/** What the HTTP endpoint answers, path by path: values in, values out. */
import type { NodeHandle } from '../runtime/node-handle.ts';
import type { LoopWatch } from './loop-watch.ts';
import type { MetricsFormat, MetricsSource } from './metrics-source.ts';
import type { HttpPath } from './http-counts.ts';
import { scrapeTargets } from './service-discovery.ts';
import { statusHtml, statusReading } from './status-page.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface PageSources {
  readonly handle: NodeHandle;
  readonly loop: LoopWatch;
  /** Undefined when the sink is off. */
  readonly metrics: MetricsSource | undefined;
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';
const PATHS: readonly HttpPath[] = [
  '/',
  '/metrics',
  '/metrics/clusterfunk',
  '/healthz',
  '/readyz',
  '/sd',
  '/status.json',
];

/** The path among those known; `other` is none of them. */
export function knownPath(pathname: string): HttpPath {
  return PATHS.find((path) => path === pathname) ?? 'other';
}

/** `accept` is the request header. */
export async function pageOf(path: HttpPath, accept: string, sources: PageSources): Promise<Page> {
  switch (path) {
    case '/':
      return indexPage(sources.handle);
    case '/status.json':
      return statusJson(sources.handle);
    case '/metrics':
    case '/metrics/clusterfunk':
      return metricsPage(path, accept, sources.metrics);
    case '/healthz':
      return healthPage(sources.loop);
    case '/readyz':
      return readyPage(sources.handle);
    case '/sd':
      return { status: 200, contentType: JSON_TYPE, body: JSON.stringify(scrapeTargets(sources.handle.view())) };
    case 'other':
      return notFound('there is nothing here; see /');
  }
}

/** OpenMetrics when the header names it, unless it ranks the plain text higher. RFC 9110 §12.5.1, as far as scrapers use it. */
export function formatFor(accept: string): MetricsFormat {
  let openMetrics = 0;
  let text = 0;
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const given = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = given === undefined ? 1 : Number(given.slice(2));
    if (type === 'application/openmetrics-text') openMetrics = Math.max(openMetrics, quality);
    if (type === 'text/plain') text = Math.max(text, quality);
  }
  return openMetrics > 0 && openMetrics >= text ? 'openmetrics' : 'text';
}

async function metricsPage(path: HttpPath, accept: string, metrics: MetricsSource | undefined): Promise<Page> {
  if (metrics === undefined) return notFound('the metrics sink of this node is off (--metrics none)');
  const rendered = path === '/metrics' ? await metrics.render(formatFor(accept)) : await metrics.renderClusterfunk();
  return { status: 200, ...rendered };
}

function healthPage(loop: LoopWatch): Page {
  if (loop.turns) return { status: 200, contentType: TEXT, body: 'ok\n' };
  return { status: 503, contentType: TEXT, body: 'the node loop does not turn\n' };
}

function readyPage(handle: NodeHandle): Page {
  const view = handle.view();
  const { state, role, waiting } = view;
  const answer = {
    // A disk that does not answer: what depends on it would hang (raft.md 12.4).
    ready: state === 'Operational' && view.ailment !== 'disk',
    node: view.id,
    state,
    role,
    leader: view.leader ?? null,
    inStateSeconds: seconds(handle.now() - view.stateSince),
    reason: waiting?.reason ?? null,
    waitingFor: waiting?.nodes ?? [],
    waitingSeconds: waiting === undefined ? 0 : seconds(handle.now() - waiting.since),
    advice: waiting?.advice ?? null,
    diskRoom: view.room,
    ailment: view.ailment ?? null,
  };
  return { status: answer.ready ? 200 : 503, contentType: JSON_TYPE, body: `${JSON.stringify(answer)}\n` };
}

function statusJson(handle: NodeHandle): Page {
  const reading = statusReading(handle.view(), handle.now());
  return { status: 200, contentType: JSON_TYPE, body: `${JSON.stringify(reading, null, 2)}\n` };
}

function indexPage(handle: NodeHandle): Page {
  const reading = statusReading(handle.view(), handle.now());
  const links = PATHS.filter((path) => path !== '/');
  return { status: 200, contentType: 'text/html; charset=utf-8', body: statusHtml(reading, links) };
}

function notFound(why: string): Page {
  return { status: 404, contentType: TEXT, body: `${why}\n` };
}

function seconds(ms: number): number {
  return Math.round(Math.max(0, ms)) / 1_000;
}
