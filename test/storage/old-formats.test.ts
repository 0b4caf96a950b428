/**
 * What programs of every release have left on disks, kept as bytes: it must open, and say what it said. As long as the format is that of
 * the newest one, the bytes of today are the same ones too, so that none changes unnoticed. A release that changes them adds a file:
 * `FUNKNODE_WRITE_FORMAT=2 node dist/test/run.js old-formats`. reliability.md 10.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { ByteWriter, equalBytes, utf8 } from '../../src/base/bytes.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { Kv } from '../../src/kv/kv.ts';
import type { LogIndex, NodeId, Stamp, Term } from '../../src/model/ids.ts';
import type { KvMutation } from '../../src/model/kv.ts';
import { IdentityMismatchError } from '../../src/runtime/disk-errors.ts';
import { decodeKvBatch, encodeKvItem, type KvItem, writeKvBatch } from '../../src/wire/kv/batch.ts';
import { decodeClusterFile, decodeIdentity, encodeClusterFile, encodeIdentity } from '../../src/wire/raft/identity.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/wire/raft/segment.ts';
import {
  after,
  assertState,
  CLUSTER,
  DrivenLog,
  EMPTY_STATE,
  entries,
  hardState,
  MEMBER,
  newDisk,
} from './log-model.ts';
import { type LogState, type Operation, snapshotMeta } from './log-model.ts';
import { KEEP_ALL } from './simulated-disk.ts';

/** Files of a data directory by name, and values that stand in others. */
interface KeptFormat {
  readonly files: Readonly<Record<string, string>>;
  readonly identity: string;
  readonly cluster: string;
  readonly kvBatch: string;
  readonly kvImage: string;
}

const FOLDER: string = fileURLToPath(new URL('../../../test/vectors/storage/', import.meta.url));
const NEWEST = 1;
const IDENTITY = { nodeId: 'node-1' as NodeId, stamp: '0123456789abcdef' as Stamp, createdAt: 1_700_000_000_000 };
const STATE_BYTES: Uint8Array = new Uint8Array(70_000).map((_, i) => (i * i) & 0xff);

function persist(batch: Extract<Operation, { kind: 'persist' }>['batch']): Operation {
  return { kind: 'persist', batch };
}

/** Votes, a truncation, rotations, two snapshots, one of them of two blocks, and a last batch without a seal. */
const OPERATIONS: readonly Operation[] = [
  persist({ hardState: hardState(1, MEMBER) }),
  persist({ entries: entries(1, 4, 1, 900) }),
  { kind: 'save', meta: snapshotMeta(2, 1), bytes: utf8('state'), keepFrom: 1 },
  persist({ hardState: hardState(2), truncateFrom: 4 as LogIndex, entries: entries(4, 2, 2, 0) }),
  persist({ entries: entries(6, 6, 2, 2_500), commitHint: 5 as LogIndex }),
  { kind: 'quiet' },
  { kind: 'save', meta: snapshotMeta(8, 2), bytes: STATE_BYTES, keepFrom: 5 },
  persist({ hardState: hardState(3, MEMBER), entries: entries(12, 1, 3), commitHint: 11 as LogIndex }),
];

const put = (key: string, value: string): KvMutation => ({
  kind: 'put',
  key: utf8(key),
  value: utf8(value),
  prevKv: true,
});
const KV_ITEMS: readonly KvItem[] = [
  { kind: 'openSession' },
  { kind: 'mutate', mutation: put('a', '1'), session: undefined },
  { kind: 'mutate', mutation: put('b', '2'), session: { session: 1_024, seq: 1, ackedBelow: 1 } },
  {
    kind: 'mutate',
    session: { session: 1_024, seq: 2, ackedBelow: 2 },
    mutation: {
      kind: 'txn',
      compares: [{ key: utf8('a'), target: 'version', relation: 'less', operand: 2 }],
      success: [{ kind: 'delete', key: utf8('a'), rangeEnd: new Uint8Array(), prevKv: true }],
      failure: [],
    },
  },
  { kind: 'closeSession', session: 5 },
  { kind: 'expireSessions', term: 9, idleMs: 60_000 },
];

function kvBatch(): Uint8Array {
  const out = new ByteWriter();
  writeKvBatch(out, 1_700_000_000_000, KV_ITEMS.map(encodeKvItem));
  return out.finish();
}

function imageOf(kv: Kv): Uint8Array {
  const out = new ByteWriter();
  kv.writeImage(out);
  return out.finish();
}

function appliedKv(batch: Uint8Array): Kv {
  const kv = new Kv();
  kv.apply(1 as LogIndex, 1 as Term, decodeKvBatch(batch));
  return kv;
}

