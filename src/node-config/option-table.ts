/**
 * Every option, once: its type, bounds, default, names and text. Flags, environment, YAML, help, `funknode config` and
 * docs/options.md are readings of this table.
 */
import { z } from 'zod';
import type { Endpoint } from '../model/endpoint.ts';
import type { HandlerSpec } from '../events/handler-spec.ts';
import type { NodeId } from '../model/ids.ts';
import type { NodeKind } from '../model/node-state.ts';
import { NODE_WEIGHT_MAX, NODE_WEIGHT_MIN } from '../model/shard-settings.ts';
import type { LogLevel } from '../ports/logger.ts';
import type { IpNetwork } from '../wire/memberlist/network.ts';
import { type CoalescingValues, coalescingOptions } from './coalescing.ts';
import { type EtcdValues, etcdOptions } from './etcd-options.ts';
import { type GossipTuningValues, tuningOptions } from './gossip-tuning.ts';
import type { OptionMeta } from './option-meta.ts';
import { type TimingValues, timingOptions } from './timing-options.ts';
import {
  advertisedEndpoint,
  bindEndpoint,
  choice,
  decimal,
  duration,
  gossipKey,
  handlerSpecs,
  joinAddresses,
  networks,
  tagMap,
  toggle,
  whole,
  word,
} from './option-values.ts';

export type { OptionMeta } from './option-meta.ts';
export type MetricsSink = 'prometheus' | 'none';
export type LogFormat = 'auto' | 'text' | 'json';
export type NodeThread = 'own' | 'caller';

