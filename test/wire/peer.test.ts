/** What travels between nodes, and the commands of the log: every value comes back, and no bytes do more than fail to decode. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../src/base/errors.ts';
import { randomBelow, SeededRandom } from '../../src/base/random.ts';
import type { Boot, ClusterId, LogIndex, MemberId, NodeId, ShardId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION } from '../../src/model/log.ts';
import { type Command, decodeCommand, encodeCommand } from '../../src/wire/command/command.ts';
import { BATCH_FRAMES_MAX, encodePeerBatch, splitPeerBatch } from '../../src/wire/peer/peer-batch.ts';
import {
  decodePeerFrame,
  encodePeerFrame,
  type PeerFrame,
  type PeerMessage,
} from '../../src/wire/peer/peer-message.ts';

const MUTATIONS = 20_000;

function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const bytes = fc.uint8Array({ maxLength: 200 });
const index = fc.nat({ max: 2 ** 31 - 1 }).map((n) => (n + 1) as LogIndex);
const term = fc.nat({ max: 2 ** 31 - 1 }).map((n) => (n + 1) as Term);
const node = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/).map((text) => text as NodeId);
const member = fc
  .tuple(node, fc.stringMatching(/^[0-9a-f]{16}$/))
  .map(([name, stamp]) => `${name}@${stamp}` as MemberId);
const clusterId = fc.stringMatching(/^[A-Za-z0-9_-]{22}$/).map((text) => text as ClusterId);
const boot = fc.maxSafeNat().map((value) => value as Boot);
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
const meta = record({
  clusterId,
  lastLog: record({ term, index }),
  configuration: fc
    .uniqueArray(member, { minLength: 1, maxLength: 5 })
    .map((voters) => ({ ...EMPTY_CONFIGURATION, voters: [...voters].sort() })),
  configurationIndex: index,
});
const entries = fc
  .tuple(index, fc.array(fc.tuple(term, bytes), { maxLength: 5 }))
  .map(([first, list]) =>
    list.map(([at, data], i) => ({ index: (first + i) as LogIndex, term: at, kind: 'command' as const, data })),
  );
const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  record({ kind: fc.constant('raft' as const), bytes }),
  record({ kind: fc.constant('lease' as const), bytes, relayFor: maybe(node) }),
  record({ kind: fc.constant('follow' as const), appliedIndex: index }),
  record({ kind: fc.constant('followEntries' as const), leader: maybe(node), term, commitIndex: index, entries }),
  record({
    kind: fc.constant('snapshotChunk' as const),
    forRaft: fc.boolean(),
    term,
    meta,
    offset: fc.nat(),
    size: fc.nat(),
    bytes,
  }),
  record({ kind: fc.constant('snapshotAck' as const), index, offset: fc.nat() }),
  record({
    kind: fc.constant('digest' as const),
    index,
    digest: fc.nat({ max: 2 ** 31 - 1 }),
    relayFor: maybe(member),
  }),
  record({ kind: fc.constant('digestDiffers' as const), index, digest: fc.nat({ max: 2 ** 31 - 1 }) }),
  record({
    kind: fc.constant('handOver' as const),
    version: index,
    seq: fc.nat(),
    fromBoot: boot,
    toBoot: boot,
    pieces: fc.array(
      record({
        shard: fc.nat({ max: 65_534 }).map((id) => id as ShardId),
        epoch: index,
        offset: fc.nat(),
        size: fc.nat(),
        bytes,
      }),
      { maxLength: 5 },
    ),
  }),
  record({ kind: fc.constant('handOverAck' as const), version: index, seq: fc.nat() }),
  record({
    kind: fc.constant('request' as const),
    id: fc.nat(),
    ask: fc.constantFrom('retire' as const, 'describe' as const, 'hasDissolved' as const),
  }),
  record({
    kind: fc.constant('response' as const),
    id: fc.nat(),
    answer: fc.oneof(
      fc.constant({ kind: 'done' as const }),
      record({ kind: fc.constant('refused' as const), reason: fc.string({ maxLength: 100 }), leader: maybe(node) }),
      record({
        kind: fc.constant('description' as const),
        clusterId: maybe(clusterId),
        voters: fc.nat({ max: 9 }),
        isEmpty: fc.boolean(),
      }),
      record({ kind: fc.constant('dissolution' as const), clusterId, member }),
    ),
  }),
);
const frame: fc.Arbitrary<PeerFrame> = record({ clusterId: maybe(clusterId), from: member, to: member, message });

const command: fc.Arbitrary<Command> = fc.oneof(
  record({
    kind: fc.constant('found' as const),
    clusterName: fc.string({ maxLength: 60 }),
    createdMs: fc.nat({ max: 2 ** 31 - 1 }),
    shardCount: fc.nat(),
  }),
  record({
    kind: fc.constant('found' as const),
    clusterName: fc.string({ maxLength: 60 }),
    createdMs: fc.nat({ max: 2 ** 31 - 1 }),
    shardCount: fc.nat(),
    timing: record({
      leaseMs: fc.integer({ min: 1, max: 60_000 }),
      clockDrift: fc.nat({ max: 499_999 }).map((millionths) => millionths / 1_000_000),
      heartbeatMs: fc.integer({ min: 1, max: 1_000 }),
      electionMs: fc.integer({ min: 1, max: 10_000 }),
    }),
  }),
  record({ kind: fc.constant('shard' as const), bytes }),
  record({ kind: fc.constant('exclude' as const), member }),
  record({ kind: fc.constant('include' as const), member }),
  record({
    kind: fc.constant('takePermit' as const),
    holder: fc.stringMatching(/^[a-z -]{1,64}$/),
    node,
    boot,
    leaseMs: fc.nat({ max: 86_400_000 }),
  }),
  record({ kind: fc.constant('givePermit' as const), index }),
);

/** One to four bytes changed, cut off, or added. */
function mutate(random: SeededRandom, original: Uint8Array): Uint8Array {
  const kind = randomBelow(random, 4);
  if (kind === 0) return original.slice(0, randomBelow(random, original.length));
  const mutated = kind === 1 ? new Uint8Array(original.length + 1 + randomBelow(random, 8)) : original.slice();
  mutated.set(original.subarray(0, mutated.length));
  for (let i = randomBelow(random, 4); i >= 0; i--)
    mutated[randomBelow(random, mutated.length)] = randomBelow(random, 256);
  return mutated;
}

