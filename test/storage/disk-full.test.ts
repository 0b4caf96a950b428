/** A device without room: what does not fit waits, what is promised is kept, and all goes on when there is room. raft.md 11.6, R-7, P-63. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../src/base/random.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import { DiskFailedError } from '../../src/runtime/disk-errors.ts';
import {
  after,
  assertState,
  DrivenLog,
  EMPTY_STATE,
  entries,
  FOLDER,
  hardState,
  MEMBER,
  newDisk,
  sameState,
  snapshotMeta,
  tryOpen,
} from './log-model.ts';
import type { LogState, Operation } from './log-model.ts';
import { explore, LOSE_ALL } from './simulated-disk.ts';
import type { Chooser } from './simulated-disk.ts';

const KIB = 1024;
/** Sixteen slots of which one is the header, one is for the end, four are kept, and four more make it full. */
const SEGMENT = { segmentBytes: 64 * KIB, firstSegmentBytes: 64 * KIB };
const quiet: Operation = { kind: 'quiet' };
const vote: Operation = { kind: 'persist', batch: { hardState: hardState(1, MEMBER) } };
const term = (value: number): Operation => ({ kind: 'persist', batch: { hardState: hardState(value) } });
const append = (first: number, count = 1, size = 20): Operation => ({
  kind: 'persist',
  batch: { entries: entries(first, count, 1, size) },
});
const save = (index: number, keepFrom: number): Operation => ({
  kind: 'save',
  meta: snapshotMeta(index, 1),
  bytes: new Uint8Array(100).fill(index),
  keepFrom,
});

function fullLog(): DrivenLog {
  const log = new DrivenLog(newDisk(), SEGMENT);
  log.disk.capacityBytes = 100 * KIB;
  log.run([vote]);
  return log;
}

function roomsTold(log: DrivenLog): StorageRoom[] {
  return log.replies.flatMap((reply) => (reply.kind === 'room' ? [reply.room] : []));
}

function stateAfter(operations: readonly Operation[]): LogState {
  return operations.reduce(after, EMPTY_STATE);
}

/** One entry per batch until one waits; what was acknowledged. */
function fillUp(log: DrivenLog, acknowledged: readonly Operation[] = [vote], first = 1): Operation[] {
  const done = [...acknowledged];
  for (let index = first; ; index++) {
    const before = log.done.length;
    log.submit([append(index), quiet]);
    assert.equal(log.failure, undefined);
    if (log.done.length === before) return done;
    done.push(append(index));
  }
}

