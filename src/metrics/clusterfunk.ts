/** The five series of clusterfunk under their own names, which break Prometheus's rules, hence apart (stack.md 9). */
import type { Families } from './families.ts';

export function registerClusterfunk(families: Families): void {
  families.gauges('cf_cluster_cluster_size', 'Members that this node sees.', ['node'], ({ view }) => [
    [view.id, view.members.filter(({ status }) => status === 'alive').length],
  ]);
  families.gauges('cf_cluster_shard_count', 'Shards owned by this node.', ['node'], ({ view, stats }) => [
    [view.id, stats.sharding.shardsOwned],
  ]);
  families.gauges('cf_cluster_log_index', 'Log index of the last shard map.', ['node'], ({ view, stats }) => [
    [view.id, stats.sharding.mapVersion],
  ]);
  families.counters(
    'cf_cluster_requests',
    'Requests by handling node and method.',
    ['node', 'destination', 'method'],
    ({ view, stats }) =>
      stats.routing.requests.map(({ destination, method, count }) => [view.id, destination, method, count]),
  );
  families.gauge('cf_cluster_uptime', 'Nanoseconds since the cluster was created.', ({ view, wallMs }) =>
    view.clusterCreatedMs === undefined ? undefined : Math.max(0, wallMs - view.clusterCreatedMs) * 1e6,
  );
}
