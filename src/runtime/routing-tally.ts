/** What the application's routers have reported, added up, and bounded whatever they report. */
import type { RoutingStats } from '../model/node-stats.ts';
import { ROUTING_WAIT_BOUNDS, type RoutingReport } from '../model/routing-report.ts';

/** Destinations times methods of all services. Beyond it requests are counted under {@link OTHER}, so that sums stay true. */
const ROWS_MAX = 1_000;
const REFUSALS_MAX = 200;
const OTHER = 'other';

type Counted<Row> = Row & { count: number };

export class RoutingTally {
  readonly #requests: Map<string, Counted<{ service: string; destination: string; method: string }>> = new Map();
  readonly #refusals: Map<string, Counted<{ service: string; reason: string }>> = new Map();
  readonly #waitCounts: number[] = ROUTING_WAIT_BOUNDS.map(() => 0);
  #waitSum = 0;
  #waitCount = 0;
  #retries = 0;
  #waiting = 0;
  #connections = 0;

  add(report: RoutingReport): void {
    const { service } = report;
    for (const { destination, method, count } of report.requests) {
      const row = { service, destination, method };
      const rest = { service: OTHER, destination: OTHER, method: OTHER };
      raise(this.#requests, { row, rest, rowsMax: ROWS_MAX, count });
    }
    for (const { reason, count } of report.refusals)
      raise(this.#refusals, {
        row: { service, reason },
        rest: { service: OTHER, reason: OTHER },
        rowsMax: REFUSALS_MAX,
        count,
      });
    this.#retries += report.retries;
    this.#waiting += report.waiting;
    this.#connections += report.connections;
    this.#waitSum += report.waits.sum;
    this.#waitCount += report.waits.count;
    for (const [at, count] of report.waits.counts.entries())
      if (at < this.#waitCounts.length) this.#waitCounts[at] = (this.#waitCounts[at] ?? 0) + count;
  }

  stats(): RoutingStats {
    let below = 0;
    const buckets = ROUTING_WAIT_BOUNDS.map((le, at) => {
      below += this.#waitCounts[at] ?? 0;
      return { le, count: below };
    });
    return {
      requests: [...this.#requests.values()].map((row) => ({ ...row })),
      refusals: [...this.#refusals.values()].map((row) => ({ ...row })),
      retries: this.#retries,
      waiting: this.#waiting,
      connections: this.#connections,
      waits: { sum: this.#waitSum, count: this.#waitCount, buckets },
    };
  }
}

function raise<Row extends object>(
  rows: Map<string, Counted<Row>>,
  {
    row,
    rest,
    rowsMax,
    count,
  }: { readonly row: Row; readonly rest: Row; readonly rowsMax: number; readonly count: number },
): void {
  const key = Object.values(row).join(' ');
  const held = rows.get(key);
  if (held !== undefined) held.count += count;
  else if (rows.size < rowsMax || row === rest) rows.set(key, { ...row, count });
  else raise(rows, { row: rest, rest, rowsMax, count });
}
