/** What a node shows of itself: a value, made anew when something changed. Floor 8 reads nothing else. */
import type { Ailment } from './ailment.ts';
import type { Endpoint } from './endpoint.ts';
import type { Boot, ClusterId, LogIndex, MemberId, NodeId, Stamp, Term } from './ids.ts';
import type { Configuration } from './log.ts';
import type { Member } from './member.ts';
import type { NodeKind, NodeRole, NodeState } from './node-state.ts';
import type { RestartPermit } from './restart-permit.ts';
import type { ShardMap } from './shard-map.ts';
import type { ShardSettings } from './shard-settings.ts';
import type { StorageRoom } from './storage-room.ts';

/** Everything a node knows of itself and its cluster at one instant. Instants are monotonic milliseconds, the clock of `now()`. */
export interface NodeView {
  readonly id: NodeId;
  readonly stamp: Stamp;
  readonly boot: Boot;
  readonly kind: NodeKind;
  readonly clusterName: string;
  /** Undefined while the node is undecided. */
  readonly clusterId: ClusterId | undefined;
  /** When the cluster was founded, Unix milliseconds. */
  readonly clusterCreatedMs: number | undefined;
  readonly state: NodeState;
  /** Monotonic milliseconds at which `state` was entered. */
  readonly stateSince: number;
  readonly role: NodeRole;
  readonly term: Term;
  readonly leader: NodeId | undefined;
  /** Every gossip member this node knows, itself included, sorted by name. */
  readonly members: readonly MemberView[];
  /** The newest Raft configuration this node knows; empty on a node that knows none. */
  readonly configuration: Configuration;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** The active map; undefined before the first one. */
  readonly shardMap: ShardMap | undefined;
  /** Version of the proposed map that is not active yet. */
  readonly pendingVersion: LogIndex | undefined;
  /** What operators have agreed on about the spread of shards, as this node has applied it; absent without a replica. */
  readonly shardSettings?: ShardSettings;
  /** Whether this node now holds a lease to serve its shards. */
  readonly holdsLease: boolean;
  /** Who may restart which node at present, as far as this node has applied the log; undefined: nobody. */
  readonly restartPermit: RestartPermit | undefined;
  /** What the node waits for, when it cannot go on by itself. */
  readonly waiting: Waiting | undefined;
  /** Of the disk that the log is on; `enough` on a node that keeps none. */
  readonly room: StorageRoom;
  /** Why this node should not lead; undefined while nothing ails it. */
  readonly ailment: Ailment | undefined;
  /** What was bound and published, by tag name (`ep.serf`, `ep.raft`, ...). */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
}

/** A gossip member, with what Raft and this node's ears say of it. */
export interface MemberView extends Member {
  /** What the newest Raft configuration says of it. */
  readonly raft: 'Voter' | 'Nonvoter' | 'Staging' | '';
  readonly memberId: MemberId | undefined;
  /** Monotonic milliseconds since when this node knows it (its age here). */
  readonly knownSince: number;
  /** Monotonic milliseconds of the last time anything was heard from it (a heartbeat); undefined when never. */
  readonly lastHeard: number | undefined;
}

/** Why a node cannot go on by itself. */
export interface Waiting {
  /** `conflict`: another cluster bears this one's name; both run on, apart, until an operator decides. */
  readonly reason: 'quorum' | 'members' | 'leader' | 'conflict';
  /** The nodes it waits for, as far as they are known. */
  readonly nodes: readonly NodeId[];
  /** Monotonic milliseconds. */
  readonly since: number;
  /** One sentence: what the operator can do. */
  readonly advice: string;
}
