/** The process: CPU, memory, handles, garbage collection and event-loop lag, as prom-client measures them. */
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges that are named like counters; `promtool check metrics` refuses them, and so do OpenMetrics readers. */
const MISNAMED: readonly string[] = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export function registerProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
