import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RoutingReport } from '../../src/model/routing-report.ts';
import { RoutingTally } from '../../src/runtime/routing-tally.ts';

const NOTHING: RoutingReport = {
  service: 'shop',
  requests: [],
  refusals: [],
  retries: 0,
  waiting: 0,
  connections: 0,
  waits: { sum: 0, count: 0, counts: [] },
};

describe('what routers report', () => {
  it('adds up, over reports and over routers', () => {
    const tally = new RoutingTally();
    const requests = [{ destination: 'n2', method: 'GET', count: 2 }];
    tally.add({ ...NOTHING, requests, waiting: 3, connections: 1, waits: { sum: 0.5, count: 1, counts: [0, 0, 1] } });
    tally.add({ ...NOTHING, requests, waiting: -1, retries: 1, waits: { sum: 30, count: 1, counts: [] } });
    tally.add({ ...NOTHING, service: 'bank', requests, refusals: [{ reason: 'moving', count: 4 }] });
    const { waits, ...stats } = tally.stats();
    assert.deepEqual(stats, {
      requests: [
        { service: 'shop', destination: 'n2', method: 'GET', count: 4 },
        { service: 'bank', destination: 'n2', method: 'GET', count: 2 },
      ],
      refusals: [{ service: 'bank', reason: 'moving', count: 4 }],
      retries: 1,
      waiting: 2,
      connections: 1,
    });
    assert.deepEqual([waits.sum, waits.count], [30.5, 2]);
    assert.deepEqual(
      waits.buckets.map(({ count }) => count),
      [0, 0, 1, 1, 1, 1, 1, 1, 1],
    );
  });

  it('keeps a bounded number of rows, and sums that are true', () => {
    const tally = new RoutingTally();
    const requests = Array.from({ length: 5_000 }, (_, at) => ({ destination: `n${at}`, method: 'GET', count: 1 }));
    const refusals = Array.from({ length: 5_000 }, (_, at) => ({ reason: `r${at}`, count: 1 }));
    tally.add({ ...NOTHING, requests, refusals });
    const stats = tally.stats();
    assert.ok(stats.requests.length <= 1_001 && stats.refusals.length <= 201);
    for (const rows of [stats.requests, stats.refusals])
      assert.equal(
        rows.reduce((sum, { count }) => sum + count, 0),
        5_000,
      );
  });
});
