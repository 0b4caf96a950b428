import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../src/base/errors.ts';
import type { LogIndex, NodeId, Term } from '../../src/model/ids.ts';
import { NO_STANDBY, type Owner } from '../../src/model/shard-map.ts';
import { DEFAULT_SHARD_SETTINGS, type ShardSettings } from '../../src/model/shard-settings.ts';
import {
  decodeLeaseBatch,
  decodeLeaseMessage,
  encodeLeaseBatch,
  encodeLeaseMessage,
  LEASE_BATCH_MAX,
  type LeaseMessage,
} from '../../src/wire/sharding/lease.ts';
import {
  type BaseMap,
  decodeShardCommand,
  encodeShardCommand,
  type WrittenShardCommand,
} from '../../src/wire/sharding/map-entry.ts';
import { decodeMapImage, encodeMapImage, type MapImage } from '../../src/wire/sharding/map-image.ts';
import type { MapColumns } from '../../src/wire/sharding/owner-table.ts';
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

const ranges = (nodes: number): fc.Arbitrary<{ from: number; to: number; node: NodeId }[]> =>
  fc
    .record({
      cuts: fc.uniqueArray(fc.integer({ min: 0, max: 65_534 }), { maxLength: 8 }),
      names: fc.array(nodeIds, { minLength: nodes, maxLength: nodes }),
    })
    .map(({ cuts, names }) => {
      const edges = cuts.sort((a, b) => a - b);
      const pairs = edges.flatMap((from, i) =>
        i % 2 === 0 && i + 1 < edges.length ? [[from, edges[i + 1] as number]] : [],
      );
      return pairs.map(([from, to], i) => ({
        from: from as number,
        to: to as number,
        node: names[i % nodes] as NodeId,
      }));
    });

const settings: fc.Arbitrary<ShardSettings> = plain({
  version: fc.constant(index(0)),
  replicas: fc.nat(4),
  moveCap: fc.nat(65_535),
  workerQuarantineMs: fc.nat(7 * 24 * 3_600_000),
  nodeWeights: fc
    .uniqueArray(fc.tuple(nodeIds, fc.double({ min: 0.01, max: 1_000, noNaN: true })), {
      selector: ([name]) => name,
      maxLength: 5,
    })
    .map((rows) => new Map(rows.sort(([a], [b]) => (a < b ? -1 : 1)))),
  shardCosts: ranges(1).map((rows) => rows.map(({ from, to }, i) => ({ from, to, cost: i + 2 }))),
  pins: ranges(3),
  avoided: ranges(1),
  excluded: fc.uniqueArray(nodeIds, { maxLength: 4 }).map((names) => names.sort()),
  shardCount: fc.nat(65_535),
  nextShardCount: fc.nat(65_535),
});

/** Standbys, a second numbering and a time, on top of an assignment. */
function enriched({ owners, ownerOf }: Assignment, seed: number): MapColumns & { readonly atMs: number } {
  const slots = ownerOf.length;
  const next = seed % 3 === 0 && slots > 2 ? Math.floor(slots / 3) : 0;
  const standbys = Array.from({ length: seed % 3 }, (_, rank) =>
    ownerOf.map((owner, at) => ((at + seed) % 7 === 0 ? NO_STANDBY : (owner + rank + 1) % owners.length)),
  );
  return {
    atMs: seed * 1_000,
    shardCount: slots - next,
    ...(next > 0 && { nextShardCount: next }),
    owners,
    ownerOf,
    ...(standbys.length > 0 && { standbys }),
  };
}

const commands: fc.Arbitrary<WrittenShardCommand> = fc.oneof(
  fc.record({ assignment: assignments, term: terms, seed: fc.nat(1_000) }).map(({ assignment, term, seed }) => ({
    kind: 'shardPropose' as const,
    term,
    ...enriched(assignment, seed),
  })),
  plain({ kind: fc.constant('shardConfigure' as const), term: terms, expects: safe.map(index), settings }),
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
    seed: fc.option(fc.nat(1_000), { nil: undefined }),
    settings,
    logTimeMs: safe,
    resting: fc
      .uniqueArray(fc.tuple(fc.integer({ min: 2, max: 16_383 }), safe), { selector: ([id]) => id })
      .map((rows) => new Map(rows.sort(([a], [b]) => a - b))),
  })
  .map(({ assignment, has, epochs, term, lastWorkerId, seed, ...rest }) => {
    const { owners, ownerOf } = assignment;
    // Of the older form, and of the newer.
    const isPlain = seed === undefined;
    const { atMs: _, ...columns } = isPlain
      ? { atMs: 0, shardCount: ownerOf.length, owners, ownerOf }
      : enriched(assignment, seed);
    const column = Float64Array.from(ownerOf, (_, i) => epochs[i % epochs.length] as number);
    const map = { version: index(5), ...columns };
    const newer = { ...rest, settings: { ...rest.settings, version: index(9) } };
    const older = { settings: DEFAULT_SHARD_SETTINGS, logTimeMs: 0, resting: new Map<number, number>() };
    return {
      active: has.active ? { ...map, committedAt: index(6), epochs: column } : undefined,
      pending: has.pending ? { ...map, term } : undefined,
      lastWorkerId,
      ...(isPlain ? older : newer),
    };
  });