/** Decodes mutated samples; anything thrown but a DecodeError is a failure. How many were refused. */
function refusals(samples: readonly Uint8Array[], decode: (bytes: Uint8Array) => unknown): number {
  const random = new SeededRandom(20);
  let refused = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const mutated = mutate(random, samples[i % samples.length] as Uint8Array);
    try {
      decode(mutated);
    } catch (error) {
      assert.ok(error instanceof DecodeError, `${Buffer.from(mutated).toString('hex')}: ${String(error)}`);
      refused += 1;
    }
  }
  return refused;
}

describe('peer frames', () => {
  it('come back as they went', () => {
    fc.assert(
      fc.property(frame, (one) => assert.deepEqual(decodePeerFrame(encodePeerFrame(one)), one)),
      { numRuns: 1_000 },
    );
  });

  it('of another version are refused', () => {
    const other = encodePeerFrame(fc.sample(frame, { numRuns: 1, seed: 1 })[0] as PeerFrame);
    other[0] = 2;
    assert.throws(() => decodePeerFrame(other), DecodeError);
  });

  it('with anything behind them are refused', () => {
    fc.assert(
      fc.property(frame, (one) => {
        const long = Uint8Array.from([...encodePeerFrame(one), 0]);
        assert.throws(() => decodePeerFrame(long), DecodeError);
      }),
    );
  });

  it(`${MUTATIONS} times mutated do no more than fail to decode`, () => {
    const samples = fc.sample(frame, { numRuns: 200, seed: 7 }).map(encodePeerFrame);
    assert.ok(refusals(samples, decodePeerFrame) > MUTATIONS / 10);
  });

  it('claim no more entries than they have room for', () => {
    const huge: PeerFrame = {
      clusterId: undefined,
      from: 'a@0000000000000000' as MemberId,
      to: 'b@0000000000000000' as MemberId,
      message: { kind: 'followEntries', leader: undefined, term: 1 as Term, commitIndex: 1 as LogIndex, entries: [] },
    };
    const encoded = encodePeerFrame(huge);
    const claimed = Uint8Array.from([...encoded.subarray(0, encoded.length - 1), 0xff, 0xff, 0x7f]);
    assert.throws(() => decodePeerFrame(claimed), DecodeError);
  });
});

