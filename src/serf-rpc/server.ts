/**
 * The Serf agent's RPC of a node: the stock `serf` command line, and whatever else speaks to agents, works against it. Off unless it
 * is asked for. wire-gossip.md 20.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { AgentEventSource } from '../model/agent-event.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import type { AgentFacts } from './agent-stats.ts';
import { RpcBindError } from './errors.ts';
import type { LogLines } from './log-lines.ts';
import { type ResolvedAddresses, RpcCounts, type RpcHost, type RpcStats } from './rpc-host.ts';
import { Session } from './session.ts';

export interface SerfRpcOptions {
  readonly handle: NodeHandle;
  /** Where to listen; port 0 takes any free one. */
  readonly endpoint: Endpoint;
  /** What clients must show; undefined lets everyone in who can connect. */
  readonly authKey: string | undefined;
  /** What streams carry. */
  readonly events: AgentEventSource;
  readonly facts: AgentFacts;
  /** What monitors show. The server writes to it, too. */
  readonly log: LogLines;
  /** Turns what a client wants to join into addresses. Never rejects. */
  readonly resolve: (addresses: readonly string[]) => Promise<ResolvedAddresses>;
  /** A client wants the node to leave: begins its orderly stop, which closes this server. */
  readonly leave: () => void;
}

export interface SerfRpcServer extends AsyncDisposable {
  /** Where it listens; the port is the bound one. */
  readonly local: Endpoint;
  stats(): RpcStats;
  /** Tells clients that asked for it that the node has left, and ends all connections. */
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 128;
const CLOSE_GRACE_MS = 500;
const KEEP_ALIVE_MS = 30_000;
/** Far from the numbers that other doors of the node give to their queries. */
const QUERIES_FROM = 2 ** 40;

/** Rejects with {@link RpcBindError}; then nothing is left open. */
export function createSerfRpcServer(options: SerfRpcOptions): Promise<SerfRpcServer> {
  return new RunningServer(options).listen();
}

class RunningServer implements SerfRpcServer {
  readonly #server: Server;
  readonly #host: RpcHost;
  readonly #sessions: Set<Session> = new Set();
  readonly #unsubscribe: () => void;
  #local: Endpoint;
  #nextQuery = QUERIES_FROM;
  #closing: Promise<void> | undefined;

  constructor(options: SerfRpcOptions) {
    const { handle, authKey, events, facts, log, resolve, leave } = options;
    this.#local = options.endpoint;
    const nextQuery = (): number => {
      this.#nextQuery += 1;
      return this.#nextQuery;
    };
    this.#host = { handle, authKey, events, facts, log, counts: new RpcCounts(), resolve, leave, nextQuery };
    const unhear = events((event) => log.hear(event));
    const unsubscribe = handle.subscribe((event) => {
      log.tell(event);
      // At once: a program may end before everything is closed.
      if (event.kind === 'stopped') for (const session of this.#sessions) session.finish();
    });
    this.#unsubscribe = () => {
      unhear();
      unsubscribe();
    };
    this.#server = createServer({ keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, noDelay: true });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('connection', (socket) => this.#onConnection(socket));
    this.#server.on('drop', () => this.#host.counts.onCut('tooMany'));
  }

  get local(): Endpoint {
    return this.#local;
  }

  stats(): RpcStats {
    return this.#host.counts.reading(this.#sessions.size);
  }

  listen(): Promise<SerfRpcServer> {
    const endpoint = this.#local;
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => {
        this.#unsubscribe();
        reject(new RpcBindError(endpoint, cause));
      };
      this.#server.once('error', failed);
      this.#server.listen({ host: endpoint.host, port: endpoint.port, exclusive: true }, () => {
        this.#server.off('error', failed);
        this.#server.on('error', (cause) => this.#host.log.note('ERR', 'agent.ipc', cause.message));
        const bound = this.#server.address();
        if (bound !== null && typeof bound === 'object') this.#local = { host: bound.address, port: bound.port };
        resolve(this);
      });
    });
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#unsubscribe();
      const grace = setTimeout(() => {
        for (const session of this.#sessions) session.destroy();
      }, CLOSE_GRACE_MS);
      this.#server.close(() => {
        clearTimeout(grace);
        resolve();
      });
      for (const session of this.#sessions) session.finish();
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onConnection(socket: Socket): void {
    const session = new Session(socket, this.#host);
    this.#sessions.add(session);
    this.#host.counts.onAccepted();
    this.#host.log.note(
      'DEBUG',
      'agent.ipc',
      `Accepted client: ${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`,
    );
    socket.once('close', () => this.#sessions.delete(session));
  }
}
