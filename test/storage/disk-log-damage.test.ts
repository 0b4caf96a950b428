import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import { NO_INDEX } from '../../src/model/ids.ts';
import type { RecoveredLog } from '../../src/model/log.ts';
import { DamagedLogError, IdentityMismatchError } from '../../src/runtime/disk-errors.ts';
import { recoverWal } from '../../src/runtime/disk-log-recovery.ts';
import type { WalPlace } from '../../src/runtime/disk-log-recovery.ts';
import { BATCH_HEADER_BYTES, batchSize, encodeBatch, readBatchHeader } from '../../src/wire/raft/batch.ts';
import { FormatFault } from '../../src/wire/raft/format-fault.ts';
import { encodeRecords } from '../../src/wire/raft/record.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/wire/raft/segment.ts';
import { encodeSnapshotFile } from '../../src/wire/raft/snapshot-file.ts';
import { CLUSTER, DrivenLog, entries, FOLDER, hardState, MEMBER, newDisk, snapshotMeta } from './log-model.ts';
import type { Operation } from './log-model.ts';
import { KEEP_ALL } from './simulated-disk.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

const isLong: boolean = process.env['FUNKNODE_LONG'] === '1';
const WAL = `${FOLDER}/wal`;
const SNAP = `${FOLDER}/snap`;
const PLACE: WalPlace = {
  walFolder: WAL,
  snapFolder: SNAP,
  clusterId: CLUSTER,
  memberHash: new Uint8Array(8).fill(7),
};

type Files = Map<string, Uint8Array>;

const append = (first: number, count: number, size: number): Operation => ({
  kind: 'persist',
  batch: { entries: entries(first, count, 1, size) },
});
const save = (index: number, keepFrom: number): Operation => ({
  kind: 'save',
  meta: snapshotMeta(index, 1),
  bytes: new Uint8Array(70_000).fill(index),
  keepFrom,
});

/** Four segments, two snapshots, a last batch of two slots. */
function writtenDisk(keepFrom = 1): SimulatedDisk {
  const log = new DrivenLog(newDisk());
  const operations: Operation[] = [
    { kind: 'persist', batch: { hardState: hardState(1, MEMBER) } },
    append(1, 2, 600),
    append(3, 4, 1500),
    save(3, keepFrom),
    append(7, 1, 10),
    save(5, keepFrom),
    append(8, 3, 1500),
  ];
  assert.equal(log.run(operations), true, log.failure?.message);
  return log.disk.afterCrash(KEEP_ALL);
}

