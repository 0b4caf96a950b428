import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogIndex, NodeId, Term } from '../../src/model/ids.ts';
import { openDataDirectory } from '../../src/runtime/data-directory.ts';
import type { DataDirectory } from '../../src/runtime/data-directory.ts';
import { chooseSlot } from '../../src/runtime/data-slots.ts';
import {
  DamagedLogError,
  DataLostError,
  DirectoryLockedError,
  DirectoryUnusableError,
  FlockUnusableError,
  IdentityMismatchError,
  StorageError,
  StoreClosedError,
  StoreRefusedError,
} from '../../src/runtime/disk-errors.ts';
import { openMemoryStorage } from '../../src/runtime/memory-log.ts';
import { walDump } from '../../src/runtime/wal-dump.ts';
import { encodeConfiguration } from '../../src/wire/raft/entry.ts';
import { FormatFault } from '../../src/wire/raft/format-fault.ts';
import { encodeIdentity } from '../../src/wire/raft/identity.ts';
import type { LogRecord } from '../../src/wire/raft/record.ts';
import { CLUSTER, CONFIGURATION, entries, entry, snapshotMeta } from './log-model.ts';
import { refusal } from './refusal.ts';

const root: string = mkdtempSync(join(tmpdir(), 'funknode-storage-'));
const term = 1 as Term;
let folders = 0;

function newPath(): string {
  folders += 1;
  return join(root, String(folders));
}

/** A member of a cluster with three entries, the first of them the configuration that names it. */
async function writeMember(path: string, count = 3): Promise<DataDirectory> {
  const directory = await openDataDirectory(path, { nodeId: 'n1' as NodeId, segmentBytes: 64 * 1024 });
  await directory.log.identify(CLUSTER);
  const data = encodeConfiguration({ ...CONFIGURATION, voters: [directory.memberId] });
  const first = { index: 1 as LogIndex, term, kind: 'config' as const, data };
  await directory.log.persist({
    batchSeq: 1,
    underTerm: term,
    hardState: { term, vote: directory.memberId },
    entries: [first, ...entries(2, count - 1, 1)],
  });
  return directory;
}

interface Held {
  readonly said: Record<string, unknown>;
  readonly child: ChildProcess;
  letGo(): Promise<number | null>;
}

const children: Set<ChildProcess> = new Set();

