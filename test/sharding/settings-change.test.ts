/** docs/ownership.md section 10: settings that operators change, and what is refused. Ranges are kept ascending, apart and as few as they can be. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeId } from '../../src/model/ids.ts';
import { SHARD_COUNT_MAX } from '../../src/model/shard-map.ts';
import type { ShardSettingsChange } from '../../src/model/shard-plan.ts';
import {
  DEFAULT_SHARD_SETTINGS,
  MOVE_CAP_MAX,
  NODE_WEIGHT_MAX,
  NODE_WEIGHT_MIN,
  REPLICAS_MAX,
  SHARD_COST_MAX,
  SHARD_RULES_MAX,
  type ShardSettings,
  WORKER_QUARANTINE_MS_MAX,
} from '../../src/model/shard-settings.ts';
import { numberingAfter } from '../../src/sharding/resizing.ts';
import { changedSettings } from '../../src/sharding/settings-change.ts';
import { node } from './rig.ts';

const MAP = { shardCount: 10 };
type Given = Parameters<typeof numberingAfter>[0] | 'none';
const A = node('a');
const B = node('b');

function changed(change: ShardSettingsChange, settings: Partial<ShardSettings> = {}, map: Given = MAP): ShardSettings {
  const after = changedSettings({ ...DEFAULT_SHARD_SETTINGS, ...settings }, change, map === 'none' ? undefined : map);
  assert.ok(!('problem' in after), JSON.stringify(after));
  return after;
}

function refused(change: ShardSettingsChange, settings: Partial<ShardSettings> = {}, map: Given = MAP): string {
  const after = changedSettings({ ...DEFAULT_SHARD_SETTINGS, ...settings }, change, map === 'none' ? undefined : map);
  return 'problem' in after ? after.problem : 'allowed';
}

/** `0-3a 5-5b`: whatever is said of ranges. */
function told(ranges: readonly { from: number; to: number; node?: NodeId; cost?: number }[]): string {
  return ranges.map(({ from, to, node: name, cost }) => `${from}-${to}${name ?? ''}${cost ?? ''}`).join(' ');
}

