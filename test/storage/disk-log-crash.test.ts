import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../src/base/random.ts';
import type { LogIndex } from '../../src/model/ids.ts';
import type { StoreBrokenError } from '../../src/runtime/disk-errors.ts';
import { DiskFailedError, StorageFullError } from '../../src/runtime/disk-errors.ts';
import {
  after,
  assertState,
  DrivenLog,
  EMPTY_STATE,
  entries,
  entry,
  FOLDER,
  hardState,
  MEMBER,
  newDisk,
  sameState,
  snapshotMeta,
  tryOpen,
} from './log-model.ts';
import type { LogState, Operation } from './log-model.ts';
import { explore, KEEP_ALL, LOSE_ALL } from './simulated-disk.ts';
import type { Chooser, SimulatedDisk } from './simulated-disk.ts';

const isLong: boolean = process.env['FUNKNODE_LONG'] === '1';
const CRASHES_PER_POINT = isLong ? 512 : 12;
const MODEL_STEPS = isLong ? 1_000_000 : 1_500;
const MODEL_RUNS = isLong ? 500 : 75;
/** Room for a dozen batches in a segment. */
const ROOMY = { segmentBytes: 64 * 1024, firstSegmentBytes: 64 * 1024 };
const quiet: Operation = { kind: 'quiet' };

function persist(batch: Extract<Operation, { kind: 'persist' }>['batch']): Operation {
  return { kind: 'persist', batch };
}

function save(index: number, term: number, keepFrom: number, size = 300): Operation {
  return { kind: 'save', meta: snapshotMeta(index, term), bytes: new Uint8Array(size).fill(index), keepFrom };
}

function install(index: number, term: number, size = 300): Operation {
  return { kind: 'install', meta: snapshotMeta(index, term), bytes: new Uint8Array(size).fill(index) };
}

const append = (first: number, count: number, term = 1, size = 20): Operation =>
  persist({ entries: entries(first, count, term, size) });
const vote = persist({ hardState: hardState(1, MEMBER) });
const bigAppends = [1, 5, 9, 13].map((first) => append(first, 4, 1, 1500));

const SEQUENCES: Readonly<Record<string, readonly Operation[]>> = {
  'a vote and a change of term': [
    vote,
    persist({ hardState: hardState(2) }),
    persist({ hardState: hardState(2, MEMBER) }),
  ],
  'appends, sealed and not': [vote, append(1, 1), quiet, append(2, 3), append(5, 100), quiet],
  'a truncation that appends': [
    vote,
    append(1, 8),
    persist({
      hardState: hardState(2),
      truncateFrom: 5 as LogIndex,
      entries: entries(5, 2, 2),
      commitHint: 4 as LogIndex,
    }),
    append(7, 1, 2),
  ],
  'entries that replace others': [vote, append(1, 4), persist({ hardState: hardState(3), entries: entries(2, 3, 3) })],
  'a rotation': [vote, ...bigAppends, append(17, 1)],
  'a rotation for a batch larger than a segment': [vote, append(1, 1), append(2, 10, 1, 4000), append(12, 1)],
  'a snapshot that keeps the log': [vote, append(1, 6), save(4, 1, 1), append(7, 1)],
  'a snapshot that drops segments': [vote, ...bigAppends, quiet, save(16, 1, 15), append(17, 2), quiet],
  'two snapshots and a third': [vote, append(1, 6), save(2, 1, 1), save(4, 1, 3), append(7, 1), save(7, 1, 8)],
  'an install into an empty log': [persist({ hardState: hardState(3) }), install(40, 2), append(41, 2, 3)],
  'an install over a log': [
    vote,
    ...bigAppends.slice(0, 2),
    save(3, 1, 2),
    persist({ hardState: hardState(5) }),
    install(90, 4),
    append(91, 1, 5),
  ],
  // A first block, one between, and a last one that is not full.
  'a snapshot of several blocks': [vote, append(1, 3), save(3, 1, 4, 150_000), append(4, 1)],
};

function statesOf(operations: readonly Operation[]): LogState[] {
  const states = [EMPTY_STATE];
  for (const operation of operations) states.push(after(states[states.length - 1] as LogState, operation));
  return states;
}

