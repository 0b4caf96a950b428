/** Settings of the Serf core: serf's DefaultConfig over memberlist's profile, and the limits that Serf leaves open. */
import { type SwimConfig, type SwimProfile, swimConfig, validateSwimConfig } from '../swim/config.ts';
import { TAG_SET_BYTES_MAX } from '../wire/serf/tag-set.ts';

export interface SerfConfig {
  readonly swim: SwimConfig;
  /** How long a failed member is remembered and dialled again. serf: ReconnectTimeout. */
  readonly reconnectTimeoutMs: number;
  /** How long a member that left is remembered. serf: TombstoneTimeout. */
  readonly tombstoneTimeoutMs: number;
  /** How often members whose time is up are forgotten. serf: ReapInterval. */
  readonly reapIntervalMs: number;
  /** How often one failed member may be dialled. serf: ReconnectInterval. */
  readonly reconnectIntervalMs: number;
  /** How long an intent about an unknown member waits for it to appear. serf: RecentIntentTimeout. */
  readonly recentIntentTimeoutMs: number;
  /** How long an intent of ours may take to be sent its full number of times. serf: BroadcastTimeout. */
  readonly broadcastTimeoutMs: number;
  /** How long we go on answering after our leave was sent, so that others pass it on. serf: LeavePropagateDelay. */
  readonly leavePropagateDelayMs: number;
  /** Entries of each of the three broadcast queues. serf: MaxQueueDepth. */
  readonly queueEntriesMax: number;
  /** Above 0: the queues may hold two entries per member instead, and this many at least. serf: MinQueueDepth. */
  readonly queueEntriesMin: number;
  /** A queue as long as this is warned of. serf: QueueDepthWarning. */
  readonly queueDepthWarning: number;
  /** How often the queues are looked at. serf: QueueCheckInterval. */
  readonly queueCheckIntervalMs: number;
  /** Lamport times of which user events are remembered. serf: EventBuffer. */
  readonly recentEventTimes: number;
  /** Lamport times of which queries are remembered. serf: QueryBuffer. */
  readonly recentQueryTimes: number;
  /** Different events, or queries, remembered per Lamport time; honest clusters have one or two. */
  readonly recentPerTime: number;
  /** Name and payload of a user event that we accept. serf: UserEventSizeLimit, the hard one. */
  readonly userEventBytesMax: number;
  /** Name and payload of a user event of ours, and its encoded size. serf: UserEventSizeLimit. */
  readonly userEventSendBytesMax: number;
  /** Encoded size of a query of ours. serf: QuerySizeLimit. */
  readonly queryBytesMax: number;
  /** A query of ours stays open for this many gossip intervals times ceil(log10(n + 1)). serf: QueryTimeoutMult. */
  readonly queryTimeoutMult: number;
  /** Encoded size of a response of ours, relay wrapper included. serf: QueryResponseSizeLimit. */
  readonly queryResponseBytesMax: number;
  /** Tags of one node as encoded, ours or another's. Serf stops at 512, which is what gossip carries. */
  readonly tagsBytesMax: number;
  /** Tags of all others that gossip is too small for, together. */
  readonly tagsHeldBytesMax: number;
  /** Intents that wait for their member. The oldest goes first. */
  readonly recentIntentsMax: number;
  /** Hold a vote when another live process bears our name, and stop when it is lost. serf: EnableNameConflictResolution. */
  readonly resolvesNameConflicts: boolean;
  /** Refuse members whose names are not letters, digits, dashes and dots. serf: ValidateNodeNames. */
  readonly validatesNames: boolean;
  /** Members of every status. Gone ones are forgotten early, the ones that left first, when more come. */
  readonly membersMax: number;
  /** Acks carry a network coordinate, and those of others are learnt from. serf: DisableCoordinates. */
  readonly hasCoordinates: boolean;
  /** Changes of the keyring are kept on disk: the effect `saveKeyring` asks for it. */
  readonly hasKeyringFile: boolean;
}

