/** User events and queries as streams and async iterators, over a node that a test plays. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { nodeStreams } from '../../src/events/node-streams.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import { NodeGossip } from '../../src/node-gossip.ts';
import { RefusedError } from '../../src/runtime/handle-errors.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';

const STOPPED: NodeEvent = { kind: 'stopped', reason: 'asked to', exitCode: 0 };

function userEvent(name: string): NodeEvent {
  return { kind: 'userEvent', lamportTime: 7, name, payload: Buffer.from('v1'), coalesce: true };
}

function queryAsked(token: number): NodeEvent {
  const payload = new Uint8Array();
  return { kind: 'queryAsked', token, lamportTime: 9, name: 'load', payload, source: 'n2', deadline: 61_000 };
}

describe('user events and queries, iterated over', () => {
  it('come in order at the pace of the reader, and end when the node stops', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const events = new NodeGossip(() => handle).userEvents();
    const first = events.next();
    handle.emit(userEvent('a'));
    handle.emit({ kind: 'leaseGained' });
    handle.emit(userEvent('b'));
    handle.emit(STOPPED);
    const names = [(await first).value?.name];
    for await (const { name } of events) names.push(name);
    assert.deepEqual(names, ['a', 'b']);
    assert.equal(handle.listenerCount, 0);
  });

  it('taken up after the node has stopped, they end at once', { timeout: 5_000 }, async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const gossip = new NodeGossip(() => handle);
    const taken = [gossip.userEvents(), gossip.queries()];
    handle.emit(STOPPED);
    for (const feed of [...taken, gossip.queries()])
      assert.deepEqual(await feed.next(), { done: true, value: undefined });
    const ended = new Promise<void>((complete) => {
      nodeStreams(handle).queries.subscribe({ complete });
    });
    await ended;
    assert.equal(handle.listenerCount, 0);
  });

  it('a queue that nobody empties forgets the oldest', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const events = new NodeGossip(() => handle).userEvents();
    const first = events.next();
    for (let i = 0; i < 10_002; i++) handle.emit(userEvent(String(i)));
    handle.emit(STOPPED);
    assert.equal((await first).value?.name, '2');
    let rest = 0;
    for await (const { name } of events) rest += Number(name !== '');
    assert.equal(rest, 9_999);
  });

  it('an aborted signal ends the wait with its reason and leaves no listener behind', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const abort = new AbortController();
    const waiting = new NodeGossip(() => handle).userEvents({ signal: abort.signal }).next();
    assert.equal(handle.listenerCount, 1);
    abort.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    assert.equal(handle.listenerCount, 0);
  });

  it('a query is answered by its token, and what the node refuses is thrown', async () => {
    const answers: unknown[] = [];
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }), {
      gossip: async (request) => {
        answers.push(request);
        return answers.length === 1 ? { kind: 'done' } : { kind: 'refused', reason: 'answered already' };
      },
    });
    const queries = new NodeGossip(() => handle).queries();
    const first = queries.next();
    handle.emit(userEvent('a'));
    handle.emit(queryAsked(5));
    const query = (await first).value;
    assert.ok(query !== undefined);
    assert.deepEqual([query.name, query.source, query.deadline], ['load', 'n2', 61_000]);
    await query.respond('0.42');
    await assert.rejects(query.respond('0.43'), RefusedError);
    assert.deepEqual(answers[0], { kind: 'respond', token: 5, payload: new TextEncoder().encode('0.42') });
    await queries.return();
    assert.equal(handle.listenerCount, 0);
  });
});

describe('user events and queries, as rxjs streams', () => {
  it('each stream holds its own kind only, and both complete with the node', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const streams = nodeStreams(handle);
    const seen: string[] = [];
    streams.userEvents.subscribe({ next: ({ name }) => seen.push(name), complete: () => seen.push('no more events') });
    streams.queries.subscribe({
      next: ({ source }) => seen.push(source),
      complete: () => seen.push('no more queries'),
    });
    handle.emit(userEvent('a'));
    handle.emit(queryAsked(5));
    handle.emit({ kind: 'leaseGained' });
    handle.emit(STOPPED);
    await turn();
    assert.deepEqual(seen, ['a', 'n2', 'no more events', 'no more queries']);
  });
});
