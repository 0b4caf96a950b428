/** What was wrong with bytes from a peer: a value to count, never an exception outside `wire/`. */

export type DecodeReason =
  | 'empty'
  | 'badChecksum'
  | 'badCompression'
  | 'badMessage'
  | 'truncatedCompound'
  | 'nestedTooDeep'
  | 'tooManyMessages'
  | 'tooLarge'
  | 'encrypted'
  | 'labelled'
  | 'unknownType';

export interface DecodeFailure {
  readonly reason: DecodeReason;
  readonly detail: string;
}