/** I-25, I-26: what is found is what some prefix made, and every acknowledged operation is in that prefix. */
function assertPrefix(log: DrivenLog, states: readonly LogState[], acknowledged: number, context: string): number {
  for (let count = states.length - 1; count >= acknowledged; count--) {
    if (sameState(log.recovered, states[count] as LogState)) return count;
  }
  assertState(log.recovered, states[acknowledged] as LogState);
  return assert.fail(context);
}

/** A torn write may claim more than is there, and says so; nothing else is forgiven. */
function recoverAndGoOn(disk: SimulatedDisk, states: readonly LogState[], acknowledged: number, context: string): void {
  const log = new DrivenLog(disk);
  const count = assertPrefix(log, states, acknowledged, context);
  const state = states[count] as LogState;
  const term = Math.max(state.hardState.term, 9);
  const more = persist({ hardState: hardState(term), entries: [entry(state.next, term)] });
  assert.equal(log.run([more]), true, `${context}: ${log.failure?.message}`);
  assertState(new DrivenLog(log.disk.afterCrash(LOSE_ALL)).recovered, after(state, more));
}

function enumerate(operations: readonly Operation[], seed: number): number {
  const states = statesOf(operations);
  const random = new SeededRandom(seed);
  const whole = new DrivenLog(newDisk());
  const opening = whole.disk.operations;
  assert.equal(whole.run(operations), true, whole.failure?.message);
  let recoveries = 0;
  for (let cut = 0; cut < whole.disk.operations - opening; cut++) {
    const log = new DrivenLog(newDisk());
    log.disk.cutPowerAfter(cut);
    log.run(operations);
    const crash = (chooser: Chooser): void =>
      recoverAndGoOn(log.disk.afterCrash(chooser), states, log.acknowledged, `power cut before operation ${cut}`);
    crash(LOSE_ALL);
    crash(KEEP_ALL);
    recoveries += 2 + explore(CRASHES_PER_POINT, () => random.next(), crash);
  }
  return recoveries;
}

describe('the log after a power cut', () => {
  for (const [name, operations] of Object.entries(SEQUENCES)) {
    it(`I-25, I-26: holds every acknowledged batch, and the rest whole or not at all: ${name}`, () => {
      assert.ok(enumerate(operations, 1) > operations.length);
    });
  }

  it('survives a second power cut while it recovers, at every operation', () => {
    const operations = SEQUENCES['an install over a log'] as readonly Operation[];
    const states = statesOf(operations);
    const whole = new DrivenLog(newDisk());
    whole.run(operations);
    const opened = new DrivenLog(newDisk()).disk.operations;
    for (let cut = 1; cut < whole.disk.operations - opened; cut += isLong ? 1 : 3) {
      const log = new DrivenLog(newDisk());
      log.disk.cutPowerAfter(cut);
      log.run(operations);
      for (let second = 0; ; second++) {
        const disk = log.disk.afterCrash(KEEP_ALL);
        disk.cutPowerAfter(second);
        const again = tryOpen(disk);
        recoverAndGoOn(disk.afterCrash(LOSE_ALL), states, log.acknowledged, `cuts ${cut} and ${second}`);
        recoverAndGoOn(disk.afterCrash(KEEP_ALL), states, log.acknowledged, `cuts ${cut} and ${second}`);
        if (again !== undefined) break;
      }
    }
  });

  it('survives a power cut during the very first start', () => {
    for (let cut = 0; ; cut++) {
      const disk = newDisk();
      disk.cutPowerAfter(cut);
      const log = tryOpen(disk);
      for (const chooser of [LOSE_ALL, KEEP_ALL])
        recoverAndGoOn(disk.afterCrash(chooser), [EMPTY_STATE], 0, `cut ${cut}`);
      if (log !== undefined) return;
    }
  });

  it(`P-60: equals an array after ${MODEL_STEPS} random appends, truncations, snapshots, installs and crashes`, (t) => {
    const run = (steps: readonly Step[], seed: number): void => {
      taken += steps.length;
      runSteps(steps, seed);
    };
    let taken = 0;
    for (let seed = 1; taken < MODEL_STEPS; seed++)
      fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), fc.nat(), run), {
        numRuns: MODEL_RUNS,
        seed: isLong ? seed : Date.now(),
      });
    t.diagnostic(`${taken} steps`);
  });
});

