/**
 * What a router counts, told to the node about once a second while there is anything new: the node serves the metrics, perhaps in another
 * thread, and a scrape must not have to wait for a busy application.
 */
import { ROUTING_WAIT_BOUNDS, type RoutingReport } from '../model/routing-report.ts';
import type { RouteReason } from './route-headers.ts';

const REPORT_MS = 1_000;
/** Rows of one report: destinations times methods. Beyond it methods are counted as {@link OTHER}. */
const ROWS_MAX = 1_000;
const OTHER = 'other';

interface Row {
  readonly destination: string;
  readonly method: string;
  count: number;
}

export class RouteCounts implements Disposable {
  readonly #service: string;
  readonly #tell: (report: RoutingReport) => void;
  #rows: Map<string, Row> = new Map();
  #refusals: Map<RouteReason, number> = new Map();
  #retries = 0;
  #waiting = 0;
  #connections = 0;
  #toldWaiting = 0;
  #toldConnections = 0;
  #waits: { sum: number; count: number; counts: number[] } = noWaits();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(service: string, tell: (report: RoutingReport) => void) {
    this.#service = service;
    this.#tell = tell;
  }

  get connections(): number {
    return this.#connections;
  }

  onRouted(destination: string, method: string): void {
    const key = `${destination} ${method}`;
    const row = this.#rows.get(key);
    if (row !== undefined) row.count += 1;
    else if (this.#rows.size < ROWS_MAX || method === OTHER) this.#rows.set(key, { destination, method, count: 1 });
    else this.onRouted(destination, OTHER);
    this.#reportSoon();
  }

  onRefused(reason: RouteReason): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
    this.#reportSoon();
  }

  onRetried(): void {
    this.#retries += 1;
    this.#reportSoon();
  }

  onWaiting(change: 1 | -1): void {
    this.#waiting += change;
    this.#reportSoon();
  }

  onWaited(ms: number): void {
    const seconds = ms / 1_000;
    this.#waits.sum += seconds;
    this.#waits.count += 1;
    const at = ROUTING_WAIT_BOUNDS.findIndex((bound) => seconds <= bound);
    if (at !== -1) this.#waits.counts[at] = (this.#waits.counts[at] ?? 0) + 1;
    this.#reportSoon();
  }

  onConnections(change: 1 | -1): void {
    this.#connections += change;
    this.#reportSoon();
  }

  /** Tells the rest; what comes later is not told. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#report();
    this.#isClosed = true;
  }

  #reportSoon(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => this.#report(), REPORT_MS);
    this.#timer.unref();
  }

  #report(): void {
    this.#timer = undefined;
    this.#tell({
      service: this.#service,
      requests: [...this.#rows.values()],
      refusals: [...this.#refusals].map(([reason, count]) => ({ reason, count })),
      retries: this.#retries,
      waiting: this.#waiting - this.#toldWaiting,
      connections: this.#connections - this.#toldConnections,
      waits: this.#waits,
    });
    this.#rows = new Map();
    this.#refusals = new Map();
    this.#retries = 0;
    this.#toldWaiting = this.#waiting;
    this.#toldConnections = this.#connections;
    this.#waits = noWaits();
  }
}

function noWaits(): { sum: number; count: number; counts: number[] } {
  return { sum: 0, count: 0, counts: ROUTING_WAIT_BOUNDS.map(() => 0) };
}