describe('the log on a full device', () => {
  it('goes on in the segment it has, says that room is low, then that there is none, and holds what does not fit', () => {
    const log = fullLog();
    const acknowledged = fillUp(log);
    assert.deepEqual(roomsTold(log), ['low', 'full']);
    assert.ok(acknowledged.length >= 8, 'what was left of the segment was used');
    log.submit([append(acknowledged.length + 1)]);
    assert.equal(log.done.length, acknowledged.length, 'nothing is acknowledged that is not written');
    assert.equal(log.failure, undefined);
    assertState(new DrivenLog(log.disk.afterCrash(LOSE_ALL), SEGMENT).recovered, stateAfter(acknowledged));
  });

  it('leaves the device to others: it makes nothing that would fill it up', () => {
    const log = fullLog();
    const before = log.disk.freeBytes();
    fillUp(log);
    assert.equal(log.disk.freeBytes(), before);
    assert.equal(
      log.disk.list(`${FOLDER}/wal`).some((name) => name.endsWith('.tmp')),
      false,
    );
  });

  it('still writes terms and votes when it takes no entries', () => {
    const log = fullLog();
    const acknowledged: Operation[] = [vote];
    for (let index = 1; roomsTold(log).at(-1) !== 'full'; index++) {
      log.run([append(index), quiet]);
      acknowledged.push(append(index));
    }
    for (let value = 2; value < 7; value++) {
      log.run([term(value), quiet]);
      acknowledged.push(term(value));
    }
    assert.equal(log.done.length, acknowledged.length);
    assertState(new DrivenLog(log.disk.afterCrash(LOSE_ALL), SEGMENT).recovered, stateAfter(acknowledged));
  });

  it('R-7: writes what it held, in order, as soon as there is room, and asks nobody', () => {
    const log = fullLog();
    const acknowledged = fillUp(log);
    const next = acknowledged.length;
    const held = [append(next), term(3), append(next + 1, 4)];
    log.submit(held.slice(1));
    log.actor.lookForRoom();
    log.submit([]);
    assert.equal(log.done.length, acknowledged.length, 'there is still no room');
    log.disk.capacityBytes = 1024 * KIB;
    log.actor.lookForRoom();
    log.submit([quiet]);
    assert.equal(log.done.length, acknowledged.length + held.length);
    assert.deepEqual(roomsTold(log), ['low', 'full', 'enough']);
    assertState(
      new DrivenLog(log.disk.afterCrash(LOSE_ALL), SEGMENT).recovered,
      stateAfter([...acknowledged, ...held]),
    );
  });

  it('closes without waiting for room', () => {
    const log = fullLog();
    const acknowledged = fillUp(log);
    log.close();
    assert.ok(log.actor.isClosed);
    assert.equal(log.disk.openFiles, 0);
    assertState(new DrivenLog(log.disk.afterCrash(LOSE_ALL), SEGMENT).recovered, stateAfter(acknowledged));
  });

  it('makes room by itself when a snapshot lets segments go', () => {
    const log = new DrivenLog(newDisk(), SEGMENT);
    const many = [1, 2, 3, 4, 5, 6].map((part) => append(part * 6 - 5, 6, 2000));
    log.run([vote, ...many]);
    assert.ok(log.disk.list(`${FOLDER}/wal`).length >= 2);
    log.disk.capacityBytes = (log.disk.freeBytes() ?? 0) + 1; // Nothing more than what is there.
    const acknowledged = fillUp(log, [vote, ...many], 37);
    const used = log.disk.files();
    log.disk.capacityBytes = [...used.values()].reduce((sum, bytes) => sum + bytes.length, 0) + 8 * KIB;
    const next = acknowledged.length - many.length - 1 + 37;
    assert.equal(log.done.length, acknowledged.length, 'one is held');
    log.submit([save(30, 30)]);
    assert.equal(log.failure, undefined);
    log.submit([quiet]);
    assertState(
      new DrivenLog(log.disk.afterCrash(LOSE_ALL), SEGMENT).recovered,
      stateAfter([...acknowledged, append(next), save(30, 30)]),
    );
    assert.equal(roomsTold(log).at(-1), 'enough');
  });

  it('refuses a snapshot of the leader, changes nothing, and keeps no part of it', () => {
    const log = fullLog();
    log.run([append(1, 2)]);
    log.submit([{ kind: 'install', meta: snapshotMeta(90, 1), bytes: new Uint8Array(300) }]);
    const refused = log.replies.find((reply) => reply.kind === 'refused');
    assert.equal(refused?.kind === 'refused' ? refused.failure.kind : undefined, 'full');
    assert.deepEqual(log.disk.list(`${FOLDER}/snap`), []);
    log.run([append(3, 1)]);
    assertState(
      new DrivenLog(log.disk.afterCrash(LOSE_ALL), SEGMENT).recovered,
      stateAfter([vote, append(1, 2), append(3, 1)]),
    );
  });

  it('P-53: a sync that finds no room is as final as any failed sync', () => {
    for (const path of ['.wal', '.tmp']) {
      const log = new DrivenLog(newDisk(), SEGMENT);
      log.run([vote]);
      log.disk.failOnce('sync', 'ENOSPC', path);
      for (let index = 1; index < 20 && log.failure === undefined; index++) log.run([append(index), quiet]);
      assert.ok(log.failure instanceof DiskFailedError, path);
      assert.equal(log.failure.exitCode, 74);
      assert.match(log.failure.message, /ENOSPC: there is no room left/);
    }
  });

  it('a start that finds no room says so, and takes none away', () => {
    const log = fullLog();
    log.run([append(1, 3)]);
    const disk = log.disk.afterKill();
    disk.capacityBytes = 70 * KIB;
    const free = disk.freeBytes();
    for (let i = 0; i < 2; i++) {
      assert.throws(() => new DrivenLog(disk, SEGMENT), /ENOSPC: there is no room left; free some/);
      assert.equal(disk.freeBytes(), free);
    }
    disk.capacityBytes = 1024 * KIB;
    assertState(new DrivenLog(disk, SEGMENT).recovered, stateAfter([vote, append(1, 3)]));
  });

  it('I-25, I-26: after a power cut at any operation, before, while and after it is full, holds what was acknowledged', () => {
    const random = new SeededRandom(3);
    const wanted: Operation[] = [vote, ...Array.from({ length: 16 }, (_, i) => append(i + 1))];
    const states = wanted.map((_, i) => stateAfter(wanted.slice(0, i + 1)));
    const live = (log: DrivenLog): void => {
      for (const operation of wanted) log.submit([operation, quiet]);
      log.disk.capacityBytes = 1024 * KIB;
      log.actor.lookForRoom();
      log.submit([quiet]);
      log.submit([quiet]);
    };
    const fresh = (): DrivenLog => {
      const log = new DrivenLog(newDisk(), SEGMENT);
      log.disk.capacityBytes = 100 * KIB;
      return log;
    };
    const whole = fresh();
    const before = whole.disk.operations;
    live(whole);
    assert.equal(whole.done.length, wanted.length);
    assert.deepEqual(roomsTold(whole), ['low', 'full', 'enough']);
    for (let cut = 0; cut < whole.disk.operations - before; cut++) {
      const log = fresh();
      log.disk.cutPowerAfter(cut);
      live(log);
      explore(
        8,
        () => random.next(),
        (chooser) => {
          const again = new DrivenLog(log.disk.afterCrash(chooser), SEGMENT);
          settle(again, [EMPTY_STATE, ...states], log.done.length);
        },
      );
    }
  });

  it('loses nothing acknowledged, whenever room goes and comes and the power fails', () => {
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.nat(), runSteps), {
      numRuns: process.env['FUNKNODE_LONG'] === '1' ? 3000 : 150,
    });
  });
});