type Step =
  | { readonly kind: 'append'; readonly count: number; readonly size: number }
  | { readonly kind: 'replace'; readonly back: number; readonly count: number }
  | { readonly kind: 'term' | 'quiet' | 'kill' | 'close' }
  | { readonly kind: 'save'; readonly back: number; readonly trail: number }
  | { readonly kind: 'install'; readonly ahead: number }
  | { readonly kind: 'crash'; readonly cut: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      count: fc.integer({ min: 1, max: 9 }),
      size: fc.integer({ min: 0, max: 2500 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replace' as const),
      back: fc.nat(5),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('term' as const, 'quiet' as const, 'kill' as const, 'close' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('save' as const), back: fc.nat(6), trail: fc.nat(6) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('install' as const), ahead: fc.integer({ min: 1, max: 50 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), cut: fc.nat(12) }) },
);

/** Turns a step into an operation that a Raft core could ask for in this state. */
function operationOf(wanted: Step, state: LogState): Operation | undefined {
  const term = Math.max(1, state.hardState.term);
  const known = state.hardState.term >= 1 ? {} : { hardState: hardState(1) };
  const floor = Math.max(state.keepFrom, (state.snapshot?.meta.lastLog.index ?? 0) + 1);
  switch (wanted.kind) {
    case 'append':
      return persist({
        ...known,
        entries: entries(state.next, wanted.count, term, wanted.size),
        commitHint: (state.next - 1) as LogIndex,
      });
    case 'replace': {
      const from = Math.max(floor, state.next - wanted.back, state.commitHint + 1);
      return persist({
        hardState: hardState(term + 1),
        truncateFrom: from as LogIndex,
        entries: entries(from, wanted.count, term + 1),
      });
    }
    case 'term':
      return persist({ hardState: hardState(term + 1, MEMBER) });
    case 'save': {
      const index = state.next - 1 - wanted.back;
      const last = state.entries.find((candidate) => candidate.index === index);
      if (last === undefined || index <= (state.snapshot?.meta.lastLog.index ?? 0)) return undefined;
      return save(index, last.term, index - wanted.trail);
    }
    case 'install':
      if (state.hardState.term === 0) return undefined;
      return install(Math.max(state.next, state.commitHint + 1) + wanted.ahead, term);
    case 'quiet':
      return { kind: 'quiet' };
    default:
      return undefined;
  }
}

function runSteps(steps: readonly Step[], seed: number): void {
  const random = new SeededRandom(seed);
  const chooser: Chooser = { pick: (options) => Math.floor(random.next() * options) };
  let log = new DrivenLog(newDisk());
  let state = EMPTY_STATE;
  let pending: LogState | undefined;
  for (const wanted of steps) {
    if (wanted.kind === 'crash') {
      log.disk.cutPowerAfter(wanted.cut);
      continue;
    }
    if (wanted.kind === 'close') log.close();
    const operation = operationOf(wanted, state);
    if (operation !== undefined) {
      pending = after(state, operation);
      if (log.run([operation])) [state, pending] = [pending, undefined];
    }
    if (log.failure !== undefined) log = new DrivenLog(log.disk.afterCrash(chooser));
    else if (wanted.kind === 'kill') log = new DrivenLog(log.disk.afterKill());
    else if (wanted.kind === 'close') log = new DrivenLog(log.disk.afterCrash(LOSE_ALL));
    else continue;
    if (pending !== undefined && sameState(log.recovered, pending)) state = pending;
    pending = undefined;
    assertState(log.recovered, state);
  }
}

describe('the log when the disk fails', () => {
  it('P-53: a sync that fails once is final, though the next would succeed', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    log.run([vote, append(1, 2)]);
    log.disk.failOnce('sync', 'EIO');
    assert.equal(log.run([append(3, 1)]), false);
    assert.ok(log.failure instanceof DiskFailedError);
    assert.equal(log.failure.exitCode, 74);
    assert.equal(log.failure.errno, 'EIO');
    const operations = log.disk.operations;
    log.submit([append(3, 1), vote, quiet, save(2, 1, 1)]);
    assert.deepEqual(log.done, [1, 2], 'nothing is acknowledged after the failure');
    assert.equal(log.disk.operations, operations, 'nothing is tried again');
  });

  it('P-54: what a restart reads after a failed sync is made durable before it is believed', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    log.run([vote, append(1, 2)]);
    log.disk.failOnce('sync', 'EIO');
    log.run([append(3, 1)]);
    // The process restarts and sees the bytes of entry 3 in the page cache, though they never reached the platter.
    const again = new DrivenLog(log.disk.afterKill());
    assert.equal(again.recovered.entries.length, 3);
    assert.equal(new DrivenLog(again.disk.afterCrash(LOSE_ALL)).recovered.entries.length, 3);
  });

  it('P-59: a short or failed write, of a batch, a header or a name, is final', () => {
    for (const [operation, errno] of [
      ['write', 'EIO'],
      ['sync', 'EIO'],
      ['syncFolder', 'EIO'],
      ['create', 'EMFILE'],
    ] as const) {
      for (let skip = 0; ; skip++) {
        const operations = [vote, ...bigAppends, save(16, 1, 12), append(17, 3), install(30, 1)];
        const log = new DrivenLog(newDisk());
        log.disk.failOnce(operation, errno, '', skip);
        if (log.run(operations)) break;
        assert.ok(log.failure instanceof DiskFailedError, `${operation} ${skip}: ${log.failure?.message}`);
        recoverAndGoOn(
          log.disk.afterKill(),
          statesOf(operations),
          log.acknowledged,
          `${operation} ${skip}, process restarted`,
        );
        recoverAndGoOn(
          log.disk.afterCrash(LOSE_ALL),
          statesOf(operations),
          log.acknowledged,
          `${operation} ${skip}, power lost`,
        );
      }
    }
  });

  it('a batch of which only a part was written is final', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    log.run([vote, append(1, 2)]);
    log.disk.failOnce('shortWrite', '', '.wal');
    assert.equal(log.run([append(3, 1)]), false);
    assert.ok(log.failure instanceof DiskFailedError);
    assert.deepEqual(log.done, [1, 2]);
  });

  it('P-63: goes on without a snapshot, and without a spare segment, when the device is full', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    const operations = [vote, append(1, 4)];
    log.run(operations);
    // The last room on a device is filled before the next write says that it is full.
    log.disk.failOnce('shortWrite', '', '/snap/');
    log.disk.failOnce('write', 'ENOSPC', '/snap/', 1);
    log.submit([save(2, 1, 1)]);
    const refused = log.replies.find((reply) => reply.kind === 'refused');
    assert.equal(refused?.kind === 'refused' ? refused.failure.kind : undefined, 'full');
    assert.equal(new StorageFullError('x').exitCode, 74);
    assert.deepEqual(log.disk.list(`${FOLDER}/snap`), [], 'the draft gave its room back');
    log.disk.failOnce('write', 'ENOSPC', '.tmp');
    const more = [quiet, append(5, 1), quiet, append(6, 1), quiet, append(7, 1), quiet, append(8, 40, 1, 1500)];
    assert.equal(log.run(more), true, log.failure?.message);
    assert.equal(log.done.length, 5, 'the last does not fit, and waits');
    log.actor.lookForRoom();
    log.submit([]);
    assert.equal(log.done.length, 6);
    assertState(
      new DrivenLog(log.disk.afterCrash(LOSE_ALL)).recovered,
      statesOf([...operations, ...more]).at(-1) as LogState,
    );
  });

  it('P-56: a torn write leaves nothing behind that a later start could read', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    log.run([vote, append(1, 2)]);
    log.disk.cutPowerAfter(1); // The write takes place, its sync does not.
    log.run([append(3, 6, 1, 1500)]);
    const random = new SeededRandom(5);
    explore(
      200,
      () => random.next(),
      (chooser) => {
        const again = new DrivenLog(log.disk.afterCrash(chooser));
        const before = again.recovered.entries.length;
        assert.ok(before === 2 || before === 8, 'the batch is there as a whole or not at all');
        again.run([append(before + 1, 1)]);
        const third = new DrivenLog(again.disk.afterCrash(LOSE_ALL));
        assert.equal(third.recovered.entries.length, before + 1);
      },
    );
  });

  it('I-8, I-10: refuses for good a batch that breaks the log, rather than write it', () => {
    const wrong: Operation[] = [
      append(5, 1),
      append(3, 1, 2),
      persist({ hardState: hardState(0) }),
      persist({ hardState: hardState(1) }),
      persist({ hardState: hardState(1, 'n2@0123456789abcdef' as typeof MEMBER) }),
    ];
    for (const operation of wrong) {
      const log = new DrivenLog(newDisk(), ROOMY);
      log.run([vote, append(1, 2)]);
      assert.equal(log.run([operation]), false);
      assert.equal((log.failure as StoreBrokenError).exitCode, 70);
      assertState(new DrivenLog(log.disk.afterKill()).recovered, statesOf([vote, append(1, 2)]).at(-1) as LogState);
    }
  });

  it('takes a commit index that is ahead of the entries for what it is: a hint', () => {
    const operations = [vote, persist({ entries: entries(1, 2, 1), commitHint: 40 as LogIndex }), append(3, 1)];
    const log = new DrivenLog(newDisk());
    log.run(operations);
    const again = new DrivenLog(log.disk.afterKill());
    assert.equal(again.recovered.commitHint, 2);
    assertState(again.recovered, statesOf(operations).at(-1) as LogState);
  });

  it('closes every file it opened', () => {
    const log = new DrivenLog(newDisk());
    log.run([vote, ...bigAppends, quiet, save(16, 1, 12), install(40, 1), append(41, 2)]);
    log.close();
    assert.equal(log.disk.openFiles, 0);
  });
});

