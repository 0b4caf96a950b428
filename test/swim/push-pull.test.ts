import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StreamId } from '../../src/model/ids.ts';
import { encodeErr, encodePing } from '../../src/wire/memberlist/messages.ts';
import { encodePushPull, encodeStreamUser } from '../../src/wire/memberlist/stream.ts';
import type { NodeRecord } from '../../src/wire/memberlist/stream.ts';
import { Bench, VERSIONS, endpoint, record } from './harness.ts';

const QUIET = { pushPullIntervalMs: 0, probeIntervalMs: 100_000 };
const NONE = new Uint8Array(0);

function state(nodes: readonly NodeRecord[], join: boolean, userState: string): Uint8Array {
  return encodePushPull({ join, nodes, userState: new TextEncoder().encode(userState) });
}

/** The peer behind `stream` answers with `bytes`. */
function answer(bench: Bench, stream: StreamId, bytes: Uint8Array): void {
  bench.step({ kind: 'streamOpened', stream });
  bench.step({ kind: 'streamBytes', stream, bytes });
}

describe('a push/pull that a peer begins', () => {
  it('is answered with what we knew before, echoing its join flag, then merged', () => {
    const bench = new Bench(QUIET).withMembers(2);
    bench.delegate.state = new TextEncoder().encode('ours');
    const reply = bench.pushPullOf(
      bench.exchange([record(3, 1, 'alive')], { join: true, state: new TextEncoder().encode('theirs') }),
    );
    assert.equal(reply.join, true);
    assert.deepEqual(reply.nodes.map(({ name }) => name).sort(), ['n1', 'n2']);
    assert.deepEqual(reply.nodes[0], record(1, 1, 'alive', { meta: Uint8Array.of(1) }));
    assert.equal(new TextDecoder().decode(reply.userState), 'ours');
    assert.equal(bench.stateOf(3), 'alive@1');
    assert.deepEqual(bench.delegate.merged, ['join:theirs']);
  });

  it('is answered before the peer closes its side, and the stream is closed by us', () => {
    const bench = new Bench(QUIET);
    const stream = bench.accept();
    const bytes = state([record(2, 1, 'alive')], false, '');
    for (const byte of bytes) bench.step({ kind: 'streamBytes', stream, bytes: Uint8Array.of(byte) });
    assert.equal(bench.answerOn(stream)?.kind, 'pushPull');
    assert.ok(bench.isClosed(stream));
    assert.equal(bench.stateOf(2), 'alive@1');
  });

  it('of another cluster is refused by the delegate, at a join only', () => {
    const bench = new Bench(QUIET);
    bench.delegate.refusesMerge = 'another cluster';
    bench.exchange([record(2, 1, 'alive')], { join: true });
    assert.equal(bench.stateOf(2), undefined);
    assert.deepEqual(bench.eventKinds().at(-1), 'mergeRefused');
    bench.exchange([record(2, 1, 'alive')], { join: false });
    assert.equal(bench.stateOf(2), 'alive@1');
  });

  it('with versions that do not fit is refused as a whole (8.6)', () => {
    for (const bad of [
      record(2, 1, 'alive', { versions: Uint8Array.of(3, 5, 3, 2, 5, 5) }),
      record(2, 1, 'dead', { versions: Uint8Array.of(1, 5, 2, 6, 7, 7) }),
      record(2, 1, 'alive', { versions: NONE }),
    ]) {
      const bench = new Bench(QUIET);
      bench.exchange([bad, record(3, 1, 'alive')]);
      assert.equal(bench.swim.memberCount, 1);
      assert.equal(bench.eventKinds().at(-1), 'mergeRefused');
      assert.equal(bench.swim.stats.pushPullsFailed, 1);
    }
  });

  it('with older versions that overlap is merged', () => {
    const bench = new Bench(QUIET);
    bench.exchange([record(2, 1, 'alive', { versions: Uint8Array.of(1, 3, 2, 2, 5, 5) })]);
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.deepEqual(bench.swim.self.versions, VERSIONS);
  });
});

