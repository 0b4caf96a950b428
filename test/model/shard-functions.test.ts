import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../src/base/bytes.ts';
import { crc64IsoOfBytes, crc64IsoOfText, type Crc64 } from '../../src/base/crc64.ts';
import { murmur32OfBytes, murmur32OfText } from '../../src/base/murmur3.ts';
import {
  fastShardOfBytes,
  fastShardOfInteger,
  fastShardOfString,
  isShardOf,
  ShardKeyError,
  shardOfBytes,
  shardOfInteger,
  shardOfString,
} from '../../src/model/shard-functions.ts';

/** Bit by bit from the polynomial, as the definition says. */
function crc64Slowly(bytes: Uint8Array): bigint {
  let sum = 0xffff_ffff_ffff_ffffn;
  for (const byte of bytes) {
    sum ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) sum = (sum >> 1n) ^ (sum & 1n ? 0xd800_0000_0000_0000n : 0n);
  }
  return sum ^ 0xffff_ffff_ffff_ffffn;
}

/** Text, and its shard among 50, 10,000 and 65,535. The shards of another implementation of the definition. */
const VECTORS: readonly (readonly [string, number, number, number])[] = [
  ['', 0, 0, 0],
  ['a', 14, 3_664, 13_344],
  ['123456789', 27, 977, 38_262],
  ['0123456789abcdef', 24, 2_374, 3_054],
  ['zażółć gęślą jaźń', 5, 8_105, 17_805],
  ['device/17fh0a0b2c', 13, 5_763, 54_108],
];

/** Published with the reference implementation and its many translations. */
const MURMUR: readonly (readonly [string, number])[] = [
  ['', 0],
  ['hello', 0x248bfa47],
  ['hello, world', 0x149bbb7f],
  ['The quick brown fox jumps over the lazy dog.', 0xd5c48bfc],
];

function whole({ high, low }: Crc64): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

const counts = fc.integer({ min: 1, max: 65_535 });
/** Any units, halves of surrogate pairs among them. */
const texts = fc.uint16Array({ maxLength: 24 }).map((units) => String.fromCharCode(...units));
const refused = (act: () => unknown): void =>
  assert.throws(act, (error) => error instanceof ShardKeyError && error.code === 'FUNK_SHARD_KEY');

describe('shard functions', () => {
  it('sum by CRC-64/ISO: the catalogue’s check value, and the definition bit by bit', () => {
    assert.equal(whole(crc64IsoOfText('123456789')), 0xb909_56c7_75a4_1001n);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) =>
        assert.equal(whole(crc64IsoOfBytes(bytes)), crc64Slowly(bytes)),
      ),
    );
    fc.assert(fc.property(texts, (text) => assert.equal(whole(crc64IsoOfText(text)), crc64Slowly(utf8(text)))));
  });

  it('give clusterfunk’s shards: the unsigned 64-bit sum, modulo the count', () => {
    for (const [text, of50, of10000, of65535] of VECTORS) {
      assert.deepEqual(
        [50, 10_000, 65_535].map((count) => shardOfString(text, count)),
        [of50, of10000, of65535],
        text,
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), counts, (bytes, count) =>
        assert.equal(shardOfBytes(bytes, count), Number(crc64Slowly(bytes) % BigInt(count))),
      ),
    );
  });

  it('take integers by remainder, as number or bigint', () => {
    assert.equal(shardOfInteger(10_000, 10_000), 0);
    assert.equal(shardOfInteger(Number.MAX_SAFE_INTEGER, 10_000), 991);
    assert.equal(shardOfInteger(2n ** 64n - 1n, 10_000), 1_615);
    fc.assert(
      fc.property(fc.maxSafeNat(), counts, (key, count) => {
        assert.equal(shardOfInteger(key, count), key % count);
        assert.equal(shardOfInteger(BigInt(key), count), key % count);
      }),
    );
  });

  it('hash quickly by MurmurHash3, the same for a text and its bytes, a number and a bigint', () => {
    for (const [text, hash] of MURMUR) assert.equal(murmur32OfText(text), hash, text);
    fc.assert(
      fc.property(texts, fc.maxSafeNat(), counts, (text, key, count) => {
        assert.equal(murmur32OfText(text), murmur32OfBytes(utf8(text)));
        assert.equal(fastShardOfString(text, count), fastShardOfBytes(utf8(text), count));
        assert.equal(fastShardOfInteger(key, count), fastShardOfInteger(BigInt(key), count));
        const eight = new Uint8Array(8);
        new DataView(eight.buffer).setBigUint64(0, BigInt(key), true);
        assert.equal(fastShardOfInteger(key, count), fastShardOfBytes(eight, count));
        assert.ok(isShardOf(fastShardOfString(text, count), count));
      }),
    );
  });

  it('spread keys that come in strides of the shard count when hashed, and only then', () => {
    const keys = Array.from({ length: 20_000 }, (_, at) => at * 100);
    const loads = new Uint32Array(100);
    for (const key of keys) (loads[fastShardOfInteger(key, 100)] as number) += 1;
    // 200 each; five standard deviations of a fair draw are 70.
    assert.ok(Math.min(...loads) > 130 && Math.max(...loads) < 270, `${loads}`);
    assert.equal(new Set(keys.map((key) => shardOfInteger(key, 100))).size, 1);
  });

  it('refuse what is no key and no count, with a code', () => {
    for (const key of [
      -1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      -1n,
      2n ** 64n,
      '7',
      null,
      undefined,
      {},
    ]) {
      refused(() => shardOfInteger(key as number, 10));
      refused(() => fastShardOfInteger(key as number, 10));
    }
    for (const key of [7, null, undefined, ['a'], new String('a')]) {
      refused(() => shardOfString(key as string, 10));
      refused(() => fastShardOfString(key as string, 10));
    }
    for (const key of ['a', [1], new ArrayBuffer(2), null] as unknown[]) {
      refused(() => shardOfBytes(key as Uint8Array, 10));
      refused(() => fastShardOfBytes(key as Uint8Array, 10));
    }
    for (const count of [0, -1, 1.5, Number.NaN, 65_536, '10' as unknown as number]) {
      refused(() => shardOfInteger(1, count));
      refused(() => shardOfString('a', count));
      refused(() => fastShardOfBytes(utf8('a'), count));
    }
    // The count itself is no shard (clusterfunk let it pass).
    assert.ok(isShardOf(9, 10) && !isShardOf(10, 10) && !isShardOf(-1, 10) && !isShardOf(0.5, 10));
  });
});
