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
  /** A sealed message, and we have no keys. (In a packet nothing marks one: it fails as a message.) */
  | 'encrypted'
  /** We have keys, and this was plain. */
  | 'notEncrypted'
  | 'noKeyFits'
  /** A label where none, or another, is wanted. */
  | 'labelled'
  | 'unlabelled'
  | 'badLabel'
  | 'unknownType';

export interface DecodeFailure {
  readonly reason: DecodeReason;
  readonly detail: string;
}
