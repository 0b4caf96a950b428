import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { concatMap, NEVER, type Observable } from 'rxjs';
import { nodeStreams } from '../../src/events/node-streams.ts';
import type { NodeId, Term } from '../../src/model/ids.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import { FakeNodeHandle, fakeMember, fakeShardMap, fakeView } from '../fake-node-handle.ts';

interface Seen<T> {
  readonly values: T[];
  completed: boolean;
}

function watch<T>(stream: Observable<T>): Seen<T> {
  const seen: Seen<T> = { values: [], completed: false };
  stream.subscribe({
    next: (value) => seen.values.push(value),
    complete: () => {
      seen.completed = true;
    },
    error: (cause: unknown) => assert.fail(`a stream failed: ${String(cause)}`),
  });
  return seen;
}

const TERM = 4 as Term;

function endpointEvent(change: 'added' | 'changed' | 'removed', port: number): NodeEvent {
  return { kind: 'endpointChanged', change, node: 'n2', name: 'ep.demo', endpoint: { host: '10.0.0.2', port } };
}

describe('the public streams of a node', () => {
  it('events arrive in order, after the turn that made them', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const seen = watch(nodeStreams(handle).events);
    handle.emit({ kind: 'leaseGained' });
    handle.emit({ kind: 'leaseLost' });
    assert.deepEqual(seen.values, []);
    await turn();
    assert.deepEqual(seen.values, [{ kind: 'leaseGained' }, { kind: 'leaseLost' }]);
  });

  it('states, leaders, maps and members are replayed to whoever comes late', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n2', state: 'Voting' }));
    const streams = nodeStreams(handle);
    handle.enter('Operational');
    handle.emit({ kind: 'leaderLost', leader: 'n2' as NodeId, term: TERM });
    handle.emit({ kind: 'leaderChanged', leader: 'n3' as NodeId, term: TERM });
    const map = fakeShardMap(['n1', 'n3'], 10, 60);
    handle.emit({ kind: 'shardMapChanged', map });
    await turn();
    assert.deepEqual(watch(streams.states).values, ['Operational']);
    assert.deepEqual(watch(streams.leaders).values, ['n3']);
    assert.deepEqual(watch(streams.shardMaps).values, [map]);
    assert.deepEqual(watch(streams.members).values, [handle.view().members]);
  });

  it('a leader is told once, however often the node repeats it, and its loss is undefined', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n2' }));
    const leaders = watch(nodeStreams(handle).leaders);
    handle.emit({ kind: 'leaderChanged', leader: 'n2' as NodeId, term: TERM });
    handle.emit({ kind: 'leaderLost', leader: 'n2' as NodeId, term: TERM });
    await turn();
    assert.deepEqual(leaders.values, ['n2', undefined]);
  });

  it('an observer of endpoints sees what is there, then what changes, each once', async () => {
    const view = fakeView({ id: 'n1', members: [{ name: 'n1' }, { name: 'n2', tags: { 'ep.demo': '10.0.0.2:80' } }] });
    const handle = new FakeNodeHandle(view);
    const streams = nodeStreams(handle);
    const early = watch(streams.endpoints);
    const demo = (): string[] =>
      early.values
        .filter(({ name }) => name === 'ep.demo')
        .map(({ change, node, endpoint }) => `${change} ${node} ${endpoint.port}`);
    assert.deepEqual(demo(), ['added n2 80']);
    handle.emit(endpointEvent('added', 80));
    handle.emit(endpointEvent('changed', 81));
    handle.emit(endpointEvent('removed', 81));
    handle.emit(endpointEvent('removed', 81));
    await turn();
    assert.deepEqual(demo(), ['added n2 80', 'changed n2 81', 'removed n2 81']);
    assert.equal(watch(streams.endpoints).values.filter(({ name }) => name === 'ep.demo').length, 0);
  });

  it('a failed member publishes nothing to one who begins to look', () => {
    const view = fakeView({ id: 'n1', members: [{ name: 'n1' }, { name: 'n2', status: 'failed' }] });
    const seen = watch(nodeStreams(new FakeNodeHandle(view)).endpoints);
    assert.deepEqual([...new Set(seen.values.map(({ node }) => node))], ['n1']);
  });

  it('a thousand members that join in one turn are one new list', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const lists = watch(nodeStreams(handle).members);
    const member = fakeMember({ name: 'n4' });
    handle.change({ members: [...handle.view().members, member] });
    for (let i = 0; i < 1_000; i++) handle.emit({ kind: 'memberJoined', member });
    await turn();
    assert.equal(lists.values.length, 2);
    assert.equal(lists.values[1]?.at(-1)?.name, 'n4');
  });

  it('all streams complete when the node has stopped, the last event told, and latecomers see the end', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const streams = nodeStreams(handle);
    const all = [
      streams.events,
      streams.states,
      streams.leaders,
      streams.shardMaps,
      streams.members,
      streams.endpoints,
    ];
    const seen = all.map((stream) => watch<unknown>(stream));
    handle.emit({ kind: 'stopped', reason: 'asked to', exitCode: 0 });
    await turn();
    assert.ok(seen.every(({ completed }) => completed));
    assert.deepEqual(seen[0]?.values, [{ kind: 'stopped', reason: 'asked to', exitCode: 0 }]);
    assert.equal(handle.listenerCount, 0);
    assert.ok(watch<unknown>(streams.states).completed);
    streams.close();
  });

  it('a subscriber that is slow keeps nobody else waiting, and may call the node from within', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const streams = nodeStreams(handle);
    streams.events.pipe(concatMap(() => NEVER)).subscribe();
    const inner: string[] = [];
    streams.states.subscribe((state) => {
      inner.push(state);
      if (state === 'Draining') handle.emit({ kind: 'leaseLost' });
    });
    const quick = watch(streams.events);
    await handle.drain();
    await turn();
    await turn();
    assert.deepEqual(inner, ['Operational', 'Draining']);
    assert.deepEqual(
      quick.values.map(({ kind }) => kind),
      ['stateChanged', 'leaseLost'],
    );
    streams.close();
  });

  it('events beyond the queue are forgotten, the oldest first; replayed values are the latest all the same', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n2' }));
    const streams = nodeStreams(handle);
    const seen = watch(streams.events);
    const endpoints = watch(streams.endpoints);
    const before = endpoints.values.length;
    handle.enter('Draining');
    handle.change({ leader: undefined, members: handle.view().members.slice(0, 2) });
    handle.emit({ kind: 'leaderLost', leader: 'n2' as NodeId, term: TERM });
    for (let i = 0; i < 10_050; i++) handle.emit({ kind: 'warning', text: String(i) });
    await turn();
    assert.equal(seen.values.length, 10_000);
    assert.deepEqual(seen.values.at(-1), { kind: 'warning', text: '10049' });
    assert.deepEqual(watch(streams.states).values, ['Draining']);
    assert.deepEqual(watch(streams.leaders).values, [undefined]);
    assert.equal(watch(streams.members).values[0]?.length, 2);
    assert.deepEqual(
      [...new Set(endpoints.values.slice(before).map(({ change, node }) => `${change} ${node}`))],
      ['removed n3'],
    );
  });
});
