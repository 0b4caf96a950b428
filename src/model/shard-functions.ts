/**
 * Which shard a key belongs to. The plain functions give what clusterfunk gives: integers by remainder, text and bytes by CRC-64/ISO
 * and remainder. The fast ones are of this project: MurmurHash3 (x86, 32 bits, seed 0), scaled to the shard count, which also spreads keys
 * that come in strides. A service chooses one for good: another function is another owner for nearly every key.
 */
import { FunkError } from '../base/errors.ts';
import { crc64IsoOfBytes, crc64IsoOfText } from '../base/crc64.ts';
import { murmur32OfBytes, murmur32OfText, murmur32OfWords } from '../base/murmur3.ts';
import type { ShardId } from './ids.ts';
import { SHARD_COUNT_MAX } from './shard-map.ts';

const TWO_32 = 0x1_0000_0000;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

/** The key, or the number of shards, is none that a shard can be told from. Nothing was looked up. */
export class ShardKeyError extends FunkError {
  readonly code = 'FUNK_SHARD_KEY';
}

/**
 * The remainder of `key`: a safe integer from 0, or a bigint of 0 to 2^64 - 1. `shardCount`: 1 to 65,535.
 * @throws {ShardKeyError} for a key that is negative, no integer, beyond that, or of another type.
 */
export function shardOfInteger(key: number | bigint, shardCount: number): ShardId {
  checkCount(shardCount);
  if (typeof key === 'number') {
    if (!Number.isSafeInteger(key) || key < 0) throw badInteger(key);
    const low = key >>> 0;
    // The remainder of a double is a call of the C library; that of 32 bits is an instruction.
    if (low === key) return (low % shardCount) as ShardId;
    return remainder((key - low) / TWO_32, low, shardCount);
  }
  return Number(checkedBigint(key) % BigInt(shardCount)) as ShardId;
}

/**
 * By CRC-64/ISO of the text in UTF-8 (half a surrogate pair counts as U+FFFD). `shardCount`: 1 to 65,535.
 * @throws {ShardKeyError} when it is no string.
 */
export function shardOfString(key: string, shardCount: number): ShardId {
  checkCount(shardCount);
  if (typeof key !== 'string') throw badType(key, 'a string');
  const { high, low } = crc64IsoOfText(key);
  return remainder(high, low, shardCount);
}

/** By CRC-64/ISO. `shardCount`: 1 to 65,535. @throws {ShardKeyError} when they are no bytes. */
export function shardOfBytes(key: Uint8Array, shardCount: number): ShardId {
  checkCount(shardCount);
  if (!(key instanceof Uint8Array)) throw badType(key, 'a Uint8Array');
  const { high, low } = crc64IsoOfBytes(key);
  return remainder(high, low, shardCount);
}

/** By MurmurHash3 of the eight bytes of the integer, lowest first; takes and refuses what {@link shardOfInteger} does. */
export function fastShardOfInteger(key: number | bigint, shardCount: number): ShardId {
  checkCount(shardCount);
  if (typeof key === 'number') {
    if (!Number.isSafeInteger(key) || key < 0) throw badInteger(key);
    return scaled(murmur32OfWords(key | 0, (key / TWO_32) | 0), shardCount);
  }
  const whole = checkedBigint(key);
  return scaled(murmur32OfWords(Number(whole & 0xffff_ffffn), Number(whole >> 32n)), shardCount);
}

/** By MurmurHash3 of the text in UTF-8; takes and refuses what {@link shardOfString} does. */
export function fastShardOfString(key: string, shardCount: number): ShardId {
  checkCount(shardCount);
  if (typeof key !== 'string') throw badType(key, 'a string');
  return scaled(murmur32OfText(key), shardCount);
}

/** By MurmurHash3; takes and refuses what {@link shardOfBytes} does. */
export function fastShardOfBytes(key: Uint8Array, shardCount: number): ShardId {
  checkCount(shardCount);
  if (!(key instanceof Uint8Array)) throw badType(key, 'a Uint8Array');
  return scaled(murmur32OfBytes(key), shardCount);
}

/** Whether `shard` is an integer of 0 to `shardCount` - 1. */
export function isShardOf(shard: number, shardCount: number): shard is ShardId {
  return Number.isInteger(shard) && shard >= 0 && shard < shardCount;
}

/** Of an unsigned 64-bit number in two halves: exact, since a remainder and 32 bits more are below 2^48. */
function remainder(high: number, low: number, shardCount: number): ShardId {
  const whole = ((high >>> 0) % shardCount) * TWO_32 + low;
  return (whole - Math.floor(whole / shardCount) * shardCount) as ShardId;
}

/** As even as a remainder of 32 bits, without the division; exact, since the product is below 2^48. */
function scaled(hash: number, shardCount: number): ShardId {
  return Math.floor((hash * shardCount) / TWO_32) as ShardId;
}

function checkCount(shardCount: number): void {
  if (Number.isInteger(shardCount) && shardCount > 0 && shardCount <= SHARD_COUNT_MAX) return;
  throw new ShardKeyError(`there are 1 to ${SHARD_COUNT_MAX} shards, not ${String(shardCount)}`);
}

function checkedBigint(key: bigint): bigint {
  if (typeof key !== 'bigint') throw badType(key, 'an integer');
  if (key < 0n || key > UINT64_MAX) throw badInteger(key);
  return key;
}

function badInteger(key: number | bigint): ShardKeyError {
  return new ShardKeyError(`${String(key)} is no integer of 0 to 2^53 - 1 (bigint: 2^64 - 1)`);
}

function badType(key: unknown, wanted: string): ShardKeyError {
  return new ShardKeyError(`the key must be ${wanted}, not ${key === null ? 'null' : typeof key}`);
}
