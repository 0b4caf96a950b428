/** The life of a node in its process: what may be called when. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunkNode, NotRunningError } from '../../src/index.ts';

describe('a node', () => {
  it('that was stopped does not start any more, for nothing would ever close it', async () => {
    const node = new FunkNode({ bootstrap: true, inMemory: true, interface: '127.0.0.1' });
    await node.stop();
    await assert.rejects(node.start(), NotRunningError);
    assert.equal(node.state, 'Invalid');
  });
});
