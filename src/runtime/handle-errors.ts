/** Refusals that a caller of the node may meet. `code` is stable. */
import { FunkError } from '../base/errors.ts';
import type { NodeId } from '../model/ids.ts';

/** The call reached a node that does not lead. Nothing changed; retry at `leader` when it is known. */
export class NotLeaderError extends FunkError {
  readonly code = 'FUNK_NOT_LEADER';
  readonly leader: NodeId | undefined;
  constructor(leader: NodeId | undefined) {
    super(
      leader === undefined ? 'this node does not lead, and knows no leader' : `this node does not lead; ${leader} does`,
    );
    this.leader = leader;
  }
}

/** Nobody of that name is known, or it publishes nothing to reach it by. Nothing changed. */
export class UnknownNodeError extends FunkError {
  readonly code = 'FUNK_UNKNOWN_NODE';
  readonly node: NodeId;
  constructor(node: NodeId, why: string) {
    super(`node ${node}: ${why}`);
    this.node = node;
  }
}

/** The node already is what was asked for. Nothing changed. */
export class AlreadyMemberError extends FunkError {
  readonly code = 'FUNK_ALREADY_MEMBER';
  constructor(node: NodeId) {
    super(`node ${node} is a voter already`);
  }
}

/** Refused before anything was appended; the reason says why. Nothing changed. */
export class RefusedError extends FunkError {
  readonly code = 'FUNK_REFUSED';
}

/** The disk of the leader has no room for it. Nothing changed. */
export class StorageShortError extends FunkError {
  readonly code = 'FUNK_STORAGE_FULL';
}

/** Leadership was lost, or time ran out, after the request had entered the log: it may take effect or not. */
export class OutcomeUnknownError extends FunkError {
  readonly code = 'FUNK_OUTCOME_UNKNOWN';
}

/** No address answered. */
export class JoinFailedError extends FunkError {
  readonly code = 'FUNK_JOIN_FAILED';
}

/** The tags together are more than a node may have, or one that gossip itself must carry is too long for it. Nothing changed. */
export class TagsTooLargeError extends FunkError {
  readonly code = 'FUNK_TAGS_TOO_LARGE';
}

/** The node has stopped or is stopping. */
export class StoppedError extends FunkError {
  readonly code = 'FUNK_STOPPED';
}
