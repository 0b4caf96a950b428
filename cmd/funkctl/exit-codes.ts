/** How the program ends. The numbers are part of its interface. */
export const EXIT_DONE = 0;
/** The request was refused or failed. */
export const EXIT_REFUSED = 1;
export const EXIT_USAGE = 2;
/** No node of the cluster could be reached. */
export const EXIT_UNREACHABLE = 3;
export const EXIT_TIMED_OUT = 4;

/** An end with a sentence for the operator. */
export class ExitError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

const BY_CODE: Readonly<Record<string, number>> = {
  FUNK_UNREACHABLE: EXIT_UNREACHABLE,
  FUNK_TIMED_OUT: EXIT_TIMED_OUT,
  FUNK_INVALID_ENDPOINT: EXIT_USAGE,
  FUNK_INVALID_REQUEST: EXIT_USAGE,
};

/** By the stable code of an error, so that this file need not load what throws it. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ExitError) return error.exitCode;
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return BY_CODE[code] ?? EXIT_REFUSED;
}
