/**
 * The tunables of memberlist and Serf as options: a profile gives every one of them a value, and each may be set by itself. Names are
 * those of memberlist's and Serf's settings (wire-gossip.md 11.4, 19.3).
 */
import type { z } from 'zod';
import { type SerfConfig, serfConfig } from '../serf/config.ts';
import { TAG_SET_BYTES_MAX } from '../wire/serf/tag-set.ts';
import type { SwimConfig, SwimProfile } from '../swim/config.ts';
import type { OptionMeta } from './option-table.ts';
import { choice, duration, toggle, whole } from './option-values.ts';

/** Durations and counts that the profile gives when they are not set. */
export type GossipTunable =
  | 'probeInterval'
  | 'probeTimeout'
  | 'indirectChecks'
  | 'suspicionMult'
  | 'suspicionMaxTimeoutMult'
  | 'awarenessMaxMultiplier'
  | 'gossipInterval'
  | 'gossipNodes'
  | 'gossipToTheDeadTime'
  | 'retransmitMult'
  | 'pushPullInterval'
  | 'tcpTimeout'
  | 'deadNodeReclaimTime'
  | 'reconnectInterval'
  | 'reconnectTimeout'
  | 'tombstoneTimeout'
  | 'reapInterval'
  | 'recentIntentTimeout'
  | 'broadcastTimeout'
  | 'leavePropagateDelay'
  | 'userEventSizeLimit'
  | 'querySizeLimit'
  | 'queryResponseSizeLimit'
  | 'queryTimeoutMult'
  | 'tagsSizeLimit'
  | 'queueCheckInterval'
  | 'queueDepthWarning'
  | 'maxQueueDepth'
  | 'minQueueDepth'
  | 'udpBufferSize'
  | 'eventBuffer'
  | 'queryBuffer'
  | 'serfProtocol';

export type GossipTuningValues = { readonly [Key in GossipTunable]: number | undefined } & {
  readonly profile: SwimProfile;
  readonly disableCoordinates: boolean;
  readonly disableTcpPings: boolean;
  readonly disableNameResolution: boolean;
  readonly validateNodeNames: boolean;
  readonly gossipCompression: boolean;
};

/** What the gossip cores are told beyond names, addresses and keys. */
export interface GossipTuning {
  readonly profile: SwimProfile;
  readonly swim: Partial<SwimConfig>;
  readonly serf: Partial<Omit<SerfConfig, 'swim'>>;
}

interface Tunable {
  readonly of: 'swim' | 'serf';
  readonly setting: keyof SwimConfig | keyof SerfConfig;
  readonly unit: 'ms' | 'count' | 'bytes';
  readonly low: number;
  readonly high: number;
  readonly text: string;
}

const DAY_MS = 86_400_000;
const MONTH_MS = 30 * DAY_MS;
/** What is gossiped must fit one packet, beside its headers and those of encryption and label. */
const PACKET_ROOM_BYTES = 100;
/** Serf's hard limit. */
const GOSSIPED_BYTES_MAX = 9_216;

function swim(setting: keyof SwimConfig, unit: Tunable['unit'], low: number, high: number, text: string): Tunable {
  return { of: 'swim', setting, unit, low, high, text };
}

function serf(setting: keyof SerfConfig, unit: Tunable['unit'], low: number, high: number, text: string): Tunable {
  return { of: 'serf', setting, unit, low, high, text };
}

