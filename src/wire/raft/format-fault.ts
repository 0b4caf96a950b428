/** What the readers of stored bytes answer when the bytes are not what they claim to be. A value, never thrown past `wire/`. */
import { DecodeError } from '../../base/errors.ts';

export class FormatFault {
  /** Where it shows, in bytes from the start of what was read. */
  readonly offset: number;
  readonly reason: string;

  constructor(offset: number, reason: string) {
    this.offset = offset;
    this.reason = reason;
  }
}

/** Runs a reader; its `DecodeError` becomes a fault. Other errors are ours and pass. */
export function faultOf<T>(offset: number, read: () => T): T | FormatFault {
  try {
    return read();
  } catch (error) {
    if (error instanceof DecodeError) return new FormatFault(offset, error.message);
    throw error;
  }
}
