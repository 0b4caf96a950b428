/** The asking side of the liveness check as a thing of its own, for programs that are no node. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { DEFAULT_LIVENESS_CONFIG, validateLivenessConfig, type LivenessConfig } from '../liveness/config.ts';
import { LivenessSettingsError } from '../liveness/errors.ts';
import type { LivenessEvent } from '../liveness/messages.ts';
import { parseEndpoint, type Endpoint } from '../model/endpoint.ts';
import type { LivenessStats } from '../model/node-stats.ts';
import { LivenessShell } from './liveness-shell.ts';

export interface LivenessCheckerOptions {
  /** How often each peer is asked, 10 to 60000 ms. Default 150. */
  readonly intervalMs?: number;
  /** So many more misses than echoes make a peer dead, 1 to 100. Default 3. */
  readonly retries?: number;
}

/** Nobody is asked there: a name that has no address yet is a peer that does not answer. */
const NOWHERE: Endpoint = { host: '0.0.0.0', port: 0 };

/**
 * Asks peers by short UDP packets whether they are there, many times a second. A peer counts as alive when it is added;
 * `dead` is told when it has stopped answering and `alive` when it answers again. Peers are endpoints of funknode or of
 * clusterfunk. Several listeners may be added; one must not throw.
 */
export class LivenessChecker implements AsyncDisposable {
  readonly #config: LivenessConfig;
  readonly #shell: LivenessShell;
  readonly #onDead: Set<(id: string) => void> = new Set();
  readonly #onAlive: Set<(id: string) => void> = new Set();
  /** Per id, what its newest `add` asked for: a name that is still being looked up must not come back after `remove`. */
  readonly #wanted: Map<string, Endpoint> = new Map();
  readonly #retries: Map<string, NodeJS.Timeout> = new Map();
  #closed = false;

  /** Throws {@link LivenessSettingsError} that names every setting out of range. */
  constructor(options: LivenessCheckerOptions = {}) {
    const intervalMs = options.intervalMs ?? DEFAULT_LIVENESS_CONFIG.intervalMs;
    const config: LivenessConfig = {
      ...DEFAULT_LIVENESS_CONFIG,
      intervalMs,
      retries: options.retries ?? DEFAULT_LIVENESS_CONFIG.retries,
      deadIntervalMs: Math.max(DEFAULT_LIVENESS_CONFIG.deadIntervalMs, intervalMs),
    };
    const problems = validateLivenessConfig(config);
    if (problems.length > 0) throw new LivenessSettingsError(problems.join('; '));
    this.#config = config;
    this.#shell = new LivenessShell(config, (event) => this.#tell(event));
  }

  get stats(): Readonly<LivenessStats> {
    return this.#shell.stats;
  }

  /**
   * Checks `id` at `endpoint` from now on; a known id moves there. `id` is echoed in events and nothing else. A host name is
   * looked up; until it has an address the peer does not answer. Throws {@link LivenessSettingsError} when `endpoint` is
   * no host and port, or more peers are watched than a checker can: nothing changed.
   */
  add(id: string, endpoint: Endpoint | string): void {
    const at = typeof endpoint === 'string' ? parseEndpoint(endpoint) : endpoint;
    if (at === undefined || at.port === 0) {
      throw new LivenessSettingsError(`${id}: to be checked takes host:port, not ${JSON.stringify(endpoint)}`);
    }
    if (!this.#wanted.has(id) && this.#wanted.size >= this.#config.watchedMax) {
      throw new LivenessSettingsError(`${id}: a checker watches ${this.#config.watchedMax} peers at most`);
    }
    if (this.#closed) return;
    this.#wanted.set(id, at);
    this.#stopRetry(id);
    if (isIP(at.host) !== 0) this.#shell.step({ kind: 'watch', id, endpoint: at });
    else this.#resolve(id, at);
  }

  /** Forgets `id`; an unknown one is no matter. No event follows. */
  remove(id: string): void {
    this.#wanted.delete(id);
    this.#stopRetry(id);
    this.#shell.step({ kind: 'unwatch', id });
  }

  /** Forgets everybody. */
  clear(): void {
    for (const id of this.#retries.keys()) this.#stopRetry(id);
    this.#wanted.clear();
    this.#shell.step({ kind: 'clear' });
  }

  /** Calls `listener` with the id of each peer that dies. Returns the function that ends it. */
  onDead(listener: (id: string) => void): () => void {
    this.#onDead.add(listener);
    return () => void this.#onDead.delete(listener);
  }

  /** Calls `listener` with the id of each dead peer that answers again. Returns the function that ends it. */
  onAlive(listener: (id: string) => void): () => void {
    this.#onAlive.add(listener);
    return () => void this.#onAlive.delete(listener);
  }

  /** Ends everything; no event follows, and `add` does nothing any more. */
  shutdown(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.clear();
    this.#closed = true;
    this.#onDead.clear();
    this.#onAlive.clear();
    return this.#shell.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #resolve(id: string, at: Endpoint): void {
    const isWanted = (): boolean => !this.#closed && this.#wanted.get(id) === at;
    lookup(at.host).then(
      (found) => {
        if (isWanted()) this.#shell.step({ kind: 'watch', id, endpoint: { host: found.address, port: at.port } });
      },
      () => {
        if (!isWanted()) return;
        this.#shell.step({ kind: 'watch', id, endpoint: NOWHERE });
        this.#retries.set(
          id,
          setTimeout(() => this.#resolve(id, at), this.#config.deadIntervalMs),
        );
      },
    );
  }

  #stopRetry(id: string): void {
    clearTimeout(this.#retries.get(id));
    this.#retries.delete(id);
  }

  #tell(event: LivenessEvent): void {
    switch (event.kind) {
      case 'dead':
        for (const listener of this.#onDead) listener(event.id);
        break;
      case 'alive':
        for (const listener of this.#onAlive) listener(event.id);
        break;
      case 'dropped':
        // Counted in `stats`; a stranger's packets are no event for the application.
        break;
    }
  }
}