function withoutTime({ atMs: _, ...columns }: MapColumns & { readonly atMs: number }): MapColumns {
  return columns;
}

/** Any bytes make a value or a refusal, and a value that was accepted has a form of its own. */
function survives(bytes: Uint8Array): void {
  const message = decodeLeaseMessage(bytes);
  if (!(message instanceof DecodeError)) assert.deepEqual(decodeLeaseMessage(encodeLeaseMessage(message)), message);
  const batch = decodeLeaseBatch(bytes);
  if (!(batch instanceof DecodeError)) assert.deepEqual(decodeLeaseBatch(encodeLeaseBatch(batch)), batch);
  const command = decodeShardCommand(bytes);
  if (!(command instanceof DecodeError) && command.kind !== 'shardStale')
    assert.deepEqual(decodeShardCommand(encodeShardCommand(command)), command);
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

  it('reads back a map that is told as a change of another, and nothing from a change of a map it has not', () => {
    const of = fc.record({ before: assignments, after: assignments, seed: fc.nat(1_000), isNear: fc.boolean() });
    fc.assert(
      fc.property(of, ({ before, after, seed, isNear }) => {
        // Near ones: the same shards, some owners gone or reborn, a few shards moved.
        const gone = seed % before.owners.length;
        const owners = before.owners.map((owner, i) => (i === gone ? { ...owner, boot: boot(owner.boot + 1) } : owner));
        const ownerOf = before.ownerOf.map((owner, at) =>
          (at + seed) % 17 === 0 ? (owner + 1) % owners.length : owner,
        );
        const base: BaseMap = { version: index(40), ...withoutTime(enriched(before, seed)) };
        const map = enriched(isNear ? { owners, ownerOf } : after, isNear ? seed : seed + 1);
        const command = { kind: 'shardPropose' as const, term: 3 as Term, ...map };
        const bytes = encodeShardCommand(command, base);
        assert.deepEqual(decodeShardCommand(bytes, base), command);
        assert.ok(bytes.length <= encodeShardCommand(command).length);
        const elsewhere = decodeShardCommand(bytes, { ...base, version: index(41) });
        if (bytes[0] === 4) assert.deepEqual(elsewhere, { kind: 'shardStale', term: 3 });
        else assert.deepEqual(elsewhere, command);
      }),
    );
  });

  it('meets any damage to a change of a map with a value or a refusal', () => {
    const owners = Array.from({ length: 20 }, (_, i) => ({ node: node(`n${i + 10}`), boot: boot(i), workerId: i + 2 }));
    const ownerOf = Uint16Array.from({ length: 500 }, (_, i) => i % 20);
    const base = {
      version: index(7),
      shardCount: 500,
      owners,
      ownerOf,
      standbys: [ownerOf.map((at) => (at + 1) % 20)],
    };
    const moved = ownerOf.map((at, i) => (i % 40 === 3 ? (at + 5) % 20 : at));
    const { version: _, ...columns } = base;
    const command = { kind: 'shardPropose' as const, term: 1 as Term, atMs: 5, ...columns, ownerOf: moved };
    const bytes = encodeShardCommand(command, base);
    assert.equal(bytes[0], 4);
    const damage = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(damage, fc.nat(bytes.length), (hits, cut) => {
        const hurt = Uint8Array.from(bytes);
        for (const { at, to } of hits) hurt[at % hurt.length] = to;
        for (const piece of [hurt, hurt.subarray(0, cut)]) {
          const read = decodeShardCommand(piece, base);
          if (read instanceof DecodeError || read.kind !== 'shardPropose') continue;
          assert.ok(read.ownerOf.every((owner) => owner < read.owners.length));
          assert.ok(
            (read.standbys ?? []).every((column) => column.every((at) => at === NO_STANDBY || at < read.owners.length)),
          );
          assert.deepEqual(decodeShardCommand(encodeShardCommand(read)), read);
        }
      }),
      { numRuns: 3_000 },
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
    const hex = (command: WrittenShardCommand): string => Buffer.from(encodeShardCommand(command)).toString('hex');
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
      commands.map((command) => encodeShardCommand(command)),
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
