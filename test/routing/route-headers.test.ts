import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as headers from '../../src/routing/route-headers.ts';

const reader =
  (values: Readonly<Record<string, string>>): headers.HeaderReader =>
  (name) =>
    values[name];

describe('route headers', () => {
  it('says of a request where it comes from, and nothing when nobody routed it', () => {
    assert.deepEqual(headers.readRouteRequest(reader({})), {
      shard: undefined,
      hops: 0,
      map: undefined,
      wantsRedirect: false,
    });
    const routed = reader({
      [headers.HEADER_SHARD]: '0',
      [headers.HEADER_HOPS]: '2',
      [headers.HEADER_MAP]: '4711',
      [headers.HEADER_REDIRECT]: '1',
    });
    assert.deepEqual(headers.readRouteRequest(routed), { shard: 0, hops: 2, map: 4711, wantsRedirect: true });
  });

  it('takes hops that are no number for too many, and all else that is garbled for absent', () => {
    for (const garbage of ['', '-1', '1.5', 'x', ' 1', '1e3', '99999999999999999', '9007199254740993']) {
      const read = headers.readRouteRequest(
        reader({ [headers.HEADER_HOPS]: garbage, [headers.HEADER_SHARD]: garbage, [headers.HEADER_MAP]: garbage }),
      );
      assert.deepEqual([read.hops, read.shard, read.map], [Number.POSITIVE_INFINITY, undefined, undefined], garbage);
    }
    assert.ok(headers.readRouteRequest(reader({ [headers.HEADER_HOPS]: 'x' })).hops > headers.HOPS_MAX);
  });

  it('says of an answer who served it, or where the shard is', () => {
    const moved = reader({
      [headers.HEADER_OWNER]: 'n2',
      [headers.HEADER_EPOCH]: '17',
      [headers.HEADER_ENDPOINT]: '10.0.0.2:8080',
      [headers.HEADER_MAP]: '16',
      [headers.HEADER_REASON]: 'moved',
    });
    assert.deepEqual(headers.readRouteAnswer(moved), {
      owner: 'n2',
      epoch: 17,
      endpoint: '10.0.0.2:8080',
      map: 16,
      reason: 'moved',
    });
    const foreign = headers.readRouteAnswer(
      reader({ [headers.HEADER_OWNER]: 'not a node', [headers.HEADER_REASON]: 'toString' }),
    );
    assert.deepEqual([foreign.owner, foreign.reason], [undefined, undefined]);
  });
});