interface Place {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** Every batch there is, in the order of writing. */
function batchesOf(files: Files): Place[] {
  const found: Place[] = [];
  for (const path of walPaths(files)) {
    const bytes = files.get(path) as Uint8Array;
    for (let at = SEGMENT_HEADER_BYTES; at < bytes.length; ) {
      const header = readBatchHeader(bytes, at);
      if (header instanceof FormatFault) break;
      const end = at + batchSize(header.payloadSize);
      found.push({ path, start: at, end });
      at = end;
    }
  }
  return found;
}

function walPaths(files: Files): string[] {
  return [...files.keys()].filter((path) => path.endsWith('.wal')).sort();
}

function recover(files: Files): RecoveredLog | DamagedLogError {
  try {
    return recoverWal(newDisk().withFiles(files), PLACE).log;
  } catch (error) {
    if (error instanceof DamagedLogError) return error;
    throw error;
  }
}

function changed(files: Files, path: string, change: (bytes: Uint8Array) => void): Files {
  const bytes = (files.get(path) as Uint8Array).slice();
  change(bytes);
  return new Map(files).set(path, bytes);
}

function flipped(files: Files, path: string, at: number, bit = 0x10): Files {
  return changed(files, path, (bytes) => {
    bytes[at] = (bytes[at] as number) ^ bit;
  });
}

function indexes(log: RecoveredLog): number[] {
  return log.entries.map(({ index }) => index);
}

function assertDamage(verdict: RecoveredLog | DamagedLogError, path: string, from: number, to: number): void {
  assert.ok(verdict instanceof DamagedLogError, `${path} ${from}: the damage was not noticed`);
  assert.equal(verdict.exitCode, 65);
  assert.equal(verdict.file, path);
  assert.ok(verdict.offset >= from && verdict.offset < to, `${verdict.offset} lies in ${from}..${to}`);
  assert.ok(verdict.message.includes(path) && verdict.message.includes(String(verdict.offset)));
}

describe('the log with damage', () => {
  const files = writtenDisk().files();
  const whole = recover(files) as RecoveredLog;
  const batches = batchesOf(files);
  const last = batches[batches.length - 1] as Place;

  it('reads back what was written', () => {
    assert.deepEqual(indexes(whole), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.equal(whole.snapshot?.meta.lastLog.index, 5);
    assert.equal(whole.tornTail, undefined);
    assert.ok(walPaths(files).length >= 3 && last.end - last.start > 4096);
  });

  it('P-55: any flipped byte of a synced batch is damage with file and offset, never a shorter log', () => {
    for (const { path, start, end } of batches.slice(0, -1)) {
      for (let at = start; at < end; at += isLong || at < start + 160 ? 1 : 23) {
        assertDamage(recover(flipped(files, path, at, 1 << (at % 8))), path, start, end);
      }
    }
  });

  it('P-55: so is a flipped byte of a segment header', () => {
    for (const path of walPaths(files)) {
      for (let at = 0; at < SEGMENT_HEADER_BYTES; at += isLong || at < 160 ? 1 : 23) {
        assertDamage(recover(flipped(files, path, at)), path, 0, SEGMENT_HEADER_BYTES);
      }
    }
  });

  it('a flipped byte of the very last batch loses that batch at most, and says what it claimed', () => {
    for (let at = last.start; at < last.end; at += isLong || at < last.start + 160 ? 1 : 23) {
      const verdict = recover(flipped(files, last.path, at));
      if (verdict instanceof DamagedLogError) continue; // A damaged header with more behind it: whose it was is unknown.
      assert.deepEqual(indexes(verdict), [1, 2, 3, 4, 5, 6, 7]);
      assert.ok((verdict.tornTail?.index ?? 0) > 7);
    }
  });

  it('a seal after it makes the last batch as safe as the others', () => {
    const log = new DrivenLog(newDisk().withFiles(files));
    log.run([{ kind: 'quiet' }]);
    const sealed = log.disk.files();
    for (const { path, start, end } of batchesOf(sealed).slice(0, -1)) {
      assertDamage(recover(flipped(sealed, path, start + BATCH_HEADER_BYTES)), path, start, end);
    }
  });

  it('a bit in room that nothing was written to changes nothing that is kept', () => {
    for (const path of walPaths(files)) {
      const size = (files.get(path) as Uint8Array).length;
      const end = Math.max(...batches.filter((batch) => batch.path === path).map((batch) => batch.end));
      for (let at = end; at < size; at += 97) {
        const verdict = recover(flipped(files, path, at));
        assert.ok(!(verdict instanceof DamagedLogError));
        assert.deepEqual(indexes(verdict), indexes(whole));
      }
    }
  });

  it('sectors that were zeroed, doubled or swapped are refused, or make no difference', () => {
    const random = new SeededRandom(11);
    const durable = batches.slice(0, -1);
    for (let i = 0; i < (isLong ? 5000 : 400); i++) {
      const pick = (): { path: string; at: number } => {
        const { path, start, end } = durable[Math.floor(random.next() * durable.length)] as Place;
        return { path, at: start + 512 * Math.floor((random.next() * (end - start)) / 512) };
      };
      const a = pick();
      const b = pick();
      const sector = (place: typeof a): Uint8Array =>
        (files.get(place.path) as Uint8Array).slice(place.at, place.at + 512);
      const put = (into: Files, place: typeof a, bytes: Uint8Array): Files =>
        changed(into, place.path, (all) => all.set(bytes, place.at));
      const kinds = [
        put(files, a, new Uint8Array(512)),
        put(files, a, sector(b)),
        put(put(files, a, sector(b)), b, sector(a)),
      ];
      for (const harmed of kinds) {
        const verdict = recover(harmed);
        if (!(verdict instanceof DamagedLogError)) assert.deepEqual(verdict, whole);
      }
    }
  });

  it('a segment that is missing, doubled, swapped or of another node is refused', () => {
    const paths = walPaths(files);
    for (const path of paths) {
      const without = new Map(files);
      without.delete(path);
      assert.ok(recover(without) instanceof DamagedLogError, `${path} missing`);
      for (const other of paths) {
        if (other === path) continue;
        const swapped = new Map(files)
          .set(path, files.get(other) as Uint8Array)
          .set(other, files.get(path) as Uint8Array);
        assert.ok(recover(swapped) instanceof DamagedLogError, `${path} and ${other} swapped`);
        assert.ok(recover(new Map(files).set(path, files.get(other) as Uint8Array)) instanceof DamagedLogError);
      }
      for (const size of [0, 17, 4096, 4096 + 512]) {
        const cut = new Map(files).set(path, (files.get(path) as Uint8Array).slice(0, size));
        const verdict = recover(cut);
        if (!(verdict instanceof DamagedLogError))
          assert.equal(path, paths[paths.length - 1], `${path} cut to ${size}`);
      }
    }
    const stranger = { ...PLACE, memberHash: new Uint8Array(8).fill(8) };
    assert.throws(() => recoverWal(newDisk().withFiles(files), stranger), IdentityMismatchError);
  });

  it('a batch whose checksums are right and whose records are not is refused', () => {
    const payload = encodeRecords([{ kind: 'hardState', hardState: hardState(2) }]);
    payload[4] = 99;
    const header = readBatchHeader(files.get(last.path) as Uint8Array, last.start);
    assert.ok(!(header instanceof FormatFault));
    const harmed = changed(files, last.path, (bytes) => {
      bytes.fill(0, last.start, last.end);
      const room = bytes.subarray(last.start, last.start + batchSize(payload.length));
      encodeBatch(room, { ...header, truncatedFrom: NO_INDEX, recordCount: 1 }, [payload]);
    });
    assertDamage(recover(harmed), last.path, last.start, last.end);
  });

  it('a block that another once written for this place has replaced is noticed by the chain', () => {
    const [, first, second] = batches as [Place, Place, Place];
    assert.equal(first.path, second.path);
    const header = readBatchHeader(files.get(first.path) as Uint8Array, first.start);
    assert.ok(!(header instanceof FormatFault));
    const payload = encodeRecords(entries(1, 2, 1, 601).map((value) => ({ kind: 'entry', entry: value })));
    const harmed = changed(files, first.path, (bytes) => {
      encodeBatch(bytes.subarray(first.start, first.end), { ...header, recordCount: 2 }, [payload]);
    });
    assertDamage(recover(harmed), second.path, second.start, second.end);
  });

  it('refuses each time and leaves the data where it is', () => {
    const first = batches[1] as Place;
    const disk = newDisk().withFiles(flipped(files, first.path, first.start + 200));
    for (let i = 0; i < 3; i++) {
      const { operations } = disk;
      assert.throws(
        () => new DrivenLog(disk),
        (error) => error instanceof DamagedLogError && error.offset === first.start,
      );
      assert.equal(disk.operations, operations, 'nothing was touched');
    }
  });
});

describe('a torn last batch', () => {
  const files = writtenDisk().files();
  const batches = batchesOf(files);
  const last = batches[batches.length - 1] as Place;

  it('starts, whichever 512-byte boundary the write got to', () => {
    for (let at = last.start; at <= last.end; at += 512) {
      const disk = newDisk().withFiles(changed(files, last.path, (bytes) => bytes.fill(0, at, last.end)));
      const { recovered } = new DrivenLog(disk);
      const isWhole = indexes(recovered).length === 10;
      assert.deepEqual(indexes(recovered), isWhole ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [1, 2, 3, 4, 5, 6, 7]);
      if (at > last.start && !isWhole) assert.deepEqual(recovered.tornTail, { term: 1, index: 10 });
      if (at === last.end) assert.ok(isWhole);
    }
  });

  it('is told of again after a restart, until the log has caught up with what it claimed', () => {
    const torn = newDisk().withFiles(changed(files, last.path, (bytes) => bytes.fill(0, last.start + 512, last.end)));
    const first = new DrivenLog(torn);
    assert.deepEqual(first.recovered.tornTail, { term: 1, index: 10 });
    const second = new DrivenLog(first.disk.afterKill());
    assert.deepEqual(second.recovered.tornTail, { term: 1, index: 10 });
    second.run([append(8, 3, 10)]);
    assert.equal(new DrivenLog(second.disk.afterKill()).recovered.tornTail, undefined);
  });

  it('whose first sector never arrived is dropped with a claim of one entry more', () => {
    const harmed = changed(files, last.path, (bytes) => bytes.fill(0, last.start, last.start + 512));
    const verdict = recover(harmed) as RecoveredLog;
    assert.deepEqual(indexes(verdict), [1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(verdict.tornTail, { term: 1, index: 8 });
  });
});

describe('snapshots with damage', () => {
  it('an older snapshot serves when the log goes on from it', () => {
    const files = writtenDisk(1).files();
    const newest = [...files.keys()]
      .filter((path) => path.startsWith(SNAP))
      .sort()
      .at(-1) as string;
    const size = (files.get(newest) as Uint8Array).length;
    for (let at = 0; at < size; at += isLong ? 7 : 997) {
      const verdict = recover(flipped(files, newest, at)) as RecoveredLog;
      assert.equal(verdict.snapshot?.meta.lastLog.index, 3);
      assert.equal(verdict.entries.length, 10);
    }
  });

  it('otherwise the damage names the snapshot, also when it is missing', () => {
    const files = writtenDisk(5).files();
    const newest = [...files.keys()]
      .filter((path) => path.startsWith(SNAP))
      .sort()
      .at(-1) as string;
    assertDamage(recover(flipped(files, newest, 500)), newest, 0, 1_000_000);
    const without = new Map(files);
    without.delete(newest);
    assertDamage(recover(without), newest, 0, 1);
    const older = [...files.keys()].filter((path) => path.startsWith(SNAP)).sort()[0] as string;
    assert.ok(!(recover(flipped(files, older, 500)) instanceof DamagedLogError), 'the older one is not needed');
  });

  it('a whole snapshot that is not the one the log refers to, though of its name, is damage', () => {
    const files = writtenDisk(5).files();
    const newest = [...files.keys()]
      .filter((path) => path.startsWith(SNAP))
      .sort()
      .at(-1) as string;
    const other = Buffer.concat([...encodeSnapshotFile(snapshotMeta(5, 1), new Uint8Array(70_000).fill(6))]);
    assertDamage(recover(new Map(files).set(newest, other)), newest, 0, 1);
  });

  it('a snapshot that nothing refers to is moved aside, not deleted', () => {
    const files = writtenDisk().files();
    const newest = [...files.keys()]
      .filter((path) => path.startsWith(SNAP))
      .sort()
      .at(-1) as string;
    const stray = `${SNAP}/00000000000001-000000000000ff.snap`;
    const log = new DrivenLog(newDisk().withFiles(new Map(files).set(stray, files.get(newest) as Uint8Array)));
    assert.equal(log.recovered.snapshot?.meta.lastLog.index, 5);
    assert.equal(log.disk.exists(stray), false);
    assert.equal(log.disk.exists(`${FOLDER}/quarantine/then/00000000000001-000000000000ff.snap`), true);
  });
});
