import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../src/base/errors.ts';
import { lzwCompress, lzwDecompress } from '../../src/wire/lzw.ts';
import { fromHex, hex, tellVectors, vectors } from '../vectors.ts';

interface LzwVector {
  readonly name: string;
  readonly input_hex?: string;
  readonly input_generator?: string;
  readonly input_sha256: string;
  readonly output_hex?: string;
  readonly output_sha256: string;
}

const MEBIBYTE = 1_048_576;
const pairs = vectors<{ readonly vectors: readonly LzwVector[] }>('lzw.json').vectors;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The vectors describe large inputs by name; see the file's own description. */
function inputOf(vector: LzwVector): Uint8Array | undefined {
  if (vector.input_hex !== undefined) return fromHex(vector.input_hex);
  const match = /^(lcg|zeros)\((\d+)\)$/.exec(vector.input_generator ?? '');
  if (match === null) return undefined;
  const bytes = new Uint8Array(Number(match[2]));
  if (match[1] === 'zeros') return bytes;
  let x = 1;
  for (let i = 0; i < bytes.length; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    bytes[i] = (x >>> 16) & 0xff;
  }
  return bytes;
}

describe('LZW', () => {
  for (const vector of pairs) {
    it(`gives Go's bytes and takes them back: ${vector.name}`, () => {
      // Where neither bytes nor generator are given, the output must decompress to the digest.
      const input = inputOf(vector) ?? lzwDecompress(fromHex(vector.output_hex ?? ''), 16 * MEBIBYTE);
      assert.equal(sha256(input), vector.input_sha256);
      const output = lzwCompress(input);
      if (vector.output_hex !== undefined) assert.equal(hex(output), vector.output_hex);
      assert.equal(sha256(output), vector.output_sha256);
      assert.equal(sha256(lzwDecompress(output, 16 * MEBIBYTE)), vector.input_sha256);
    });
  }

  it('leaves its row in the table of vectors', (t) => {
    tellVectors(t, 'lzw', `${pairs.length} read, ${pairs.length} written byte for byte`);
  });

  it('takes back whatever it made', () => {
    const repetitive = fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(400))
      .map(([piece, times]) => Uint8Array.from(Array.from({ length: times }, () => [...piece]).flat()));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 6_000 }), repetitive), (input) => {
        assert.deepEqual(lzwDecompress(lzwCompress(input), MEBIBYTE), input);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses a stream without the end code', () => {
    const whole = lzwCompress(new TextEncoder().encode('suspect, suspect, suspect'));
    assert.throws(() => lzwDecompress(whole.subarray(0, -2), MEBIBYTE), DecodeError);
    assert.throws(() => lzwDecompress(new Uint8Array(0), MEBIBYTE), DecodeError);
  });

  it('stops at the output limit', () => {
    const bomb = lzwCompress(new Uint8Array(MEBIBYTE));
    assert.ok(bomb.length < 2_000);
    assert.throws(() => lzwDecompress(bomb, MEBIBYTE - 1), DecodeError);
    assert.equal(lzwDecompress(bomb, MEBIBYTE).length, MEBIBYTE);
  });

  it('ends on any bytes, in a value or a DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          assert.ok(lzwDecompress(bytes, 4_096).length <= 4_096);
        } catch (error) {
          assert.ok(error instanceof DecodeError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
