import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ClusterId, LogIndex, MemberId, NodeId, Stamp, Term } from '../../src/model/ids.ts';
import { batchSize, encodeBatch, readBatchHeader, readBatchPayload } from '../../src/wire/raft/batch.ts';
import { FormatFault } from '../../src/wire/raft/format-fault.ts';
import { decodeClusterFile, decodeIdentity, encodeClusterFile, encodeIdentity } from '../../src/wire/raft/identity.ts';
import { decodeRecords, encodeRecords } from '../../src/wire/raft/record.ts';
import type { LogRecord } from '../../src/wire/raft/record.ts';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  parseSegmentFileName,
  segmentFileName,
} from '../../src/wire/raft/segment.ts';
import type { SegmentHeader } from '../../src/wire/raft/segment.ts';
import {
  decodeSnapshotFile,
  encodeSnapshotFile,
  parseSnapshotFileName,
  snapshotFileName,
} from '../../src/wire/raft/snapshot-file.ts';
import { CLUSTER, CONFIGURATION, MEMBER, snapshotMeta } from './log-model.ts';

/** A plain record: what is read back has the usual prototype. */
function object<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const index: fc.Arbitrary<LogIndex> = fc.maxSafeNat().map((n) => Math.max(1, n) as LogIndex);
const term: fc.Arbitrary<Term> = fc.maxSafeNat().map((n) => Math.max(1, n) as Term);
const logId = object({ term, index });
const hardState = object({ term, vote: fc.constantFrom(MEMBER, null as MemberId | null) });
const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const retention = object({
  snapshots: fc.array(object({ lastLog: logId, sha256 }), { maxLength: 2 }),
  keepFrom: index,
  oldestSegment: fc.maxSafeNat(),
});
const entry = object({
  index,
  term,
  kind: fc.constantFrom('noop' as const, 'command' as const),
  data: fc.uint8Array({ maxLength: 300 }),
});
const record: fc.Arbitrary<LogRecord> = fc.oneof(
  entry.map((value) => ({ kind: 'entry' as const, entry: value })),
  hardState.map((value) => ({ kind: 'hardState' as const, hardState: value })),
  index.map((value) => ({ kind: 'commit' as const, index: value })),
  index.map((value) => ({ kind: 'truncate' as const, from: value })),
  retention.map((value) => ({ kind: 'snapshot' as const, retention: value })),
  fc.constantFrom<LogRecord>({ kind: 'seal' }, { kind: 'segmentEnd' }),
);
const fields = object({
  sequence: fc.maxSafeNat(),
  segment: fc.maxSafeNat(),
  prevChain: fc.nat(0xffffffff),
  tail: logId,
  truncatedFrom: index,
  recordCount: fc.nat(1000),
});
const segmentHeader: fc.Arbitrary<SegmentHeader> = object({
  clusterId: fc.constantFrom(undefined, CLUSTER),
  memberHash: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  segment: fc.maxSafeNat(),
  firstSequence: fc.maxSafeNat(),
  prevChain: fc.nat(0xffffffff),
  firstIndex: index,
  hardState,
  commitHint: index,
  retention,
  tornTail: fc.option(logId, { nil: undefined }),
});

function snapshotBytes(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([...encodeSnapshotFile(snapshotMeta(7, 3), bytes)]);
}

