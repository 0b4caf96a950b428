/** wire-gossip 10.1: what is gossiped next, how often, and what is said of each message when it leaves the queue. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BroadcastQueue, retransmitLimit } from '../../src/swim/broadcast-queue.ts';

function bytes(length: number, fill = 1): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

function queue(entriesMax = 10, retransmitMult = 1): BroadcastQueue {
  return new BroadcastQueue({ retransmitMult, entriesMax });
}

/** What is taken, by the first byte of each. */
function taken(from: BroadcastQueue, bytesMax: number, overheadBytes = 2): number[] {
  const messages = from.take(overheadBytes, bytesMax, 3).map((message) => message[0] as number);
  from.check();
  return messages;
}

describe('the broadcast queue', () => {
  it('takes what fits to the byte, what each message costs beside itself included', () => {
    const two = (): BroadcastQueue => {
      const made = queue();
      made.add(bytes(10, 1));
      made.add(bytes(5, 2));
      return made;
    };
    assert.deepEqual(taken(two(), 12), [1]);
    assert.deepEqual(taken(two(), 11), [2], 'the longer one does not fit');
    assert.deepEqual(taken(two(), 19), [1, 2]);
    assert.deepEqual(taken(two(), 18), [1]);
    assert.deepEqual([taken(two(), 7), taken(two(), 6), taken(two(), 2)], [[2], [], []]);
  });

  it('sends the least transmitted first, then the longest, then the newest, and each so many times', () => {
    const made = queue(10, 2);
    for (const [length, fill] of [
      [4, 1],
      [6, 2],
      [6, 3],
    ] as const)
      made.add(bytes(length, fill));
    assert.deepEqual(taken(made, 8), [3]);
    assert.deepEqual(taken(made, 8), [2]);
    assert.deepEqual(taken(made, 8), [1]);
    assert.deepEqual([taken(made, 100), taken(made, 100), made.size], [[3, 2, 1], [], 0]);
    assert.deepEqual([retransmitLimit(4, 1), retransmitLimit(4, 9), retransmitLimit(4, 10)], [4, 4, 8]);
  });

  it('tells each message once how it left: sent, replaced by one of its name, or pushed out', () => {
    const ends: string[] = [];
    const made = queue(2);
    const add = (length: number, what: string, name?: string): void =>
      made.add(bytes(length), {
        ...(name !== undefined && { name }),
        onFinished: (complete) => ends.push(`${what} ${complete}`),
      });
    add(3, 'older', 'n1');
    add(4, 'newer', 'n1');
    assert.deepEqual([ends, made.size, made.pruned], [['older false'], 1, 0]);
    add(5, 'b');
    add(6, 'c');
    made.check();
    assert.deepEqual([ends, made.size, made.pruned], [['older false', 'newer false'], 2, 1]);
    add(1, 'last', 'n1');
    made.check();
    assert.deepEqual([ends.at(-1), made.pruned], ['last false', 2], 'the shortest goes first');
    taken(made, 100);
    assert.deepEqual(ends.slice(-2), ['c true', 'b true']);
  });
});
