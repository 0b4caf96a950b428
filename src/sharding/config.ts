/** Settings of the shard ownership protocol. docs/ownership.md section 6 has the arithmetic that ties them together. */
import { SHARD_COUNT_MAX } from '../model/shard-map.ts';

export interface ShardingConfig {
  /** Shards of the first map of a cluster; later maps keep the number of the first. Default 10000, clusterfunk's. */
  readonly shardCount: number;
  /** False with `--no-shards`: this node renews, so that it may lead, and is given nothing. */
  readonly wantsShards: boolean;
  /** `L`: how long a grant lasts from the sending of its request. Default 900. */
  readonly leaseMs: number;
  /** True: what a commit gives to this process is served once the application says `acquired`. Default false. */
  readonly startsLoading: boolean;
  /** Between renewals. Default a ninth of the lease, 100 at most. */
  readonly renewIntervalMs: number;
  /** `d`: assumed bound on the rate error of any clock. Default 0.02. */
  readonly clockDrift: number;
  /** `--ack-timeout`: from the proposal to a loser being left out (O-20). Default 500. */
  readonly ackTimeoutMs: number;
  /** A holder that has not renewed for this long is silent (O-19). Default a third of the lease. */
  readonly silentAfterMs: number;
  /** What a new leader gives its predecessor before it counts as silent (O-19). Default a sixth of the lease. */
  readonly predecessorGraceMs: number;
  /** At most one plan in this time (O-22). Default 20. */
  readonly planSpacingMs: number;
  /** Token bucket for maps of other causes than death or drain (O-22). Default 5. */
  readonly mapsPerSecond: number;
  /** An `append` that nothing is heard of is asked for again after this. Default 50. */
  readonly appendRetryMs: number;
  /** The first map of a cluster waits until no new holder has appeared for this long. Default 150. */
  readonly formationQuietMs: number;
  /** And never longer than this. Default 500. */
  readonly formationMaxMs: number;
  /** `--flap-hold`: from its second death in five minutes on a node is given no shards for this long, then twice as long, and so on; 0 for never. Default 5000. */
  readonly flapHoldMs: number;
  /** `--restart-grace`: a node that stopped in order keeps its shards, unserved, for so long; 0 for not at all. Default 0. */
  readonly restartGraceMs: number;
  /** A leader whose own application did not release in time keeps its shards, and tries again after this. Default 5000. */
  readonly ownReleaseRetryMs: number;
}

export function shardingConfig(settings: Partial<ShardingConfig> = {}): ShardingConfig {
  return {
    shardCount: 10_000,
    wantsShards: true,
    ...leaseTiming(settings.leaseMs ?? 900),
    startsLoading: false,
    clockDrift: 0.02,
    ackTimeoutMs: 500,
    planSpacingMs: 20,
    mapsPerSecond: 5,
    appendRetryMs: 50,
    formationQuietMs: 150,
    formationMaxMs: 500,
    flapHoldMs: 5_000,
    restartGraceMs: 0,
    ownReleaseRetryMs: 5_000,
    ...settings,
  };
}

/** What goes with a lease: renewals often enough that two may be lost, and when somebody who does not renew counts as silent. */
export function leaseTiming(
  leaseMs: number,
): Pick<ShardingConfig, 'leaseMs' | 'renewIntervalMs' | 'silentAfterMs' | 'predecessorGraceMs'> {
  return {
    leaseMs,
    renewIntervalMs: Math.min(100, Math.floor(leaseMs / 9)),
    silentAfterMs: Math.floor(leaseMs / 3),
    predecessorGraceMs: Math.floor(leaseMs / 6),
  };
}

/**
 * A member of the group that hears the leader sends its renewals along with its answers, which cost the wake-up anyway; so late, in parts
 * of the interval, it sends one by itself. Two heartbeats of 50 ms are a little more than 100 ms, and the defaults allow 107.
 */
export const RENEWAL_LATEST = 1.05;
/** A holder stops this early: jumps of its clock below it go unreported (docs/ownership.md section 1). */
export const LEASE_MARGIN_MS = 5;
/** The application gets this part of the acknowledgement timeout to release (O-5). */
export const RELEASE_SHARE = 0.8;

/** `W`: after this long on the leader's clock a grant has certainly run out on its holder's (docs/ownership.md section 1). */
export function leaderWaitMs(config: ShardingConfig): number {
  return (config.leaseMs * (1 + config.clockDrift)) / (1 - config.clockDrift);
}

/** Lower and upper bound of each number, both allowed. */
const BOUNDS: Readonly<Record<string, readonly [low: number, high: number]>> = {
  shardCount: [1, SHARD_COUNT_MAX],
  leaseMs: [100, 600_000],
  renewIntervalMs: [10, 60_000],
  clockDrift: [0, 0.2],
  ackTimeoutMs: [10, 600_000],
  silentAfterMs: [20, 600_000],
  predecessorGraceMs: [0, 600_000],
  planSpacingMs: [0, 60_000],
  mapsPerSecond: [0.1, 1_000],
  appendRetryMs: [5, 60_000],
  formationQuietMs: [0, 60_000],
  formationMaxMs: [0, 60_000],
  flapHoldMs: [0, 600_000],
  restartGraceMs: [0, 600_000],
  ownReleaseRetryMs: [10, 600_000],
};

/** Every problem at once; empty when there is none. */
export function validateShardingConfig(config: ShardingConfig): string[] {
  const problems: string[] = [];
  const values = config as unknown as Readonly<Record<string, unknown>>;
  for (const [setting, [low, high]] of Object.entries(BOUNDS)) {
    const value = values[setting];
    if (typeof value !== 'number' || !(value >= low && value <= high)) {
      problems.push(`${setting} must be a number from ${low} to ${high}`);
    }
  }
  if (!Number.isInteger(config.shardCount)) problems.push('shardCount must be a whole number');
  if (config.renewIntervalMs * 3 > config.leaseMs) {
    problems.push('renewIntervalMs must be at most a third of leaseMs, so that a lost renewal costs nothing');
  }
  if (config.silentAfterMs <= config.renewIntervalMs) problems.push('silentAfterMs must be above renewIntervalMs');
  if (config.silentAfterMs > config.leaseMs) problems.push('silentAfterMs must not be above leaseMs');
  if (config.formationQuietMs > config.formationMaxMs) {
    problems.push('formationQuietMs must not be above formationMaxMs');
  }
  return problems;
}

/**
 * Settings that are safe and still break a goal: shards that do not move must stay served through an election, so the life a lease has
 * left when the leader dies must cover a worst first election and one redraw (docs/ownership.md section 6).
 */
export function warnShardingConfig(config: ShardingConfig, electionTimeoutMs: number): string[] {
  const d = config.clockDrift;
  const left = (config.leaseMs - LEASE_MARGIN_MS) / (1 + d) - RENEWAL_LATEST * config.renewIntervalMs;
  const needed = (2 * electionTimeoutMs) / (1 - d) + electionTimeoutMs + 10;
  if (left >= needed) return [];
  const enough = Math.ceil((needed + RENEWAL_LATEST * config.renewIntervalMs) * (1 + d) + LEASE_MARGIN_MS);
  return [
    `lease ${config.leaseMs} ms is short for an election timeout of ${electionTimeoutMs} ms: nodes stop serving during ` +
      `elections; ${enough} ms would cover them`,
  ];
}
