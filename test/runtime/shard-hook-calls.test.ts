/** When an application is asked about shards, in which order, and what becomes of answers that are late or bad. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, NodeId, ShardId, Boot } from '../../src/model/ids.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { ShardState } from '../../src/model/shard-map.ts';
import { ShardHookCalls } from '../../src/runtime/shard-hook-calls.ts';
import {
  HandOverRefusedError,
  HookOverError,
  type ShardAcquisition,
  type ShardHooks,
  type ShardRelease,
} from '../../src/ports/shard-hooks.ts';
import { hookCalls } from '../../src/runtime/shard-hooks.ts';

const at = (value: number): LogIndex => value as LogIndex;
const ids = (...shards: number[]): ShardId[] => shards as ShardId[];
const B = { node: 'b' as NodeId, boot: 2 as Boot };

function releasing(version: number, ...shards: number[]): NodeEvent {
  const epochs = shards.map(() => at(5));
  return {
    kind: 'shardsReleasing',
    shards: ids(...shards),
    epochs,
    to: shards.map(() => B),
    version: at(version),
    deadline: 400,
  };
}

function started(epoch: number, shards: number[], isResumed = false): NodeEvent {
  return {
    kind: 'shardsStarted',
    shards: ids(...shards),
    epoch: at(epoch),
    from: shards.map(() => undefined),
    isResumed,
  };
}

/** Everything that is under way comes to its end. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function rig(hooks: ShardHooks) {
  const told: string[] = [];
  const states: ShardState[] = [];
  const calls = new ShardHookCalls(
    hookCalls(hooks),
    {
      released: (version, given) => {
        told.push(`released ${version}`);
        states.push(...given);
      },
      acquired: (shards, epoch) => told.push(`acquired ${shards.join()} in ${epoch}`),
      takeState: (shard, epoch) => Buffer.from(`${shard} in ${epoch}`),
    },
    { log: (_level, event) => told.push(`error in ${event}`), child: () => assert.fail('no rooms here') },
  );
  return { calls, told, states };
}

/** Promises that a test settles. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

describe('the release hook', () => {
  it('O-5: hears what goes, under which token, to whom, until when; and the node hears that it is done', async () => {
    const seen: ShardRelease[] = [];
    const { calls, told } = rig({
      onRelease: async (shards, deadlineMs, release) => {
        assert.deepEqual([shards, deadlineMs], [ids(1, 2), 400]);
        seen.push(release);
      },
    });
    calls.onEvent(releasing(7, 1, 2));
    await settled();
    assert.deepEqual(seen[0]?.shards[1], { shard: 2, epoch: 5, to: B });
    assert.deepEqual(told, ['released 7']);
  });

  it('a hook that rejects or throws acknowledges nothing', async () => {
    const { calls, told } = rig({
      onRelease: async () => {
        throw new Error('no');
      },
    });
    calls.onEvent(releasing(7, 1));
    await settled();
    assert.deepEqual(told, ['error in release']);
  });

  it('hands over what it was given last, and refuses what is too large or not asked for', async () => {
    const { calls, states } = rig({
      onRelease: async (_shards, _deadline, release) => {
        const [one, two] = ids(1, 2) as [ShardId, ShardId];
        release.handOver(one, Buffer.from('older'));
        release.handOver(one, Buffer.from('newer'));
        assert.throws(() => release.handOver(two, new Uint8Array(1)), HandOverRefusedError);
        assert.throws(() => release.handOver(one, new Uint8Array(1024 * 1024 + 1)), HandOverRefusedError);
      },
    });
    calls.onEvent(releasing(7, 1));
    await settled();
    assert.deepEqual(
      states.map(({ shard, bytes }) => [shard, Buffer.from(bytes).toString()]),
      [[1, 'newer']],
    );
  });

  it('O-6: is told by its signal why it need not go on', async () => {
    const reasons: unknown[] = [];
    const { calls } = rig({
      onRelease: async (_shards, _deadline, { signal }) =>
        await new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason instanceof HookOverError ? signal.reason.reason : signal.reason);
            resolve();
          });
        }),
    });
    calls.onEvent(releasing(7, 1));
    calls.onEvent({ kind: 'shardsReleaseOver', version: at(7), reason: 'resumed' });
    calls.onEvent(releasing(8, 1));
    calls.close();
    await settled();
    assert.deepEqual(reasons, ['resumed', 'stopped']);
  });
});

describe('the hook for new shards', () => {
  it('O-7: hears the token and what was handed over; the node hears that they may be served', async () => {
    const seen: ShardAcquisition[] = [];
    const { calls, told } = rig({ onAcquire: async (acquisition) => void seen.push(acquisition) });
    calls.onEvent(started(9, [1, 2]));
    await settled();
    const [first] = seen;
    assert.deepEqual([first?.epoch, first?.isResumed, first?.shards.length], [9, false, 2]);
    assert.equal(Buffer.from(first?.shards[1]?.state ?? []).toString(), '2 in 9');
    assert.deepEqual(told, ['acquired 1,2 in 9']);
  });

  it('comes after a release of the same shard has settled, and beside one of another', async () => {
    const { open, opened } = gate();
    const order: string[] = [];
    const { calls } = rig({
      onRelease: async () => {
        await opened;
        order.push('released');
      },
      onAcquire: async ({ shards }) => void order.push(`takes ${shards.map(({ shard }) => shard).join()}`),
    });
    calls.onEvent(releasing(7, 1));
    calls.onEvent({ kind: 'shardsReleaseOver', version: at(7), reason: 'resumed' });
    calls.onEvent(started(5, [1], true));
    calls.onEvent(started(9, [2]));
    await settled();
    assert.deepEqual(order, ['takes 2']);
    open();
    await settled();
    assert.deepEqual(order, ['takes 2', 'released', 'takes 1']);
  });

  it('what is taken away meanwhile is not served when the hook ends; when all is, its signal says so', async () => {
    const { open, opened } = gate();
    const signals: AbortSignal[] = [];
    const { calls, told } = rig({
      onAcquire: async ({ signal }) => {
        signals.push(signal);
        await opened;
      },
    });
    calls.onEvent(started(9, [1, 2]));
    calls.onEvent(started(10, [3]));
    calls.onEvent(releasing(11, 1, 3));
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, true],
    );
    open();
    await settled();
    assert.deepEqual(told, ['acquired 2 in 9']);
  });

  it('is asked again when it fails, after 1 s, 2 s and so on, for what is still there', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const asked: string[] = [];
    const { calls, told } = rig({
      onAcquire: async ({ shards }) => {
        asked.push(shards.map(({ shard }) => shard).join());
        if (asked.length < 3) throw new Error('the store does not answer');
      },
    });
    calls.onEvent(started(9, [1, 2]));
    await settled();
    t.mock.timers.tick(999);
    await settled();
    assert.deepEqual(asked, ['1,2']);
    calls.onEvent(releasing(11, 1));
    t.mock.timers.tick(1);
    await settled();
    t.mock.timers.tick(2_000);
    await settled();
    assert.deepEqual(asked, ['1,2', '2', '2']);
    assert.deepEqual(told, ['error in acquire', 'error in acquire', 'acquired 2 in 9']);
  });

  it('is not asked any more when the node has stopped', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let asked = 0;
    const { calls } = rig({
      onAcquire: async () => {
        asked += 1;
        throw new Error('no');
      },
    });
    calls.onEvent(started(9, [1]));
    await settled();
    calls.onEvent({ kind: 'stopped', reason: '', exitCode: 0 });
    t.mock.timers.tick(60_000);
    await settled();
    assert.equal(asked, 1);
  });
});
