/** Plain numbers of every room, read at scrape time. Counters only rise; all durations are milliseconds. */
import type { KvStats } from './kv.ts';

export interface SwimStats {
  membersAlive: number;
  membersSuspect: number;
  membersDead: number;
  membersLeft: number;
  /** Lifeguard's local health multiplier, 0 is best. */
  healthScore: number;
  incarnation: number;
  probes: number;
  probesFailed: number;
  indirectProbes: number;
  suspicions: number;
  refutations: number;
  pushPulls: number;
  pushPullsFailed: number;
  packetsSent: number;
  packetsReceived: number;
  bytesSent: number;
  bytesReceived: number;
  streamsOpened: number;
  /** By reason. */
  dropped: Record<string, number>;
  broadcastsQueued: number;
  /** In the gossip keyring; 0: gossip is not encrypted. */
  encryptionKeys: number;
  /** Round trips of direct probes: sum and count, and how many were at or below each bound, ascending. */
  roundTrips: RoundTrips;
}

export interface RoundTrips {
  readonly sum: number;
  readonly count: number;
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
}

export interface SerfStats {
  membersFailed: number;
  membersLeft: number;
  memberClock: number;
  eventClock: number;
  queryClock: number;
  intentsQueued: number;
  eventsQueued: number;
  queriesQueued: number;
  /** Dropped because their queue was too long. */
  broadcastsPruned: number;
  /** Undefined when coordinates are disabled. */
  coordinate: CoordinateStats | undefined;
  tags: TagStats;
}

/** Of tags that gossip is too small for. */
export interface TagStats {
  /** Members whose whole set is held. */
  sets: number;
  setBytes: number;
  /** Sets that were fetched. */
  fetched: number;
  /** Requests for one in vain. */
  failed: number;
  /** Sets that came and were not what gossip names; among `failed`. */
  refused: number;
  /** Sets that peers were given. */
  answered: number;
}

/** Of the network coordinate of this node. */
export interface CoordinateStats {
  /** Vivaldi's relative error: 1.5 knows nothing, near 0 is settled. */
  error: number;
  adjustmentMs: number;
  heightMs: number;
  /** By how much the last sample moved it. */
  movedMs: number;
  /** Members of which a coordinate is known. */
  known: number;
  /** Acks whose coordinate or round trip could not be true. */
  rejected: number;
  /** How often it became meaningless and began anew. */
  resets: number;
}

export interface RaftStats {
  term: number;
  isLeader: boolean;
  commitIndex: number;
  appliedIndex: number;
  lastIndex: number;
  durableIndex: number;
  snapshotIndex: number;
  voters: number;
  learners: number;
  electionsStarted: number;
  electionsWon: number;
  stepDowns: number;
  messagesSent: number;
  messagesReceived: number;
  messagesDropped: number;
  proposals: number;
  proposalsRefused: number;
  logBytes: number;
  /** Per voter or learner, on the leader: entries it lacks. Keyed by node id. */
  lag: Record<string, number>;
}

/** Of the coordination state, and of what is asked of it at this node. */
export interface KvDeskStats extends KvStats {
  /** Taken and not answered. */
  readonly waiting: number;
  /** Requests that went into the log from here, as leader, and the entries that they went in. */
  readonly proposed: number;
  readonly batches: number;
  readonly quorumReads: number;
  readonly leaseReads: number;
  readonly staleReads: number;
  /** Passed on to another node. */
  readonly forwarded: number;
  /** Before anything was changed. */
  readonly refused: number;
  readonly unknown: number;
}

export interface ShardingStats {
  shardCount: number;
  shardsOwned: number;
  /** Given to this node, and not served before its application is ready. */
  shardsLoading: number;
  mapVersion: number;
  mapCommittedAt: number;
  proposals: number;
  commits: number;
  proposalsVoided: number;
  shardsMoved: number;
  grantsGiven: number;
  grantsRefused: number;
  renewalsSent: number;
  leaseLosses: number;
  holdersGone: number;
  acknowledgementsOverdue: number;
}

/** What applications hand over along with shards. */
export interface HandOverStats {
  /** Shards whose state another node has taken in whole; here, that came in whole; and that was given to the application. */
  statesSent: number;
  statesArrived: number;
  statesDelivered: number;
  /** Not in time, too large, or not of the map that moved the shard. */
  statesDropped: number;
}

export interface LivenessStats {
  watched: number;
  alive: number;
  checksSent: number;
  echoesReceived: number;
  deaths: number;
  dropped: number;
}

export interface StorageStats {
  batches: number;
  bytesWritten: number;
  /** Sum and count of write-and-sync durations. */
  syncMsSum: number;
  syncCount: number;
  snapshots: number;
  /** Upper bounds in milliseconds, ascending, and how many syncs were at or below each. */
  syncBuckets: readonly { readonly le: number; readonly count: number }[];
}

export interface PeerStats {
  links: number;
  messagesSent: number;
  messagesReceived: number;
  messagesDropped: number;
  bytesSent: number;
  bytesReceived: number;
  reconnects: number;
  /** To the Raft port, since the start. */
  connectionsAccepted: number;
  /** There were too many. */
  connectionsRefused: number;
  /** Bytes that are no HTTP/2. */
  connectionsMalformed: number;
}

export interface LoopStats {
  turns: number;
  inputs: number;
  /** p99 of event-loop delay over the last 10 s. */
  delayP99Ms: number;
  inboxDropped: number;
}

/** Of the application's routers in this process, as of their last reports. */
export interface RoutingStats {
  readonly requests: readonly {
    readonly service: string;
    readonly destination: string;
    readonly method: string;
    readonly count: number;
  }[];
  readonly refusals: readonly { readonly service: string; readonly reason: string; readonly count: number }[];
  readonly retries: number;
  /** Requests that wait now. */
  readonly waiting: number;
  /** Open connections to owners. */
  readonly connections: number;
  /** In seconds. */
  readonly waits: RoundTrips;
}

export interface NodeStats {
  readonly swim: Readonly<SwimStats>;
  readonly serf: Readonly<SerfStats>;
  /** Undefined on a node without a log. */
  readonly raft: Readonly<RaftStats> | undefined;
  readonly kv: KvDeskStats;
  readonly sharding: Readonly<ShardingStats & HandOverStats>;
  readonly liveness: Readonly<LivenessStats>;
  readonly storage: Readonly<StorageStats> | undefined;
  readonly peers: Readonly<PeerStats>;
  readonly loop: Readonly<LoopStats>;
  readonly routing: RoutingStats;
}
