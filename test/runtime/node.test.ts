/** The life of a node in its process: what may be called when. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunkNode, type NodeEvent, NotRunningError } from '../../src/index.ts';

describe('a node', () => {
  it('that was stopped does not start any more, for nothing would ever close it', async () => {
    const node = new FunkNode({ bootstrap: true, inMemory: true, interface: '127.0.0.1' });
    await node.stop();
    await assert.rejects(node.start(), NotRunningError);
    assert.equal(node.state, 'Invalid');
    assert.throws(() => node.events, NotRunningError);
  });

  for (const thread of ['own', 'caller'] as const) {
    it(`that has stopped keeps nobody waiting (thread: ${thread})`, { timeout: 30_000 }, async () => {
      const node = new FunkNode({ bootstrap: true, inMemory: true, interface: '127.0.0.1', thread });
      await node.start();
      const told: NodeEvent['kind'][] = [];
      const completed = new Promise<void>((complete) => {
        node.events.subscribe({ next: ({ kind }) => told.push(kind), complete });
      });
      const early = [node.gossip.queries(), node.gossip.userEvents()];
      await node.stop();
      for (const feed of [...early, node.gossip.queries()])
        assert.deepEqual(await feed.next(), { done: true, value: undefined });
      await assert.rejects(node.gossip.query('load').next(), { code: 'FUNK_STOPPED' });
      await new Promise<void>((complete) => {
        node.streams.events.subscribe({ complete });
      });
      await completed;
      assert.equal(told.at(-1), 'stopped');
    });
  }
});
