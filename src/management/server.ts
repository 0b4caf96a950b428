/**
 * The management server: clusterfunk's service, our own, health and reflection, on one gRPC port.
 * It reads and steers the node through its handle alone; one file in `handlers/` per call.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Endpoint } from '../model/endpoint.ts';
import type { Logger } from '../ports/logger.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { type CallCount, CallCounts } from './call-counts.ts';
import { SERVER_OPTIONS } from './grpc-options.ts';
import type { WatchLimits } from './handlers/node/watch.ts';
import { addHealth } from './health.ts';
import { LeaderForwarder } from './leader-forwarder.ts';
import { MapHistory } from './map-history.ts';
import { Listener } from './listener.ts';
import { OpenStreams } from './open-streams.ts';
import { KV_SERVICE, LEADER_SERVICE, loadProtos, MANAGEMENT_SERVICE, NODE_SERVICE } from './protos.ts';
import { addReflection } from './reflection.ts';
import type { HandlerContext } from './rpc.ts';
import { clusterLeader, clusterManagement, kvService, nodeService } from './services.ts';

/** How long calls under way may take to end when the server stops; then they are cut (stack.md 5). */
const STOP_GRACE_MS = 5_000;
/** Clients of the coordination state have one each. */
const EXCHANGES_MAX = 1_024;

export interface ManagementServerOptions {
  readonly handle: NodeHandle;
  /** Where to listen; port 0 takes any free one. */
  readonly endpoint: Endpoint;
  /** The folder that holds `funk/v1/node.proto`; the package's own unless given. */
  readonly protoDir?: string;
  readonly logger?: Logger;
  /** 5 s unless given. */
  readonly stopGraceMs?: number;
  readonly watch?: WatchLimits;
}

export interface ManagementStats {
  /** By method and code. A code is a gRPC status, or the one inside an answer of clusterfunk's service. */
  readonly requests: readonly CallCount[];
  /** Calls sent on to the leader. */
  readonly forwarded: number;
  /** Open streams: watchers of the node and of its health. */
  readonly streams: number;
  readonly connections: number;
  readonly connectionsAccepted: number;
  readonly connectionsRefused: number;
  /** Connections that sent something else than HTTP/2. */
  readonly connectionsMalformed: number;
}

export interface ManagementServer extends AsyncDisposable {
  /** Where it listens: the host that was given, the port that was bound. */
  readonly endpoint: Endpoint;
  stats(): ManagementStats;
  /** Ends streams and lets calls under way end, up to a bound. Again: the same promise. */
  close(): Promise<void>;
}

/** Binds and serves. Rejects with BindFailedError, which names the endpoint and says why; nothing was opened then. */
export async function createManagementServer(options: ManagementServerOptions): Promise<ManagementServer> {
  const { handle, logger, protoDir } = options;
  const protos = loadProtos(protoDir);
  const forwarder = new LeaderForwarder(handle);
  const maps = new MapHistory(handle);
  const context: HandlerContext = { handle, forwarder, maps, protos, counts: new CallCounts(), logger };
  const streams = new OpenStreams();
  const server = new Server(SERVER_OPTIONS);
  server.addService(protos.management, clusterManagement(context));
  server.addService(protos.leader, clusterLeader(context));
  server.addService(protos.node, nodeService(context, streams, options.watch));
  const exchanges = new OpenStreams(EXCHANGES_MAX);
  server.addService(protos.kv, kvService(context, exchanges));
  addReflection(server, protoDir);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const endHealth = addHealth({
    server,
    handle,
    services: [MANAGEMENT_SERVICE, LEADER_SERVICE, NODE_SERVICE, KV_SERVICE],
    streams,
  });
  const listener = await Listener.open({
    endpoint: options.endpoint,
    accept: (socket) => injector.injectConnection(socket),
    logger,
  }).catch((error: unknown) => {
    endHealth();
    forwarder[Symbol.dispose]();
    maps[Symbol.dispose]();
    throw error;
  });
  const graceMs = options.stopGraceMs ?? STOP_GRACE_MS;
  return new RunningServer({
    host: options.endpoint.host,
    context,
    streams,
    exchanges,
    listener,
    server,
    endHealth,
    graceMs,
  });
}

interface RunningParts {
  readonly host: string;
  readonly context: HandlerContext;
  readonly streams: OpenStreams;
  readonly exchanges: OpenStreams;
  readonly listener: Listener;
  readonly server: Server;
  readonly endHealth: () => void;
  readonly graceMs: number;
}

class RunningServer implements ManagementServer {
  readonly endpoint: Endpoint;
  readonly #parts: RunningParts;
  #closing: Promise<void> | undefined;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    this.endpoint = { host: parts.host, port: parts.listener.port };
  }

  stats(): ManagementStats {
    const { context, streams, exchanges, listener } = this.#parts;
    return {
      requests: context.counts.rows(),
      forwarded: context.forwarder.forwarded,
      streams: streams.count + exchanges.count,
      connections: listener.connections,
      connectionsAccepted: listener.accepted,
      connectionsRefused: listener.refused,
      connectionsMalformed: listener.malformed,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#stop();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stop(): Promise<void> {
    const { context, streams, exchanges, listener, server, endHealth, graceMs } = this.#parts;
    const connectionsEnded = listener.close();
    endHealth();
    streams.endAll();
    exchanges.endAll();
    endSessions(server);
    const isGraceful = await endsWithin(connectionsEnded, graceMs);
    if (!isGraceful) {
      context.logger?.log('warn', 'callsCut', { afterMs: graceMs });
      server.forceShutdown();
    }
    listener.destroyAll();
    await connectionsEnded;
    context.forwarder[Symbol.dispose]();
    context.maps[Symbol.dispose]();
  }
}

/**
 * Tells every client to ask nothing more on its connection, which then ends with the last call on it.
 *
 * When that is, gRPC does not say on every Node: since Node 24 an HTTP/2 server closes its sessions itself (nodejs/node#57586), and
 * gRPC takes for ended what it finds closed, calls under way or not. Our connections are the measure that all versions share.
 */
function endSessions(server: Server): void {
  server.tryShutdown(() => undefined);
}

/** Whether `work` is done within `ms`. */
async function endsWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const isDone = await Promise.race([work.then(() => true), bound]);
  clearTimeout(timer);
  return isDone;
}