describe('formats of the log', () => {
  it('reads back every record it writes', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), (records) => {
        assert.deepEqual(decodeRecords(encodeRecords(records), records.length), records);
      }),
    );
  });

  it('refuses records that are cut off, left over, or of an unknown type', () => {
    const bytes = encodeRecords([{ kind: 'commit', index: 5 as LogIndex }, { kind: 'seal' }]);
    assert.ok(decodeRecords(bytes.subarray(0, -1), 2) instanceof FormatFault);
    assert.ok(decodeRecords(bytes, 1) instanceof FormatFault);
    assert.ok(decodeRecords(bytes, 3) instanceof FormatFault);
    assert.ok(decodeRecords(Uint8Array.of(0, 0, 0, 0, 99, 0, 0, 0), 1) instanceof FormatFault);
  });

  it('reads back a batch, and notices any flipped bit of it', () => {
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 6000 }), fc.nat(), fc.nat(7), (wanted, payload, where, bit) => {
        const bytes = new Uint8Array(batchSize(payload.length));
        const chain = encodeBatch(bytes, wanted, [payload.subarray(0, 9), payload.subarray(9)]);
        const header = readBatchHeader(bytes, 0);
        assert.ok(!(header instanceof FormatFault));
        const { payloadSize, payloadCrc: _, ...rest } = header;
        assert.deepEqual(rest, { ...wanted, chain });
        assert.equal(payloadSize, payload.length);
        assert.deepEqual(readBatchPayload(bytes, 0, header), payload);
        bytes[where % bytes.length] = (bytes[where % bytes.length] as number) ^ (1 << bit);
        const harmed = readBatchHeader(bytes, 0);
        assert.ok(harmed instanceof FormatFault || readBatchPayload(bytes, 0, harmed) instanceof FormatFault);
      }),
    );
  });

  it('links each batch to the one before it', () => {
    const wanted = {
      sequence: 1,
      segment: 1,
      tail: { term: 1 as Term, index: 1 as LogIndex },
      truncatedFrom: 0 as LogIndex,
      recordCount: 0,
    };
    const chains = [0, 1].map((prevChain) => encodeBatch(new Uint8Array(batchSize(0)), { ...wanted, prevChain }, []));
    assert.notEqual(chains[0], chains[1]);
  });

  it('reads back a segment header, and refuses one of a newer version', () => {
    fc.assert(
      fc.property(segmentHeader, (header) => {
        assert.deepEqual(decodeSegmentHeader(encodeSegmentHeader(header)), header);
      }),
    );
  });

  it('names segments and snapshots so that they sort as they were written', () => {
    fc.assert(
      fc.property(index, index, (a, b) => {
        assert.deepEqual(parseSegmentFileName(segmentFileName(a, b)), { segment: a, firstIndex: b });
        assert.deepEqual(parseSnapshotFileName(snapshotFileName({ term: a as number as Term, index: b })), {
          term: a,
          index: b,
        });
        assert.equal(a < b, segmentFileName(a, b) < segmentFileName(b, a));
      }),
    );
    for (const bad of ['', 'x.wal', '00000000000001.tmp', '0-1.wal', 'ffffffffffffff-00000000000001.wal']) {
      assert.equal(parseSegmentFileName(bad), undefined, bad);
    }
  });

  it('reads back a snapshot, and notices any flipped bit of it', () => {
    for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
      const bytes = new Uint8Array(size).map((_, i) => i & 0xff);
      const file = snapshotBytes(bytes);
      const read = decodeSnapshotFile(file);
      assert.ok(!(read instanceof FormatFault));
      assert.deepEqual(read.meta, { ...snapshotMeta(7, 3), configuration: CONFIGURATION });
      assert.deepEqual(Buffer.from(read.bytes), Buffer.from(bytes));
      assert.deepEqual(Buffer.from(read.sha256), file.subarray(-32));
      for (let at = 0; at < file.length; at += Math.ceil(file.length / 97)) {
        const harmed = Buffer.from(file);
        harmed[at] = (harmed[at] as number) ^ 4;
        assert.ok(decodeSnapshotFile(harmed) instanceof FormatFault, `${size}: ${at}`);
      }
      assert.ok(decodeSnapshotFile(file.subarray(0, -1)) instanceof FormatFault);
    }
  });

  it('reads back whose directory it is, and notices a changed letter', () => {
    const identity = { nodeId: 'node-1' as NodeId, stamp: '0123456789abcdef' as Stamp, createdAt: 1_700_000_000_000 };
    const bytes = encodeIdentity(identity);
    assert.deepEqual(decodeIdentity(bytes), identity);
    assert.equal(decodeClusterFile(encodeClusterFile(CLUSTER)), CLUSTER);
    for (let at = 0; at < bytes.length; at++) {
      const harmed = Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 1 : byte));
      assert.ok(decodeIdentity(harmed) instanceof FormatFault, `byte ${at}`);
    }
    assert.ok(decodeIdentity(encodeClusterFile(CLUSTER)) instanceof FormatFault);
    assert.ok(decodeClusterFile(encodeClusterFile('short' as ClusterId)) instanceof FormatFault);
  });

  it('answers any bytes at all with a value', () => {
    const records = encodeRecords([
      { kind: 'entry', entry: { index: 1 as LogIndex, term: 1 as Term, kind: 'command', data: new Uint8Array(9) } },
      { kind: 'hardState', hardState: { term: 1 as Term, vote: MEMBER } },
    ]);
    const snapshot = snapshotBytes(new Uint8Array(300));
    const mutation = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.constantFrom(records, snapshot, new Uint8Array(5000)),
        mutation,
        fc.nat(),
        (original, changes, cut) => {
          const bytes = original.slice();
          for (const { at, to } of changes) bytes[at % bytes.length] = to;
          const part = bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length);
          decodeRecords(part, 2);
          decodeSnapshotFile(part);
          decodeSegmentHeader(part);
          decodeIdentity(part);
          decodeClusterFile(part);
          readBatchHeader(part, 0);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
