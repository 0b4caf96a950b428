/** Requests that the application's routers brought to the owners of shards, as of their last report, which is a second old at most. */
import type { Families } from './families.ts';

export function registerRouting(families: Families): void {
  families.counters(
    'funknode_routing_requests_total',
    'Requests brought to a node, this one included, by service, destination and method; one that is repeated counts again.',
    ['service', 'destination', 'method'],
    ({ stats }) =>
      stats.routing.requests.map(({ service, destination, method, count }) => [service, destination, method, count]),
  );
  families.counters(
    'funknode_routing_refusals_total',
    'Requests that were brought to no node, by service and reason.',
    ['service', 'reason'],
    ({ stats }) => stats.routing.refusals.map(({ service, reason, count }) => [service, reason, count]),
  );
  families.counter(
    'funknode_routing_retries_total',
    'Requests that were sent once more, since no application had seen them.',
    ({ stats }) => stats.routing.retries,
  );
  families.gauge(
    'funknode_routing_waiting',
    'Requests that wait for their shard to have an owner that can be reached.',
    ({ stats }) => stats.routing.waiting,
  );
  families.gauge(
    'funknode_routing_connections',
    'Open gRPC connections of routers to owners.',
    ({ stats }) => stats.routing.connections,
  );
  families.histogram(
    'funknode_routing_wait_seconds',
    'How long requests that had to wait did, each time.',
    ({ stats }) => stats.routing.waits,
  );
}
