/**
 * AES-GCM as memberlist seals packets and streams: version byte, nonce, ciphertext, tag. Version 0 pads the message to whole
 * blocks first and is only read; everyone who speaks memberlist protocol 2 writes version 1. wire-gossip.md section 6.
 *
 * Pure functions: the nonce comes from the caller. It must never repeat under one key, so it is drawn from chance that nobody can
 * foresee, as memberlist does; 2^32 packets under one key are what NIST SP 800-38D §8.3 allows for that.
 */
import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { randomBelow, type Random } from '../../base/random.ts';
import type { DecodeFailure } from './failure.ts';

/** 0: padded, of memberlist protocol 1. */
export type SealVersion = 0 | 1;

export const NONCE_BYTES = 12;
const VERSION_BYTES = 1;
const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
const HEADER_BYTES: number = VERSION_BYTES + NONCE_BYTES;
/** What version 1 adds to a message (memberlist: encryptOverhead). */
export const SEAL_OVERHEAD_BYTES: number = HEADER_BYTES + TAG_BYTES;

const CIPHERS: Readonly<Record<number, 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm'>> = {
  16: 'aes-128-gcm',
  24: 'aes-192-gcm',
  32: 'aes-256-gcm',
};

/** memberlist's own words; undefined when the key can be used. */
export function keyProblem(key: Uint8Array): string | undefined {
  return CIPHERS[key.length] === undefined ? 'key size must be 16, 24 or 32 bytes' : undefined;
}

/** In a time that says nothing of where they differ. */
export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Chance for one packet. The shell's source is the operating system's (`SystemRandom`); the simulator's is its seed. */
export function drawNonce(random: Random): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  const view = new DataView(nonce.buffer);
  for (let at = 0; at < NONCE_BYTES; at += 4) view.setUint32(at, randomBelow(random, 2 ** 32));
  return nonce;
}

/** How many bytes `size` bytes become. */
export function sealedBytes(version: SealVersion, size: number): number {
  return SEAL_OVERHEAD_BYTES + size + (version === 0 ? BLOCK_BYTES - (size % BLOCK_BYTES) : 0);
}

export interface SealOptions {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** Not sent, but what is sealed opens with the same bytes only. */
  readonly additionalData: Uint8Array;
  readonly version?: SealVersion;
}

export function seal(message: Uint8Array, { key, nonce, additionalData, version = 1 }: SealOptions): Uint8Array {
  const name = CIPHERS[key.length];
  assert(name !== undefined && nonce.length === NONCE_BYTES, 'a key of 16, 24 or 32 bytes and a nonce of 12');
  const cipher = createCipheriv(name, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData);
  const content = cipher.update(version === 0 ? pad(message) : message);
  cipher.final();
  return concatBytes([Uint8Array.of(version), nonce, content, cipher.getAuthTag()]);
}

export type Opened = { readonly plain: Uint8Array } | { readonly failure: DecodeFailure };

/** Tries every key in turn. What is no sealed payload by its version or its length costs nothing. */
export function open(sealed: Uint8Array, keys: readonly Uint8Array[], additionalData: Uint8Array): Opened {
  const version = sealed[0];
  if (version === undefined) return failed('notEncrypted', 'nothing to decrypt');
  if (version !== 0 && version !== 1) return failed('notEncrypted', `unsupported encryption version ${version}`);
  if (sealed.length < sealedBytes(version, 0))
    return failed('notEncrypted', `payload is too small to decrypt: ${sealed.length}`);
  for (const key of keys) {
    const plain = openWith(key, sealed, additionalData);
    if (plain === undefined) continue;
    const message = version === 0 ? unpad(plain) : plain;
    return message === undefined ? failed('badMessage', 'the padding is not one') : { plain: message };
  }
  return failed('noKeyFits', 'no installed keys could decrypt the message');
}

function openWith(key: Uint8Array, sealed: Uint8Array, additionalData: Uint8Array): Uint8Array | undefined {
  const name = CIPHERS[key.length];
  assert(name !== undefined, 'keys were checked when they came');
  const nonce = sealed.subarray(VERSION_BYTES, HEADER_BYTES);
  const decipher = createDecipheriv(name, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(HEADER_BYTES, sealed.length - TAG_BYTES));
  try {
    // Compares the tags in constant time; until it has, nothing of `plain` may be looked at.
    decipher.final();
  } catch {
    // Its one way of saying that the tag does not fit.
    return undefined;
  }
  return plain;
}

/** PKCS #7: 1 to 16 bytes, each of which says how many they are. */
function pad(message: Uint8Array): Uint8Array {
  const count = BLOCK_BYTES - (message.length % BLOCK_BYTES);
  const padded = new Uint8Array(message.length + count).fill(count);
  padded.set(message);
  return padded;
}

function unpad(padded: Uint8Array): Uint8Array | undefined {
  const count = padded.at(-1) ?? 0;
  if (count === 0 || count > BLOCK_BYTES || count > padded.length) return undefined;
  return padded.subarray(0, padded.length - count);
}

function failed(reason: 'notEncrypted' | 'noKeyFits' | 'badMessage', detail: string): Opened {
  return { failure: { reason, detail } };
}
