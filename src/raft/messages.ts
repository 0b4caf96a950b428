/** The vocabulary of the Raft core. raft.md sections 2 and 3. */
import type { LogIndex, MemberId, RequestId, Term } from '../model/ids.ts';
import type { Configuration, Entry, PersistBatch, SnapshotMeta } from '../model/log.ts';
import type { Timing } from '../model/timing.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { RaftMessage } from '../wire/raft/rpc.ts';

/** Its shape and its bytes are one thing, so it is defined beside its codec. */
export type { RaftMessage };

export type MemberStep = 'addLearner' | 'promote' | 'demote' | 'remove';

/** One step of membership. What touches one voter is a single entry; an `exchange` of more goes through joint consensus (raft.md 9.1). */
export type MembershipChange =
  | { readonly kind: MemberStep; readonly member: MemberId }
  /** Learners that have caught up become voters, and voters go, all in one step. */
  | { readonly kind: 'exchange'; readonly promote: readonly MemberId[]; readonly remove: readonly MemberId[] };

export type RaftInput =
  | { readonly kind: 'message'; readonly from: MemberId; readonly message: RaftMessage }
  | { readonly kind: 'propose'; readonly requestId: RequestId; readonly items: readonly Uint8Array[] }
  | { readonly kind: 'changeMembers'; readonly requestId: RequestId; readonly change: MembershipChange }
  | { readonly kind: 'readIndex'; readonly requestId: RequestId }
  /** No target: the best voter, one of `avoid` only when there is no other. */
  | {
      readonly kind: 'transferLeader';
      readonly requestId: RequestId;
      readonly target?: MemberId;
      readonly avoid?: readonly MemberId[];
    }
  | { readonly kind: 'persisted'; readonly batchSeq: number }
  | { readonly kind: 'persistFailed'; readonly reason: string }
  /** How much the log may still grow (11.6). */
  | { readonly kind: 'room'; readonly room: StorageRoom }
  /** The state machine has finished through `index`. */
  | { readonly kind: 'applied'; readonly index: LogIndex }
  /** A snapshot up to `meta.lastLog` is durable here; the log before `firstIndex` may go. */
  | { readonly kind: 'compacted'; readonly meta: SnapshotMeta; readonly firstIndex: LogIndex }
  /** A complete, verified snapshot has come from the leader of `term`. */
  | { readonly kind: 'snapshotReceived'; readonly from: MemberId; readonly term: Term; readonly meta: SnapshotMeta }
  /** The install that `installSnapshot` asked for is durable. */
  | { readonly kind: 'snapshotInstalled'; readonly meta: SnapshotMeta }
  /** There was no room for it: the log is what it was. */
  | { readonly kind: 'installRefused' }
  /** The transport gave up on a peer (advice only). */
  | { readonly kind: 'peerUnreachable'; readonly peer: MemberId }
  | { readonly kind: 'snapshotStatus'; readonly peer: MemberId; readonly ok: boolean }
  /** Event-loop lateness, p99 of the last 10 s: the core stretches its own election timeout by it (12.3). */
  | { readonly kind: 'loopDelay'; readonly p99Ms: number }
  /** The cluster's times, which go before the node's own. */
  | { readonly kind: 'timing'; readonly timing: Timing }
  /** Forward jump of wall minus monotonic: shortens the leader lease (7.4 rule 4). */
  | { readonly kind: 'clockJumped'; readonly byMs: number };

export type RaftEffect =
  | { readonly kind: 'persist'; readonly batch: PersistBatch }
  | { readonly kind: 'send'; readonly to: MemberId; readonly message: RaftMessage }
  /** These entries may be applied now, in order. Never beyond min(commit, durable). */
  | { readonly kind: 'commit'; readonly entries: readonly Entry[] }
  | { readonly kind: 'reply'; readonly requestId: RequestId; readonly outcome: RaftOutcome }
  /** Send the newest snapshot (at or above `minIndex`) to a peer; answered by `snapshotStatus`. */
  | { readonly kind: 'streamSnapshot'; readonly to: MemberId; readonly minIndex: LogIndex }
  /** Make the received snapshot durable in place of the log; answered by `snapshotInstalled`. */
  | { readonly kind: 'installSnapshot'; readonly meta: SnapshotMeta }
  | { readonly kind: 'notify'; readonly event: RaftEvent }
  | { readonly kind: 'stop'; readonly reason: string };

export type RaftOutcome =
  /** Every item is committed; `indexes` are theirs, in order. The state machine may not have applied them yet. */
  | { readonly kind: 'committed'; readonly term: Term; readonly indexes: readonly LogIndex[] }
  | { readonly kind: 'changed'; readonly configuration: Configuration }
  | { readonly kind: 'readReady'; readonly index: LogIndex }
  | { readonly kind: 'transferred'; readonly to: MemberId }
  /** Refused before anything was appended. */
  | {
      readonly kind: 'refused';
      readonly code: RaftRefusal;
      readonly reason: string;
      readonly leader: MemberId | undefined;
    }
  /** Appended, and then leadership was lost: it may commit or not. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type RaftRefusal =
  | 'NOT_LEADER'
  | 'NOT_READY'
  | 'BUSY'
  | 'TOO_LARGE'
  | 'CONFIG_PENDING'
  | 'TRANSFER_IN_PROGRESS'
  | 'INVALID_CHANGE'
  | 'TIMED_OUT'
  | 'STORAGE_FULL'
  | 'STOPPED';

export type RaftRole = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export type RaftEvent =
  | { readonly kind: 'roleChanged'; readonly role: RaftRole; readonly term: Term }
  | {
      readonly kind: 'becameLeader';
      readonly term: Term;
      /** `now` of the step that counted the last needed vote (ownership.md O-14). */
      readonly electedAt: number;
      /**
       * The leader of the term of the last entry before our noop, if we heard from it, in that term, a commit index at or
       * above an entry of that term (ownership.md O-15, both halves); else undefined.
       */
      readonly restedOnLease: MemberId | undefined;
      readonly noopIndex: LogIndex;
    }
  | { readonly kind: 'steppedDown'; readonly term: Term; readonly reason: string }
  | { readonly kind: 'leaderChanged'; readonly leader: MemberId | undefined; readonly term: Term }
  /** The newest configuration in the log, committed or not. */
  | {
      readonly kind: 'configurationChanged';
      readonly configuration: Configuration;
      readonly index: LogIndex;
      readonly committed: boolean;
    }
  | { readonly kind: 'learnerCaughtUp'; readonly member: MemberId }
  /** A heartbeat's commit is beyond our log: we have lost data that the leader knows we had. */
  | { readonly kind: 'dataLost'; readonly reason: string };

/** What the door also offers, read by `cluster/` in the same turn. All are plain reads. */
export interface RaftReadings {
  readonly term: Term;
  readonly role: RaftRole;
  readonly leader: MemberId | undefined;
  readonly configuration: Configuration;
  readonly commitIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** The log through here, as it is now, is on this node's disk. */
  readonly durableIndex: LogIndex;
  /** Own noop of this term is committed. */
  readonly isReady: boolean;
  /** Monotonic ms until which this node is certainly the only leader; -Infinity when it is none (raft.md 7.4). */
  readonly leaderLeaseUntil: number;
}
