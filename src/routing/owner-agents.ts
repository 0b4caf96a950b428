/** Kept HTTP/1.1 connections to the owners of shards: a pool for each endpoint, which ends when the endpoint does. */
import { Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { ShardRouter } from './shard-router.ts';

/** Shorter than the 5 s after which Node's servers close an idle connection, so that no request is sent into a closing one. */
const IDLE_MS = 2_000;
/** Requests to one owner at once; more wait inside the pool. */
const SOCKETS_MAX = 1_024;
/** Requests under way when their endpoint goes get this long to end. */
const GRACE_MS = 5_000;

export class OwnerAgents implements Disposable {
  readonly #router: ShardRouter;
  readonly #agents: Map<string, PlainAgent> = new Map();
  readonly #leaving: Set<PlainAgent> = new Set();
  readonly #unsubscribe: () => void;

  constructor(router: ShardRouter) {
    this.#router = router;
    this.#unsubscribe = router.onEndpointGone((address) => this.#onGone(address));
  }

  /** Connections that are open, in use or kept. */
  get open(): number {
    return [...this.#agents.values(), ...this.#leaving].reduce(
      (sum, { sockets, freeSockets }) => sum + countOf(sockets) + countOf(freeSockets),
      0,
    );
  }

  agentOf(endpoint: Endpoint): PlainAgent {
    const address = formatEndpoint(endpoint);
    const held = this.#agents.get(address);
    if (held !== undefined) return held;
    const { tls } = this.#router;
    const options = { keepAlive: true, timeout: IDLE_MS, maxSockets: SOCKETS_MAX };
    // Its own settings would go before those of a request, which are the newest.
    const agent = tls === undefined ? new PlainAgent(options) : new TlsAgent(options);
    this.#agents.set(address, agent);
    return agent;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    for (const agent of [...this.#agents.values(), ...this.#leaving]) agent.destroy();
    this.#agents.clear();
    this.#leaving.clear();
  }

  #onGone(address: string): void {
    const agent = this.#agents.get(address);
    if (agent === undefined) return;
    this.#agents.delete(address);
    // Nothing is kept any more: what is idle ends now, what is in use after its answer.
    agent.maxFreeSockets = 0;
    for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
    if (countOf(agent.sockets) === 0) return;
    this.#leaving.add(agent);
    const limit = setTimeout(() => {
      this.#leaving.delete(agent);
      agent.destroy();
    }, GRACE_MS);
    limit.unref();
  }
}

function countOf(sockets: NodeJS.ReadOnlyDict<readonly unknown[]>): number {
  return Object.values(sockets).reduce((sum, list) => sum + (list?.length ?? 0), 0);
}
