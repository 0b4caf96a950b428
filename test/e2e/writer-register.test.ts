/** The judge of exclusive writers can find what it looks for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type OwnedSpan, WriterRegister } from './writer-register.ts';

function span(node: string, epoch: number, firstAt: number, lastAt: number): OwnedSpan {
  return { node, shard: 7, epoch, firstAt, lastAt };
}

describe('the register of exclusive writers', () => {
  it('takes writes in the order of their tokens, and counts the stale', () => {
    const register = new WriterRegister();
    register.write(span('a', 4, 0, 10));
    register.write(span('b', 9, 20, 30));
    register.write(span('a', 4, 0, 15));
    register.write(span('b', 9, 20, 40));
    assert.deepEqual(register.figures(), { accepted: 3, stale: 1, ownerships: 2 });
    assert.deepEqual(register.conflicts(), [], 'a late write is no second owner');
  });

  it('finds an owner that thinks so after the next one has begun', () => {
    const register = new WriterRegister();
    register.write(span('a', 4, 0, 10));
    register.write(span('b', 9, 20, 30));
    register.write(span('a', 4, 0, 21));
    assert.equal(register.conflicts().length, 1);
    assert.match(register.conflicts()[0] ?? '', /shard 7: b owns in epoch 9 from 20\.000, a in 4 still at 21\.000/);
  });

  it('finds two owners of one epoch', () => {
    const register = new WriterRegister();
    register.write(span('a', 4, 0, 10));
    register.write(span('b', 4, 20, 30));
    assert.match(register.conflicts()[0] ?? '', /of a and of b in one epoch, 4/);
  });
});
