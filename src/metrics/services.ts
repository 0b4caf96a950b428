/** The outer rooms: management, discovery, HTTP. */
import type { Families } from './families.ts';

export function registerServices(families: Families): void {
  families.counters(
    'funknode_management_requests_total',
    'Management calls answered, by full method and gRPC status.',
    ['method', 'code'],
    ({ services }) => services.managementRequests(),
  );
  families.histogram(
    'funknode_management_request_duration_seconds',
    'From a management call to its answer; streams are counted when they end.',
    ({ services }) => services.managementSeconds,
  );
  families.counters(
    'funknode_discovery_events_total',
    'What mDNS and DNS discovery did and saw.',
    ['kind'],
    ({ services }) => Object.entries(services.discovery),
  );
  families.counters(
    'funknode_http_requests_total',
    'HTTP requests answered, by known path and status code.',
    ['path', 'code'],
    ({ services }) => services.httpRequests(),
  );
  families.counters(
    'funknode_http_garbage_total',
    'Connections to the HTTP port that did not speak HTTP.',
    ['reason'],
    ({ services }) => services.httpGarbage.entries(),
  );
}
