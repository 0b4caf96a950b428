/** Sets of tags that gossip is too small for: what is carried, how a set is named, and what of it is believed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { META_ORDER, TAG_SET } from '../../src/model/tags.ts';
import {
  checkTags,
  decodeTagSetMessage,
  digestOf,
  encodeTagSetMessage,
  gossipedTags,
  parseDigest,
  readTagSet,
  verifyTagSet,
} from '../../src/wire/serf/tag-set.ts';
import { decodeTags, encodeTags, META_SIZE_MAX } from '../../src/wire/serf/tags.ts';

const LIMIT = 65_536;
const OWN: readonly (readonly [string, string])[] = [
  ['meta.serviceName', 'clusterfunk'],
  ['ep.raft', '10.0.0.1:7947'],
  ['fn.stamp', '0123456789abcdef'],
  ['fn.role', 'voter'],
  ['fn.cid', 'abcdefghijklmnopqrstuv'],
  ['ep.liveness', '10.0.0.1:7949'],
  ['ep.serf', '10.0.0.1:7946'],
  ['ep.clusterfunk.management', '10.0.0.1:7948'],
  ['ep.http', '10.0.0.1:7950'],
];

function many(count: number, valueBytes = 40): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`tag-${String(i).padStart(3, '0')}`, 'v'.repeat(valueBytes)]);
}

function carriedOf(tags: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return decodeTags(gossipedTags(tags).meta) as ReadonlyMap<string, string>;
}

describe('Tags that fit into the meta', () => {
  it('are carried as they are, and nothing names them', () => {
    const tags = new Map(OWN);
    const { meta, digest } = gossipedTags(tags);
    assert.equal(digest, undefined);
    assert.deepEqual(meta, encodeTags(tags));
  });

  it('do so up to the last byte', () => {
    const room = META_SIZE_MAX - encodeTags(new Map([['a', 'x'.repeat(100)]])).length + 100;
    const whole = new Map([['a', 'x'.repeat(room)]]);
    assert.equal(encodeTags(whole).length, META_SIZE_MAX);
    assert.equal(gossipedTags(whole).digest, undefined);
    assert.notEqual(gossipedTags(new Map([['a', 'x'.repeat(room + 1)]])).digest, undefined);
  });
});

describe('Tags that outgrow the meta', () => {
  it('leave the well-known ones in gossip, whatever the others are called', () => {
    const tags = new Map([...many(100), ...OWN, ['a.first', 'x'.repeat(200)] as const]);
    const carried = carriedOf(tags);
    for (const [name, value] of OWN) assert.equal(carried.get(name), value, name);
    assert.equal(carried.get(TAG_SET), digestOf(encodeTags(tags)).text);
  });

  it('are carried in a fixed order: the well-known, other endpoints, then by name', () => {
    const tags = new Map([...many(100, 20), ...OWN, ['ep.zebra', '10.0.0.1:1'] as const, ['zone', 'a'] as const]);
    const carried = new Set(carriedOf(tags).keys());
    assert.ok(carried.has('ep.zebra') && carried.has('zone'));
    const others = many(100).map(([name]) => name);
    const kept = others.filter((name) => carried.has(name));
    assert.ok(kept.length > 0, 'there was room for some');
    assert.deepEqual(kept, others.slice(0, kept.length), 'the first by name');
    assert.deepEqual(META_ORDER.slice(0, 5), ['meta.serviceName', 'ep.raft', 'fn.stamp', 'fn.role', 'fn.cid']);
  });

  it('never make the meta too large, and the same tags make the same meta', () => {
    const tag = fc.tuple(
      fc.string({ maxLength: 40, unit: 'grapheme' }),
      fc.string({ maxLength: 300, unit: 'grapheme' }),
    );
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 40 }), (entries) => {
        const tags = new Map([...OWN, ...entries.filter(([name]) => name !== TAG_SET)]);
        if (checkTags(tags, LIMIT) !== undefined) return;
        const { meta, digest } = gossipedTags(tags);
        assert.ok(meta.length <= META_SIZE_MAX);
        assert.deepEqual(gossipedTags(new Map([...tags].reverse())).meta, meta);
        const carried = decodeTags(meta) as ReadonlyMap<string, string>;
        if (digest === undefined) assert.deepEqual([...carried].sort(), [...tags].sort());
        else assert.deepEqual(verifyTagSet(encodeTags(tags), digest, carried), new Map([...tags].sort(byBytes)));
      }),
      { numRuns: 300 },
    );
  });

  it('are refused past the limit, with the tag and by how much', () => {
    const tags = new Map([['a', 'x'.repeat(700)], ...many(3, 10), ['z', 'y'.repeat(600)]] as [string, string][]);
    const size = encodeTags(tags).length;
    assert.equal(checkTags(tags, size), undefined);
    assert.match(
      checkTags(tags, 1_000) ?? '',
      new RegExp(`^tag z does not fit: all tags need ${size} bytes, ${size - 1_000} more than the 1000 allowed`),
    );
    assert.match(
      checkTags(new Map([['meta.serviceName', 'x'.repeat(600)]]), LIMIT) ?? '',
      /^tag meta\.serviceName does not fit/,
    );
    assert.match(checkTags(new Map([[TAG_SET, 'x']]), LIMIT) ?? '', /is set by the node itself/);
  });
});

describe('A set of tags', () => {
  const tags = new Map([...OWN, ...many(100)]);
  const set = encodeTags(tags);
  const digest = digestOf(set);
  const carried = carriedOf(tags);

  it('is named by its size and hash, in one form', () => {
    assert.deepEqual(parseDigest(digest.text), digest);
    for (const text of [
      '',
      '1',
      `2${digest.text.slice(1)}`,
      `${digest.text}:x`,
      `1:0:${'a'.repeat(22)}`,
      `1:10:${'a'.repeat(21)}`,
    ])
      assert.equal(parseDigest(text), undefined, text);
  });

  it('is believed when it is what was named, and says what gossip says', () => {
    assert.deepEqual(verifyTagSet(set, digest, carried), decodeTags(set));
    const other = set.slice();
    other[other.length - 1] = 0x77;
    assert.equal(verifyTagSet(other, digest, carried), 'it has another hash');
    assert.match(String(verifyTagSet(set.slice(1), digest, carried)), /^it has \d+ bytes, not/);
    const lie = new Map([...carried, ['fn.role', 'non-voter']]);
    assert.equal(verifyTagSet(set, digest, lie), 'gossip says otherwise of tag fn.role');
    const nested = encodeTags(new Map([...tags, [TAG_SET, 'x']]));
    assert.match(String(verifyTagSet(nested, digestOf(nested), new Map())), /holds fn\.tags itself/);
  });

  it('has one form only', () => {
    assert.deepEqual(readTagSet(set), decodeTags(set));
    const twice = Uint8Array.of(0xff, 0x82, 0xa1, 0x61, 0xa1, 0x31, 0xa1, 0x61, 0xa1, 0x32);
    const unordered = Uint8Array.of(0xff, 0x82, 0xa1, 0x62, 0xa1, 0x31, 0xa1, 0x61, 0xa1, 0x32);
    const noText = Uint8Array.of(0xff, 0x81, 0xa1, 0x61, 0xa1, 0xff);
    for (const bytes of [twice, unordered, noText, Uint8Array.from([...set, 0]), new Uint8Array(0)])
      assert.equal(readTagSet(bytes), undefined);
    const mark = encodeTags(new Map([['bom', '\ufeffx']]));
    assert.equal(readTagSet(mark)?.get('bom'), '\ufeffx');
  });

  it('is asked for and answered, and nothing of Serf is taken for either', () => {
    const request = { kind: 'tagSetRequest', node: 'n1', digest: digest.text } as const;
    assert.deepEqual(decodeTagSetMessage(encodeTagSetMessage(request)), request);
    for (const held of [set, undefined]) {
      const answer = { kind: 'tagSetAnswer', digest: digest.text, set: held } as const;
      const read = decodeTagSetMessage(encodeTagSetMessage(answer));
      assert.deepEqual(read?.kind === 'tagSetAnswer' ? { ...read, set: read.set?.slice() } : read, answer);
    }
    for (let type = 0; type <= 10; type++) assert.equal(decodeTagSetMessage(Uint8Array.of(type, 0x80)), undefined);
    assert.equal(decodeTagSetMessage(Uint8Array.of(0xf2, 0x81))?.kind, 'undecodable');
  });
});

function byBytes([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
