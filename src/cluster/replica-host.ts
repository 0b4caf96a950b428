/** What a replica of the agreed state needs of the node around it. */
import type { MonotonicMs } from '../base/machine.ts';
import type { EtcdLogEffect } from '../etcd/messages.ts';
import type { LogIndex, MemberId, NodeId, RequestId, Term } from '../model/ids.ts';
import type { Configuration, Entry } from '../model/log.ts';
import type { RaftEvent, RaftOutcome } from '../raft/messages.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import type { Applied } from './agreed-state.ts';
import type { ClusterEffect } from './messages.ts';

/** What the replica needs of the node around it. Called synchronously, within a step. */
export interface ReplicaHost {
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  onRaftEvent(event: RaftEvent, now: MonotonicMs, effects: ClusterEffect[]): void;
  onRaftReply(requestId: RequestId, outcome: RaftOutcome, now: MonotonicMs, effects: ClusterEffect[]): void;
  /** In the step that applied `entry`, before the next one is. */
  onCommand(entry: Entry, applied: Applied, now: MonotonicMs, effects: ClusterEffect[]): void;
  onApplied(index: LogIndex, now: MonotonicMs, effects: ClusterEffect[]): void;
  /** A standalone etcd says which cluster this is. */
  onBelongs(cluster: Extract<EtcdLogEffect, { kind: 'belongs' }>, now: MonotonicMs, effects: ClusterEffect[]): void;
  onImage(index: LogIndex, shardImage: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void;
  shardImage(): Uint8Array;
}

/** What is the replica's of that which peers say. */
export type ReplicaMessage = Exclude<
  PeerMessage,
  { kind: 'lease' | 'handOver' | 'handOverAck' | 'kvAsk' | 'kvAnswer' | 'request' | 'response' }
>;

/** The leader and its term as this node knows them, from Raft or from the voter it follows. */
export interface KnownLeader {
  readonly leader: NodeId | undefined;
  readonly term: Term;
}

/** As a voter of either half, or a learner. */
export function isNamed({ voters, votersOutgoing, learners }: Configuration, member: MemberId): boolean {
  return voters.includes(member) || votersOutgoing.includes(member) || learners.includes(member);
}