describe('group commit', () => {
  it('merges the batches that wait into one write and acknowledges them in order', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    const before = log.disk.operations;
    log.submit([
      vote,
      append(1, 2),
      append(3, 2),
      persist({ hardState: hardState(2), truncateFrom: 4 as LogIndex, entries: entries(4, 3, 2) }),
    ]);
    assert.equal(log.disk.operations - before, 2, 'one write and one sync');
    assert.deepEqual(log.done, [1, 2, 3, 4]);
    assert.deepEqual(
      new DrivenLog(log.disk.afterCrash(LOSE_ALL)).recovered.entries.map(({ index, term }) => [index, term]),
      [
        [1, 1],
        [2, 1],
        [3, 1],
        [4, 2],
        [5, 2],
        [6, 2],
      ],
    );
  });

  it('writes what was asked for before an install before it, and what came after it after', () => {
    const log = new DrivenLog(newDisk());
    const operations = [vote, append(1, 2), install(20, 1), append(21, 1)];
    log.submit(operations);
    assert.deepEqual(log.done, [1, 2, 3, 4]);
    assertState(new DrivenLog(log.disk.afterCrash(LOSE_ALL)).recovered, statesOf(operations).at(-1) as LogState);
  });

  it('seals a batch after quiet, once', () => {
    const log = new DrivenLog(newDisk(), ROOMY);
    log.run([vote]);
    assert.equal(log.actor.wantsSeal, true);
    log.run([quiet]);
    assert.equal(log.actor.wantsSeal, false);
    const { operations } = log.disk;
    log.run([quiet]);
    assert.equal(log.disk.operations, operations);
  });

  it('keeps two snapshots, and the segments that hold what is kept', () => {
    const log = new DrivenLog(newDisk());
    log.run([vote, ...bigAppends, save(4, 1, 1), save(8, 1, 5), save(16, 1, 13)]);
    assert.equal(log.disk.list(`${FOLDER}/snap`).length, 2);
    assert.equal(log.recovered.entries.length, 0);
    const again = new DrivenLog(log.disk.afterCrash(LOSE_ALL));
    assert.deepEqual(
      again.recovered.entries.map(({ index }) => index),
      [13, 14, 15, 16],
    );
    assert.ok(again.disk.list(`${FOLDER}/wal`).every((name) => name.endsWith('.wal')));
  });
});
