/** The process: CPU, memory, handles, garbage collection and event-loop lag, as prom-client measures them. */
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges that are named like counters; `promtool check metrics` refuses them, and so do OpenMetrics readers. */
const MISNAMED: readonly string[] = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/**
 * They come of a timer that does nothing but wake the process to see how late it is: at 50 ms it doubled the CPU of an idle node from the first
 * scrape on, and read 0.05 s when nothing was late. `funknode_loop_delay_p99_seconds` is read off the node's own timers instead.
 */
const SAMPLED: readonly string[] = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (which) => `nodejs_eventloop_lag_${which}_seconds`,
);
/** prom-client knows no way to leave that timer out: its first turn is after 24 days. */
const NEVER_MS: number = 2 ** 31 - 1;

export function registerProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of [...MISNAMED, ...SAMPLED]) registry.removeSingleMetric(name);
}
