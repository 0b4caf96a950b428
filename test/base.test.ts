import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter, utf8 } from '../src/base/bytes.ts';
import { crc32c } from '../src/base/crc32c.ts';
import { DeadlineHeap } from '../src/base/deadline-heap.ts';
import { DecodeError } from '../src/base/errors.ts';
import { SeededRandom } from '../src/base/random.ts';
import { formatEndpoint, parseEndpoint } from '../src/model/endpoint.ts';

describe('base', () => {
  it('checksums with the Castagnoli polynomial', () => {
    assert.equal(crc32c(utf8('123456789')).toString(16), 'e3069283');
    const whole = utf8('a longer text that spans more than one slice of eight bytes');
    assert.equal(crc32c(whole.subarray(11), crc32c(whole.subarray(0, 11))), crc32c(whole));
  });

  it('reads back every integer it writes, and refuses bytes that are missing', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = new ByteWriter(1).u64(value).varint(value).text('ö').finish();
        const reader = new ByteReader(bytes);
        assert.equal(reader.u64(), value);
        assert.equal(reader.varint(), value);
        assert.equal(reader.text(), 'ö');
        reader.end();
        assert.throws(() => new ByteReader(bytes.subarray(0, 7)).u64(), DecodeError);
      }),
    );
  });

  it('keeps deadlines in order, equal ones in the order they were set', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ key: fc.nat(20), at: fc.nat(50), drop: fc.boolean() })), (steps) => {
        const heap = new DeadlineHeap<number>();
        const model = new Map<number, number>();
        for (const { key, at, drop } of steps) {
          if (drop) assert.equal(heap.delete(key), model.delete(key));
          else {
            heap.set(key, at);
            model.set(key, at);
          }
          assert.equal(heap.next(), Math.min(Number.POSITIVE_INFINITY, ...model.values()));
        }
        let before = -1;
        for (let key = heap.popDue(100); key !== undefined; key = heap.popDue(100)) {
          const at = model.get(key) as number;
          assert.ok(at >= before, 'deadlines come out ascending');
          before = at;
          model.delete(key);
        }
        assert.equal(model.size, 0);
      }),
    );
  });

  it('gives the same chance for the same seed', () => {
    const draw = (seed: number): number[] =>
      Array.from(
        { length: 5 },
        (
          (r) => () =>
            r.next()
        )(new SeededRandom(seed)),
      );
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
    assert.ok(draw(9).every((x) => x >= 0 && x < 1));
  });

  it('reads endpoints as people write them', () => {
    assert.deepEqual(parseEndpoint('10.0.0.1:80'), { host: '10.0.0.1', port: 80 });
    assert.deepEqual(parseEndpoint('[fe80::1]:80'), { host: 'fe80::1', port: 80 });
    assert.deepEqual(parseEndpoint('seed.example', 7946), { host: 'seed.example', port: 7946 });
    for (const bad of ['', ':80', 'a:b', 'a:70000', 'fe80::1:80', 'a b:1'])
      assert.equal(parseEndpoint(bad), undefined, bad);
    assert.equal(formatEndpoint({ host: 'fe80::1', port: 80 }), '[fe80::1]:80');
  });
});
