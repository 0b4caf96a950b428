/** Settings of the Raft core. Reasons and anchors: raft.md sections 4.1, 5.4, 6.3 and 15. */

export interface RaftConfig {
  /** H. One heartbeat round per interval. At least 20 ms. */
  readonly heartbeatMs: number;
  /** E. Election timeouts are drawn from [E, 2E). At least 150 ms, and at least five heartbeats. */
  readonly electionMs: number;
  /** d. Bound on the rate error of any clock in the cluster, as a fraction. The leader lease rests on it. */
  readonly clockDrift: number;
  /** One append carries at most this much, or a single larger entry. */
  readonly appendBytesMax: number;
  readonly appendEntriesMax: number;
  /** Appends to one peer that are sent and not yet acknowledged. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly commandBytesMax: number;
  /** Beyond these a proposal is refused as BUSY. */
  readonly uncommittedBytesMax: number;
  readonly uncommittedEntriesMax: number;
  readonly unappliedBytesMax: number;
  /** Requests of each sort (proposals, reads) that may wait here. */
  readonly waitingRequestsMax: number;
  /** Read barriers under way at once; later reads share the next one. */
  readonly readRoundsMax: number;
  /** Batches handed to storage and not yet durable; later writes are merged into the next one. */
  readonly batchesInFlightMax: number;
  readonly learnersMax: number;
  /** A snapshot stream without any word for so long is given up. */
  readonly snapshotTimeoutMs: number;
}

/** The `fast` profile: one site, round trip below 10 ms. raft.md 4.1. */
export const DEFAULT_RAFT_CONFIG: RaftConfig = {
  heartbeatMs: 50,
  electionMs: 250,
  clockDrift: 0.02,
  appendBytesMax: 512 * 1024,
  appendEntriesMax: 1024,
  inflightMessagesMax: 64,
  inflightBytesMax: 4 * 1024 * 1024,
  commandBytesMax: 2 * 1024 * 1024,
  uncommittedBytesMax: 32 * 1024 * 1024,
  uncommittedEntriesMax: 20_000,
  unappliedBytesMax: 32 * 1024 * 1024,
  waitingRequestsMax: 5_000,
  readRoundsMax: 8,
  batchesInFlightMax: 2,
  learnersMax: 4,
  snapshotTimeoutMs: 60_000,
};

/** For busy or shared hosts, and several sites. raft.md 4.1. */
export const STEADY_RAFT_CONFIG: RaftConfig = { ...DEFAULT_RAFT_CONFIG, heartbeatMs: 100, electionMs: 1_000 };

export type RaftProfile = 'fast' | 'steady';

export const RAFT_PROFILES: Readonly<Record<RaftProfile, RaftConfig>> = {
  fast: DEFAULT_RAFT_CONFIG,
  steady: STEADY_RAFT_CONFIG,
};

/** Every problem at once; empty when the configuration is good. */
export function validateRaftConfig(config: RaftConfig): string[] {
  const problems: string[] = [];
  if (!(config.heartbeatMs >= 20)) problems.push(`heartbeatMs is ${config.heartbeatMs}; it must be at least 20`);
  // A garbage collection was measured to stall a loop for 57 ms; below 150 ms that alone would start elections.
  if (!(config.electionMs >= 150)) problems.push(`electionMs is ${config.electionMs}; it must be at least 150`);
  if (!(config.electionMs >= 5 * config.heartbeatMs)) {
    problems.push(
      `electionMs is ${config.electionMs}; it must be at least five times heartbeatMs (${config.heartbeatMs})`,
    );
  }
  if (!(config.clockDrift >= 0 && config.clockDrift < 0.5)) {
    problems.push(`clockDrift is ${config.clockDrift}; it must be at least 0 and below 0.5`);
  }
  for (const name of COUNTS) {
    const value = config[name];
    if (!(Number.isSafeInteger(value) && value >= 1))
      problems.push(`${name} is ${value}; it must be a whole number above 0`);
  }
  if (!(config.snapshotTimeoutMs > 0))
    problems.push(`snapshotTimeoutMs is ${config.snapshotTimeoutMs}; it must be above 0`);
  return problems;
}

/** LL = E·(1 − d)/(1 + d): how long after its sending an echoed heartbeat round keeps every voter from voting. raft.md 7.2. */
export function leaderLeaseMs(config: RaftConfig): number {
  return (config.electionMs * (1 - config.clockDrift)) / (1 + config.clockDrift);
}

const COUNTS = [
  'appendBytesMax',
  'appendEntriesMax',
  'inflightMessagesMax',
  'inflightBytesMax',
  'commandBytesMax',
  'uncommittedBytesMax',
  'uncommittedEntriesMax',
  'unappliedBytesMax',
  'waitingRequestsMax',
  'readRoundsMax',
  'batchesInFlightMax',
  'learnersMax',
] as const satisfies readonly (keyof RaftConfig)[];