const TUNABLES: Readonly<Record<GossipTunable, Tunable>> = {
  probeInterval: swim('probeIntervalMs', 'ms', 10, 600_000, 'how often one member is asked whether it lives'),
  probeTimeout: swim(
    'probeTimeoutMs',
    'ms',
    1,
    600_000,
    'how long it may take to answer before others are asked to ask',
  ),
  indirectChecks: swim('indirectChecks', 'count', 0, 64, 'how many others are asked to ask'),
  suspicionMult: swim(
    'suspicionMult',
    'count',
    1,
    64,
    'how long a suspect may defend itself: so many probe intervals times log10 of the members',
  ),
  suspicionMaxTimeoutMult: swim(
    'suspicionMaxTimeoutMult',
    'count',
    1,
    64,
    'how many times longer, while nobody confirms the suspicion',
  ),
  awarenessMaxMultiplier: swim(
    'awarenessMaxMultiplier',
    'count',
    1,
    64,
    'by how much a node that is slow itself may stretch its probes',
  ),
  gossipInterval: swim('gossipIntervalMs', 'ms', 5, 60_000, 'how often news is sent'),
  gossipNodes: swim('gossipNodes', 'count', 1, 64, 'to how many members at a time'),
  gossipToTheDeadTime: swim('gossipToTheDeadMs', 'ms', 0, DAY_MS, 'for how long the dead are told too, lest they live'),
  retransmitMult: swim('retransmitMult', 'count', 1, 64, 'how often a message is sent: times log10 of the members'),
  pushPullInterval: swim(
    'pushPullIntervalMs',
    'ms',
    0,
    DAY_MS,
    'how often all state is exchanged with a member; 0ms: never',
  ),
  tcpTimeout: swim('tcpTimeoutMs', 'ms', 10, 600_000, 'how long a step of a stream may take'),
  deadNodeReclaimTime: swim(
    'deadNodeReclaimMs',
    'ms',
    0,
    DAY_MS,
    "after how long a dead member's name may be taken at another address; 0ms: never",
  ),
  reconnectInterval: serf('reconnectIntervalMs', 'ms', 10, DAY_MS, 'how often a failed member may be dialled'),
  reconnectTimeout: serf('reconnectTimeoutMs', 'ms', 0, MONTH_MS, 'how long a failed member is remembered and dialled'),
  tombstoneTimeout: serf('tombstoneTimeoutMs', 'ms', 0, MONTH_MS, 'how long a member that left is remembered'),
  reapInterval: serf('reapIntervalMs', 'ms', 10, DAY_MS, 'how often those whose time is up are forgotten'),
  recentIntentTimeout: serf(
    'recentIntentTimeoutMs',
    'ms',
    0,
    DAY_MS,
    'how long word of a member that is not known yet is kept',
  ),
  broadcastTimeout: serf('broadcastTimeoutMs', 'ms', 0, 600_000, 'how long a leave may take to be spread'),
  leavePropagateDelay: serf(
    'leavePropagateDelayMs',
    'ms',
    0,
    600_000,
    'how long a node stays after it said that it leaves',
  ),
  userEventSizeLimit: serf(
    'userEventSendBytesMax',
    'bytes',
    1,
    GOSSIPED_BYTES_MAX,
    'the longest user event that is sent',
  ),
  querySizeLimit: serf('queryBytesMax', 'bytes', 128, GOSSIPED_BYTES_MAX, 'the longest query that is sent'),
  queryResponseSizeLimit: serf('queryResponseBytesMax', 'bytes', 128, 9_216, 'the longest answer to a query'),
  queryTimeoutMult: serf(
    'queryTimeoutMult',
    'count',
    1,
    1_024,
    'how long a query gathers answers: so many gossip intervals times log10 of the members',
  ),
  tagsSizeLimit: serf(
    'tagsBytesMax',
    'bytes',
    512,
    TAG_SET_BYTES_MAX,
    'the most that all tags of one node take; of more than 512 gossip names a digest, and funknodes fetch the rest',
  ),
  queueCheckInterval: serf('queueCheckIntervalMs', 'ms', 10, DAY_MS, 'how often the queues of gossip are looked at'),
  queueDepthWarning: serf(
    'queueDepthWarning',
    'count',
    1,
    1_048_576,
    'how many messages in a queue are worth a warning',
  ),
  maxQueueDepth: serf('queueEntriesMax', 'count', 16, 1_048_576, 'how many messages a queue holds'),
  minQueueDepth: serf(
    'queueEntriesMin',
    'count',
    0,
    1_048_576,
    'above 0, a queue holds two messages per member instead, and this many at least',
  ),
  udpBufferSize: swim('packetBytesMax', 'bytes', 1_024, 65_000, 'the largest datagram that is sent'),
  eventBuffer: serf(
    'recentEventTimes',
    'count',
    16,
    65_536,
    'of how many Lamport times user events are remembered: known again, and told to who joins',
  ),
  queryBuffer: serf('recentQueryTimes', 'count', 16, 65_536, 'of how many Lamport times queries are known again'),
  serfProtocol: swim(
    'serfProtocol',
    'count',
    4,
    5,
    'the version of the Serf protocol that is spoken; 4 for agents before 0.7',
  ),
};

/** Every option of this file: its schema and its text. */
export type TuningOptions = {
  readonly [Key in keyof GossipTuningValues]: {
    readonly schema: z.ZodType<GossipTuningValues[Key]>;
    readonly meta: OptionMeta;
  };
};

const GROUP: Pick<OptionMeta, 'group' | 'isAdvanced'> = { group: 'Gossip', isAdvanced: true };
const SWITCH: Pick<OptionMeta, 'expected' | 'valueName'> = { expected: 'true or false', valueName: undefined };

export function tuningOptions(): TuningOptions {
  const tunables = Object.entries(TUNABLES).map(([key, tunable]) => [key, numeric(tunable)]);
  return {
    profile: {
      schema: choice(['lan', 'wan', 'local']).default('lan'),
      meta: {
        group: 'Gossip',
        text: 'the timing of gossip: for one site, for several far apart, or for one machine',
        expected: 'lan, wan or local',
        valueName: 'profile',
        fallback: 'lan',
      },
    },
    disableCoordinates: {
      schema: toggle().default(false),
      meta: { ...SWITCH, ...GROUP, text: 'neither tell nor learn network coordinates', fallback: 'false' },
    },
    disableTcpPings: {
      schema: toggle().default(false),
      meta: { ...SWITCH, ...GROUP, text: 'do not try TCP when a member is silent on UDP', fallback: 'false' },
    },
    disableNameResolution: {
      schema: toggle().default(false),
      meta: {
        ...SWITCH,
        ...GROUP,
        text: 'hold no vote when another process bears the name of this node: go on, and warn',
        fallback: 'false',
      },
    },
    validateNodeNames: {
      schema: toggle().default(false),
      meta: {
        ...SWITCH,
        ...GROUP,
        text: 'refuse members whose names are not letters, digits, dashes and dots',
        fallback: 'false',
      },
    },
    gossipCompression: {
      schema: toggle().default(true),
      meta: { ...SWITCH, ...GROUP, text: 'compress what gets shorter by it', fallback: 'true' },
    },
    ...(Object.fromEntries(tunables) as unknown as Pick<TuningOptions, GossipTunable>),
  };
}