function start(program: string, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(new URL(`./programs/${program}.js`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function hold(...args: string[]): Promise<Held> {
  const child = start('hold-directory', args);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [line] = (await once(lines, 'line')) as [string];
  return {
    said: JSON.parse(line) as Record<string, unknown>,
    child,
    letGo: async () => {
      child.stdin?.end();
      return (await exited)[0];
    },
  };
}

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

after(() => rmSync(root, { recursive: true, force: true }));

describe('a data directory', () => {
  it('keeps the node, its stamp, its cluster, its vote and its log', async () => {
    const path = newPath();
    const first = await writeMember(path);
    assert.equal(first.isNew, true);
    assert.equal(first.hasVote, false);
    assert.match(first.stamp, /^[0-9a-f]{16}$/);
    await first.release();
    const second = await openDataDirectory(path);
    assert.deepEqual([second.nodeId, second.stamp, second.log.clusterId], [first.nodeId, first.stamp, CLUSTER]);
    assert.deepEqual([second.isNew, second.hasVote], [false, true]);
    assert.deepEqual(second.log.recovered.hardState, { term, vote: first.memberId });
    assert.deepEqual(
      second.log.recovered.entries.slice(1).map(({ data }) => [...data]),
      entries(2, 2, 1).map(({ data }) => [...data]),
    );
    await second.release();
  });

  it('mints a name of 16 hex digits, and keeps it', async () => {
    const path = newPath();
    const first = await openDataDirectory(path);
    assert.match(first.nodeId, /^[0-9a-f]{16}$/);
    await first.release();
    const second = await openDataDirectory(path);
    assert.equal(second.nodeId, first.nodeId);
    await second.release();
  });

  it('resolves batches in order, and installs and saves snapshots across the thread', async () => {
    const path = newPath();
    const { log, release, stats } = await writeMember(path);
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        log.persist({ batchSeq: i + 2, underTerm: term, entries: [entry(i + 4, 1, 500)] }).then(() => order.push(i)),
      ),
    );
    assert.deepEqual(
      order,
      Array.from({ length: 300 }, (_, i) => i),
    );
    const state = new Uint8Array(150_000).fill(3);
    await log.saveSnapshot(snapshotMeta(200, 1), state, 150);
    assert.ok(stats().batches < 300, 'what waited together was written together');
    assert.equal(stats().snapshots, 1);
    await release();
    const second = await openDataDirectory(path);
    assert.deepEqual(Buffer.from(second.log.recovered.snapshot?.bytes ?? []), Buffer.from(state));
    assert.deepEqual([second.log.recovered.entries[0]?.index, second.log.recovered.entries.at(-1)?.index], [150, 303]);
    await second.log.installSnapshot(snapshotMeta(900, 1), state);
    await second.log.persist({ batchSeq: 1, underTerm: term, entries: [entry(901, 1)] });
    await second.release();
    const third = await openDataDirectory(path);
    assert.deepEqual(
      third.log.recovered.entries.map(({ index }) => index),
      [901],
    );
    assert.deepEqual(third.log.recovered.snapshot?.meta, snapshotMeta(900, 1));
    // What was agreed in a term that this member never heard of: it has no vote in it.
    await third.log.installSnapshot(snapshotMeta(1_000, 7), state);
    await third.release();
    const fourth = await openDataDirectory(path);
    assert.deepEqual(fourth.log.recovered.hardState, { term: 7, vote: null });
    await fourth.release();
  });

  it('belongs to one cluster for good', async () => {
    const { log, release } = await writeMember(newPath());
    await log.identify(CLUSTER);
    await refusal(log.identify('BBBBBBBBBBBBBBBBBBBBBB' as typeof CLUSTER), StoreRefusedError);
    await release();
  });

  it('answers every call after its end', async () => {
    const { log, release } = await writeMember(newPath());
    const last = log.persist({ batchSeq: 2, underTerm: term, entries: [entry(4, 1)] });
    await release();
    await last;
    await refusal(log.persist({ batchSeq: 3, underTerm: term }), StoreClosedError);
    await release();
  });

  it('of another node is refused with 78, and stays as it was', async () => {
    const path = newPath();
    await (await writeMember(path)).release();
    const error = await refusal(openDataDirectory(path, { nodeId: 'n2' as NodeId }), IdentityMismatchError);
    assert.equal(error.exitCode, 78);
    assert.match(error.message, /belongs to node n1, not to n2/);
    await (await openDataDirectory(path, { nodeId: 'n1' as NodeId })).release();
  });

  it('R-1: whose log is gone is refused with 65 each time, and the message says what to do', async () => {
    const path = newPath();
    await (await writeMember(path)).release();
    rmSync(join(path, 'wal'), { recursive: true });
    for (let i = 0; i < 2; i++) {
      const error = await refusal(openDataDirectory(path), DataLostError);
      assert.equal(error.exitCode, 65);
      assert.match(error.message, /set the data aside \(funknode recover rejoin\) and start again/i);
    }
  });

  it('that belonged to no cluster yet and lost its log is a new member under the same name', async () => {
    const path = newPath();
    const first = await openDataDirectory(path);
    await first.release();
    rmSync(join(path, 'wal'), { recursive: true });
    const second = await openDataDirectory(path);
    assert.equal(second.nodeId, first.nodeId);
    assert.notEqual(second.stamp, first.stamp);
    await second.release();
  });

  it('R-2: with a flipped byte in the middle of the log is refused with 65, file and offset, each time', async () => {
    const path = newPath();
    const { log, release } = await writeMember(path);
    for (let i = 0; i < 4; i++) await log.persist({ batchSeq: i + 2, underTerm: term, entries: [entry(i + 4, 1)] });
    await release();
    const segment = join(path, 'wal', readdirSync(join(path, 'wal'))[0] ?? '');
    const bytes = readFileSync(segment);
    bytes[4096 + 200] = (bytes[4096 + 200] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    for (let i = 0; i < 3; i++) {
      const error = await refusal(openDataDirectory(path), DamagedLogError);
      assert.deepEqual([error.exitCode, error.file, error.offset], [65, segment, 4096]);
      assert.deepEqual(readFileSync(segment), bytes);
    }
  });

  it('with a torn last record starts, and says what was torn', async () => {
    const path = newPath();
    const { log, release } = await writeMember(path);
    await log.persist({ batchSeq: 2, underTerm: term, entries: entries(4, 8, 1, 1500) });
    await release();
    const segment = join(path, 'wal', readdirSync(join(path, 'wal'))[0] ?? '');
    const bytes = readFileSync(segment);
    // The batch of three slots is followed by the seal of the orderly stop: the power went before either was whole.
    const seal = bytes.lastIndexOf(Buffer.from('FNBT'));
    bytes.fill(0, seal - 4096);
    writeFileSync(segment, bytes);
    const again = await openDataDirectory(path);
    assert.equal(again.log.recovered.entries.length, 3);
    assert.deepEqual(again.log.recovered.tornTail, { term: 1, index: 11 });
    await again.release();
  });

  it('with a damaged or newer identity is refused, by name', async () => {
    const path = newPath();
    const { nodeId, stamp, release } = await writeMember(path);
    await release();
    const file = join(path, 'IDENTITY');
    const good = readFileSync(file, 'latin1');
    writeFileSync(file, good.replace('n1', 'n2'));
    assert.equal((await refusal(openDataDirectory(path), DamagedLogError)).file, file);
    rmSync(file);
    assert.equal((await refusal(openDataDirectory(path), DamagedLogError)).file, file);
    writeFileSync(file, encodeIdentity({ nodeId, stamp, createdAt: 0 }));
    await (await openDataDirectory(path)).release();
  });

  it('starts over as a new member, the old data moved aside, also when a crash comes in between', async () => {
    const path = newPath();
    const old = await writeMember(path);
    const fresh = await old.startOver();
    assert.deepEqual([fresh.nodeId, fresh.isNew, fresh.hasVote], [old.nodeId, true, false]);
    assert.notEqual(fresh.stamp, old.stamp);
    assert.equal(fresh.log.clusterId, undefined);
    await refusal(openDataDirectory(path), DirectoryLockedError);
    const [aside = ''] = readdirSync(join(path, 'quarantine'));
    assert.deepEqual(readdirSync(join(path, 'quarantine', aside)).sort(), ['CLUSTER', 'IDENTITY', 'snap', 'wal']);
    await fresh.log.identify(CLUSTER);
    await fresh.release();
    writeFileSync(join(path, 'ASIDE'), 'later\n');
    rmSync(join(path, 'IDENTITY')); // The crash came after the first of the moves.
    const third = await openDataDirectory(path, { nodeId: 'n3' as NodeId });
    assert.deepEqual([third.nodeId, third.isNew], ['n3', true]);
    assert.equal(existsSync(join(path, 'ASIDE')), false);
    await third.release();
  });

  it('can be looked into without being changed', async () => {
    const path = newPath();
    const { release } = await writeMember(path);
    await release();
    const dump = walDump(path);
    const kinds = dump.segments.flatMap(({ batches }) =>
      batches.map(({ records }) => (records as LogRecord[]).map(({ kind }) => kind)),
    );
    assert.deepEqual(kinds, [['hardState', 'entry', 'entry', 'entry'], ['seal']]);
    assert.ok(!(dump.verdict instanceof StorageError) && dump.verdict.entries.length === 3);
    const file = dump.segments[0]?.file ?? '';
    const bytes = readFileSync(file);
    bytes[4300] = (bytes[4300] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    assert.ok(walDump(path).verdict instanceof DamagedLogError);
    assert.ok(walDump(path).segments[0]?.batches[0]?.records instanceof FormatFault);
    assert.deepEqual(readFileSync(file), bytes);
  });

  it('that cannot be made is refused with 78', async () => {
    const path = newPath();
    writeFileSync(path, 'a file');
    assert.equal((await refusal(openDataDirectory(path), DirectoryUnusableError)).exitCode, 78);
  });

  it('P-62: of a running node is refused with 78, and free as soon as that node is killed', async () => {
    const path = newPath();
    const held = await hold(path);
    const error = await refusal(openDataDirectory(path), DirectoryLockedError);
    assert.equal(error.exitCode, 78);
    assert.ok(error.message.includes(path) && error.message.includes(String(held.child.pid)));
    const second = await hold(path);
    assert.equal(second.said['code'], 'FUNK_DIRECTORY_LOCKED');
    assert.equal(await second.letGo(), 78);
    const exited = once(held.child, 'exit');
    held.child.kill('SIGKILL');
    await exited;
    await (await openDataDirectory(path)).release();
    assert.ok(existsSync(join(path, 'LOCK')), 'the lock file stays');
  });

  it('is locked against a second opening in the same process too', async () => {
    const path = newPath();
    const first = await openDataDirectory(path);
    await refusal(openDataDirectory(path), DirectoryLockedError);
    await first.release();
    await (await openDataDirectory(path)).release();
  });

  it('is never used without the flock program', async () => {
    const { PATH } = process.env;
    process.env['PATH'] = '/nonexistent';
    try {
      const error = await refusal(openDataDirectory(newPath()), FlockUnusableError);
      assert.equal(error.exitCode, 78);
      assert.match(error.message, /util-linux/);
    } finally {
      process.env['PATH'] = PATH;
    }
  });

  it('I-6: loses nothing acknowledged when its process is killed under load, again and again', async () => {
    const path = newPath();
    let floor = 0;
    for (let round = 0; round < 4; round++) {
      const child = start('write-load', [path]);
      const exited = once(child, 'exit');
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
      const wanted = floor + 700 + round * 150;
      let acknowledged = floor;
      for await (const line of lines) {
        acknowledged = Math.max(acknowledged, Number(line));
        if (acknowledged >= wanted) child.kill('SIGKILL');
      }
      await exited;
      assert.ok(acknowledged >= wanted, `the writer stopped by itself at ${acknowledged}`);
      const directory = await openDataDirectory(path);
      const { entries: found, snapshot } = directory.log.recovered;
      const last = found.at(-1)?.index ?? 0;
      assert.ok(last >= acknowledged, `${acknowledged} was acknowledged, ${last} is there`);
      assert.ok((snapshot?.meta.lastLog.index ?? 0) >= 500);
      for (const { index, term: own, data } of found)
        assert.deepEqual(Buffer.from(data), Buffer.from(entry(index, own, index % 700).data));
      floor = last;
      await directory.release();
    }
  });
});

describe('default slots', () => {
  it('three nodes started at once take three, and the same three when taken down and up again', async () => {
    const base = newPath();
    const startThree = (): Promise<Held[]> => Promise.all([1, 2, 3].map(() => hold('--slot', base, 'demo')));
    const paths = (held: readonly Held[]): unknown[] => held.map(({ said }) => said['path']).sort();
    const ids = (held: readonly Held[]): unknown[] => held.map(({ said }) => said['nodeId']).sort();
    const wanted = [1, 2, 3].map((n) => join(base, 'funknode', 'demo', String(n)));
    const first = await startThree();
    assert.deepEqual(paths(first), wanted);
    assert.equal(new Set(ids(first)).size, 3);
    for (const held of first) assert.equal(await held.letGo(), 0);
    const second = await startThree();
    assert.deepEqual(paths(second), wanted);
    assert.deepEqual(ids(second), ids(first));
    assert.deepEqual(
      second.map(({ said }) => said['hasVote']),
      [true, true, true],
    );
    for (const held of second) await held.letGo();
    assert.deepEqual(readdirSync(join(base, 'funknode', 'demo')).sort(), ['.slots', '1', '2', '3']);
  });

  it('a slot whose node still has a vote comes before one without', async () => {
    const base = newPath();
    const folder = join(base, 'funknode', 'demo');
    await (await openDataDirectory(join(folder, '1'))).release();
    await (await writeMember(join(folder, '2'))).release();
    const choice = await chooseSlot(base, 'demo');
    assert.equal(choice.path, join(folder, '2'));
    const next = await chooseSlot(base, 'demo');
    assert.equal(next.path, join(folder, '1'));
    const fresh = await chooseSlot(base, 'demo');
    assert.equal(fresh.path, join(folder, '3'));
    for (const { lock } of [choice, next, fresh]) lock.release();
  });

  it('of several that may vote, the one whose log goes furthest comes first', async () => {
    const base = newPath();
    const folder = join(base, 'funknode', 'demo');
    for (const slot of ['1', '2', '3']) {
      await (await writeMember(join(folder, slot), slot === '2' ? 4 : 3)).release();
    }
    const choices = [await chooseSlot(base, 'demo'), await chooseSlot(base, 'demo')];
    assert.deepEqual(
      choices.map(({ path }) => path),
      [join(folder, '2'), join(folder, '1')],
    );
    for (const { lock } of choices) lock.release();
  });

  it('a node that was named takes its own slot, and none of another name', async () => {
    const base = newPath();
    const folder = join(base, 'funknode', 'demo');
    await (await writeMember(join(folder, '1'))).release();
    await (await openDataDirectory(join(folder, '2'), { nodeId: 'n2' as NodeId })).release();
    const own = await chooseSlot(base, 'demo', 'n2' as NodeId);
    const stranger = await chooseSlot(base, 'demo', 'n7' as NodeId);
    assert.deepEqual([own.path, stranger.path], [join(folder, '2'), join(folder, '3')]);
    for (const { lock } of [own, stranger]) lock.release();
  });

  it('a slot with damage is not passed over in silence', async () => {
    const base = newPath();
    const folder = join(base, 'funknode', 'demo');
    await (await writeMember(join(folder, '1'))).release();
    const segment = join(folder, '1', 'wal', readdirSync(join(folder, '1', 'wal'))[0] ?? '');
    const bytes = readFileSync(segment);
    bytes[4100] = (bytes[4100] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    const held = await hold('--slot', base, 'demo');
    assert.equal(held.said['code'], 'FUNK_DAMAGED_LOG');
    assert.equal(await held.letGo(), 65);
  });

  it('a cluster name never leaves the base folder', async () => {
    const base = newPath();
    for (const name of ['..', 'a/../../b', '.', '']) {
      const { path, lock } = await chooseSlot(base, name);
      assert.ok(path.startsWith(`${join(base, 'funknode')}/`), path);
      assert.equal(path.split('/').length, join(base, 'funknode').split('/').length + 2, path);
      lock.release();
    }
  });
});

describe('storage in memory', () => {
  it('keeps nothing, and is another member at each start', async () => {
    const first = openMemoryStorage({ nodeId: 'n1' as NodeId });
    await first.log.identify(CLUSTER);
    await first.log.persist({ batchSeq: 1, underTerm: term, hardState: { term, vote: null } });
    await first.log.saveSnapshot(snapshotMeta(1, 1), new Uint8Array(3), 1);
    assert.equal(first.log.clusterId, CLUSTER);
    await first.release();
    await assert.rejects(first.log.persist({ batchSeq: 2, underTerm: term }), StoreClosedError);
    const second = openMemoryStorage({ nodeId: 'n1' as NodeId });
    assert.equal(second.log.clusterId, undefined);
    assert.deepEqual(second.log.recovered.entries, []);
    assert.notEqual(second.stamp, first.stamp);
  });
});
