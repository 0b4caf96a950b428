/** The whole node in the thread that makes it: opens core, sockets, disk and servers in order, and closes them in reverse. */
import { Cluster } from './cluster/cluster.ts';
import type { ClusterInput } from './cluster/messages.ts';
import { Discovery } from './discovery/discovery.ts';
import { JoinSeeker } from './discovery/join-seeker.ts';
import type { EtcdInput } from './etcd/messages.ts';
import { createManagementServer, type ManagementServer } from './management/server.ts';
import { createHttpServer, type HttpServer } from './metrics/http-server.ts';
import { NodeMetrics } from './metrics/node-metrics.ts';
import { type Endpoint, formatEndpoint } from './model/endpoint.ts';
import type { NodeId } from './model/ids.ts';
import type { NodeEvent } from './model/node-event.ts';
import {
  TAG_EP_HTTP,
  TAG_EP_LIVENESS,
  TAG_EP_MANAGEMENT,
  TAG_EP_RAFT,
  TAG_EP_SERF,
  TAG_PRIORITY,
  TAG_ROLE,
  TAG_SERVICE_NAME,
  TAG_WEIGHT,
} from './model/tags.ts';
import type { EndpointName, NodeConfig } from './node-config.ts';
import type { EtcdConfig } from './node-config/etcd-options.ts';
import { clusterConfigOf } from './node-config/cluster-config.ts';
import { ConfigError, emptyDirectoryProblem, ownLogProblem } from './node-config/config-error.ts';
import { idPrefixOf } from './node-config/service-node.ts';
import { type NodeRunner, type NodeRunnerHooks, NotRunningError } from './node-runner.ts';
import type { Logger } from './ports/logger.ts';
import { bindAny, bindGossip, type GossipSockets } from './runtime/bound-sockets.ts';
import { EtcdLink } from './runtime/etcd-link.ts';
import { GossipSnapshot } from './runtime/gossip-snapshot.ts';
import { LocalNodeHandle } from './runtime/local-node-handle.ts';
import { LoopDelay } from './runtime/loop-delay.ts';
import { NodeLoop } from './runtime/node-loop.ts';
import type { NodeStorage } from './runtime/node-storage.ts';
import { OpenedStorage } from './runtime/opened-storage.ts';
import { packageVersion } from './runtime/package-version.ts';
import { PeerLinks } from './runtime/peer-links.ts';
import { readFollowed, readPeers, ShellPerformer } from './runtime/shell-performer.ts';
import { ShardHookCalls } from './runtime/shard-hook-calls.ts';
import { settledWithin } from './runtime/settled-within.ts';
import { SystemClock } from './runtime/system-clock.ts';
import { SystemRandom } from './runtime/system-random.ts';
import { UdpSocket } from './runtime/udp-socket.ts';
import { SerfDoors } from './serf-doors.ts';

interface Sockets {
  readonly gossip: GossipSockets;
  /** Undefined where this door is not opened, and so below. */
  readonly liveness: UdpSocket | undefined;
  readonly links: PeerLinks;
  readonly raftAt: Endpoint | undefined;
  readonly etcd: EtcdLink | undefined;
}

const ENDPOINT_TAGS: Readonly<Record<EndpointName, string>> = {
  serf: TAG_EP_SERF,
  raft: TAG_EP_RAFT,
  liveness: TAG_EP_LIVENESS,
  management: TAG_EP_MANAGEMENT,
  http: TAG_EP_HTTP,
};
/** For an application that gives no logger. */
const SILENT: Logger = { log: () => {}, child: () => SILENT };
/** Storage, sockets and servers get this long to close. */
const CLOSE_MS = 8_000;

export interface LocalNodeHooks extends NodeRunnerHooks {
  /** Hears of every turn before its effects are performed, and of the stop. */
  readonly publish?: (loop: NodeLoop) => void;
  /** The core is there, and will hear its first input. */
  readonly onRunning?: (handle: LocalNodeHandle) => void;
  /** Everything is closed. */
  readonly onClosed?: () => void;
}

