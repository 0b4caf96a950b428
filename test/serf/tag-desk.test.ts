/** What bounds the fetching of tags: how many at a time, how often, how long between two attempts, and how much is answered. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { TAG_SET } from '../../src/model/tags.ts';
import type { SerfEvent } from '../../src/serf/messages.ts';
import { TagDesk } from '../../src/serf/tag-desk.ts';
import type { TagSources } from '../../src/serf/tag-fetcher.ts';
import type { SwimRequest } from '../../src/swim/messages.ts';
import { decodeTagSetMessage, digestOf, encodeTagSetMessage, type TagSetAnswer } from '../../src/wire/serf/tag-set.ts';
import { encodeTags } from '../../src/wire/serf/tags.ts';

const SET = new Map(Array.from({ length: 30 }, (_, i) => [`tag-${i}`, 'v'.repeat(40)]));
const BYTES = encodeTags(SET);
const DIGEST = digestOf(BYTES).text;
const NAMED = new Map([[TAG_SET, DIGEST]]);

interface Asked {
  readonly request: SwimRequest;
  readonly port: number;
  readonly at: number;
}

/** A desk whose requests the test answers; time goes from deadline to deadline. */
class Bench {
  now = 0;
  readonly asked: Asked[] = [];
  readonly events: SerfEvent[] = [];
  readonly changed: string[] = [];
  readonly desk: TagDesk;
  sources: TagSources | undefined = { owner: { host: '10.0.0.1', port: 1 }, others: [{ host: '10.0.0.2', port: 2 }] };

  constructor() {
    this.desk = new TagDesk({
      selfName: 'self',
      bytesMax: 65_536,
      heldBytesMax: 1_000_000,
      random: new SeededRandom(1),
      timeoutMs: 10_000,
      sources: () => this.sources,
      request: (to, request) => this.asked.push({ request, port: to.port, at: this.now }),
      changed: (node) => this.changed.push(node),
      notify: (event) => this.events.push(event),
    });
  }

  run(forMs: number): void {
    const until = this.now + forMs;
    this.desk.pump(this.now);
    for (let next = this.desk.nextDeadline(); next <= until; next = this.desk.nextDeadline()) {
      this.now = Math.max(this.now, next);
      this.desk.pump(this.now);
      this.desk.check();
    }
    this.now = until;
  }

  fail(): void {
    for (const { request } of this.asked.slice(this.#answered)) request.client.onFailed('refused', this.now);
    this.#answered = this.asked.length;
  }
  #answered = 0;
}

function answerOf(bytes: Uint8Array | undefined): TagSetAnswer {
  const answer = bytes === undefined ? undefined : decodeTagSetMessage(bytes);
  assert.ok(answer?.kind === 'tagSetAnswer');
  return answer;
}

describe('sets of tags are fetched', () => {
  it('eight at a time, and a hundred a second', () => {
    const bench = new Bench();
    for (let i = 0; i < 500; i++) bench.desk.read(`n${i}`, NAMED, true);
    bench.run(2_000);
    assert.equal(bench.asked.length, 8, 'no more while none is answered');
    bench.asked.splice(0);
    const begun: number[] = [];
    const set = encodeTagSetMessage({ kind: 'tagSetAnswer', digest: DIGEST, set: BYTES });
    const many = new Bench();
    for (let i = 0; i < 300; i++) many.desk.read(`n${i}`, NAMED, true);
    for (let ms = 0; ms < 2_000; ms++) {
      many.run(1);
      for (const { request, at } of many.asked.splice(0)) {
        begun.push(at);
        request.client.onAnswer(set, many.now);
      }
    }
    assert.ok(begun.length >= 180 && begun.length <= 201, `${begun.length} in two seconds`);
    assert.ok(begun.every((at, i) => i === 0 || at - (begun[i - 1] as number) >= 10));
    assert.equal(many.changed.length, begun.length);
  });

  it('again and again, ever more rarely, from the owner and from others in turn', () => {
    const bench = new Bench();
    bench.desk.read('n1', NAMED, true);
    for (let i = 0; i < 400; i++) {
      bench.run(1_000);
      bench.fail();
    }
    const pauses = bench.asked.slice(1).map(({ at }, i) => at - (bench.asked[i] as Asked).at);
    assert.ok(pauses[0] !== undefined && pauses[0] <= 2_000, 'at first soon');
    assert.ok(pauses.at(-1) !== undefined && (pauses.at(-1) as number) >= 15_000 && Math.max(...pauses) <= 47_000);
    assert.deepEqual(new Set(bench.asked.map(({ port }, i) => `${i % 2} ${port}`)), new Set(['0 1', '1 2']));
    assert.equal(bench.desk.stats.failed, bench.asked.length);
    const told = bench.events.filter(({ kind }) => kind === 'tagsMissing').length;
    assert.ok(told >= 5 && told <= 14, `${told} warnings in 400 s`);
  });

  it('no more when nobody names them, or another set is named', () => {
    const bench = new Bench();
    bench.desk.read('n1', NAMED, true);
    bench.run(1_000);
    bench.desk.onGone('n1');
    bench.fail();
    bench.run(60_000);
    assert.equal(bench.asked.length, 1);
    // An answer that comes late is not taken for the set that is named now.
    bench.desk.read('n2', NAMED, true);
    bench.run(1_000);
    bench.desk.read('n2', new Map([[TAG_SET, digestOf(encodeTags(new Map([['a', 'x']]))).text]]), false);
    const late = bench.asked.at(-1) as Asked;
    late.request.client.onAnswer(encodeTagSetMessage({ kind: 'tagSetAnswer', digest: DIGEST, set: BYTES }), bench.now);
    assert.deepEqual(bench.changed, []);
    bench.desk.pump(bench.now);
    bench.desk.check();
  });

  it('from nobody when the one that names them is no funknode', () => {
    const bench = new Bench();
    bench.sources = undefined;
    assert.equal(bench.desk.read('agent', NAMED, true).isComplete, false);
    bench.run(100_000);
    assert.equal(bench.asked.length, 0);
  });
});

describe('sets of tags are given', () => {
  const ask = (node: string, digest = DIGEST): Uint8Array =>
    encodeTagSetMessage({ kind: 'tagSetRequest', node, digest });

  it('when they are our own or held, by the digest that is asked for', () => {
    const { desk } = new Bench();
    desk.setOwn(SET);
    assert.deepEqual(answerOf(desk.answer(ask('self'), 0)).set, BYTES);
    assert.equal(answerOf(desk.answer(ask('n1'), 0)).set, undefined);
    assert.equal(answerOf(desk.answer(ask('self', '1:1:aaaaaaaaaaaaaaaaaaaaaa'), 0)).set, undefined);
    for (const bytes of [new Uint8Array(0), Uint8Array.of(0xf1), Uint8Array.of(0xf1, 0xc1), Uint8Array.of(3, 0x80)])
      assert.equal(desk.answer(bytes, 0), undefined);
  });

  it('two hundred a second; who asks beyond them may ask elsewhere', () => {
    const { desk } = new Bench();
    desk.setOwn(SET);
    const given = (now: number): number =>
      Array.from({ length: 300 }, () => answerOf(desk.answer(ask('self'), now)).set).filter((set) => set !== undefined)
        .length;
    assert.deepEqual([given(0), given(999), given(1_000)], [200, 0, 200]);
    assert.equal(desk.stats.answered, 400);
  });
});
