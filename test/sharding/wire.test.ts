import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../src/base/errors.ts';
import type { LogIndex, Term } from '../../src/model/ids.ts';
import type { Owner } from '../../src/model/shard-map.ts';
import {
  decodeLeaseBatch,
  decodeLeaseMessage,
  encodeLeaseBatch,
  encodeLeaseMessage,
  LEASE_BATCH_MAX,
  type LeaseMessage,
} from '../../src/wire/sharding/lease.ts';
import { decodeShardCommand, encodeShardCommand, type ShardCommand } from '../../src/wire/sharding/map-entry.ts';
import { decodeMapImage, encodeMapImage, type MapImage } from '../../src/wire/sharding/map-image.ts';
import { boot, index, node } from './rig.ts';

/** Records as the codecs make them: with a prototype. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const safe = fc.maxSafeNat();
const nodeIds = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/).map(node);
const heads = { node: nodeIds, boot: safe.map(boot), seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) };
const terms = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map((term) => term as Term);

const leaseMessages: fc.Arbitrary<LeaseMessage> = fc.oneof(
  plain({
    kind: fc.constant('renew' as const),
    ...heads,
    appliedIndex: safe.map(index),
    releasedVersion: safe.map(index),
    dirLocked: fc.boolean(),
    wantsShards: fc.boolean(),
    answeredTerm: safe.map((term) => term as Term),
    answeredSeq: safe,
  }),
  plain({
    kind: fc.constant('grant' as const),
    ...heads,
    term: terms,
    leaderNow: fc.double({ noNaN: true, noDefaultInfinity: true }),
  }),
  plain({
    kind: fc.constant('refusal' as const),
    ...heads,
    term: terms,
    reason: fc.constantFrom('behind' as const, 'leftOut' as const, 'idInUse' as const),
  }),
  plain({ kind: fc.constant('release' as const), node: nodeIds, boot: safe.map(boot) }),
);

interface Assignment {
  readonly owners: readonly Owner[];
  readonly ownerOf: Uint16Array;
}

/** Few owners and many, in runs and without order: every form of a column. */
const assignments: fc.Arbitrary<Assignment> = fc
  .record({
    ids: fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,6}$/), { minLength: 1, maxLength: 300, size: 'max' }),
    draws: fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 600, size: 'max' }),
    isRuns: fc.boolean(),
  })
  .map(({ ids, draws, isRuns }) => {
    const owners = ids.sort().map((id, i) => ({ node: node(id), boot: boot(i * 7_919), workerId: (i % 16_382) + 2 }));
    const ownerOf = Uint16Array.from(draws, (draw, i) => (isRuns ? (i >> 5) % owners.length : draw % owners.length));
    return { owners, ownerOf };
  });

const commands: fc.Arbitrary<ShardCommand> = fc.oneof(
  fc.record({ assignment: assignments, term: terms }).map(({ assignment: { owners, ownerOf }, term }) => ({
    kind: 'shardPropose' as const,
    term,
    shardCount: ownerOf.length,
    owners,
    ownerOf,
  })),
  plain({
    kind: fc.constant('shardCommit' as const),
    term: terms,
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map((version) => version as LogIndex),
  }),
);

const images: fc.Arbitrary<MapImage> = fc
  .record({
    assignment: assignments,
    has: fc.record({ active: fc.boolean(), pending: fc.boolean() }),
    epochs: fc.array(safe, { minLength: 1, maxLength: 50 }),
    term: terms,
    lastWorkerId: fc.integer({ min: 2, max: 16_383 }),
  })
  .map(({ assignment: { owners, ownerOf }, has, epochs, term, lastWorkerId }) => {
    const shardCount = ownerOf.length;
    const column = Float64Array.from(ownerOf, (_, i) => epochs[i % epochs.length] as number);
    const map = { version: index(5), shardCount, owners, ownerOf };
    return {
      active: has.active ? { ...map, committedAt: index(6), epochs: column } : undefined,
      pending: has.pending ? { ...map, term } : undefined,
      lastWorkerId,
    };
  });

/** Any bytes make a value or a refusal, and a value that was accepted has a form of its own. */
function survives(bytes: Uint8Array): void {
  const message = decodeLeaseMessage(bytes);
  if (!(message instanceof DecodeError)) assert.deepEqual(decodeLeaseMessage(encodeLeaseMessage(message)), message);
  const batch = decodeLeaseBatch(bytes);
  if (!(batch instanceof DecodeError)) assert.deepEqual(decodeLeaseBatch(encodeLeaseBatch(batch)), batch);
  const command = decodeShardCommand(bytes);
  if (!(command instanceof DecodeError)) assert.deepEqual(decodeShardCommand(encodeShardCommand(command)), command);
  const image = decodeMapImage(bytes);
  if (!(image instanceof DecodeError)) assert.deepEqual(decodeMapImage(encodeMapImage(image)), image);
}

