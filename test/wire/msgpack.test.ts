import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../src/base/errors.ts';
import { MsgpackReader, NeedMoreBytes, type MsgpackValue } from '../../src/wire/msgpack/reader.ts';
import { MsgpackWriter } from '../../src/wire/msgpack/writer.ts';
import { fromHex, hex, tellVectors, vectors } from '../vectors.ts';

interface Primitive {
  readonly name: string;
  readonly value: string;
  readonly wire_hex: string;
  readonly wire_hex_new_codec?: string;
  readonly rpc_hex: string;
}

const primitives = vectors<{ readonly vectors: readonly Primitive[] }>('msgpack.json').vectors;

/** Writes what the vector's own words say. */
function writeDescribed({ name, value }: Primitive): Uint8Array | undefined {
  const out = new MsgpackWriter(1);
  const integer = /^(?:un)?signed (-?\d+)$/.exec(value)?.[1];
  if (integer !== undefined) return out.int(BigInt(integer)).finish();
  const run = /^(string|byte slice) of (\d+) '(.)'$/.exec(value);
  if (run !== null) {
    const text = (run[3] as string).repeat(Number(run[2]));
    return (run[1] === 'string' ? out.text(text) : out.bytes(new TextEncoder().encode(text))).finish();
  }
  switch (name) {
    case 'bool_true':
      return out.bool(true).finish();
    case 'bool_false':
      return out.bool(false).finish();
    case 'float64':
      return out.float64(1.5).finish();
    case 'map_empty':
      return out.mapHeader(0).finish();
    case 'map_one':
      return out.mapHeader(1).text('k').text('v').finish();
    case 'strings_empty':
      return out.arrayHeader(0).finish();
    case 'strings_15':
    case 'strings_16': {
      const count = Number(name.slice(8));
      out.arrayHeader(count);
      for (let i = 0; i < count; i++) out.text('');
      return out.finish();
    }
    case 'struct_sorted':
      return out
        .mapHeader(3)
        .text('Alpha')
        .text('a')
        .text('Mid')
        .bytes(Uint8Array.of(1, 2))
        .text('Zed')
        .int(1)
        .finish();
    case 'duration_15s':
      return out.int(15_000_000_000).finish();
    default:
      return undefined;
  }
}

