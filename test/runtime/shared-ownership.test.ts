/** Who asks in another thread whether a shard is served is never told yes when the node itself would say no. docs/ownership.md 1, 3. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { LogIndex, ShardId } from '../../src/model/ids.ts';
import type { ServingEdition } from '../../src/model/shard-map.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { OwnershipReader, OwnershipWriter, ownershipMemory, type Shown } from '../../src/runtime/shared-ownership.ts';
import type { WriterData } from './programs/shared-ownership-writer.ts';

const SHARD = 7 as ShardId;
/** The wall clock at monotonic 0. */
const AHEAD = 1_700_000_000_000;

class HandClock implements Clock {
  now = 1_000;
  jumped = 0;

  monotonic(): number {
    return this.now;
  }

  wall(): number {
    return AHEAD + this.now + this.jumped;
  }

  wakeAt(): void {
    assert.fail('nobody sets a timer');
  }
}

interface Rig {
  readonly clock: HandClock;
  readonly reader: OwnershipReader;
  publish(change?: { until?: number; epochs?: readonly number[]; isStopped?: boolean; ahead?: number }): void;
}

/** A node of ten shards that serves what `epochs` says, under a lease until 1,900. */
function rig(): Rig {
  const clock = new HandClock();
  const memory = ownershipMemory();
  const writer = new OwnershipWriter(memory);
  let epochs: readonly number[] = Array.from({ length: 10 }, () => 5);
  let edition: ServingEdition = { shardCount: epochs.length };
  let until = 1_900;
  let ahead = AHEAD;
  return {
    clock,
    reader: new OwnershipReader(memory, clock),
    publish: (change = {}) => {
      if (change.epochs !== undefined) edition = { shardCount: change.epochs.length };
      epochs = change.epochs ?? epochs;
      until = change.until ?? until;
      ahead = change.ahead ?? ahead;
      const shown: Shown = {
        isStopped: change.isStopped ?? false,
        watch: { ahead },
        cluster: {
          servingEdition: edition,
          leaseUntil: until,
          serving: (shard) => (epochs[shard] === 0 ? undefined : (epochs[shard] as LogIndex)),
        },
      };
      writer.publish(shown);
    },
  };
}

describe('ownership shown to another thread', () => {
  it('is none before anything was shown', () => {
    assert.equal(rig().reader.owns(SHARD), undefined);
  });

  it('ends with the lease by the clock of whoever asks, when no word comes from the node any more', () => {
    const { clock, reader, publish } = rig();
    publish();
    assert.deepEqual(reader.owns(SHARD), { shard: 7, epoch: 5 });
    clock.now = 1_899;
    assert.deepEqual(reader.owns(SHARD), { shard: 7, epoch: 5 });
    clock.now = 1_900;
    assert.equal(reader.owns(SHARD), undefined);
    publish({ until: 2_800 });
    assert.deepEqual(reader.owns(SHARD), { shard: 7, epoch: 5 });
  });

  it('ends earlier by what the wall clock jumped ahead: a suspended guest', () => {
    const { clock, reader, publish } = rig();
    publish();
    clock.jumped = 800;
    assert.deepEqual(reader.owns(SHARD), { shard: 7, epoch: 5 });
    clock.jumped = 910;
    assert.equal(reader.owns(SHARD), undefined);
    // The node has seen the jump and taken it off the lease itself.
    publish({ ahead: AHEAD + 910, until: 1_900 - 910 });
    assert.equal(reader.owns(SHARD), undefined);
    publish({ until: 1_850 });
    assert.deepEqual(reader.owns(SHARD), { shard: 7, epoch: 5 });
  });

  it('follows what is lost and gained, shard by shard, and its fencing token', () => {
    const { reader, publish } = rig();
    publish();
    publish({ epochs: [5, 5, 5, 5, 5, 5, 5, 0, 2 ** 40 + 1, 5] });
    assert.equal(reader.owns(SHARD), undefined);
    assert.deepEqual(reader.owns(8 as ShardId), { shard: 8, epoch: 2 ** 40 + 1 });
    publish({ epochs: [9, 9, 9, 9, 9, 9, 9, 9] });
    assert.deepEqual(reader.owns(SHARD), { shard: 7, epoch: 9 });
    assert.equal(reader.owns(8 as ShardId), undefined);
  });

  it('is none of what is no shard', () => {
    const { reader, publish } = rig();
    publish();
    for (const shard of [-1, 10, 1.5, Number.NaN, 65_535, 2 ** 40, Number.POSITIVE_INFINITY])
      assert.equal(reader.owns(shard as ShardId), undefined, String(shard));
  });

  it('is none once the node has stopped', () => {
    const { reader, publish } = rig();
    publish();
    publish({ isStopped: true });
    assert.equal(reader.owns(SHARD), undefined);
  });

  it('is marked from before a question until the turn that asked is over, so that what it began may end', async () => {
    const memory = ownershipMemory();
    const writer = new OwnershipWriter(memory);
    const reader = new OwnershipReader(memory, new HandClock());
    assert.equal(writer.isAsking, false);
    reader.owns(SHARD);
    assert.equal(writer.isAsking, true);
    await Promise.resolve();
    reader.owns(SHARD);
    assert.equal(writer.isAsking, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(writer.isAsking, false);
    reader.owns(SHARD);
    assert.equal(writer.isAsking, true);
  });

  it('never mixes two instants, however fast they follow each other', { timeout: 60_000 }, async () => {
    const memory = ownershipMemory();
    const stop = new SharedArrayBuffer(4);
    const data: WriterData = { memory, stop, shardCount: 8 };
    const worker = new Worker(new URL('./programs/shared-ownership-writer.js', import.meta.url), { workerData: data });
    const ended = once(worker, 'message');
    const clock = new HandClock();
    clock.wall = () => clock.now;
    const reader = new OwnershipReader(memory, clock);
    const seen = new Set<number>();
    let mixed: number | undefined;
    for (let asked = 0; seen.size < 300 && asked < 5_000_000 && mixed === undefined; asked++) {
      const epoch = reader.owns((asked % 8) as ShardId)?.epoch;
      if (epoch === undefined) continue;
      if (epoch % 2 === 0) mixed = epoch;
      seen.add(epoch);
    }
    Atomics.store(new Int32Array(stop), 0, 1);
    const [writes] = (await ended) as [number];
    assert.equal(mixed, undefined, 'a lease goes with odd epochs only');
    // On a busy machine the two take turns more than they meet.
    assert.ok(seen.size >= 5, `saw ${seen.size} of ${writes} writes`);
  });
});
