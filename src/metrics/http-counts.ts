/** What the HTTP endpoint has answered and refused. Paths, codes and reasons come from fixed sets. */
import type { HttpReading } from './outer-readings.ts';

export type HttpPath =
  | '/metrics'
  | '/metrics/clusterfunk'
  | '/healthz'
  | '/readyz'
  | '/sd'
  | '/status.json'
  | '/'
  | 'other';

export type GarbageReason =
  | 'malformed'
  | 'header-overflow'
  | 'timeout'
  | 'reset'
  | 'error'
  | 'upgrade'
  | 'connect'
  | 'too-many-connections';

export class HttpCounts {
  readonly #requests: Map<string, { readonly path: HttpPath; readonly code: string; count: number }> = new Map();
  readonly #garbage: Record<GarbageReason, number> = {
    malformed: 0,
    'header-overflow': 0,
    timeout: 0,
    reset: 0,
    error: 0,
    upgrade: 0,
    connect: 0,
    'too-many-connections': 0,
  };

  onRequest(path: HttpPath, status: number): void {
    const key = `${path} ${status}`;
    const row = this.#requests.get(key);
    if (row === undefined) this.#requests.set(key, { path, code: String(status), count: 1 });
    else row.count += 1;
  }

  onGarbage(reason: GarbageReason): void {
    this.#garbage[reason] += 1;
  }

  reading(connections: number): HttpReading {
    return {
      connections,
      requests: [...this.#requests.values()].map((row) => ({ ...row })),
      garbage: { ...this.#garbage },
    };
  }
}
