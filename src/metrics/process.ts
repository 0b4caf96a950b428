/** The process: CPU, memory, handles, garbage collection and event-loop lag, as prom-client measures them. */
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges that are named like counters; `promtool check metrics` refuses them, and so do OpenMetrics readers. */
const MISNAMED: readonly string[] = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** How often the event loop is woken to be measured. prom-client's 10 ms alone would cost an idle node a good part of its CPU. */
const LAG_RESOLUTION_MS = 50;

export function registerProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_RESOLUTION_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