describe('sharding: settings that change', () => {
  it('what is not named stays as it is', () => {
    const settings = {
      replicas: 2,
      moveCap: 3,
      workerQuarantineMs: 4,
      excluded: [B],
      pins: [{ from: 1, to: 2, node: A }],
    };
    assert.deepEqual(changed({}, settings), { ...DEFAULT_SHARD_SETTINGS, ...settings });
    const { replicas, moveCap, workerQuarantineMs } = changed(
      { replicas: 0, moveCap: 0, workerQuarantineMs: 0 },
      settings,
    );
    assert.deepEqual([replicas, moveCap, workerQuarantineMs], [0, 0, 0]);
  });

  it('weights are set and taken back, sorted by node', () => {
    const nodeWeights = new Map([[B, 2]]);
    assert.deepEqual(
      [...changed({ nodeWeights: new Map([[A, 3]]) }, { nodeWeights }).nodeWeights],
      [
        [A, 3],
        [B, 2],
      ],
    );
    assert.deepEqual([...changed({ nodeWeights: new Map([[B, undefined]]) }, { nodeWeights }).nodeWeights], []);
  });

  it('nodes are excluded and included, sorted; who is named in both is excluded', () => {
    assert.deepEqual(changed({ exclude: [B, A] }).excluded, [A, B]);
    assert.deepEqual(changed({ include: [A] }, { excluded: [A, B] }).excluded, [B]);
    assert.deepEqual(changed({ include: [A], exclude: [A] }).excluded, [A]);
  });

  it('pins go before older ones, are cut out by others, and melt with neighbours of the same node', () => {
    const pin = (from: number, to: number, name: NodeId): ShardSettingsChange => ({ pin: [{ from, to, node: name }] });
    const pins = [{ from: 2, to: 6, node: A }];
    assert.equal(told(changed(pin(4, 4, B), { pins }).pins), '2-3a 4-4b 5-6a');
    assert.equal(told(changed(pin(2, 2, B), { pins }).pins), '2-2b 3-6a');
    assert.equal(told(changed(pin(6, 6, B), { pins }).pins), '2-5a 6-6b');
    assert.equal(told(changed(pin(0, 9, B), { pins }).pins), '0-9b');
    assert.equal(told(changed(pin(7, 8, A), { pins }).pins), '2-8a');
    assert.equal(told(changed(pin(0, 1, A), { pins }).pins), '0-6a');
    assert.equal(told(changed(pin(8, 9, A), { pins }).pins), '2-6a 8-9a');
    assert.equal(told(changed(pin(7, 8, B), { pins }).pins), '2-6a 7-8b');
    assert.equal(told(changed({ unpin: [{ from: 3, to: 4 }] }, { pins }).pins), '2-2a 5-6a');
    assert.equal(told(changed({ unpin: [{ from: 0, to: 1 }] }, { pins }).pins), '2-6a');
    assert.equal(told(changed({ unpin: [{ from: 7, to: 9 }] }, { pins }).pins), '2-6a');
    assert.equal(
      told(changed({ unpin: [{ from: 0, to: 9 }], pin: [{ from: 1, to: 1, node: B }] }, { pins }).pins),
      '1-1b',
    );
  });

  it('a cost of 1 is none, and neighbours of one cost melt', () => {
    const shardCosts = [{ from: 0, to: 4, cost: 3 }];
    assert.equal(told(changed({ shardCosts: [{ from: 2, to: 2, cost: 1 }] }, { shardCosts }).shardCosts), '0-13 3-43');
    assert.equal(told(changed({ shardCosts: [{ from: 5, to: 6, cost: 3 }] }, { shardCosts }).shardCosts), '0-63');
    assert.equal(told(changed({ shardCosts: [{ from: 5, to: 6, cost: 2 }] }, { shardCosts }).shardCosts), '0-43 5-62');
  });

  it('places to be avoided are each node’s own, sorted by node', () => {
    const avoided = [
      { from: 0, to: 4, node: A },
      { from: 2, to: 3, node: B },
    ];
    const avoid = [{ from: 5, to: 5, node: A }];
    assert.equal(told(changed({ avoid }, { avoided }).avoided), '0-5a 2-3b');
    assert.equal(told(changed({ unavoid: [{ from: 1, to: 2, node: A }] }, { avoided }).avoided), '0-0a 3-4a 2-3b');
    assert.equal(
      told(changed({ avoid: [{ from: 1, to: 1, node: A }] }, { avoided: [avoided[1] as never] }).avoided),
      '1-1a 2-3b',
    );
  });

  it('bounds are allowed, and what is beyond them is not', () => {
    const isAllowed = (change: ShardSettingsChange): boolean => refused(change) === 'allowed';
    const edges: readonly (readonly [ShardSettingsChange, ShardSettingsChange])[] = [
      [{ replicas: REPLICAS_MAX }, { replicas: REPLICAS_MAX + 1 }],
      [{ replicas: 0 }, { replicas: -1 }],
      [{ replicas: 1 }, { replicas: 0.5 }],
      [{ moveCap: MOVE_CAP_MAX }, { moveCap: MOVE_CAP_MAX + 1 }],
      [{ workerQuarantineMs: WORKER_QUARANTINE_MS_MAX }, { workerQuarantineMs: WORKER_QUARANTINE_MS_MAX + 1 }],
      [{ nodeWeights: new Map([[A, NODE_WEIGHT_MAX]]) }, { nodeWeights: new Map([[A, NODE_WEIGHT_MAX + 1]]) }],
      [{ nodeWeights: new Map([[A, NODE_WEIGHT_MIN]]) }, { nodeWeights: new Map([[A, NODE_WEIGHT_MIN / 2]]) }],
      [{ nodeWeights: new Map([[A, 1]]) }, { nodeWeights: new Map([[node('no id'), 1]]) }],
      [
        { shardCosts: [{ from: 0, to: 0, cost: SHARD_COST_MAX }] },
        { shardCosts: [{ from: 0, to: 0, cost: SHARD_COST_MAX + 1 }] },
      ],
      [{ shardCosts: [{ from: 0, to: 0, cost: 1 }] }, { shardCosts: [{ from: 0, to: 0, cost: 0 }] }],
      [{ shardCosts: [{ from: 0, to: 9, cost: 2 }] }, { shardCosts: [{ from: 0, to: 10, cost: 2 }] }],
      [{ pin: [{ from: 9, to: 9, node: A }] }, { pin: [{ from: 9, to: 8, node: A }] }],
      [{ pin: [{ from: 0, to: 9, node: A }] }, { pin: [{ from: -1, to: 9, node: A }] }],
      [{ avoid: [{ from: 0, to: 9, node: A }] }, { avoid: [{ from: 0, to: 10, node: A }] }],
      [{ unavoid: [{ from: 0, to: 9, node: A }] }, { unavoid: [{ from: 0, to: 9, node: node('no id') }] }],
      [{ unpin: [{ from: 0, to: 9 }] }, { unpin: [{ from: 0, to: 10 }] }],
      [{ exclude: [A] }, { exclude: [node('no id')] }],
      [{ include: [A] }, { include: [node('no id')] }],
    ];
    for (const [good, bad] of edges)
      assert.deepEqual([isAllowed(good), isAllowed(bad)], [true, false], JSON.stringify(bad));
    assert.equal(refused({ pin: [{ from: 0, to: 10, node: A }] }), 'there are no shards 0 to 10: they go from 0 to 9');
    assert.equal(refused({ pin: [{ from: 0, to: 10, node: A }] }, {}, 'none'), 'allowed', 'before there is a map');
  });

  it('so many rules of a kind', () => {
    const excluded = (count: number): NodeId[] => Array.from({ length: count }, (_, i) => node(`n${i}`));
    assert.equal(refused({ exclude: excluded(SHARD_RULES_MAX) }), 'allowed');
    assert.match(refused({ exclude: excluded(SHARD_RULES_MAX + 1) }), /^1025 rules of one kind/);
  });
});