export class LocalNode implements NodeRunner {
  readonly #config: NodeConfig;
  readonly #hooks: LocalNodeHooks;
  readonly #serfDoors: SerfDoors;
  readonly #closers: (() => Promise<void>)[] = [];
  #handle: LocalNodeHandle | undefined;
  #loop: NodeLoop | undefined;
  #shardHooks: ShardHookCalls | undefined;
  #storage: OpenedStorage | undefined;
  #discovery: Discovery | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(config: NodeConfig, hooks: LocalNodeHooks) {
    this.#config = config;
    this.#hooks = hooks;
    this.#serfDoors = new SerfDoors(config, () => new SystemClock().wall());
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  get dataDir(): string | undefined {
    return this.#storage?.path;
  }

  get handle(): LocalNodeHandle | undefined {
    return this.#handle;
  }

  async #start(): Promise<void> {
    if (this.#stopping !== undefined) throw new NotRunningError('the node has been stopped; make a new one');
    try {
      await this.#open();
      if (this.#loop?.isStopped === true)
        throw new NotRunningError('the node broke while it started: it is closed again');
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const config = this.#config;
    const clock = new SystemClock();
    const random = new SystemRandom();
    const storage = await this.#openStorage();
    const snapshot = await this.#openSnapshot();
    const remembered = [...(await readPeers(this.dataDir)), ...(snapshot?.othersThan(storage.nodeId) ?? [])];
    const isBlank = storage.log.clusterId === undefined && remembered.length === 0;
    const problem = isBlank ? emptyDirectoryProblem(config) : ownLogProblem(config, storage.log.clusterId);
    if (problem !== undefined) throw new ConfigError([problem]);

    const sockets = await this.#openSockets(clock);
    const { gossip, liveness, raftAt } = sockets;
    const cluster = new Cluster(
      clusterConfigOf(config, storage, this.#advertised('serf', gossip.udp.local), {
        followed: await readFollowed(this.dataDir),
        startedAt: clock.monotonic(),
        startedWallMs: clock.wall(),
        hasReleaseHook: this.#hooks.onRelease !== undefined,
        hasAcquireHook: this.#hooks.onAcquire !== undefined,
        startsLoading: this.#hooks.onAcquire !== undefined && this.#hooks.servesBeforeAcquired !== true,
      }),
      storage.log.recovered,
      storage.log.clusterId,
      random,
    );
    const { handle, loop } = this.#run(cluster, clock, sockets);
    const management = config.doors.has('management') ? await this.#serveManagement(handle) : undefined;
    const http = config.doors.has('http') ? await this.#serveHttp(handle, management) : undefined;
    this.#closers.push(() => this.#serfDoors.close());
    await this.#serfDoors.listen(handle, () => void this.stop());
    this.#serfDoors.handleEvents(handle, this.#logger('handlers'));
    const endpoints = this.#published({
      serf: gossip.udp.local,
      raft: raftAt,
      liveness: liveness?.local,
      management: management?.endpoint,
      http: http?.local,
    });
    snapshot?.follow(handle);
    const times = snapshot?.before.times;
    await loop.take({ kind: 'start', tags: this.#tags(endpoints), endpoints, ...(times && { times }) });
    if (remembered.length > 0) handle.discovered({ gossip: remembered, searched: false });
    if (config.join.length > 0) {
      const seeker = new JoinSeeker(handle, config.join, this.#logger('discovery'));
      this.#closers.push(async () => seeker.stop());
      seeker.start();
    }
    await this.#serfDoors.discover(handle, this.#advertised('serf', gossip.udp.local), this.#logger('discovery'));
    if (config.zeroconf) await this.#discover(random, storage.nodeId, endpoints);
  }

  /** Everything that peers reach, except the servers that need a running core. */
  async #openSockets(clock: SystemClock): Promise<Sockets> {
    const { endpoints, doors } = this.#config;
    const post = (input: ClusterInput): void => this.#loop?.post(input);
    const gossip = await bindGossip(
      endpoints.serf,
      {
        accepted: (stream, from) => post({ kind: 'streamAccepted', stream, from }),
        opened: (stream) => post({ kind: 'streamOpened', stream }),
        bytes: (stream, bytes) => post({ kind: 'streamBytes', stream, bytes }),
        closed: (stream, error) => post({ kind: 'streamClosed', stream, error }),
      },
      (bytes, from) => post({ kind: 'datagram', channel: 'gossip', from, bytes }),
    );
    this.#closers.push(
      () => gossip.udp[Symbol.asyncDispose](),
      () => gossip.tcp[Symbol.asyncDispose](),
    );
    const liveness = doors.has('liveness')
      ? await bindAny('liveness-endpoint', endpoints.liveness, (at) =>
          UdpSocket.bind(at, (bytes, from) => post({ kind: 'datagram', channel: 'liveness', from, bytes })),
        )
      : undefined;
    this.#closers.push(async () => await liveness?.[Symbol.asyncDispose]());
    const links = new PeerLinks(
      {
        frame: (bytes) => post({ kind: 'peerFrame', bytes }),
        unreachable: (peer) => post({ kind: 'peerUnreachable', peer }),
      },
      () => clock.monotonic(),
    );
    this.#closers.push(() => links[Symbol.asyncDispose]());
    const raftAt = doors.has('raft')
      ? await bindAny('raft-endpoint', endpoints.raft, (at) => links.listen(at))
      : undefined;
    const { etcd: etcdConfig } = this.#config;
    const etcd = etcdConfig && (await openEtcd(etcdConfig, (told) => post({ kind: 'etcd', told })));
    this.#closers.push(async () => etcd?.[Symbol.dispose]());
    return { gossip, liveness, links, raftAt, etcd };
  }

