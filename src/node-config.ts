/** What a node is told: settings as people give them, made complete and checked before anything starts. */
import type { AgentTiming } from './events/agent-events.ts';
import type { HandlerSpec } from './events/handler-spec.ts';
import { type Endpoint, formatEndpoint } from './model/endpoint.ts';
import type { NodeId } from './model/ids.ts';
import type { NodeKind } from './model/node-state.ts';
import { ConfigError } from './node-config/config-error.ts';
import { type EtcdConfig, etcdConfigOf, etcdProblems } from './node-config/etcd-options.ts';
import { chooseInterface, type Host, type HostInterface, isLoopback, thisHost } from './node-config/host-interface.ts';
import { gossipProblems } from './node-config/gossip-problems.ts';
import { agentTiming, type CoalescingValues } from './node-config/coalescing.ts';
import {
  type GossipTuning,
  type GossipTuningValues,
  gossipTuning,
  tuningProblems,
} from './node-config/gossip-tuning.ts';
import { nearestName } from './node-config/nearest-name.ts';
import { type LogFormat, type MetricsSink, OPTION_KEYS, type OptionKey } from './node-config/option-table.ts';
import { type NodeThread, type OptionValues, readOption } from './node-config/option-table.ts';
import { doorsOf, idPrefixOf, kindOf, serviceProblems } from './node-config/service-node.ts';
import { tagProblems } from './node-config/tag-problems.ts';
import type { LogLevel } from './ports/logger.ts';
import { LEASE_MS } from './node-config/timing-options.ts';
import { RAFT_PROFILES, type RaftProfile } from './raft/config.ts';
import type { IpNetwork } from './wire/memberlist/network.ts';
import { type ShardingConfig, shardingConfig, validateShardingConfig, warnShardingConfig } from './sharding/config.ts';

export { ConfigError, type HandlerSpec };

/** Milliseconds, or a text such as `150ms`, `2s`, `5m`. */
export type DurationOption = number | string;
/** `host:port` as text, or the two apart. */
export type EndpointOption = string | Endpoint;

/** Tunables of memberlist, Serf and its agent, all of them described in docs/options.md; the profile gives those that are not set. */
type TuningOptions = {
  readonly [Key in keyof GossipTuningValues]?: GossipTuningValues[Key] | DurationOption | undefined;
} & { readonly [Key in keyof CoalescingValues]?: DurationOption | undefined };

