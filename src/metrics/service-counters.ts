/**
 * Counters of the outer rooms: management, discovery, routing and HTTP. They do not know each other, so the composition root
 * hands this to each as a plain hook. Numbers only; it costs nothing to keep them when the metrics sink is off.
 */
import { BoundedTally } from './bounded-tally.ts';
import { Distribution } from './distribution.ts';

export interface ManagementRequest {
  /** Full gRPC method, `/managepb.ClusterManagement/GetStatus`. */
  readonly method: string;
  /** gRPC status by name: `OK`, `NOT_FOUND`, ... */
  readonly code: string;
  readonly durationMs: number;
}

export type DiscoveryEventKind = 'announced' | 'withdrawn' | 'found' | 'lost' | 'malformed' | 'failed';
export type HttpPath = '/metrics' | '/metrics/clusterfunk' | '/healthz' | '/readyz' | '/sd' | '/' | 'other';

/** A method that no service has is counted under this many names at most; ours and the standard ones are about forty. */
const METHODS_MAX = 64;
/** Pairs of destination node and method, for clusterfunk's series. */
const ROUTES_MAX = 1_000;
const GARBAGE_REASONS_MAX = 16;
/** A local call takes below a millisecond, a forwarded one a few, a membership change up to seconds. */
const REQUEST_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

export class ServiceCounters {
  readonly #management: Map<string, BoundedTally> = new Map();
  readonly #http: Map<HttpPath, BoundedTally> = new Map();
  readonly #routes: BoundedTally = new BoundedTally(ROUTES_MAX);
  readonly managementSeconds: Distribution = new Distribution(REQUEST_SECONDS);
  readonly httpGarbage: BoundedTally = new BoundedTally(GARBAGE_REASONS_MAX);
  readonly discovery: Record<DiscoveryEventKind, number> = {
    announced: 0,
    withdrawn: 0,
    found: 0,
    lost: 0,
    malformed: 0,
    failed: 0,
  };

  onManagementRequest(request: ManagementRequest): void {
    const method =
      this.#management.has(request.method) || this.#management.size < METHODS_MAX ? request.method : 'other';
    tallyOf(this.#management, method).add(request.code);
    this.managementSeconds.observe(request.durationMs / 1_000);
  }

  onDiscovery(kind: DiscoveryEventKind): void {
    this.discovery[kind] += 1;
  }

  /** A request that was handled by `destination`, itself or another node (clusterfunk's `cf_cluster_requests`). */
  onRoutedRequest(destination: string, method: string): void {
    this.#routes.add(`${destination} ${method}`);
  }

  onHttpRequest(path: HttpPath, code: number): void {
    tallyOf(this.#http, path).add(String(code));
  }

  onHttpGarbage(reason: string): void {
    this.httpGarbage.add(reason);
  }

  /** Method, code, count. */
  *managementRequests(): Generator<readonly [string, string, number]> {
    for (const [method, codes] of this.#management)
      for (const [code, count] of codes.entries()) yield [method, code, count];
  }

  /** Path, code, count. */
  *httpRequests(): Generator<readonly [string, string, number]> {
    for (const [path, codes] of this.#http) for (const [code, count] of codes.entries()) yield [path, code, count];
  }

  /** Destination, method, count. */
  *routedRequests(): Generator<readonly [string, string, number]> {
    for (const [route, count] of this.#routes.entries()) {
      const space = route.indexOf(' ');
      yield space === -1 ? [route, route, count] : [route.slice(0, space), route.slice(space + 1), count];
    }
  }
}

/** gRPC has 17 status codes, HTTP as many that we send: no more than these per name. */
const CODES_MAX = 20;

function tallyOf<Name>(tallies: Map<Name, BoundedTally>, name: Name): BoundedTally {
  const held = tallies.get(name) ?? new BoundedTally(CODES_MAX);
  tallies.set(name, held);
  return held;
}