describe('commands', () => {
  it('come back as they went', () => {
    fc.assert(
      fc.property(command, (one) => assert.deepEqual(decodeCommand(encodeCommand(one)), one)),
      { numRuns: 1_000 },
    );
  });

  it('keep their numbers for ever', () => {
    const first = (one: Command): number | undefined => encodeCommand(one)[0];
    const who = 'a@0000000000000000' as MemberId;
    assert.deepEqual(
      [
        first({ kind: 'found', clusterName: 'x', createdMs: 1, shardCount: 1 }),
        first({ kind: 'shard', bytes: new Uint8Array() }),
        first({ kind: 'exclude', member: who }),
        first({ kind: 'include', member: who }),
        first({
          kind: 'found',
          clusterName: 'x',
          createdMs: 1,
          shardCount: 1,
          timing: { leaseMs: 900, clockDrift: 0.02, heartbeatMs: 50, electionMs: 250 },
        }),
      ],
      [1, 2, 3, 4, 32],
    );
  });

  it(`${MUTATIONS} times mutated do no more than fail to decode`, () => {
    const samples = fc.sample(command, { numRuns: 200, seed: 8 }).map(encodeCommand);
    refusals(samples, decodeCommand);
  });
});

describe('frames of one turn', () => {
  const frame = (n: number): Uint8Array =>
    encodePeerFrame({
      clusterId: undefined,
      from: 'a@0123456789abcdef' as MemberId,
      to: 'b@0123456789abcdef' as MemberId,
      message: { kind: 'follow', appliedIndex: n as LogIndex },
    });

  it('come back in their order from one message, and one alone is its own message', () => {
    const one = frame(7);
    assert.equal(encodePeerBatch([one]), one);
    assert.deepEqual(splitPeerBatch(one), [one]);
    const sent = Array.from({ length: BATCH_FRAMES_MAX }, (_, n) => frame(n));
    assert.deepEqual(splitPeerBatch(encodePeerBatch(sent)), sent);
  });

  it('that are cut off, or more than the limit, end in one that nobody can read; whatever else comes is bounded', () => {
    const message = encodePeerBatch([frame(1), frame(2)]);
    assert.deepEqual(splitPeerBatch(message.subarray(0, message.length - 1)), [frame(1), new Uint8Array(0)]);
    const many = new Uint8Array(1_000_000).fill(0);
    many[0] = message[0] as number;
    assert.equal(splitPeerBatch(many).length, BATCH_FRAMES_MAX + 1);
    const random = new SeededRandom(3);
    for (let i = 0; i < MUTATIONS; i++) {
      const damaged = message.slice();
      for (let n = 0; n < 3; n++) damaged[randomBelow(random, damaged.length)] = randomBelow(random, 256);
      const frames = splitPeerBatch(damaged);
      assert.ok(frames.length >= 1 && frames.reduce((sum, { length }) => sum + length, 0) <= damaged.length);
    }
  });
});