function filesOfToday(): ReadonlyMap<string, Uint8Array> {
  const log = new DrivenLog(newDisk());
  assert.equal(log.run(OPERATIONS), true, log.failure?.message);
  return log.disk.afterCrash(KEEP_ALL).files();
}

function packed(bytes: Uint8Array): string {
  return gzipSync(bytes, { level: 9 }).toString('base64');
}

function unpacked(text: string): Uint8Array {
  return gunzipSync(Buffer.from(text, 'base64'));
}

function read(version: string): KeptFormat {
  return JSON.parse(readFileSync(`${FOLDER}/${version}.json`, 'utf8')) as KeptFormat;
}

function writeFormat(version: string): void {
  const files = Object.fromEntries([...filesOfToday()].map(([path, bytes]) => [path, packed(bytes)]));
  const kept: KeptFormat = {
    files,
    identity: packed(encodeIdentity(IDENTITY)),
    cluster: packed(encodeClusterFile(CLUSTER)),
    kvBatch: packed(kvBatch()),
    kvImage: packed(imageOf(appliedKv(kvBatch()))),
  };
  writeFileSync(`${FOLDER}/${version}.json`, `${JSON.stringify(kept, undefined, 1)}\n`);
}

const wanted = process.env['FUNKNODE_WRITE_FORMAT'];
if (wanted !== undefined && !existsSync(`${FOLDER}/${wanted}.json`)) writeFormat(wanted);

describe('formats of the past', () => {
  const versions = readdirSync(FOLDER).map((name) => name.replace('.json', ''));
  const expected = OPERATIONS.reduce((state: LogState, operation) => after(state, operation), EMPTY_STATE);

  for (const version of versions) {
    it(`${version}: a log opens, and says what was written to it`, () => {
      const files = new Map(Object.entries(read(version).files).map(([path, text]) => [path, unpacked(text)]));
      const disk = newDisk().withFiles(files);
      assertState(new DrivenLog(disk).recovered, expected);
    });

    it(`${version}: whose directory it is, and of which cluster`, () => {
      const { identity, cluster } = read(version);
      assert.deepEqual(decodeIdentity(unpacked(identity)), IDENTITY);
      assert.equal(decodeClusterFile(unpacked(cluster)), CLUSTER);
    });

    it(`${version}: keys and values, in a log and in a snapshot`, () => {
      const { kvBatch: batch, kvImage } = read(version);
      assert.deepEqual(decodeKvBatch(unpacked(batch)).items.length, KV_ITEMS.length);
      const restored = new Kv();
      restored.restore(unpacked(kvImage));
      assert.equal(restored.digest(), appliedKv(unpacked(batch)).digest());
      assert.equal(restored.digest(), appliedKv(kvBatch()).digest());
    });
  }

  it(`${NEWEST} is written today, byte for byte`, () => {
    const kept = read(String(NEWEST));
    const today = filesOfToday();
    assert.deepEqual([...today.keys()].sort(), Object.keys(kept.files).sort());
    for (const [path, bytes] of today)
      assert.ok(equalBytes(bytes, unpacked(kept.files[path] as string)), `${path} is written in another way`);
    assert.ok(equalBytes(encodeIdentity(IDENTITY), unpacked(kept.identity)));
    assert.ok(equalBytes(encodeClusterFile(CLUSTER), unpacked(kept.cluster)));
    assert.ok(equalBytes(kvBatch(), unpacked(kept.kvBatch)));
    assert.ok(equalBytes(imageOf(appliedKv(kvBatch())), unpacked(kept.kvImage)));
  });

  it('of the future are refused: a log of a newer version stays as it is', () => {
    const files = new Map([...filesOfToday()].map(([path, bytes]) => [path, bytes.slice()]));
    for (const [path, bytes] of files) {
      if (!path.endsWith('.wal')) continue;
      const view = new DataView(bytes.buffer);
      // Where the version stands, whatever the byte order: it is 1 in either.
      for (let at = 4; at < 8; at++) if (bytes[at] === NEWEST) bytes[at] = NEWEST + 1;
      const checksum = crc32c(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4));
      view.setUint32(SEGMENT_HEADER_BYTES - 4, checksum);
    }
    const disk = newDisk().withFiles(files);
    assert.throws(
      () => new DrivenLog(disk),
      (error) => error instanceof IdentityMismatchError && /by a newer version of funknode/.test(error.message),
    );
    for (const [path, bytes] of disk.files()) assert.ok(equalBytes(bytes, files.get(path) ?? new Uint8Array()), path);
  });
});