describe('sharding: the number of shards changes by agreement', () => {
  const begin = (to: number): ShardSettingsChange => ({ resize: { kind: 'begin', to } });
  const done: ShardSettingsChange = { resize: { kind: 'done' } };
  const abort: ShardSettingsChange = { resize: { kind: 'abort' } };
  const begun = { shardCount: 10, nextShardCount: 20 };

  it('it begins when there is a map and no other change is under way', () => {
    const { shardCount, nextShardCount } = changed(begin(20));
    assert.deepEqual([shardCount, nextShardCount], [10, 20]);
    assert.match(refused(begin(20), {}, 'none'), /no shard map yet/);
    assert.match(refused(begin(10)), /there are 10 shards already/);
    assert.match(refused(begin(30), begun), /a change to 20 shards is under way/);
    assert.match(refused(begin(30), {}, begun), /a change to 20 shards is under way/);
    assert.equal(refused(begin(SHARD_COUNT_MAX - 10)), 'allowed');
    assert.match(refused(begin(SHARD_COUNT_MAX - 9)), /together at most/);
    assert.deepEqual([refused(begin(1)), /together/.test(refused(begin(0)))], ['allowed', true]);
  });

  it('it is done when the new shards have owners, and rules about the old ones end', () => {
    const rules = { ...begun, pins: [{ from: 0, to: 1, node: A }], shardCosts: [{ from: 0, to: 1, cost: 2 }] };
    const after = changed(done, { ...rules, avoided: [{ from: 0, to: 1, node: B }] }, begun);
    assert.deepEqual([after.shardCount, after.nextShardCount], [20, 0]);
    assert.deepEqual([after.pins, after.shardCosts, after.avoided], [[], [], []]);
    assert.match(refused(done), /no change of the number of shards/);
    assert.match(refused(done, begun), /have no owners yet/);
  });

  it('it is taken back, and rules stay', () => {
    const pins = [{ from: 0, to: 1, node: A }];
    const after = changed(abort, { ...begun, pins }, begun);
    assert.deepEqual([after.shardCount, after.nextShardCount, after.pins], [10, 0, pins]);
    assert.match(refused(abort), /no change of the number of shards/);
  });

  it('maps follow step by step', () => {
    const next = (map: Parameters<typeof numberingAfter>[0], shardCount: number, nextShardCount: number): unknown =>
      numberingAfter(map, { ...DEFAULT_SHARD_SETTINGS, shardCount, nextShardCount });
    assert.deepEqual(next(MAP, 0, 0), MAP);
    assert.deepEqual(next(MAP, 10, 20), begun);
    assert.deepEqual(next(MAP, 10, 10), MAP);
    assert.deepEqual(next(begun, 10, 20), begun);
    assert.deepEqual(next(begun, 20, 0), { shardCount: 20 });
    assert.deepEqual(next(begun, 10, 0), MAP);
    assert.deepEqual(next(begun, 10, 30), MAP);
  });
});
