/** The root of every refusal a caller can act upon. `code` is stable; the message is for people. */
export abstract class FunkError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Bytes that are not what they claim to be. Thrown inside `wire/` only, and caught at its door. */
export class DecodeError extends FunkError {
  readonly code = 'FUNK_DECODE';
}
