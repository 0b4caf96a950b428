/** The outer rooms: management, discovery, HTTP, the Serf agent's RPC. Without samples where one does not run. */
import { boundedEntries } from './bounded-entries.ts';
import type { Families } from './families.ts';

/** Methods come from the services' definitions, codes from gRPC; this only keeps a mistake there from growing here. */
const METHOD_CODES_MAX = 400;
const REASONS_MAX = 32;

export function registerServices(families: Families): void {
  registerManagement(families);
  registerSerfRpc(families);
  families.gauge(
    'funknode_discovery_nodes',
    'Nodes of this cluster that mDNS shows now.',
    ({ outer }) => outer.discovery?.found,
  );
  families.counters(
    'funknode_discovery_dropped_total',
    'mDNS packets and records that were not used.',
    ['reason'],
    ({ outer }) => boundedEntries(outer.discovery?.dropped ?? {}, REASONS_MAX),
  );
  families.gauge(
    'funknode_http_connections',
    'Open connections to the HTTP port.',
    ({ outer }) => outer.http?.connections,
  );
  families.counters(
    'funknode_http_requests_total',
    'HTTP requests answered, by known path and status code.',
    ['path', 'code'],
    ({ outer }) => (outer.http?.requests ?? []).map(({ path, code, count }) => [path, code, count]),
  );
  families.counters(
    'funknode_http_garbage_total',
    'Connections to the HTTP port that did not speak HTTP, or were too many.',
    ['reason'],
    ({ outer }) => boundedEntries(outer.http?.garbage ?? {}, REASONS_MAX),
  );
}

function registerSerfRpc(families: Families): void {
  families.gauge(
    'funknode_serf_rpc_connections',
    "Open connections to the Serf agent's RPC.",
    ({ outer }) => outer.serfRpc?.open,
  );
  families.counter(
    'funknode_serf_rpc_connections_accepted_total',
    "Connections to the Serf agent's RPC that were accepted.",
    ({ outer }) => outer.serfRpc?.accepted,
  );
  families.counter(
    'funknode_serf_rpc_requests_total',
    "Requests to the Serf agent's RPC.",
    ({ outer }) => outer.serfRpc?.requests,
  );
  families.counter(
    'funknode_serf_rpc_records_lost_total',
    'Records of event streams and monitors that clients were too slow for.',
    ({ outer }) => outer.serfRpc?.recordsLost,
  );
  families.counter(
    'funknode_serf_rpc_wrong_keys_total',
    "Keys shown to the Serf agent's RPC that were not the one.",
    ({ outer }) => outer.serfRpc?.wrongKeys,
  );
  families.counters(
    'funknode_serf_rpc_connections_cut_total',
    "Connections to the Serf agent's RPC that were ended by the node.",
    ['reason'],
    ({ outer }) => boundedEntries(outer.serfRpc?.cut ?? {}, REASONS_MAX),
  );
}

function registerManagement(families: Families): void {
  families.counters(
    'funknode_management_requests_total',
    'Management calls answered, by full method and status.',
    ['method', 'code'],
    ({ outer }) =>
      (outer.management?.requests ?? [])
        .slice(0, METHOD_CODES_MAX)
        .map(({ method, code, count }) => [method, code, count]),
  );
  families.counter(
    'funknode_management_forwarded_total',
    'Management calls sent on to the leader.',
    ({ outer }) => outer.management?.forwarded,
  );
  families.gauge(
    'funknode_management_streams',
    'Open streams: watchers of the node and of its health.',
    ({ outer }) => outer.management?.streams,
  );
  families.gauge(
    'funknode_management_connections',
    'Open connections to the management port.',
    ({ outer }) => outer.management?.connections,
  );
  families.counters(
    'funknode_management_connections_total',
    'Connections to the management port by what became of them.',
    ['outcome'],
    ({ outer: { management } }) =>
      management === undefined
        ? []
        : [
            ['accepted', management.connectionsAccepted],
            ['refused', management.connectionsRefused],
            ['malformed', management.connectionsMalformed],
          ],
  );
}
