/** Refusals that a caller of the coordination state may meet. `code` is stable. */
import { unreachable } from '../base/assert.ts';
import { FunkError } from '../base/errors.ts';
import type { KvAnswer, KvRefusal, KvReply, KvStateRefusal } from '../model/kv.ts';
import { OutcomeUnknownError, RefusedError, StoppedError, StorageShortError } from './handle-errors.ts';

/** No leader was found within four seconds, or the one that was found led no more. Nothing changed. */
export class NoLeaderError extends FunkError {
  readonly code = 'FUNK_NO_LEADER';
}

/** More waits here, or in the log, than may. Nothing changed; try again after a while. */
export class BusyError extends FunkError {
  readonly code = 'FUNK_BUSY';
}

/** The request, or an answer that another node would have to pass on, is too large. Nothing changed. */
export class TooLargeError extends FunkError {
  readonly code = 'FUNK_TOO_LARGE';
}

/** The store holds as much as it may. Nothing changed; delete something. */
export class StoreFullError extends FunkError {
  readonly code = 'FUNK_STORE_FULL';
}

/** A key that is empty or too long, or a transaction that writes a key twice. Nothing changed. */
export class InvalidKvRequestError extends FunkError {
  readonly code = 'FUNK_INVALID_KV_REQUEST';
}

/** The session was idle for an hour, was closed, or is of another cluster. This try changed nothing; an earlier one may have. */
export class SessionExpiredError extends FunkError {
  readonly code = 'FUNK_SESSION_EXPIRED';
}

/** The session's client has done what a client must not: asked again what it acknowledged, or acknowledged too little. Nothing changed. */
export class SessionMisusedError extends FunkError {
  readonly code = 'FUNK_SESSION_MISUSED';
}

/** An earlier try took effect; its answer was too large to be kept for this one. */
export class ReplyGoneError extends FunkError {
  readonly code = 'FUNK_REPLY_GONE';
}

export type KvDone = Extract<KvReply, { kind: 'done' }>;

/** What was done, or the error that says why it was not. */
export function doneOrError(answer: KvAnswer): KvDone | Error {
  switch (answer.kind) {
    case 'reply':
      return answer.reply.kind === 'done' ? answer.reply : stateError(answer.reply.code, answer.reply.reason);
    case 'refused':
      return refusalError(answer.code, answer.reason);
    case 'unknown':
      return new OutcomeUnknownError(answer.reason);
    default:
      return unreachable(answer);
  }
}

function refusalError(code: KvRefusal, reason: string): Error {
  switch (code) {
    case 'NO_LEADER':
      return new NoLeaderError(reason);
    case 'BUSY':
      return new BusyError(reason);
    case 'TOO_LARGE':
      return new TooLargeError(reason);
    case 'STORAGE_FULL':
      return new StorageShortError(reason);
    case 'NOT_A_MEMBER':
      return new RefusedError(reason);
    case 'STOPPED':
      return new StoppedError(reason);
    default:
      return unreachable(code);
  }
}

function stateError(code: KvStateRefusal, reason: string): Error {
  switch (code) {
    case 'SESSION_EXPIRED':
      return new SessionExpiredError(reason);
    case 'SESSION_STALE':
    case 'SESSION_WINDOW':
      return new SessionMisusedError(reason);
    case 'SESSIONS_FULL':
      return new BusyError(reason);
    case 'REPLY_GONE':
      return new ReplyGoneError(reason);
    case 'INVALID':
      return new InvalidKvRequestError(reason);
    case 'NO_SPACE':
      return new StoreFullError(reason);
    default:
      return unreachable(code);
  }
}

/** The error that bears `code`, on the other side of a wire; undefined for codes that are none of these. */
export function kvErrorOf(code: string, message: string): FunkError | undefined {
  const known = BY_CODE[code];
  return known === undefined ? undefined : new known(message);
}

const BY_CODE: Readonly<Record<string, new (message: string) => FunkError>> = {
  FUNK_NO_LEADER: NoLeaderError,
  FUNK_BUSY: BusyError,
  FUNK_TOO_LARGE: TooLargeError,
  FUNK_STORE_FULL: StoreFullError,
  FUNK_INVALID_KV_REQUEST: InvalidKvRequestError,
  FUNK_SESSION_EXPIRED: SessionExpiredError,
  FUNK_SESSION_MISUSED: SessionMisusedError,
  FUNK_REPLY_GONE: ReplyGoneError,
  FUNK_OUTCOME_UNKNOWN: OutcomeUnknownError,
  FUNK_REFUSED: RefusedError,
  FUNK_STOPPED: StoppedError,
  FUNK_STORAGE_FULL: StorageShortError,
};
