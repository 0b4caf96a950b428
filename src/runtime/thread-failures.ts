/** Errors on their way to another thread: a structured clone would lose their class and `code`. */
import { FunkError } from '../base/errors.ts';

/** An error without its class. */
export interface ThreadFailure {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly isFunkError: boolean;
  /** `code`, `exitCode`, `problems` and whatever else the error carries, as far as it is plain. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: ThreadFailure | undefined;
}

/** A class whose errors are to be known by `instanceof` on the other side. */
export interface ErrorClass {
  readonly name: string;
  readonly prototype: FunkError;
}

/** Causes of causes are followed so far. */
const CAUSES_MAX = 4;

export function failureOf(error: unknown, depth = 0): ThreadFailure {
  if (!(error instanceof Error)) {
    return {
      name: 'Error',
      message: String(error),
      stack: undefined,
      isFunkError: false,
      fields: {},
      cause: undefined,
    };
  }
  const { name, message, stack, cause } = error;
  const fields = Object.fromEntries(
    Object.entries(error).filter(([key, value]) => key !== 'cause' && key !== 'name' && isPlain(value)),
  );
  const hasCause = cause !== undefined && depth < CAUSES_MAX;
  return {
    name,
    message,
    stack,
    isFunkError: error instanceof FunkError,
    fields,
    cause: hasCause ? failureOf(cause, depth + 1) : undefined,
  };
}

/** As it was thrown; of a class that is not among `classes` it is a plain FunkError, or Error, of the same name, code and message. */
export function errorFrom(failure: ThreadFailure, classes: readonly ErrorClass[]): Error {
  const cause = failure.cause === undefined ? undefined : errorFrom(failure.cause, classes);
  const error = new Error(failure.message, cause === undefined ? {} : { cause });
  const known = classes.find(({ name }) => failure.isFunkError && name === failure.name);
  if (known !== undefined) Object.setPrototypeOf(error, known.prototype);
  else if (failure.isFunkError) Object.setPrototypeOf(error, FunkError.prototype);
  Object.assign(error, failure.fields);
  Object.defineProperty(error, 'name', {
    value: failure.name,
    configurable: true,
    writable: true,
    enumerable: failure.isFunkError,
  });
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}

function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isPlain);
  return value === null || ['string', 'number', 'boolean', 'undefined', 'bigint'].includes(typeof value);
}
