/** The one table from refusals to gRPC statuses and to clusterfunk's error codes. */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { InvariantError } from '../base/assert.ts';
import { FunkError } from '../base/errors.ts';
import type { Error as ManagepbError } from '../gen/managepb/Error.ts';
import { ForwardedRefusal } from './errors.ts';

/** Trailing metadata that carries a refusal's stable code. */
export const FUNK_CODE_KEY = 'funk-code';

export type ManagepbCode = 'INVALID' | 'NO_LEADER' | 'GENERIC' | 'UNKNOWN_ID';

interface Verdict {
  readonly status: status;
  readonly managepb: ManagepbCode;
}

const VERDICTS: Readonly<Record<string, Verdict>> = {
  FUNK_NOT_LEADER: { status: status.FAILED_PRECONDITION, managepb: 'NO_LEADER' },
  FUNK_NOT_OPERATIONAL: { status: status.FAILED_PRECONDITION, managepb: 'NO_LEADER' },
  FUNK_LEADER_UNREACHABLE: { status: status.UNAVAILABLE, managepb: 'NO_LEADER' },
  FUNK_NODE_UNREACHABLE: { status: status.UNAVAILABLE, managepb: 'GENERIC' },
  FUNK_UNKNOWN_NODE: { status: status.NOT_FOUND, managepb: 'UNKNOWN_ID' },
  FUNK_ALREADY_MEMBER: { status: status.ALREADY_EXISTS, managepb: 'INVALID' },
  FUNK_INVALID_REQUEST: { status: status.INVALID_ARGUMENT, managepb: 'INVALID' },
  FUNK_TAGS_TOO_LARGE: { status: status.INVALID_ARGUMENT, managepb: 'INVALID' },
  FUNK_STORAGE_FULL: { status: status.RESOURCE_EXHAUSTED, managepb: 'GENERIC' },
  FUNK_REFUSED: { status: status.FAILED_PRECONDITION, managepb: 'GENERIC' },
  FUNK_OUTCOME_UNKNOWN: { status: status.DEADLINE_EXCEEDED, managepb: 'GENERIC' },
  FUNK_JOIN_FAILED: { status: status.UNAVAILABLE, managepb: 'GENERIC' },
  FUNK_STOPPED: { status: status.UNAVAILABLE, managepb: 'GENERIC' },
  FUNK_STREAM_LIMIT: { status: status.RESOURCE_EXHAUSTED, managepb: 'GENERIC' },
  FUNK_NO_LEADER: { status: status.UNAVAILABLE, managepb: 'NO_LEADER' },
  FUNK_BUSY: { status: status.RESOURCE_EXHAUSTED, managepb: 'GENERIC' },
  FUNK_TOO_LARGE: { status: status.INVALID_ARGUMENT, managepb: 'INVALID' },
  FUNK_STORE_FULL: { status: status.RESOURCE_EXHAUSTED, managepb: 'GENERIC' },
  FUNK_INVALID_KV_REQUEST: { status: status.INVALID_ARGUMENT, managepb: 'INVALID' },
  FUNK_SESSION_EXPIRED: { status: status.FAILED_PRECONDITION, managepb: 'INVALID' },
  FUNK_SESSION_MISUSED: { status: status.FAILED_PRECONDITION, managepb: 'INVALID' },
  FUNK_REPLY_GONE: { status: status.FAILED_PRECONDITION, managepb: 'GENERIC' },
  FUNK_CALLER_GONE: { status: status.CANCELLED, managepb: 'GENERIC' },
};

/** Whatever has no line in the table was not foreseen. */
const UNFORESEEN: Verdict = { status: status.INTERNAL, managepb: 'GENERIC' };

/** Whether the table knows this error. What it does not know deserves a log line. */
export function isForeseen(error: unknown): boolean {
  return error instanceof ForwardedRefusal || verdict(error) !== UNFORESEEN;
}

export function grpcStatus(error: unknown): status {
  return error instanceof ForwardedRefusal ? error.status : verdict(error).status;
}

/** As a gRPC status with the stable code in its metadata. The texts of unforeseen errors stay inside. */
export function statusResponse(error: unknown): StatusObject {
  const metadata = new Metadata();
  const code = error instanceof ForwardedRefusal ? error.funkCode : error instanceof FunkError ? error.code : '';
  if (code !== '') metadata.set(FUNK_CODE_KEY, code);
  return { code: grpcStatus(error), details: textOf(error), metadata };
}

/** As clusterfunk's tools read it. */
export function managepbError(error: unknown): ManagepbError {
  return { errorCode: managepbCode(error), message: textOf(error) };
}

export function managepbCode(error: unknown): ManagepbCode {
  const held = error instanceof ForwardedRefusal ? VERDICTS[error.funkCode] : undefined;
  return (held ?? verdict(error)).managepb;
}

/** A broken invariant must end the process, not one call: it is thrown where nobody catches it. */
export function rethrowBroken(error: unknown): void {
  if (!(error instanceof InvariantError)) return;
  setImmediate(() => {
    throw error;
  });
}

function verdict(error: unknown): Verdict {
  return error instanceof FunkError ? (VERDICTS[error.code] ?? UNFORESEEN) : UNFORESEEN;
}

function textOf(error: unknown): string {
  return error instanceof FunkError ? error.message : 'internal error; the log of this node tells more';
}
