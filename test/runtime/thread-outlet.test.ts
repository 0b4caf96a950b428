/** What a node tells an application that does not listen: in order, within limits, and nothing is left out unsaid. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, ShardId } from '../../src/model/ids.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import { type FromThread, threadWords } from '../../src/runtime/thread-messages.ts';
import { ThreadIntake, ThreadOutlet } from '../../src/runtime/thread-outlet.ts';

interface Rig {
  readonly outlet: ThreadOutlet;
  /** On the way; nothing has been taken. */
  readonly posted: FromThread[];
  /** The application takes all that comes, until nothing comes any more. */
  takeAll(): FromThread[];
}

function rig(): Rig {
  const words = threadWords();
  const posted: FromThread[] = [];
  const outlet = new ThreadOutlet(words, (notice) => posted.push(notice));
  const intake = new ThreadIntake(words, () => outlet.flush());
  return {
    outlet,
    posted,
    takeAll: () => {
      const taken: FromThread[] = [];
      for (let notice = posted.shift(); notice !== undefined; notice = posted.shift()) {
        taken.push(notice);
        intake.taken(notice);
      }
      return taken;
    },
  };
}

function warning(number: number): NodeEvent {
  return { kind: 'warning', text: String(number) };
}

function texts(notices: readonly FromThread[]): string[] {
  return notices.map((notice) => {
    if (notice.kind !== 'event') return notice.kind;
    return notice.event.kind === 'warning' ? notice.event.text : notice.event.kind;
  });
}

describe('the outlet of a node in a thread of its own', () => {
  it('passes on at once, in order, as long as the application keeps up', () => {
    const { outlet, posted, takeAll } = rig();
    for (let i = 0; i < 5_000; i++) {
      outlet.tellEvent(warning(i));
      assert.equal(posted.length, 1);
      assert.deepEqual(texts(takeAll()), [String(i)]);
    }
    assert.equal(outlet.seq, 5_000);
  });

  it('keeps what comes during a stall, and brings it afterwards in order', () => {
    const { outlet, posted, takeAll } = rig();
    for (let i = 0; i < 8_000; i++) outlet.tellEvent(warning(i));
    outlet.send({ kind: 'answer', id: 1, value: undefined });
    assert.ok(posted.length <= 1_000, `${posted.length} are on the way`);
    const all = Array.from({ length: 8_000 }, (_, i) => String(i));
    assert.deepEqual(texts(takeAll()), [...all, 'answer']);
    outlet.tellEvent(warning(8_000));
    assert.deepEqual(texts(takeAll()), ['8000']);
  });

  it('forgets the oldest of too many and says how many, but never an answer', () => {
    const { outlet, takeAll } = rig();
    for (let i = 0; i < 1_000; i++) outlet.tellEvent(warning(i));
    outlet.send({ kind: 'answer', id: 1, value: undefined });
    for (let i = 1_000; i < 31_000; i++) outlet.tellEvent(warning(i));
    outlet.tellEvent({ kind: 'stopped', reason: 'left in order', exitCode: 0 });
    const told = takeAll();
    const events = told.filter((notice) => notice.kind === 'event');
    const forgotten = events.find(({ event }) => event.kind === 'eventsForgotten');
    assert.ok(forgotten?.event.kind === 'eventsForgotten');
    assert.equal(events.length - 1 + forgotten.event.count, 31_001);
    assert.ok(events.length < 12_000, `${events.length} were kept`);
    // Numbers rise, and no number is told twice: who counts from one on misses nothing that was kept.
    const numbers = events.map(({ seq }) => seq);
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
    );
    assert.equal(numbers.at(-1), 31_001);
    assert.equal(told.filter(({ kind }) => kind === 'answer').length, 1);
    assert.equal(texts(told).at(-1), 'stopped');
  });

  it('counts an event that names many shards as many', () => {
    const { outlet, posted, takeAll } = rig();
    const shards = Array.from({ length: 10_000 }, (_, shard) => shard as ShardId);
    const started = { kind: 'shardsStarted', shards, from: [], isResumed: false } as const;
    for (let i = 0; i < 1_000; i++) outlet.tellEvent({ ...started, epoch: i as LogIndex });
    assert.ok(posted.length <= 10, `${posted.length} are on the way`);
    const told = takeAll();
    assert.ok(told.length <= 80, `${told.length} were kept`);
    const forgotten = told.flatMap((notice) => (notice.kind === 'event' ? [notice.event] : []));
    assert.ok(forgotten.some((event) => event.kind === 'eventsForgotten' && event.count + told.length - 1 === 1_000));
  });

  it('counts lines of the log that were forgotten, too', () => {
    const { outlet, takeAll } = rig();
    const line = { kind: 'log', rooms: ['http'], level: 'info', event: 'seen', fields: {} } as const;
    for (let i = 0; i < 20_000; i++) outlet.send(line);
    const told = takeAll();
    const said = told.find((notice) => notice.kind === 'log' && notice.event === 'linesForgotten');
    assert.ok(said?.kind === 'log');
    assert.equal(Number(said.fields['count']) + told.length - 1, 20_000);
  });

  it('takes back a release that nobody has heard of when a newer one is there', () => {
    const { outlet, posted } = rig();
    for (let i = 0; i < 1_100; i++) outlet.tellEvent(warning(i));
    const release = (id: number): FromThread => ({
      kind: 'release',
      id,
      call: { version: 1 as LogIndex, shards: [], deadlineMs: 0 },
    });
    outlet.send(release(1));
    assert.deepEqual(
      outlet.withdraw(({ kind }) => kind === 'release'),
      [release(1)],
    );
    outlet.send(release(2));
    const { length } = posted.filter(({ kind }) => kind === 'release');
    assert.equal(length, 0);
  });

  it('sends a payload without the packet that it came in', () => {
    const { outlet, takeAll } = rig();
    const packet = new Uint8Array(65_536).fill(7);
    const payload = packet.subarray(100, 104);
    outlet.tellEvent({ kind: 'userEvent', lamportTime: 1, name: 'deploy', payload, coalesce: true });
    const [notice] = takeAll();
    assert.ok(notice?.kind === 'event' && notice.event.kind === 'userEvent');
    assert.deepEqual([...notice.event.payload], [7, 7, 7, 7]);
    assert.equal(notice.event.payload.buffer.byteLength, 4);
  });
});