  /** The loop around the core; it does nothing before its first input. */
  #run(
    cluster: Cluster,
    clock: SystemClock,
    { gossip, liveness, links, etcd }: Sockets,
  ): { handle: LocalNodeHandle; loop: NodeLoop } {
    const performer = new ShellPerformer({
      gossip,
      liveness,
      links,
      etcd,
      keyringFile: this.#config.keyringFile,
      dataDir: () => this.dataDir,
      log: () => this.#opened.current.log,
      resetLog: (dissolved) => this.#opened.startOver(dissolved),
      post: (input) => this.#loop?.post(input),
      stop: (reason, exitCode) => this.#fail(reason, exitCode),
    });
    const loop = new NodeLoop(cluster, clock, performer, this.#hooks.publish);
    const shell = { peers: () => links.stats, storage: () => this.#storage?.stats };
    const handle = new LocalNodeHandle(loop, clock, shell);
    this.#loop = loop;
    this.#opened.watch({
      onRoom: (room) => loop.post({ kind: 'room', room }),
      onFailure: ({ message }) => loop.post({ kind: 'persistFailed', reason: message }),
    });
    this.#handle = handle;
    this.#shardHooks = new ShardHookCalls(this.#hooks, handle, this.#logger('shards'));
    this.#closers.push(async () => this.#shardHooks?.close());
    this.#hooks.onRunning?.(handle);
    loop.subscribe((event) => this.#onEvent(event));
    const delay = new LoopDelay(clock, (p99Ms) => {
      loop.stats.delayP99Ms = p99Ms;
      loop.post({ kind: 'loopDelay', p99Ms });
    });
    this.#closers.push(async () => delay[Symbol.dispose]());
    return { handle, loop };
  }

  async #serveManagement(handle: LocalNodeHandle): Promise<ManagementServer> {
    const management = await bindAny('management-endpoint', this.#config.endpoints.management, (endpoint) =>
      createManagementServer({ handle, endpoint, logger: this.#logger('management') }),
    );
    this.#closers.push(() => management.close());
    return management;
  }

  async #serveHttp(handle: LocalNodeHandle, management: ManagementServer | undefined): Promise<HttpServer> {
    const outer = {
      management: () => management?.stats(),
      discovery: () => this.#discovery?.stats(),
      http: () => http.stats(),
      serfRpc: () => this.#serfDoors.rpcStats(),
    };
    const clock = new SystemClock();
    const metrics =
      this.#config.metrics === 'none'
        ? undefined
        : new NodeMetrics({ handle, outer, version: packageVersion(), wall: () => clock.wall() });
    const http: HttpServer = await bindAny('http-endpoint', this.#config.endpoints.http, (endpoint) =>
      createHttpServer({ handle, endpoint, metrics, logger: this.#logger('http') }),
    );
    this.#closers.push(() => http.close());
    return http;
  }

  async #openSnapshot(): Promise<GossipSnapshot | undefined> {
    const { snapshot: path, rejoinAfterLeave: rejoinsAfterLeave } = this.#config;
    if (path === undefined) return undefined;
    const onWarning = (text: string): void => this.#logger('gossip').log('warn', 'snapshot', { text });
    const snapshot = await GossipSnapshot.open({ path, rejoinsAfterLeave, onWarning });
    this.#closers.push(() => snapshot.close());
    return snapshot;
  }

  get #opened(): OpenedStorage {
    if (this.#storage === undefined) throw new NotRunningError('the storage is closed');
    return this.#storage;
  }

  async #openStorage(): Promise<NodeStorage> {
    const { kind, inMemory } = this.#config;
    const opened = await OpenedStorage.open({
      ...this.#config,
      inMemory: inMemory || kind !== 'voter',
      idPrefix: idPrefixOf(this.#config),
    });
    this.#storage = opened;
    this.#closers.push(() => opened.release());
    return opened.current;
  }

  #tags(endpoints: ReadonlyMap<string, Endpoint>): Map<string, string> {
    const tags = new Map(this.#config.tags);
    for (const [name, endpoint] of endpoints) tags.set(name, formatEndpoint(endpoint));
    tags.set(TAG_SERVICE_NAME, this.#config.serviceName ?? this.#config.clusterName);
    tags.set(TAG_ROLE, this.#config.kind);
    if (this.#config.shardWeight !== 1) tags.set(TAG_WEIGHT, String(this.#config.shardWeight));
    if (this.#config.leaderPriority !== 0) tags.set(TAG_PRIORITY, String(this.#config.leaderPriority));
    return tags;
  }

  /** By tag, what of the bound is told to others. */
  #published(bound: Readonly<Record<EndpointName, Endpoint | undefined>>): Map<string, Endpoint> {
    const names = Object.keys(ENDPOINT_TAGS) as EndpointName[];
    return new Map(
      names.flatMap((name) => {
        const at = bound[name];
        return at === undefined ? [] : [[ENDPOINT_TAGS[name], this.#advertised(name, at)] as const];
      }),
    );
  }

  #advertised(name: EndpointName, bound: Endpoint): Endpoint {
    const { advertise } = this.#config.endpoints[name];
    return { host: advertise.host, port: advertise.port === 0 ? bound.port : advertise.port };
  }

  #logger(room: string): Logger {
    return this.#serfDoors.tee(room, this.#hooks.logger?.child(room) ?? SILENT);
  }

  async #discover(random: SystemRandom, nodeId: NodeId, endpoints: ReadonlyMap<string, Endpoint>): Promise<void> {
    const { interface: on, clusterName } = this.#config;
    const discovery: Discovery = new Discovery({
      interface: on,
      clusterName,
      nodeId,
      random,
      onDiscovered: (found) => this.#handle?.discovered(found),
      onWarning: (text) => this.#logger('discovery').log('warn', 'mdns', { text }),
    });
    this.#discovery = discovery;
    this.#closers.push(() => discovery.stop());
    await discovery.start();
    const serf = endpoints.get(TAG_EP_SERF);
    const mgmt = endpoints.get(TAG_EP_MANAGEMENT);
    discovery.announce({ ...(serf && { serf }), ...(mgmt && { mgmt }) });
  }

  #onEvent(event: NodeEvent): void {
    this.#hooks.onEvent(event);
    this.#shardHooks?.onEvent(event);
  }

  /** The core cannot go on: no word to the cluster any more, everything is closed, and `stopped` says why. */
  #fail(reason: string, exitCode: number): void {
    this.#loop?.stop(reason, exitCode);
    this.#stopping ??= this.#close();
  }

  async #stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    if (this.#loop !== undefined && !this.#loop.isStopped) {
      await this.#handle
        ?.leave()
        .catch((error: unknown) => this.#hooks.logger?.log('warn', 'leave', { text: String(error) }));
      this.#loop.stop('left in order', 0);
    }
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#loop?.stop('closed', 0);
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      const isClosed = await settledWithin(close(), CLOSE_MS);
      if (!isClosed) this.#hooks.logger?.log('warn', 'close', { text: 'a part did not close in time' });
    }
    this.#hooks.onClosed?.();
  }
}

/** @throws {ConfigError} when a file of the certificates cannot be read. */
async function openEtcd(config: EtcdConfig, post: (told: EtcdInput) => void): Promise<EtcdLink> {
  try {
    return await EtcdLink.open(config, post);
  } catch (error) {
    throw new ConfigError([`etcd: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