/** What a program may tell a node. All of it is optional, and every text that a flag takes is good here too. */
export interface NodeOptions extends TuningOptions {
  /** The cluster to be part of. Default `clusterfunk`. */
  readonly clusterName?: string | undefined;
  /** The name of this node: at most 64 letters, digits, `-`, `.`, `_`. Default: random, kept with the data. */
  readonly nodeId?: string | undefined;
  /** Default `voter`. */
  readonly role?: NodeKind | 'primary' | 'secondary' | 'client' | undefined;
  /**
   * Be in gossip only to publish the endpoints of this service: a `non-member` (the default role then) that is listed under this name, has an id
   * that begins with `svc_`, and opens neither Raft nor liveness. Default: none.
   */
  readonly serviceName?: string | undefined;
  /** An address or an interface's name. Default: the interface with the default route. */
  readonly interface?: string | undefined;
  /** Find the cluster by mDNS. Default false. */
  readonly zeroconf?: boolean | undefined;
  /** Addresses to join through: `host`, `host:port`, or the name of an SRV record. */
  readonly join?: string | readonly string[] | undefined;
  /** Found a cluster; for exactly one node. Default false. */
  readonly bootstrap?: boolean | undefined;
  /** Found a cluster as soon as so many undecided nodes see each other. */
  readonly bootstrapExpect?: number | undefined;
  /** Let gossip change the voters. Default true. */
  readonly autoJoin?: boolean | undefined;
  /** How many nodes vote: 1, 3, 5 or 7. Default 5. */
  readonly voters?: number | undefined;
  /** Heartbeats and elections of the cluster that this node founds. Default `fast`. */
  readonly raftProfile?: 'fast' | 'steady' | undefined;
  /** A leader answers reads while its lease runs. Only together with `hostsNeverSuspend`. */
  readonly leaseReads?: boolean | undefined;
  /** No machine of the cluster is ever suspended. */
  readonly hostsNeverSuspend?: boolean | undefined;
  /** How much this node is wanted to lead, -100 to 100; a healthy leader hands over to a voter of higher priority. Default 0. */
  readonly leaderPriority?: number | undefined;
  /** Number of shards, 1 to 65535. Default 10000. */
  readonly shards?: number | undefined;
  /** Own no shards. Default false. */
  readonly noShards?: boolean | undefined;
  /** The share of this node beside the others, 0.01 to 1000. Default 1. */
  readonly shardWeight?: number | undefined;
  /** Folder of log and name. Default: a free slot below the user's state folder. */
  readonly dataDir?: string | undefined;
  /** Keep nothing on disk. Default false. */
  readonly inMemory?: boolean | undefined;
  /** 300 ms to 1 min. Default 900 ms. */
  readonly lease?: DurationOption | undefined;
  /** Part by which two clocks may differ in speed, 0 to 0.2. Default 0.02. */
  readonly clockDrift?: number | string | undefined;
  /** 50 ms to 1 min. Default 500 ms. */
  readonly ackTimeout?: DurationOption | undefined;
  /** 0 ms to 10 min. Default 5 s. */
  readonly flapHold?: DurationOption | undefined;
  /** 0 ms to 10 min. Default 0 ms. */
  readonly restartGrace?: DurationOption | undefined;
  /** Leave the leader and the shard map to this etcd, `http://host:port` each; no node votes then. Default: the nodes agree among themselves. */
  readonly etcdEndpoints?: string | readonly string[] | undefined;
  /** All keys lie below it. Default `/funknode/<clusterName>`. */
  readonly etcdPrefix?: string | undefined;
  /** How long etcd keeps the seat of a leader that it does not hear: whole seconds from 2 s to 1 min. Default 3 s. */
  readonly etcdLease?: DurationOption | undefined;
  readonly etcdCaFile?: string | undefined;
  readonly etcdCertFile?: string | undefined;
  readonly etcdKeyFile?: string | undefined;
  /** 10 ms to 1 min. Default 150 ms. */
  readonly livenessInterval?: DurationOption | undefined;
  /** 1 to 100. Default 3. */
  readonly livenessRetries?: number | undefined;
  /** Tags that gossip carries. */
  readonly tag?: Readonly<Record<string, string>> | readonly string[] | undefined;
  /** Encrypt gossip with this key: 16, 24 or 32 bytes in base64. Changes of the keyring are lost at a restart. Default: plain gossip. */
  readonly encrypt?: string | undefined;
  /** Encrypt gossip with the keys of this file (JSON array of base64, the primary first) and keep changes there. Not with `encrypt`. */
  readonly keyringFile?: string | undefined;
  /** With a key: refuse gossip that is not encrypted. Default true. */
  readonly gossipVerifyIncoming?: boolean | undefined;
  /** With a key: encrypt the gossip that is sent. Default true. */
  readonly gossipVerifyOutgoing?: boolean | undefined;
  /** Gossip only with nodes of this label, at most 255 bytes; stock Serf agents know none. Default: none. */
  readonly label?: string | undefined;
  /** Take gossip without its label, which a proxy in front has taken off. Default false. */
  readonly skipInboundLabelCheck?: boolean | undefined;
  /** Gossip only with addresses in these networks, such as `10.0.0.0/8`. Default: any. */
  readonly cidrsAllowed?: string | readonly string[] | undefined;
  readonly serfEndpoint?: EndpointOption | undefined;
  readonly serfEndpointAdvertise?: EndpointOption | undefined;
  readonly raftEndpoint?: EndpointOption | undefined;
  readonly raftEndpointAdvertise?: EndpointOption | undefined;
  readonly managementEndpoint?: EndpointOption | undefined;
  readonly managementEndpointAdvertise?: EndpointOption | undefined;
  readonly livenessEndpoint?: EndpointOption | undefined;
  readonly livenessEndpointAdvertise?: EndpointOption | undefined;
  readonly httpEndpoint?: EndpointOption | undefined;
  readonly httpEndpointAdvertise?: EndpointOption | undefined;
  /** Where the Serf agent's RPC listens; a port alone is bound to 127.0.0.1. Default: off. */
  readonly serfRpcAddr?: EndpointOption | undefined;
  /** What clients of that RPC must show. Default: whoever can connect may do everything. */
  readonly serfRpcAuth?: string | undefined;
  /** Let that RPC listen beyond loopback without a key. Default false. */
  readonly serfRpcOpen?: boolean | undefined;
  /** Find Serf agents of this name by mDNS as they find each other, and join them. Default: no search. */
  readonly serfDiscover?: string | undefined;
  /** Keep who is there in this file, as Serf does, and rejoin by it. Default: nowhere. */
  readonly snapshot?: string | undefined;
  /** Rejoin by it after an orderly leave, too. Default false. */
  readonly rejoinAfterLeave?: boolean | undefined;
  /** Scripts for events, each `[event,…=]script`, as Serf's agent takes them. Default: none. */
  readonly eventHandler?: string | readonly string[] | undefined;
  /** Where the node runs: in a thread of its own (`own`, the default) or, with less memory, in the one that calls it. */
  readonly thread?: NodeThread | undefined;
  /** Default `prometheus`. */
  readonly metrics?: MetricsSink | 'blackhole' | undefined;
  /** Default `info`. */
  readonly logLevel?: LogLevel | undefined;
  /** Default `auto`. */
  readonly logFormat?: LogFormat | undefined;
}

