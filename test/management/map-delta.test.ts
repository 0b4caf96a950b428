/** Maps as what is different from an earlier one, through the bytes of the management service. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Boot, LogIndex, NodeId } from '../../src/model/ids.ts';
import { NO_STANDBY, type ShardMap } from '../../src/model/shard-map.ts';
import { unpacked } from '../../src/management/client-messages.ts';
import { shardMapDelta, withDelta } from '../../src/management/map-delta.ts';
import { shardMapMessage } from '../../src/management/node-reading.ts';
import { loadProtos } from '../../src/management/protos.ts';
import { countLoads, planShards } from '../../src/sharding/sharding.ts';
import { encodeShardDistribution } from '../../src/wire/sharding/clusterfunk-map.ts';
import type { WatchResponse } from '../../src/gen/funk/v1/WatchResponse.ts';
import type { WatchResponse__Output } from '../../src/gen/funk/v1/WatchResponse.ts';

const { Watch } = loadProtos().node;

function sent(message: WatchResponse): { readonly output: WatchResponse__Output; readonly size: number } {
  const bytes = Watch.responseSerialize(message);
  return { output: Watch.responseDeserialize(bytes) as WatchResponse__Output, size: bytes.length };
}

function whole(map: ShardMap, parts: 'all' | 'packed'): NonNullable<WatchResponse__Output['shardMap']> {
  const { shardMap } = sent({ shardMap: shardMapMessage(map, { parts }) }).output;
  assert.ok(shardMap);
  return unpacked(shardMap);
}

/** A map of these owners, drawn by a seed. */
function mapOf(version: number, names: readonly number[], seed: number): ShardMap {
  const owners = names.map((name) => ({
    node: `n${String(name).padStart(2, '0')}` as NodeId,
    boot: (name * 7 + (name % 3 === 0 ? seed % 2 : 0)) as Boot,
    workerId: name + 2,
  }));
  const ownerOf = Uint16Array.from({ length: 40 }, (_, at) => (at * 7 + (at % 5 === 0 ? seed : 0)) % owners.length);
  return {
    version: version as LogIndex,
    committedAt: (version + 1) as LogIndex,
    shardCount: 30,
    nextShardCount: 10,
    owners,
    ownerOf,
    epochs: Float64Array.from({ length: 40 }, (_, at) => (at % 5 === 0 ? version + 1 : 3)),
    standbys: [ownerOf.map((at, slot) => (slot % 4 === seed % 4 ? NO_STANDBY : (at + 1) % owners.length))],
  };
}

const someNames = fc
  .uniqueArray(fc.nat(12), { minLength: 1, maxLength: 8 })
  .map((names) => names.sort((a, b) => a - b));

describe('management: maps as changes', () => {
  it('the map before and the change make the map after, as it would have come whole or in its compact form', () => {
    fc.assert(
      fc.property(someNames, someNames, fc.nat(50), fc.nat(50), (names, later, seed, other) => {
        const before = mapOf(10, names, seed);
        const after = mapOf(20, later, other);
        const delta = shardMapDelta(after, before);
        assert.ok(delta);
        const { output } = sent({ shardMapDelta: delta });
        assert.ok(output.shardMapDelta);
        assert.deepEqual(withDelta(whole(before, 'all'), output.shardMapDelta), whole(after, 'all'));
        assert.deepEqual(whole(after, 'packed'), whole(after, 'all'));
        const stranger = { ...whole(before, 'all'), version: 11 };
        assert.throws(() => withDelta(stranger, output.shardMapDelta as never), RangeError);
      }),
    );
  });

  it('one node of 50 out of 10,000 shards is told in less than a kilobyte', () => {
    const candidates = Array.from({ length: 50 }, (_, i) => ({
      node: (0x1234_5678_9abc + i * 0x1_0000_0001).toString(16).padStart(16, '0') as NodeId,
      boot: (4_503_599_627_370_496 + i * 65_537) as Boot,
    }));
    const rest = { shardCount: 10_000, pinned: new Set<number>(), promised: [], lastWorkerId: 99 };
    const full = planShards({ ...rest, previous: undefined, candidates });
    const out = planShards({ ...rest, previous: full, candidates: candidates.toSpliced(20, 1) });
    assert.ok(full && out);
    const epochs = new Float64Array(10_000).fill(1_000);
    const before = { version: 900 as LogIndex, committedAt: 1_000 as LogIndex, shardCount: 10_000, ...full, epochs };
    const later = epochs.map((epoch, shard) =>
      full.owners[full.ownerOf[shard] as number]?.node === out.owners[out.ownerOf[shard] as number]?.node
        ? epoch
        : 2_000,
    );
    const after = {
      version: 1_999 as LogIndex,
      committedAt: 2_000 as LogIndex,
      shardCount: 10_000,
      ...out,
      epochs: later,
    };
    assert.equal(later.filter((epoch) => epoch === 2_000).length, 200);
    const delta = shardMapDelta(after, before);
    assert.ok(delta);
    const { size } = sent({ shardMapDelta: delta });
    assert.ok(size < 1_000, `${size} bytes`);
    assert.equal(countLoads(out.ownerOf, 49).length, 49);
  });

  it('clusterfunk reads the map it knows: nodes with worker ids, and each shard with its weight and node', () => {
    const owners = [
      { node: 'a' as NodeId, boot: 1 as Boot, workerId: 2 },
      { node: 'b' as NodeId, boot: 1 as Boot, workerId: 300 },
    ];
    const map = { shardCount: 3, owners, ownerOf: Uint16Array.from([1, 0, 1]) };
    const hex = Buffer.from(encodeShardDistribution(map, [{ from: 2, to: 2, cost: 5 }])).toString('hex');
    // As protoc --decode=shardpb.ShardDistribution reads it: nodes {0 a 2} {1 b 300}, shards {0 1 1} {1 1 0} {2 5 1}.
    assert.equal(
      hex,
      '0a05' +
        '120161' +
        '1802' +
        '0a08' +
        '0801' +
        '120162' +
        '18ac02' +
        '1204' +
        '10011801' +
        '1204' +
        '08011001' +
        '1206' +
        '080210051801',
    );
  });
});
