/** The proof itself is put to the test: answers that two owners would give, and those that one gives. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Answer, conflicts } from './ownership-poll.ts';

function answer(node: string, [sentAt, receivedAt]: readonly [number, number], epoch: number): Answer {
  return { node, shard: 7, sentAt, receivedAt, owned: epoch > 0, epoch };
}

describe('the proof that a shard has one owner', () => {
  it('accepts a shard that moves, and the last word of a paused node that arrives late', () => {
    const moved = [
      answer('a', [0, 1], 5),
      answer('a', [2, 900], 5),
      answer('b', [100, 101], 9),
      answer('a', [150, 901], 0),
    ];
    assert.deepEqual(conflicts(moved), []);
  });

  it('finds an owner that did not notice that another has begun', () => {
    const stale = [answer('a', [0, 1], 5), answer('b', [100, 101], 9), answer('a', [102, 900], 5)];
    assert.equal(conflicts(stale).length, 1);
    assert.match(String(conflicts(stale)[0]), /b owns shard 7 in epoch 9 .* then a owns shard 7 in epoch 5/);
  });

  it('finds two owners of one epoch at whatever time', () => {
    assert.equal(conflicts([answer('a', [0, 1], 5), answer('b', [500, 501], 5)]).length, 1);
  });
});
