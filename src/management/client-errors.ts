/** How a call of the management client can fail. `code` is stable. */
import { FunkError } from '../base/errors.ts';

/** Nobody answers there, or the connection was lost. Whether a call that changes things took effect is not known. */
export class UnreachableError extends FunkError {
  readonly code = 'FUNK_UNREACHABLE';
}

/** No answer in time. Whether a call that changes things took effect is not known. */
export class TimedOutError extends FunkError {
  readonly code = 'FUNK_TIMED_OUT';
}

/** The node, or the leader behind it, refused. Nothing changed. */
export class CallRefusedError extends FunkError {
  readonly code = 'FUNK_CALL_REFUSED';
  /** Name of the gRPC status. */
  readonly status: string;
  /** The node's own code (`FUNK_UNKNOWN_NODE`, `NO_LEADER`, ...); empty when it gave none. */
  readonly reason: string;
  constructor(refusal: { readonly message: string; readonly status: string; readonly reason: string }) {
    super(refusal.message);
    this.status = refusal.status;
    this.reason = refusal.reason;
  }
}

/** The text is no `host:port`. Nothing was dialled. */
export class InvalidEndpointError extends FunkError {
  readonly code = 'FUNK_INVALID_ENDPOINT';
}

/** The node that answers belongs to a cluster of another name. */
export class WrongClusterError extends FunkError {
  readonly code = 'FUNK_WRONG_CLUSTER';
}