const DAY_MS = 86_400_000;

/** A full configuration: the profile's timing, our defaults, and whatever `settings` overrides. */
export function serfConfig(
  settings: Partial<Omit<SerfConfig, 'swim'>> & {
    readonly swim: Partial<SwimConfig> & Pick<SwimConfig, 'name' | 'advertise'>;
  },
  profile: SwimProfile = 'lan',
): SerfConfig {
  const swim = swimConfig(settings.swim, profile);
  return {
    reconnectTimeoutMs: DAY_MS,
    tombstoneTimeoutMs: DAY_MS,
    reapIntervalMs: 15_000,
    reconnectIntervalMs: 30_000,
    recentIntentTimeoutMs: 300_000,
    broadcastTimeoutMs: 5_000,
    leavePropagateDelayMs: 1_000,
    queueEntriesMax: 4_096,
    queueEntriesMin: 0,
    queueDepthWarning: 128,
    queueCheckIntervalMs: 30_000,
    recentEventTimes: 512,
    recentQueryTimes: 512,
    recentPerTime: 64,
    userEventBytesMax: 9_216,
    userEventSendBytesMax: 512,
    queryBytesMax: 1_024,
    queryTimeoutMult: 16,
    queryResponseBytesMax: 1_024,
    tagsBytesMax: 65_536,
    tagsHeldBytesMax: 67_108_864,
    recentIntentsMax: 4_096,
    resolvesNameConflicts: true,
    validatesNames: false,
    membersMax: 2 * swim.membersMax,
    hasCoordinates: true,
    hasKeyringFile: false,
    ...settings,
    swim,
  };
}

/** Lower and upper bound of each number, both allowed. */
const BOUNDS: Readonly<
  Record<
    Exclude<
      keyof SerfConfig,
      'swim' | 'hasKeyringFile' | 'hasCoordinates' | 'resolvesNameConflicts' | 'validatesNames'
    >,
    readonly [low: number, high: number]
  >
> = {
  reconnectTimeoutMs: [0, 30 * DAY_MS],
  tombstoneTimeoutMs: [0, 30 * DAY_MS],
  reapIntervalMs: [10, DAY_MS],
  reconnectIntervalMs: [10, DAY_MS],
  recentIntentTimeoutMs: [0, DAY_MS],
  broadcastTimeoutMs: [0, 600_000],
  leavePropagateDelayMs: [0, 600_000],
  queueEntriesMax: [16, 1_048_576],
  queueEntriesMin: [0, 1_048_576],
  queueDepthWarning: [1, 1_048_576],
  queueCheckIntervalMs: [10, DAY_MS],
  recentEventTimes: [1, 65_536],
  recentQueryTimes: [1, 65_536],
  recentPerTime: [1, 65_536],
  userEventBytesMax: [1, 9_216],
  userEventSendBytesMax: [1, 9_216],
  queryBytesMax: [128, 9_216],
  queryTimeoutMult: [1, 1_024],
  queryResponseBytesMax: [128, 9_216],
  tagsBytesMax: [512, TAG_SET_BYTES_MAX],
  tagsHeldBytesMax: [0, 1_073_741_824],
  recentIntentsMax: [1, 1_048_576],
  membersMax: [1, 2_097_152],
};

/** Every problem at once; empty when there is none. */
export function validateSerfConfig(config: SerfConfig): string[] {
  const problems = validateSwimConfig(config.swim);
  for (const [setting, [low, high]] of Object.entries(BOUNDS)) {
    const value = config[setting as keyof typeof BOUNDS];
    if (!Number.isSafeInteger(value) || value < low || value > high) {
      problems.push(`${setting} must be a whole number from ${low} to ${high}`);
    }
  }
  if (config.membersMax < config.swim.membersMax) {
    problems.push('membersMax must be at least that of gossip, for every member present has a record');
  }
  return problems;
}