type Step =
  | { readonly kind: 'append'; readonly count: number; readonly size: number }
  | { readonly kind: 'term' | 'quiet' | 'look' }
  | { readonly kind: 'capacity'; readonly kib: number }
  | { readonly kind: 'crash'; readonly cut: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      count: fc.integer({ min: 1, max: 8 }),
      size: fc.integer({ min: 0, max: 2000 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom('term' as const, 'quiet' as const, 'look' as const) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('capacity' as const), kib: fc.integer({ min: 0, max: 300 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), cut: fc.nat(8) }) },
);

/** Operations that were asked for are a list of which those that were acknowledged are the beginning: in between is what recovery finds. */
function runSteps(steps: readonly Step[], seed: number): void {
  const random = new SeededRandom(seed);
  const chooser: Chooser = { pick: (options) => Math.floor(random.next() * options) };
  let log = new DrivenLog(newDisk(), SEGMENT);
  let states: LogState[] = [EMPTY_STATE];
  const current = (): LogState => states[states.length - 1] as LogState;
  for (const wanted of [...steps, { kind: 'crash' as const, cut: 0 }]) {
    if (wanted.kind === 'capacity') log.disk.capacityBytes = wanted.kib * KIB;
    else if (wanted.kind === 'look') log.actor.lookForRoom();
    if (wanted.kind === 'crash') {
      log.disk.cutPowerAfter(wanted.cut);
      const last = term(current().hardState.term + 1);
      states.push(after(current(), last));
      log.submit([last]);
      const found = log.disk.afterCrash(chooser);
      const again = tryOpen(found) as DrivenLog;
      const settled = settle(again, states, log.done.length);
      states = [settled];
      log = new DrivenLog(again.disk, SEGMENT);
      continue;
    }
    const operation = operationOf(wanted, current());
    if (operation !== undefined) states.push(after(current(), operation));
    log.submit(operation === undefined ? (wanted.kind === 'quiet' ? [quiet] : []) : [operation]);
    assert.equal(log.failure, undefined, log.failure?.message);
  }
}

function operationOf(wanted: Step, state: LogState): Operation | undefined {
  const own = Math.max(1, state.hardState.term);
  if (wanted.kind === 'append') {
    const known = state.hardState.term >= 1 ? {} : { hardState: hardState(1) };
    return { kind: 'persist', batch: { ...known, entries: entries(state.next, wanted.count, own, wanted.size) } };
  }
  return wanted.kind === 'term' ? term(own + 1) : undefined;
}

function settle(again: DrivenLog, states: readonly LogState[], acknowledged: number): LogState {
  const floor = Math.min(acknowledged, states.length - 1);
  const found = states.findLast((state, at) => at >= floor && sameState(again.recovered, state));
  if (found === undefined) assertState(again.recovered, states[floor] as LogState);
  return found as LogState;
}