export type EndpointName = 'serf' | 'raft' | 'management' | 'liveness' | 'http';

/** Where a socket is to be bound, and what others are told of it. */
export interface EndpointConfig {
  readonly bind: Endpoint;
  /** Whether the port was asked for: a set port that is taken is an error, an unset one gives way to any free one. */
  readonly isPortSet: boolean;
  /** Port 0: the one that was bound. */
  readonly advertise: Endpoint;
}

/** The Serf agent's RPC. */
export interface SerfRpcConfig {
  readonly bind: Endpoint;
  /** Undefined: no key is asked for. */
  readonly authKey: string | undefined;
}

/** Complete and valid: what a node starts with. */
export interface NodeConfig {
  readonly clusterName: string;
  /** Undefined: the one in the data directory, or 16 random hex digits kept there. */
  readonly nodeId: NodeId | undefined;
  readonly kind: NodeKind;
  /** What `meta.serviceName` says; undefined: the cluster's name. */
  readonly serviceName: string | undefined;
  /** It may begin alone, with nobody to join. */
  readonly isSeed: boolean;
  /** The endpoints that are opened; gossip always is. */
  readonly doors: ReadonlySet<EndpointName>;
  readonly interface: HostInterface;
  readonly zeroconf: boolean;
  /** Addresses for `resolveJoin` of `discovery/`. */
  readonly join: readonly string[];
  readonly bootstrap: boolean;
  readonly bootstrapExpect: number | undefined;
  readonly autoJoin: boolean;
  readonly voters: number;
  readonly leaderPriority: number;
  readonly raftProfile: RaftProfile;
  readonly leaseReads: boolean;
  readonly shards: number;
  readonly wantsShards: boolean;
  /** Its share of the shards beside the other nodes'; what is agreed on goes before it. */
  readonly shardWeight: number;
  /** Undefined: `<dataRoot>/funknode/<clusterName>/<n>`, the first slot that no running node has locked. */
  readonly dataDir: string | undefined;
  /** Where programs keep what outlives a restart. */
  readonly dataRoot: string;
  readonly inMemory: boolean;
  readonly leaseMs: number;
  readonly clockDrift: number;
  readonly ackTimeoutMs: number;
  readonly flapHoldMs: number;
  readonly restartGraceMs: number;
  /** Undefined: the nodes agree among themselves. */
  readonly etcd: EtcdConfig | undefined;
  readonly livenessIntervalMs: number;
  readonly livenessRetries: number;
  readonly tags: ReadonlyMap<string, string>;
  /** Secret. */
  readonly encrypt: Uint8Array | undefined;
  readonly keyringFile: string | undefined;
  readonly gossipVerifyIncoming: boolean;
  readonly gossipVerifyOutgoing: boolean;
  /** Empty for none. */
  readonly label: string;
  readonly skipInboundLabelCheck: boolean;
  /** Empty for any. */
  readonly networksAllowed: readonly IpNetwork[];
  readonly tuning: GossipTuning;
  readonly coalescing: AgentTiming;
  readonly endpoints: Readonly<Record<EndpointName, EndpointConfig>>;
  /** Undefined: the Serf agent's RPC is off. */
  readonly serfRpc: SerfRpcConfig | undefined;
  readonly eventHandlers: readonly HandlerSpec[];
  readonly snapshot: string | undefined;
  readonly rejoinAfterLeave: boolean;
  readonly serfDiscover: string | undefined;
  readonly thread: NodeThread | undefined;
  readonly metrics: MetricsSink;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** What a caller that reads flags, environment and files knows beside the values. */
export interface ResolveContext {
  readonly host?: Host;
  /** How each option is called where it was set: `--voters`, `FUNKNODE_VOTERS`, `node.yaml:4:13: voters`. */
  readonly places?: ReadonlyMap<OptionKey, string>;
  /** What was found wrong before; reported together with the rest. */
  readonly problems?: readonly string[];
  /** The name under which an option that is not set is called in a problem. Default: its property. */
  readonly nameOf?: (key: OptionKey) => string;
}

/** Default ports: gossip, Raft, management, liveness, HTTP. */
export const DEFAULT_PORTS: Readonly<Record<EndpointName, number>> = {
  serf: 7946,
  raft: 7947,
  management: 7948,
  liveness: 7949,
  http: 7950,
};

/** Cluster name, kind and node id share one DNS label of 63 bytes in mDNS: `<cluster>_<kind>_<id>`. */
const NAMES_BYTES_MAX = 57;
/**
 * Completes and checks what a program or an operator asked for.
 * @throws {ConfigError} naming every problem at once; nothing was started.
 */
export function resolveNodeConfig(options: NodeOptions, context: ResolveContext = {}): NodeConfig {
  const problems: string[] = [...(context.problems ?? [])];
  const host = context.host ?? thisHost();
  const nameOf = context.nameOf ?? ((key: OptionKey): string => key);
  const placeOf = (key: OptionKey): string => context.places?.get(key) ?? nameOf(key);
  for (const name of Object.keys(options)) {
    if (OPTION_KEYS.includes(name as OptionKey)) continue;
    const nearest = nearestName(name, OPTION_KEYS);
    problems.push(`${name}: there is no such option${nearest === undefined ? '' : `; did you mean ${nearest}?`}`);
  }
  const values = readAll(options, placeOf, problems);
  const chosen = chooseInterface(values.interface, host);
  if (typeof chosen === 'string') {
    problems.push(`${placeOf('interface')}: "${values.interface}" is not an address or an interface; ${chosen}`);
  }
  const stands: HostInterface =
    typeof chosen === 'string' ? { name: undefined, address: '127.0.0.1', chosenBy: 'loopback' } : chosen;
  const config = complete(values, stands, { host, kind: kindOf(values, options) });
  problems.push(...crossProblems(config, values, placeOf, nameOf));
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** What is safe and yet unwise, one sentence each: worth a warning at the start. */
export function configWarnings(config: NodeConfig): string[] {
  const exposed = exposureWarning(config);
  const unwise = warnShardingConfig(shardingOf(config), RAFT_PROFILES[config.raftProfile].electionMs);
  return [...(exposed === undefined ? [] : [exposed]), ...unwise];
}

/** What is open to anyone on the network, as one sentence; undefined on loopback. */
function exposureWarning(config: NodeConfig): string | undefined {
  const open = (Object.keys(config.endpoints) as EndpointName[]).filter(
    (name) =>
      config.doors.has(name) && !isLoopback(config.endpoints[name].bind.host) && !(name === 'serf' && isSealed(config)),
  );
  if (open.length === 0) return undefined;
  const where = open.map((name) => `${name} on ${config.endpoints[name].bind.host}`).join(', ');
  return `not encrypted and not authenticated, so open to everyone on the network: ${where}`;
}

/** Whether gossip says nothing in the clear and believes nothing that is. */
function isSealed(config: NodeConfig): boolean {
  const hasKeys = config.encrypt !== undefined || config.keyringFile !== undefined;
  return hasKeys && config.gossipVerifyIncoming && config.gossipVerifyOutgoing;
}

function readAll(options: NodeOptions, placeOf: (key: OptionKey) => string, problems: string[]): OptionValues {
  const entries = OPTION_KEYS.map((key) => {
    const read = readOption(key, options[key] ?? undefined);
    if ('value' in read) return [key, read.value];
    problems.push(`${placeOf(key)}: ${read.problem}`);
    const fallback = readOption(key, undefined);
    return [key, 'value' in fallback ? fallback.value : undefined];
  });
  return Object.fromEntries(entries) as unknown as OptionValues;
}

function complete(
  values: OptionValues,
  stands: HostInterface,
  { host, kind }: { readonly host: Host; readonly kind: NodeKind },
): NodeConfig {
  return {
    clusterName: values.clusterName,
    nodeId: values.nodeId,
    kind,
    serviceName: values.serviceName,
    isSeed: false,
    doors: doorsOf(values),
    interface: stands,
    zeroconf: values.zeroconf,
    join: values.join,
    bootstrap: values.bootstrap,
    bootstrapExpect: values.bootstrapExpect,
    autoJoin: values.autoJoin,
    voters: values.voters,
    leaderPriority: values.leaderPriority,
    raftProfile: values.raftProfile,
    leaseReads: values.leaseReads,
    shards: values.shards,
    wantsShards: !values.noShards && kind !== 'non-member',
    shardWeight: values.shardWeight,
    dataDir: values.dataDir,
    dataRoot: host.stateHome,
    inMemory: values.inMemory,
    leaseMs: values.lease ?? LEASE_MS[values.raftProfile],
    clockDrift: values.clockDrift,
    ackTimeoutMs: values.ackTimeout,
    flapHoldMs: values.flapHold,
    restartGraceMs: values.restartGrace,
    etcd: kind === 'non-member' ? undefined : etcdConfigOf(values),
    livenessIntervalMs: values.livenessInterval,
    livenessRetries: values.livenessRetries,
    tags: values.tag,
    encrypt: values.encrypt,
    keyringFile: values.keyringFile,
    gossipVerifyIncoming: values.gossipVerifyIncoming,
    gossipVerifyOutgoing: values.gossipVerifyOutgoing,
    label: values.label ?? '',
    skipInboundLabelCheck: values.skipInboundLabelCheck,
    networksAllowed: values.cidrsAllowed,
    tuning: gossipTuning(values),
    coalescing: agentTiming(values),
    endpoints: {
      serf: endpointConfig('serf', values.serfEndpoint, values.serfEndpointAdvertise, stands),
      raft: endpointConfig('raft', values.raftEndpoint, values.raftEndpointAdvertise, stands),
      management: endpointConfig('management', values.managementEndpoint, values.managementEndpointAdvertise, stands),
      liveness: endpointConfig('liveness', values.livenessEndpoint, values.livenessEndpointAdvertise, stands),
      http: endpointConfig('http', values.httpEndpoint, values.httpEndpointAdvertise, stands),
    },
    serfRpc: serfRpcOf(values),
    serfDiscover: values.serfDiscover,
    eventHandlers: values.eventHandler,
    snapshot: values.snapshot,
    rejoinAfterLeave: values.rejoinAfterLeave,
    thread: values.thread,
    metrics: values.metrics,
    logLevel: values.logLevel,
    logFormat: values.logFormat,
  };
}

function serfRpcOf({ serfRpcAddr: at, serfRpcAuth: authKey }: OptionValues): SerfRpcConfig | undefined {
  if (at === undefined) return undefined;
  return { bind: { host: at.host === '' ? '127.0.0.1' : at.host, port: at.port }, authKey };
}

/** The RPC can do everything, shutting the node down included: beyond this machine it wants a key. */
function serfRpcProblems({ serfRpc }: NodeConfig, values: OptionValues, placeOf: (key: OptionKey) => string): string[] {
  if (serfRpc === undefined) {
    const idle = (['serfRpcAuth', 'serfRpcOpen'] as const).filter((key) => values[key]);
    return idle.map((key) => `${placeOf(key)}: only with ${placeOf('serfRpcAddr')}`);
  }
  if (isLoopback(serfRpc.bind.host) || serfRpc.authKey !== undefined || values.serfRpcOpen) return [];
  const [addr, auth, open] = [placeOf('serfRpcAddr'), placeOf('serfRpcAuth'), placeOf('serfRpcOpen')];
  return [
    `${addr}: ${formatEndpoint(serfRpc.bind)} is open to the network, where anyone could command the node: ` +
      `set ${auth}, or ${open} if that is meant`,
  ];
}

function endpointConfig(
  name: EndpointName,
  bind: Endpoint | undefined,
  advertise: Endpoint | undefined,
  stands: HostInterface,
): EndpointConfig {
  const host = bind === undefined || bind.host === '' ? stands.address : bind.host;
  const isWildcard = host === '0.0.0.0' || host === '::';
  return {
    bind: { host, port: bind?.port ?? DEFAULT_PORTS[name] },
    isPortSet: bind !== undefined,
    advertise: advertise ?? { host: isWildcard ? stands.address : host, port: 0 },
  };
}

/** What only shows when the options are seen together. */
function crossProblems(
  config: NodeConfig,
  values: OptionValues,
  placeOf: (key: OptionKey) => string,
  nameOf: (key: OptionKey) => string,
): string[] {
  const problems: string[] = [];
  const randomId = idPrefixOf(config) + '0'.repeat(16);
  const names = Buffer.byteLength(config.clusterName) + Buffer.byteLength(config.nodeId ?? randomId);
  if (names > NAMES_BYTES_MAX) {
    const id =
      config.nodeId === undefined ? `a random node id (${randomId.length})` : `${placeOf('nodeId')} "${config.nodeId}"`;
    problems.push(
      `${placeOf('clusterName')} "${config.clusterName}" and ${id} have ${names} bytes together; ` +
        `at most ${NAMES_BYTES_MAX} fit into one mDNS name`,
    );
  }
  if (values.leaseReads && !values.hostsNeverSuspend) {
    problems.push(
      `${placeOf('leaseReads')}: state with ${placeOf('hostsNeverSuspend')} that no machine is ever suspended; ` +
        'one that wakes up believes in a lease that is over, and answers what is old',
    );
  }
  if (config.inMemory && config.dataDir !== undefined) {
    problems.push(`${placeOf('inMemory')} and ${placeOf('dataDir')}: one or the other`);
  }
  if (config.bootstrap && config.bootstrapExpect !== undefined) {
    problems.push(`${placeOf('bootstrap')} and ${placeOf('bootstrapExpect')}: one or the other`);
  }
  for (const key of ['bootstrap', 'bootstrapExpect'] as const) {
    if (config.kind !== 'voter' && values[key]) {
      problems.push(`${placeOf(key)}: only a voter founds a cluster, and ${placeOf('role')} is ${config.kind}`);
    }
  }
  for (const name of Object.keys(config.endpoints) as EndpointName[]) {
    const { advertise } = config.endpoints[name];
    if (advertise.host === '0.0.0.0' || advertise.host === '::') {
      problems.push(`${placeOf(`${name}EndpointAdvertise`)}: nobody can reach ${advertise.host}; name an address`);
    }
  }
  problems.push(...serfRpcProblems(config, values, placeOf), ...serviceProblems(config, placeOf));
  problems.push(...etcdProblems(config, values, placeOf));
  problems.push(...validateShardingConfig(shardingOf(config)));
  problems.push(...gossipProblems(config, placeOf), ...tuningProblems(values, placeOf));
  return [...problems, ...portClashes(config, placeOf), ...tagProblems(config, placeOf, nameOf)];
}

function shardingOf(config: NodeConfig): ShardingConfig {
  const { shards: shardCount, wantsShards, leaseMs, clockDrift, ackTimeoutMs } = config;
  return shardingConfig({ shardCount, wantsShards, leaseMs, clockDrift, ackTimeoutMs });
}

/** Two TCP or two UDP endpoints that ask for one port of one host. */
function portClashes(config: NodeConfig, placeOf: (key: OptionKey) => string): string[] {
  const transports: readonly (readonly EndpointName[])[] = [
    ['serf', 'raft', 'management', 'http'],
    ['serf', 'liveness'],
  ];
  const found = new Set<string>();
  for (const names of transports) {
    const holders = new Map<string, EndpointName>();
    for (const name of names) {
      const { bind, isPortSet } = config.endpoints[name];
      if (!isPortSet || bind.port === 0) continue;
      const text = formatEndpoint(bind);
      const other = holders.get(text);
      if (other === undefined) holders.set(text, name);
      else found.add(`${placeOf(`${name}Endpoint`)}: ${text} is ${placeOf(`${other}Endpoint`)} already`);
    }
  }
  return [...found];
}