describe('sharding: the wire', () => {
  it('reads back every lease message, alone and in a relay batch', () => {
    fc.assert(
      fc.property(leaseMessages, (message) =>
        assert.deepEqual(decodeLeaseMessage(encodeLeaseMessage(message)), message),
      ),
    );
    fc.assert(
      fc.property(fc.array(leaseMessages), (batch) =>
        assert.deepEqual(decodeLeaseBatch(encodeLeaseBatch(batch)), batch),
      ),
    );
  });

  it('refuses a relay batch above its limit', () => {
    const release = { kind: 'release', node: node('a'), boot: boot(1) } as const;
    const most = encodeLeaseBatch(new Array(LEASE_BATCH_MAX).fill(release));
    assert.ok(!(decodeLeaseBatch(most) instanceof DecodeError));
    assert.throws(() => encodeLeaseBatch(new Array(LEASE_BATCH_MAX + 1).fill(release)));
    assert.ok(decodeLeaseBatch(Uint8Array.from([0xff, 0xff, 0x03])) instanceof DecodeError);
  });

  it('reads back every shard command', () => {
    fc.assert(
      fc.property(commands, (command) => assert.deepEqual(decodeShardCommand(encodeShardCommand(command)), command)),
    );
  });

  it('reads back every map image', () => {
    fc.assert(fc.property(images, (image) => assert.deepEqual(decodeMapImage(encodeMapImage(image)), image)));
  });

  it('keeps the bytes it has: logs outlive programs', () => {
    const owners = [
      { node: node('a'), boot: boot(5), workerId: 2 },
      { node: node('b'), boot: boot(300), workerId: 3 },
    ];
    const propose = { kind: 'shardPropose', term: 7 as Term, shardCount: 4, owners } as const;
    const hex = (command: ShardCommand): string => Buffer.from(encodeShardCommand(command)).toString('hex');
    assert.equal(
      hex({ ...propose, ownerOf: Uint16Array.from([0, 1, 0, 1]) }),
      '010704020161050201' + '62ac0203' + '0100010001',
    );
    assert.equal(
      hex({ ...propose, shardCount: 9, ownerOf: Uint16Array.from([0, 0, 0, 1, 1, 1, 1, 1, 1]) }),
      '010709020161050201' + '62ac0203' + '030200030106',
    );
    assert.equal(hex({ kind: 'shardCommit', term: 7 as Term, version: index(300) }), '0207ac02');
  });

  it('refuses what its types do not promise: owners out of order, indexes out of the table, worker ids out of bounds', () => {
    const good = '010704020161050201' + '62ac0203' + '0100010001';
    const spoilt = [
      '010704020162050201' + '61ac0203' + '0100010001',
      '010704020161050201' + '62ac0203' + '0100010002',
      '010704020161050101' + '62ac0203' + '0100010001',
      '010004020161050201' + '62ac0203' + '0100010001',
      '010700020161050201' + '62ac0203' + '0100010001',
      `${good}00`,
      good.slice(0, -2),
      '010709020161050201' + '62ac0203' + '030200030107',
      '010709020161050201' + '62ac0203' + '030200030105',
      '0207' + '00',
      '09',
      '',
    ];
    assert.ok(!(decodeShardCommand(Buffer.from(good, 'hex')) instanceof DecodeError));
    for (const bytes of spoilt) assert.ok(decodeShardCommand(Buffer.from(bytes, 'hex')) instanceof DecodeError, bytes);
  });

  it('meets any bytes, and any damage to good ones, with a value or a refusal', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives), { numRuns: 2_000 });
    const good = fc.oneof(
      commands.map(encodeShardCommand),
      images.map(encodeMapImage),
      leaseMessages.map(encodeLeaseMessage),
    );
    const damage = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(good, damage, fc.nat(), (bytes, hits, cut) => {
        const hurt = Uint8Array.from(bytes);
        for (const { at, to } of hits) hurt[at % hurt.length] = to;
        survives(hurt);
        survives(bytes.subarray(0, cut % (bytes.length + 1)));
      }),
      { numRuns: 500 },
    );
  });
});
