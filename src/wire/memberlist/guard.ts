/**
 * The two outermost layers of packets and streams: the label, which keeps clusters apart that share a network, and the encryption.
 * Put on last and taken off first. wire-gossip.md 4.1, 6, 7.2.
 */
import { concatBytes, EMPTY_BYTES, equalBytes } from '../../base/bytes.ts';
import type { Random } from '../../base/random.ts';
import type { DecodeFailure, DecodeReason } from './failure.ts';
import { TYPE_ENCRYPT, TYPE_LABEL } from './messages.ts';
import { drawNonce, open, type Opened, SEAL_OVERHEAD_BYTES, seal, sealedBytes } from './sealing.ts';

/** Its length stands in one byte, and 0 would be no label. */
export const LABEL_BYTES_MAX = 255;
/** Type and length. */
export const LABEL_HEADER_BYTES = 2;
/** Type and length of what is sealed on a stream. */
export const SEALED_HEADER_BYTES = 5;
/** memberlist's limit on what it decrypts from a stream: 20 MiB. */
export const SEALED_BYTES_MAX: number = 20 * 1_024 * 1_024;

export interface GossipGuard {
  /** Empty for none. */
  readonly label: Uint8Array;
  /** The transport below has taken the labels off: none may be there, and ours is taken as read. */
  readonly skipInboundLabelCheck: boolean;
  /** The first seals, all open. None: nothing is sealed and nothing can be opened. */
  readonly keys: readonly Uint8Array[];
  /** Refuse what is not sealed. */
  readonly verifyIncoming: boolean;
  /** Seal what is sent. */
  readonly verifyOutgoing: boolean;
}

export const NO_GUARD: GossipGuard = {
  label: EMPTY_BYTES,
  skipInboundLabelCheck: false,
  keys: [],
  verifyIncoming: true,
  verifyOutgoing: true,
};

/** What the guard makes a packet longer by (wire-gossip 4.4). */
export function guardOverheadBytes(guard: GossipGuard): number {
  const label = guard.label.length === 0 ? 0 : LABEL_HEADER_BYTES + guard.label.length;
  return label + (sealingKey(guard) === undefined ? 0 : SEAL_OVERHEAD_BYTES);
}

/** The last layers of an outgoing packet. Draws a nonce when it seals, and nothing otherwise. */
export function guardPacket(packet: Uint8Array, guard: GossipGuard, random: Random): Uint8Array {
  const key = sealingKey(guard);
  const additionalData = guard.label;
  const body = key === undefined ? packet : seal(packet, { key, nonce: drawNonce(random), additionalData });
  return guard.label.length === 0 ? body : concatBytes([labelHeader(guard.label), body]);
}

/** The first layers of a packet that came in. */
export function openPacket(bytes: Uint8Array, guard: GossipGuard): Opened {
  const labelled = readLabel(bytes);
  if ('reason' in labelled) return { failure: labelled };
  const mismatch = labelFailure(labelled.label, guard);
  if (mismatch !== undefined) return { failure: mismatch };
  const body = bytes.subarray(labelled.end);
  if (guard.keys.length === 0) return { plain: body };
  const opened = open(body, guard.keys, guard.label);
  // While a cluster changes over, what cannot be decrypted was not encrypted.
  return 'plain' in opened || guard.verifyIncoming ? opened : { plain: body };
}

/**
 * The last layers of a stream's one message. Only who dials writes the label in front; it is part of what both sides
 * authenticate (wire-gossip 7.2).
 */
export function guardStream(
  message: Uint8Array,
  guard: GossipGuard,
  side: 'dialled' | 'accepted',
  random: Random,
): Uint8Array {
  const key = sealingKey(guard);
  const body = key === undefined ? message : sealStream(message, { key, label: guard.label, nonce: drawNonce(random) });
  return side === 'accepted' || guard.label.length === 0 ? body : concatBytes([labelHeader(guard.label), body]);
}

export function sealStream(
  message: Uint8Array,
  { key, label, nonce }: { readonly key: Uint8Array; readonly label: Uint8Array; readonly nonce: Uint8Array },
): Uint8Array {
  const header = new Uint8Array(SEALED_HEADER_BYTES);
  header[0] = TYPE_ENCRYPT;
  new DataView(header.buffer).setUint32(1, sealedBytes(1, message.length));
  return concatBytes([header, seal(message, { key, nonce, additionalData: concatBytes([header, label]) })]);
}

/** Of a whole sealed message, its five bytes in front included. */
export function openStream(bytes: Uint8Array, guard: GossipGuard): Opened {
  const header = bytes.subarray(0, SEALED_HEADER_BYTES);
  return open(bytes.subarray(SEALED_HEADER_BYTES), guard.keys, concatBytes([header, guard.label]));
}

export function labelHeader(label: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(TYPE_LABEL, label.length), label]);
}

export type ReadLabel = { readonly label: Uint8Array; readonly end: number } | DecodeFailure;

/** The label in front of `bytes` and where it ends; an empty one when there is none. */
export function readLabel(bytes: Uint8Array): ReadLabel {
  if (bytes[0] !== TYPE_LABEL) return { label: EMPTY_BYTES, end: 0 };
  const size = bytes[1];
  if (size === 0) return { reason: 'badLabel', detail: 'label header cannot be empty when present' };
  const end = LABEL_HEADER_BYTES + (size ?? 0);
  if (size === undefined || bytes.length < end)
    return { reason: 'badLabel', detail: 'cannot decode label; packet has been truncated' };
  return { label: bytes.subarray(LABEL_HEADER_BYTES, end), end };
}

/** Whether a label that came, or none, is to be refused. */
export function labelFailure(label: Uint8Array, guard: GossipGuard): DecodeFailure | undefined {
  const wanted = guard.skipInboundLabelCheck ? EMPTY_BYTES : guard.label;
  if (equalBytes(label, wanted)) return undefined;
  const reason: DecodeReason = label.length === 0 ? 'unlabelled' : 'labelled';
  return { reason, detail: label.length === 0 ? 'no label where one is wanted' : 'a label that is not wanted here' };
}

function sealingKey(guard: GossipGuard): Uint8Array | undefined {
  return guard.verifyOutgoing ? guard.keys[0] : undefined;
}