/** The value of every option after it was read; undefined where an option without a default is not set. */
export interface OptionValues extends GossipTuningValues, CoalescingValues, TimingValues, EtcdValues {
  readonly clusterName: string;
  readonly nodeId: NodeId | undefined;
  readonly role: NodeKind;
  readonly serviceName: string | undefined;
  readonly interface: string | undefined;
  readonly zeroconf: boolean;
  readonly join: readonly string[];
  readonly bootstrap: boolean;
  readonly bootstrapExpect: number | undefined;
  readonly autoJoin: boolean;
  readonly voters: number;
  readonly shards: number;
  readonly noShards: boolean;
  readonly shardWeight: number;
  readonly dataDir: string | undefined;
  readonly inMemory: boolean;
  readonly livenessInterval: number;
  readonly livenessRetries: number;
  readonly tag: ReadonlyMap<string, string>;
  readonly encrypt: Uint8Array | undefined;
  readonly keyringFile: string | undefined;
  readonly gossipVerifyIncoming: boolean;
  readonly gossipVerifyOutgoing: boolean;
  readonly label: string | undefined;
  readonly skipInboundLabelCheck: boolean;
  readonly cidrsAllowed: readonly IpNetwork[];
  readonly serfEndpoint: Endpoint | undefined;
  readonly serfEndpointAdvertise: Endpoint | undefined;
  readonly raftEndpoint: Endpoint | undefined;
  readonly raftEndpointAdvertise: Endpoint | undefined;
  readonly managementEndpoint: Endpoint | undefined;
  readonly managementEndpointAdvertise: Endpoint | undefined;
  readonly livenessEndpoint: Endpoint | undefined;
  readonly livenessEndpointAdvertise: Endpoint | undefined;
  readonly httpEndpoint: Endpoint | undefined;
  readonly httpEndpointAdvertise: Endpoint | undefined;
  readonly serfRpcAddr: Endpoint | undefined;
  readonly serfRpcAuth: string | undefined;
  readonly serfRpcOpen: boolean;
  readonly serfDiscover: string | undefined;
  readonly eventHandler: readonly HandlerSpec[];
  readonly snapshot: string | undefined;
  readonly rejoinAfterLeave: boolean;
  readonly thread: NodeThread | undefined;
  readonly metrics: MetricsSink;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export type OptionKey = keyof OptionValues;

const metaOf = z.registry<OptionMeta>();

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;
const DATA: Pick<OptionMeta, 'group'> = { group: 'Data' };
const SWITCH: Pick<OptionMeta, 'expected' | 'valueName'> = { expected: 'true or false', valueName: undefined };

function described<Value>(schema: z.ZodType<Value>, meta: OptionMeta): z.ZodType<Value> {
  return schema.register(metaOf, meta);
}

function bound(what: string, port: number): z.ZodType<Endpoint | undefined> {
  return described(bindEndpoint().optional(), {
    group: 'Endpoints',
    text: `where ${what}`,
    expected: 'host:port or :port',
    valueName: 'host:port',
    fallback: `the interface, port ${port} or any free one`,
  });
}

function advertised(what: string): z.ZodType<Endpoint | undefined> {
  return described(advertisedEndpoint().optional(), {
    group: 'Endpoints',
    text: `what others are told of the ${what} endpoint, where they reach it elsewhere than it is bound`,
    expected: 'host:port or host',
    valueName: 'host:port',
    fallback: 'what was bound',
  });
}

type Described<Options extends Readonly<Record<string, { readonly schema: z.ZodType }>>> = {
  readonly [Key in keyof Options]: Options[Key]['schema'];
};

function describedAll<
  Options extends Readonly<Record<string, { readonly schema: z.ZodType; readonly meta: OptionMeta }>>,
>(options: Options): Described<Options> {
  const entries = Object.entries(options).map(([key, { schema, meta }]) => [key, described(schema, meta)]);
  return Object.fromEntries(entries) as Described<Options>;
}

const TABLE: { readonly [Key in OptionKey]: z.ZodType<OptionValues[Key]> } = {
  clusterName: described(word(NAME).default('clusterfunk'), {
    group: 'Cluster',
    text: 'the cluster to be part of; nodes of another name are refused',
    expected: 'a name of letters, digits, "-", "." and "_"',
    valueName: 'name',
    fallback: 'clusterfunk',
  }),
  nodeId: described((word(NAME) as z.ZodType<NodeId>).optional(), {
    group: 'Cluster',
    text: 'the name of this node',
    expected: 'a name of at most 64 letters, digits, "-", "." and "_"',
    valueName: 'id',
    fallback: '16 random hex digits, kept with the data',
    aliases: [{ name: 'name' }],
  }),
  role: described(
    choice(['voter', 'non-voter', 'non-member'], {
      primary: 'voter',
      secondary: 'non-voter',
      client: 'non-member',
    }).default('voter'),
    {
      group: 'Cluster',
      text: 'whether the node votes, follows the agreed state, or gossips only',
      expected: 'voter (primary), non-voter (secondary) or non-member (client)',
      valueName: 'role',
      fallback: 'voter',
      aliases: [
        { name: 'primary', gives: 'voter' },
        { name: 'secondary', gives: 'non-voter' },
        { name: 'non-voting', gives: 'non-voter' },
        { name: 'non-member', gives: 'non-member' },
      ],
    },
  ),
  serviceName: described(word(NAME).optional(), {
    group: 'Cluster',
    text: 'be in gossip only to publish the endpoints of this service: a non-member that other nodes list under this name',
    expected: 'a name of letters, digits, "-", "." and "_"',
    valueName: 'name',
    fallback: 'the cluster name',
  }),
  interface: described(word(/^\S+$/).optional(), {
    group: 'Cluster',
    text: 'the address, or the name of the interface, that all sockets and mDNS use',
    expected: 'an address or an interface of this machine',
    valueName: 'address',
    fallback: 'the one with the default route, else the first, else 127.0.0.1',
  }),
  autoJoin: described(toggle().default(true), {
    ...SWITCH,
    group: 'Cluster',
    text: 'let gossip change the voters: newcomers are promoted, an orderly stop gives up the vote',
    fallback: 'true',
  }),
  voters: described(
    whole(1, 7)
      .refine((count) => count % 2 === 1)
      .default(5),
    {
      group: 'Cluster',
      text: 'how many nodes vote, once there are as many',
      expected: '1, 3, 5 or 7',
      valueName: 'count',
      fallback: '5',
    },
  ),
  zeroconf: described(toggle().default(false), {
    ...SWITCH,
    group: 'Finding others',
    text: 'find the cluster by mDNS, or found it with whom you find',
    fallback: 'false',
    aliases: [{ name: 'zero-conf' }],
  }),
  join: described(joinAddresses().default([]), {
    group: 'Finding others',
    text: 'join through these: host:port, a DNS name with several addresses, or an SRV name',
    expected: 'host, host:port or _service._proto.name, with commas between several',
    valueName: 'host:port',
    fallback: 'nobody',
    isRepeatable: true,
    aliases: [{ name: 'serf-join-address' }],
  }),
  bootstrap: described(toggle().default(false), {
    ...SWITCH,
    group: 'Finding others',
    text: 'found a cluster; for exactly one node',
    fallback: 'false',
    aliases: [{ name: 'raft-bootstrap' }],
  }),
  bootstrapExpect: described(whole(1, 1000).optional(), {
    group: 'Finding others',
    text: 'found a cluster as soon as so many undecided nodes see each other',
    expected: 'a whole number from 1 to 1000',
    valueName: 'count',
    fallback: 'not set',
  }),
  shards: described(whole(1, 65_535).default(10_000), {
    group: 'Shards',
    text: 'into how many shards the work is parted; the founder decides; `funkctl shards resize` changes it',
    expected: 'a whole number from 1 to 65535',
    valueName: 'count',
    fallback: '10000',
  }),
  shardWeight: described(decimal(NODE_WEIGHT_MIN, NODE_WEIGHT_MAX).default(1), {
    group: 'Shards',
    text: 'the share of this node beside the others; `funkctl shards set --weight` goes before it',
    expected: `a number from ${NODE_WEIGHT_MIN} to ${NODE_WEIGHT_MAX}`,
    valueName: 'number',
    fallback: '1',
  }),
  noShards: described(toggle().default(false), {
    ...SWITCH,
    group: 'Shards',
    text: 'own no shards',
    fallback: 'false',
  }),
  ...describedAll(timingOptions()),
  ...describedAll(etcdOptions()),
  dataDir: described(word(/^.+$/).optional(), {
    ...DATA,
    text: 'where the node keeps its log and its name',
    expected: 'a folder',
    valueName: 'folder',
    fallback: '~/.local/state/funknode/<cluster-name>/<n>, the first that no running node holds',
    aliases: [{ name: 'raft-disk-store' }],
  }),
  inMemory: described(toggle().default(false), {
    ...SWITCH,
    ...DATA,
    text: 'keep nothing on disk; a restart is another node',
    fallback: 'false',
  }),
  livenessInterval: described(duration(10, 60_000).default(150), {
    group: 'Watching',
    text: 'how often the leader asks a node that it does not hear for an echo',
    expected: 'a duration from 10ms to 1m',
    valueName: 'duration',
    fallback: '150ms',
  }),
  livenessRetries: described(whole(1, 100).default(3), {
    group: 'Watching',
    text: 'how many echoes in a row may be missing',
    expected: 'a whole number from 1 to 100',
    valueName: 'count',
    fallback: '3',
  }),
  tag: described(tagMap().default(new Map()), {
    group: 'Cluster',
    text: 'a tag that gossip carries, such as zone=a',
    expected: 'key=value',
    valueName: 'key=value',
    fallback: 'none',
    isRepeatable: true,
  }),
  encrypt: described(gossipKey().optional(), {
    group: 'Encryption',
    text: 'encrypt gossip with this key; every member must have it. Without a keyring file, later changes are lost at a restart',
    expected: 'a key of 16, 24 or 32 bytes in base64',
    valueName: 'key',
    fallback: 'gossip is not encrypted',
    isSecret: true,
  }),
  keyringFile: described(word(/^.+$/).optional(), {
    group: 'Encryption',
    text: 'encrypt gossip with the keys in this file (JSON, the primary first), and keep changes of them there',
    expected: 'a file',
    valueName: 'file',
    fallback: 'gossip is not encrypted',
  }),
  gossipVerifyIncoming: described(toggle().default(true), {
    ...SWITCH,
    group: 'Encryption',
    text: 'with a key: refuse gossip that is not encrypted; false while a cluster changes over',
    fallback: 'true',
  }),
  gossipVerifyOutgoing: described(toggle().default(true), {
    ...SWITCH,
    group: 'Encryption',
    text: 'with a key: encrypt the gossip that is sent; false while a cluster changes over',
    fallback: 'true',
  }),
  label: described(word(/^.{1,255}$/).optional(), {
    group: 'Encryption',
    text: 'gossip only with nodes of this label; stock Serf agents know none',
    expected: 'a text of 1 to 255 bytes',
    valueName: 'text',
    fallback: 'none',
  }),
  skipInboundLabelCheck: described(toggle().default(false), {
    ...SWITCH,
    group: 'Encryption',
    text: 'take gossip without its label: for a proxy in front that has checked labels and taken them off',
    fallback: 'false',
  }),
  cidrsAllowed: described(networks().default([]), {
    group: 'Encryption',
    text: 'gossip only with addresses in these networks, such as 10.0.0.0/8; others are neither heard nor made members',
    expected: 'address/bits, with commas between several',
    valueName: 'network',
    fallback: 'any',
    isRepeatable: true,
  }),
  ...describedAll(tuningOptions()),
  serfEndpoint: bound('gossip listens, UDP and TCP alike', 7946),
  serfEndpointAdvertise: advertised('gossip'),
  raftEndpoint: bound('the nodes of the cluster talk to each other', 7947),
  raftEndpointAdvertise: advertised('Raft'),
  managementEndpoint: bound('management gRPC listens', 7948),
  managementEndpointAdvertise: advertised('management'),
  livenessEndpoint: bound('echoes are given, UDP', 7949),
  livenessEndpointAdvertise: advertised('liveness'),
  httpEndpoint: bound('metrics, health and discovery for Prometheus are served', 7950),
  httpEndpointAdvertise: advertised('HTTP'),
  serfRpcAddr: described(bindEndpoint().optional(), {
    group: 'Endpoints',
    text: "where the Serf agent's RPC listens, for the serf program and whatever else speaks to agents",
    expected: 'host:port or :port',
    valueName: 'host:port',
    fallback: 'off; a port alone is bound to 127.0.0.1, and agents have 7373',
  }),
  serfRpcAuth: described(word(/^\S{1,256}$/).optional(), {
    group: 'Endpoints',
    text: "the key that clients of the Serf agent's RPC must show",
    expected: 'a key of 1 to 256 characters without blanks',
    valueName: 'key',
    fallback: 'none: whoever can connect may do everything',
  }),
  serfRpcOpen: described(toggle().default(false), {
    ...SWITCH,
    group: 'Endpoints',
    text: "let the Serf agent's RPC listen beyond loopback without a key",
    fallback: 'false',
  }),
  serfDiscover: described(word(/^[A-Za-z0-9_-]{1,57}$/).optional(), {
    group: 'Finding others',
    text: 'find Serf agents of this name by mDNS as they find each other (-discover), and join them',
    expected: 'a name of at most 57 letters, digits, "-" and "_"',
    valueName: 'name',
    fallback: 'not set',
  }),
  snapshot: described(word(/^[^\0]+$/).optional(), {
    group: 'Finding others',
    text: 'keep who is there, and what was heard, in this file, as Serf does: after a crash the node rejoins by it',
    expected: 'a path',
    valueName: 'file',
    fallback: 'none',
    aliases: [{ name: 'serf-snapshot-path' }],
  }),
  rejoinAfterLeave: described(toggle().default(false), {
    ...SWITCH,
    group: 'Finding others',
    text: 'rejoin by the snapshot after an orderly leave, too',
    fallback: 'false',
  }),
  eventHandler: described(handlerSpecs().default([]), {
    group: 'Watching',
    text: 'run a script by sh for events: member-join, member-leave, member-failed, member-update, member-reap, user, user:NAME, query, query:NAME; it is told as by a Serf agent',
    expected: '[event,…=]script',
    valueName: '[events=]script',
    fallback: 'none',
    isRepeatable: true,
  }),
  thread: described(choice(['own', 'caller']).optional(), {
    group: 'Watching',
    text: 'where the node runs: in a thread of its own, so that nothing else can hold it up, or in the thread of the program',
    expected: 'own or caller',
    valueName: 'thread',
    fallback: 'caller in the program, own in the library',
    isAdvanced: true,
  }),
  ...describedAll(coalescingOptions()),
  metrics: described(choice(['prometheus', 'none'], { blackhole: 'none' }).default('prometheus'), {
    group: 'Watching',
    text: 'whether /metrics is served',
    expected: 'prometheus or none (blackhole)',
    valueName: 'sink',
    fallback: 'prometheus',
  }),
  logLevel: described(choice(['trace', 'debug', 'info', 'warn', 'error']).default('info'), {
    group: 'Watching',
    text: 'the least important lines to write',
    expected: 'trace, debug, info, warn or error',
    valueName: 'level',
    fallback: 'info',
    aliases: [{ name: 'verbose', gives: 'debug' }],
  }),
  logFormat: described(choice(['auto', 'text', 'json']).default('auto'), {
    group: 'Watching',
    text: 'text for people or JSON for machines; auto is text on a terminal',
    expected: 'auto, text or json',
    valueName: 'format',
    fallback: 'auto',
  }),
};

export const OPTION_KEYS: readonly OptionKey[] = Object.keys(TABLE) as OptionKey[];

export function optionMeta(key: OptionKey): OptionMeta {
  const meta = metaOf.get(TABLE[key] as z.ZodType);
  if (meta === undefined) throw new TypeError(`option ${key} has no meta`);
  return meta;
}

/** `clusterName` → `cluster-name`: the flag, and the key in YAML. */
export function optionName(key: OptionKey): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `cluster-name` → `FUNKNODE_CLUSTER_NAME`. */
export function environmentName(name: string): string {
  return `FUNKNODE_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** Reads one value; a text that says what would be right when it is none. Undefined asks for the default. */
export function readOption<Key extends OptionKey>(
  key: Key,
  value: unknown,
): { readonly value: OptionValues[Key] } | { readonly problem: string } {
  const schema: z.ZodType<OptionValues[Key]> = TABLE[key];
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  const hint = result.error.issues[0]?.code === 'custom' ? result.error.issues[0].message : '';
  const text = typeof value === 'string' ? `"${value}"` : JSON.stringify(value);
  const shown = optionMeta(key).isSecret === true ? 'what was given' : text;
  const said = hint === '' || hint === 'Invalid input' ? '' : ` (${hint})`;
  return { problem: `${shown} is not ${optionMeta(key).expected}${said}` };
}
