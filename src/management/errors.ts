/** Refusals that begin in the management room. `code` is stable; status.ts says how each leaves it. */
import { FunkError } from '../base/errors.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { NodeId } from '../model/ids.ts';

/** The listening socket could not be bound. Nothing was opened. */
export class BindFailedError extends FunkError {
  readonly code = 'FUNK_BIND_FAILED';
  readonly endpoint: Endpoint;
  /** The system's word for it: EADDRINUSE, EADDRNOTAVAIL, EACCES. */
  readonly reason: string;
  constructor(endpoint: Endpoint, reason: string, options?: ErrorOptions) {
    super(
      `management endpoint ${formatEndpoint(endpoint)} could not be bound: ${BIND_REASONS[reason] ?? reason}`,
      options,
    );
    this.endpoint = endpoint;
    this.reason = reason;
  }
}

const BIND_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there (EADDRINUSE)',
  EADDRNOTAVAIL: 'no interface of this machine has that address (EADDRNOTAVAIL)',
  EACCES: 'ports below 1024 need privileges (EACCES)',
  ENOTFOUND: 'the name has no address (ENOTFOUND)',
};

/** What was asked for cannot be meant: a missing id, a shard that does not exist. Nothing changed. */
export class InvalidRequestError extends FunkError {
  readonly code = 'FUNK_INVALID_REQUEST';
}

/** The node's state does not allow an answer. Nothing changed. */
export class NotOperationalError extends FunkError {
  readonly code = 'FUNK_NOT_OPERATIONAL';
}

/** The leader is known but its management endpoint does not answer. Nothing changed. */
export class LeaderUnreachableError extends FunkError {
  readonly code = 'FUNK_LEADER_UNREACHABLE';
  constructor(leader: NodeId, why: string, options?: ErrorOptions) {
    super(`leader ${leader}: ${why}`, options);
  }
}

/** The node that is meant is known but its management endpoint does not answer. Nothing changed. */
export class NodeUnreachableError extends FunkError {
  readonly code = 'FUNK_NODE_UNREACHABLE';
  constructor(node: NodeId, why: string, options?: ErrorOptions) {
    super(`node ${node}: ${why}`, options);
  }
}

/** The leader refused what was forwarded to it; `status` and `funkCode` are the leader's. */
export class ForwardedRefusal extends FunkError {
  readonly code = 'FUNK_FORWARDED_REFUSAL';
  readonly status: number;
  /** The stable code that the leader gave; empty when it gave none. */
  readonly funkCode: string;
  constructor(refusal: { readonly status: number; readonly details: string; readonly funkCode: string }) {
    super(refusal.details);
    this.status = refusal.status;
    this.funkCode = refusal.funkCode;
  }
}

/** More streams than the server serves at once, or one whose client does not read. */
export class StreamLimitError extends FunkError {
  readonly code = 'FUNK_STREAM_LIMIT';
}

/** The caller hung up before the answer. What it asked for may still happen. */
export class CallerGoneError extends FunkError {
  readonly code = 'FUNK_CALLER_GONE';
}