describe('other streams', () => {
  it('TCP pings are answered with the same number and no payload', () => {
    const bench = new Bench(QUIET);
    bench.delegate.payload = new Uint8Array(9);
    const source = { sourceAddress: undefined, sourcePort: 0, sourceNode: '' };
    const reply = bench.request(encodePing({ kind: 'ping', node: 'n1', sequence: 18, ...source }));
    assert.deepEqual(reply, { kind: 'ack', sequence: 18, payload: undefined });
    assert.equal(bench.request(encodePing({ kind: 'ping', node: 'n2', sequence: 18, ...source })), undefined);
  });

  it('reliable user messages reach the delegate', () => {
    const bench = new Bench(QUIET);
    bench.request(encodeStreamUser(new TextEncoder().encode('certainly')));
    assert.deepEqual(bench.delegate.userMessages, ['certainly']);
  });

  it('what cannot be read is answered with an error; an unknown type is closed without a word (7.2)', () => {
    const bench = new Bench(QUIET);
    assert.equal(bench.request(Uint8Array.of(9, 0))?.kind, 'err');
    assert.equal(bench.request(Uint8Array.of(10, 0, 0, 0, 1, 7))?.kind, 'err');
    assert.equal(bench.request(Uint8Array.of(0x63, 1, 2)), undefined);
    assert.deepEqual(bench.swim.stats.dropped, { badMessage: 1, encrypted: 1, unknownType: 1 });
    assert.equal(bench.effects.filter((effect) => effect.kind === 'closeStream').length, 3);
  });

  it('that do not bring their request in time are closed, however they trickle (S-5)', () => {
    const bench = new Bench({ ...QUIET, tcpTimeoutMs: 1_000 });
    const stream = bench.accept();
    const bytes = state([record(2, 1, 'alive')], false, '');
    for (let i = 0; i < 10; i++) {
      bench.advance(100);
      bench.step({ kind: 'streamBytes', stream, bytes: bytes.subarray(i, i + 1) });
    }
    assert.ok(bench.isClosed(stream));
    assert.equal(bench.swim.stats.dropped['streamTimedOut'], 1);
  });

  it('beyond the limit are closed at once, and their bytes ignored', () => {
    const bench = new Bench({ ...QUIET, streamsAcceptedMax: 2 });
    bench.accept();
    bench.accept();
    const third = bench.accept();
    assert.ok(bench.isClosed(third));
    bench.step({ kind: 'streamBytes', stream: third, bytes: Uint8Array.of(6) });
    assert.equal(bench.swim.stats.dropped['tooManyStreams'], 1);
  });

  it('that hold too many bytes together are cut', () => {
    const bench = new Bench({ ...QUIET, streamBufferedBytesMax: 65_536 });
    const stream = bench.accept();
    const bytes = state([], false, 'x'.repeat(200_000));
    for (let at = 0; at < bytes.length; at += 10_000) {
      bench.step({ kind: 'streamBytes', stream, bytes: bytes.subarray(at, at + 10_000) });
    }
    assert.ok(bench.isClosed(stream));
    assert.equal(bench.swim.stats.dropped['tooLarge'], 1);
  });

  it('that break off in the middle are counted', () => {
    const bench = new Bench(QUIET);
    const stream = bench.accept();
    bench.step({ kind: 'streamBytes', stream, bytes: Uint8Array.of(6, 0x83) });
    bench.step({ kind: 'streamClosed', stream, error: undefined });
    const silent = bench.accept();
    bench.step({ kind: 'streamClosed', stream: silent, error: undefined });
    assert.deepEqual(bench.swim.stats.dropped, { streamCutOff: 1 });
  });
});