function numeric(tunable: Tunable): { readonly schema: z.ZodType<number | undefined>; readonly meta: OptionMeta } {
  const { low, high, text, unit } = tunable;
  const isTime = unit === 'ms';
  const schema = isTime
    ? duration(low, high).refine(Number.isSafeInteger, 'it has parts of a millisecond')
    : whole(low, high);
  const range = isTime ? `${timeText(low)} to ${timeText(high)}` : `${low} to ${high}`;
  return {
    schema: schema.optional(),
    meta: {
      ...GROUP,
      text: unit === 'bytes' ? `${text}, in bytes` : text,
      expected: isTime ? `a duration from ${range}` : `a whole number from ${range}`,
      valueName: isTime ? 'duration' : unit,
      fallback: fallbackText(tunable),
    },
  };
}

const PROFILES: ReadonlyMap<SwimProfile, SerfConfig> = new Map(
  (['lan', 'wan', 'local'] as const).map((profile) => [
    profile,
    serfConfig({ swim: { name: 'a', advertise: { host: '127.0.0.1', port: 1 } } }, profile),
  ]),
);

function fallbackText(tunable: Tunable): string {
  const [lan, wan, local] = [...PROFILES.keys()].map((profile) => {
    const value = profileValue(tunable, profile);
    return tunable.unit === 'ms' ? timeText(value) : String(value);
  });
  return lan === wan && lan === local ? (lan as string) : `${lan}; wan ${wan}, local ${local}`;
}

function profileValue({ of, setting }: Tunable, profile: SwimProfile): number {
  const config = PROFILES.get(profile) as SerfConfig;
  const values = (of === 'swim' ? config.swim : config) as unknown as Readonly<Record<string, number>>;
  return values[setting] as number;
}

function timeText(ms: number): string {
  if (ms >= 3_600_000 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  return ms >= 1_000 && ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** For `serfConfig`. */
export function gossipTuning(values: GossipTuningValues): GossipTuning {
  const set = (of: Tunable['of']): Readonly<Record<string, number>> => {
    const entries = Object.entries(TUNABLES).flatMap(([key, tunable]) => {
      const value = values[key as GossipTunable];
      return tunable.of === of && value !== undefined ? [[tunable.setting, value] as const] : [];
    });
    return Object.fromEntries(entries);
  };
  const { broadcastTimeout } = values;
  return {
    profile: values.profile,
    swim: {
      ...set('swim'),
      ...(broadcastTimeout === undefined ? {} : { leaveTimeoutMs: broadcastTimeout }),
      tcpPing: !values.disableTcpPings,
      compression: values.gossipCompression,
    },
    serf: {
      ...set('serf'),
      hasCoordinates: !values.disableCoordinates,
      resolvesNameConflicts: !values.disableNameResolution,
      validatesNames: values.validateNodeNames,
    },
  };
}

/** What only shows when the tunables are seen together, with what the profile gives to those that are not set. */
export function tuningProblems(values: GossipTuningValues, placeOf: (key: GossipTunable) => string): string[] {
  const of = (key: GossipTunable): number => values[key] ?? profileValue(TUNABLES[key], values.profile);
  const shown = (key: GossipTunable): string => {
    const value = TUNABLES[key].unit === 'ms' ? timeText(of(key)) : String(of(key));
    return `${placeOf(key)} (${value}${values[key] === undefined ? `, of profile ${values.profile}` : ''})`;
  };
  const problems: string[] = [];
  if (of('probeTimeout') >= of('probeInterval'))
    problems.push(`${shown('probeTimeout')} must be shorter than ${shown('probeInterval')}`);
  if (of('minQueueDepth') === 0 && of('queueDepthWarning') > of('maxQueueDepth'))
    problems.push(
      `${shown('queueDepthWarning')} must be at most ${shown('maxQueueDepth')}, or no queue is ever warned of`,
    );
  if (of('pushPullInterval') > 0 && of('pushPullInterval') < of('gossipInterval'))
    problems.push(`${shown('pushPullInterval')} must be at least ${shown('gossipInterval')}, or 0ms for never`);
  for (const key of ['userEventSizeLimit', 'querySizeLimit'] as const)
    if (of(key) > of('udpBufferSize') - PACKET_ROOM_BYTES)
      problems.push(`${shown(key)} must be at least ${PACKET_ROOM_BYTES} below ${shown('udpBufferSize')}`);
  return problems;
}