describe('msgpack', () => {
  it('writes every primitive as real gossip peers do', (t) => {
    let written = 0;
    for (const vector of primitives) {
      const bytes = writeDescribed(vector);
      if (bytes === undefined) continue;
      written += 1;
      assert.equal(hex(bytes), vector.wire_hex, vector.name);
    }
    tellVectors(t, 'msgpack', `${primitives.length} read, ${written} written byte for byte`);
    assert.ok(written >= primitives.length - 4, `${written} of ${primitives.length} vectors were written`);
  });

  it('reads both codecs and both dialects to the same value, and skips exactly what it reads', () => {
    for (const vector of primitives) {
      const wanted = new MsgpackReader(fromHex(vector.wire_hex)).value();
      for (const bytes of [vector.wire_hex, vector.wire_hex_new_codec, vector.rpc_hex]) {
        if (bytes === undefined || (bytes === 'c0' && vector.wire_hex !== 'c0')) continue;
        const reader = new MsgpackReader(fromHex(bytes));
        assert.deepEqual(reader.value(), wanted, vector.name);
        assert.equal(reader.left, 0);
        const skipper = new MsgpackReader(fromHex(bytes));
        skipper.skip();
        assert.equal(skipper.left, 0, vector.name);
      }
      const integer = /^(?:un)?signed (-?\d+)$/.exec(vector.value)?.[1];
      if (integer !== undefined) assert.equal(BigInt(wanted as number), BigInt(integer), vector.name);
    }
  });

  it('gives back any value it wrote, and asks for more bytes at every cut', () => {
    const leaf = fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.uint8Array({ maxLength: 40 }),
      fc.constant(undefined),
    );
    const { tree } = fc.letrec<{ tree: MsgpackValue }>((tie) => ({
      tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, fc.array(tie('tree'), { maxLength: 20 })),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const out = new MsgpackWriter();
        writeAny(out, value);
        const bytes = out.finish();
        assert.deepEqual(new MsgpackReader(bytes).value(), value);
        for (let cut = 0; cut < bytes.length; cut++) {
          assert.throws(() => new MsgpackReader(bytes.subarray(0, cut)).value(), NeedMoreBytes);
          assert.throws(() => new MsgpackReader(bytes.subarray(0, cut)).skip(), NeedMoreBytes);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('reads structs with keys in any order, unknown keys, nil fields, str8, bin and wide integers', () => {
    interface Shape {
      readonly Name: string;
      readonly Port: number;
      readonly Blob: Uint8Array | undefined;
    }
    const read = (bytes: string): Shape =>
      new MsgpackReader(fromHex(bytes)).struct<Shape>(
        { Name: (r) => r.text(), Port: (r) => r.u16(), Blob: (r) => r.bytesOrNil() },
        { Name: '', Port: 0, Blob: undefined },
      );
    const zero = { Name: '', Port: 0, Blob: undefined };
    assert.deepEqual(read('c0'), zero);
    assert.deepEqual(read('80'), zero);
    assert.deepEqual(read('83a4506f7274c0a44e616d65c0a4426c6f62c0'), zero);
    const unordered = '84a4506f7274d30000000000001f0aa35a7a7a9281a16101d6ff01020304a44e616d65d9026e31a4426c6f62c401ff';
    assert.deepEqual(read(unordered), { Name: 'n1', Port: 7946, Blob: Uint8Array.of(255) });
    assert.throws(() => read('81a4506f7274ce00010000'), DecodeError, 'a number that does not fit its field');
    assert.throws(() => read('81a4506f7274ff'), DecodeError, 'a negative for an unsigned field');
    assert.throws(() => read('81a4506f7274cb40bf0a0000000000'), DecodeError, 'a float for an integer');
    assert.throws(() => read('81a44e616d65a1ff'), DecodeError, 'text that is not UTF-8');
    assert.deepEqual(read('81a95f5f70726f746f5f5f01'), zero, 'a key named like a property of Object is unknown');
  });

  it('refuses 64-bit numbers above 2^53 - 1 in typed fields, and passes them on as bigint elsewhere', () => {
    assert.equal(new MsgpackReader(fromHex('cf001fffffffffffff')).u64(), Number.MAX_SAFE_INTEGER);
    assert.throws(() => new MsgpackReader(fromHex('cf0020000000000000')).u64(), DecodeError);
    assert.throws(() => new MsgpackReader(fromHex('d38000000000000000')).i64(), DecodeError);
    assert.equal(new MsgpackReader(fromHex('cf0020000000000000')).value(), 1n << 53n);
  });

  it('never trusts a length: too long is an error at once, not a wait for bytes', () => {
    const isFinal = (error: unknown): boolean => error instanceof DecodeError && !(error instanceof NeedMoreBytes);
    assert.throws(() => new MsgpackReader(fromHex('dbffffffff00')).bytes(), isFinal);
    assert.throws(() => new MsgpackReader(fromHex('c9ffffffff00')).skip(), isFinal);
    assert.throws(() => new MsgpackReader(fromHex('ddffffffff00')).skip(), isFinal);
    assert.throws(() => new MsgpackReader(fromHex('a3616263')).text(2), isFinal);
    assert.throws(() => new MsgpackReader(fromHex('c1')).skip(), isFinal);
    assert.throws(() => new MsgpackReader(fromHex('91'.repeat(40))).value(), isFinal);
    assert.throws(() => new MsgpackReader(fromHex('91'.repeat(100_000))).skip(), NeedMoreBytes);
  });

  it('ends every mutated input in a value or a DecodeError', () => {
    const whole = primitives.map((vector) => fromHex(vector.wire_hex)).filter((bytes) => bytes.length < 300);
    fc.assert(
      fc.property(
        fc.constantFrom(...whole),
        fc.array(fc.tuple(fc.nat(299), fc.nat(255)), { maxLength: 6 }),
        (bytes, changes) => {
          const mutated = bytes.slice();
          for (const [at, byte] of changes) mutated[at % Math.max(1, mutated.length)] = byte;
          for (const act of ['value', 'skip'] as const) {
            try {
              new MsgpackReader(mutated)[act]();
            } catch (error) {
              assert.ok(error instanceof DecodeError);
            }
          }
        },
      ),
      { numRuns: 20_000 },
    );
  });
});

function writeAny(out: MsgpackWriter, value: MsgpackValue): void {
  if (value === undefined) out.nil();
  else if (typeof value === 'boolean') out.bool(value);
  else if (typeof value === 'number' || typeof value === 'bigint') out.int(value);
  else if (value instanceof Uint8Array) out.bytes(value);
  else if (Array.isArray(value)) {
    out.arrayHeader(value.length);
    for (const item of value) writeAny(out, item as MsgpackValue);
  } else throw new Error('maps are not generated');
}
