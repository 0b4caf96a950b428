/** A node in the middle of its life: every family has a sample, and no two numbers of a room are equal. */
import type { NodeId } from '../../src/model/ids.ts';
import type { NodeStats } from '../../src/model/node-stats.ts';
import { NodeMetrics } from '../../src/metrics/node-metrics.ts';
import type { OuterReadings } from '../../src/metrics/outer-readings.ts';
import type { LogLevel, Logger } from '../../src/ports/logger.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';
import { zeroStats } from '../fake-node-stats.ts';

/** Unix milliseconds of every reading; the fake cluster was founded 90 s before. */
export const WALL_MS = 1_700_000_090_000;

export const SAMPLE_OUTER: OuterReadings = {
  management: () => ({
    requests: [
      { method: 'managepb.ClusterManagement/GetStatus', code: 'OK', count: 5 },
      { method: 'funk.v1.Node/Watch', code: 'CANCELLED', count: 1 },
    ],
    forwarded: 2,
    streams: 1,
    connections: 3,
    connectionsAccepted: 9,
    connectionsRefused: 1,
    connectionsMalformed: 4,
  }),
  discovery: () => ({ found: 2, dropped: { garbled: 3, offLink: 0 } }),
  http: () => ({
    connections: 1,
    requests: [{ path: '/metrics', code: '200', count: 7 }],
    garbage: { malformed: 2, timeout: 0 },
  }),
  serfRpc: () => ({
    open: 1,
    accepted: 6,
    requests: 20,
    recordsLost: 3,
    wrongKeys: 2,
    cut: { malformed: 4, timeout: 5 },
  }),
};

/** Numbers 1, 2, 3, ... in the order of the fields: what is read from the wrong field shows. */
export function countingStats(): NodeStats {
  const rooms = Object.entries(zeroStats()).map(([room, numbers]) => [room, counting(numbers)]);
  const stats = Object.fromEntries(rooms) as NodeStats;
  return {
    ...stats,
    swim: { ...stats.swim, dropped: { badMessage: 3, encrypted: 1 } },
    routing: {
      ...stats.routing,
      requests: [{ service: 'demo', destination: 'n2', method: '/demo.DemoService/Liff', count: 11 }],
      refusals: [{ service: 'demo', reason: 'moving', count: 2 }],
      waits: { sum: 1.5, count: 3, buckets: [{ le: 1, count: 2 }] },
    },
    raft: stats.raft === undefined ? undefined : { ...stats.raft, isLeader: true, lag: { n2: 0, n3: 12 } },
    storage:
      stats.storage === undefined
        ? undefined
        : {
            ...stats.storage,
            syncCount: 5,
            syncBuckets: [
              { le: 1, count: 2 },
              { le: 10, count: 4 },
            ],
          },
  };
}

export function sampleNode(): FakeNodeHandle {
  const handle = new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' }));
  handle.setStats(countingStats());
  return handle;
}

export function sampleMetrics(handle: FakeNodeHandle = sampleNode(), outer: OuterReadings = SAMPLE_OUTER): NodeMetrics {
  return new NodeMetrics({ handle, version: '1.2.3', wall: () => WALL_MS, outer });
}

export function waitForQuorum(handle: FakeNodeHandle): void {
  handle.change({
    leader: undefined,
    waiting: { reason: 'quorum', nodes: ['n2' as NodeId], since: handle.monotonicMs - 4_000, advice: 'start n2' },
  });
}

export interface Line {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class LineLogger implements Logger {
  readonly lines: Line[] = [];

  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    this.lines.push({ level, event, fields });
  }

  child(): Logger {
    return this;
  }
}

function counting(room: unknown): unknown {
  if (typeof room !== 'object' || room === null) return room;
  return Object.fromEntries(
    Object.entries(room).map(([field, value], at) => [field, typeof value === 'number' ? at + 1 : value]),
  );
}