describe('a join (11.1)', () => {
  it('exchanges with every address, tells itself as alive, and counts who answered', () => {
    const bench = new Bench(QUIET);
    const requestId = bench.requestId();
    bench.step({ kind: 'join', requestId, addresses: [endpoint(2), endpoint(3), endpoint(4)] });
    const [first, second, third] = bench.dialled();
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    answer(bench, first.stream, state([record(2, 1, 'alive')], false, 'state of n2'));
    const told = bench.pushPullOf(bench.answerOn(first.stream));
    assert.equal(told.join, true);
    assert.deepEqual(told.nodes, [record(1, 1, 'alive', { meta: Uint8Array.of(1) })]);
    bench.step({ kind: 'streamClosed', stream: second.stream, error: 'connection refused' });
    answer(bench, third.stream, encodeErr({ kind: 'err', error: 'no room' }));
    assert.deepEqual(bench.effects.at(-1), {
      kind: 'reply',
      requestId,
      outcome: {
        kind: 'joined',
        count: 1,
        errors: ['10.0.0.3:7946: connection refused', '10.0.0.4:7946: the peer refused: no room'],
      },
    });
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.deepEqual(bench.delegate.merged, ['join:state of n2'], 'our own flag counts, not the echo');
  });

  it('to a cluster that the delegate refuses fails with its reason', () => {
    const bench = new Bench(QUIET);
    bench.delegate.refusesMerge = 'another cluster';
    const requestId = bench.requestId();
    bench.step({ kind: 'join', requestId, addresses: [endpoint(2)] });
    answer(bench, bench.dialled()[0]?.stream as StreamId, state([record(2, 1, 'alive')], true, ''));
    const reply = bench.effects.at(-1);
    assert.ok(reply?.kind === 'reply' && reply.outcome.kind === 'joined');
    assert.deepEqual(reply.outcome, { kind: 'joined', count: 0, errors: ['10.0.0.2:7946: another cluster'] });
  });

  it('that is not answered times out', () => {
    const bench = new Bench(QUIET);
    bench.step({ kind: 'join', requestId: bench.requestId(), addresses: [endpoint(2)] });
    bench.advance(10_000);
    const reply = bench.effects.at(-1);
    assert.ok(reply?.kind === 'reply' && reply.outcome.kind === 'joined');
    assert.deepEqual(reply.outcome.errors, ['10.0.0.2:7946: timed out']);
  });

  it('with no address is answered at once, and with many keeps few exchanges under way', () => {
    const bench = new Bench(QUIET);
    bench.step({ kind: 'join', requestId: bench.requestId(), addresses: [] });
    assert.equal(bench.effects.at(-1)?.kind, 'reply');
    bench.forget();
    bench.step({
      kind: 'join',
      requestId: bench.requestId(),
      addresses: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => endpoint(n)),
    });
    assert.equal(bench.dialled().length, 8);
    bench.step({ kind: 'streamClosed', stream: bench.dialled()[0]?.stream as StreamId, error: 'refused' });
    assert.equal(bench.dialled().length, 9);
  });
});

describe('the periodic push/pull (11.3)', () => {
  it('goes to one alive member, not as a join', () => {
    const bench = new Bench({ pushPullIntervalMs: 30_000, probeIntervalMs: 600_000 }).withMembers(4);
    bench.advance(60_000);
    const dials = bench.dialled();
    assert.ok(dials.length >= 1 && dials.length <= 2);
    const stream = dials[0]?.stream as StreamId;
    bench.step({ kind: 'streamOpened', stream });
    const asked = bench.answerOn(stream);
    if (asked !== undefined) assert.equal(bench.pushPullOf(asked).join, false);
    assert.equal(bench.swim.stats.pushPulls, dials.length);
  });

  it('does not happen alone', () => {
    const bench = new Bench({ pushPullIntervalMs: 1_000 });
    bench.advance(20_000);
    assert.deepEqual(bench.dialled(), []);
  });
});
