import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeAck, encodePing } from '../../src/wire/memberlist/messages.ts';
import type { DatagramMessage, Ping } from '../../src/wire/memberlist/messages.ts';
import { Bench, VERSIONS, alive, dead, endpoint, suspect } from './harness.ts';

const SOURCE = { sourceAddress: Uint8Array.of(10, 0, 0, 1), sourcePort: 7946, sourceNode: 'n1' };

function ack(sequence: number, payload?: Uint8Array): DatagramMessage {
  return { kind: 'ack', sequence, payload };
}

function pingFrom(n: number, sequence: number, node = 'n1'): Ping {
  return {
    kind: 'ping',
    node,
    sequence,
    sourceAddress: Uint8Array.of(10, 0, 0, n),
    sourcePort: 7946,
    sourceNode: `n${n}`,
  };
}

/** Goes on until the next probe is sent. */
function untilProbe(bench: Bench): { to: string; message: Ping } {
  bench.forget();
  for (let i = 0; i < 100 && bench.sentOf('ping').length === 0; i++) {
    bench.advance(bench.swim.nextDeadline() - bench.now);
  }
  return bench.sentOf('ping')[0] as { to: string; message: Ping };
}

const QUIET = { pushPullIntervalMs: 0 };

describe('a probe (9.1, 9.2)', () => {
  it('comes once per interval, in a random round of all others that are alive or suspect', () => {
    const bench = new Bench(QUIET).withMembers(5);
    bench.hear(dead(5, 1, 'n5'));
    bench.hear(suspect(4, 1, 'n2'));
    const probed: string[] = [];
    for (let i = 0; i < 6; i++) {
      const { to, message } = untilProbe(bench);
      probed.push(to);
      bench.hear(ack(message.sequence));
    }
    assert.deepEqual(probed.slice(0, 3).sort(), ['10.0.0.2', '10.0.0.3', '10.0.0.4']);
    assert.deepEqual(probed.slice(3).sort(), ['10.0.0.2', '10.0.0.3', '10.0.0.4']);
  });

  it('names its target and ourselves, numbers from the clock, and carries news', () => {
    const bench = new Bench({ ...QUIET, gossipIntervalMs: 50_000 }).withMembers(2);
    const { to, message } = untilProbe(bench);
    assert.equal(to, '10.0.0.2');
    assert.deepEqual(message, { kind: 'ping', node: 'n2', sequence: message.sequence, ...SOURCE });
    const later = new Bench({ ...QUIET, gossipIntervalMs: 50_000 });
    later.now += 60_000;
    // A former process of our name may still be answered.
    assert.ok(untilProbe(later.withMembers(2)).message.sequence > message.sequence + 1_000);
    const packet = bench.sent()[0];
    assert.deepEqual(packet?.messages.map(({ kind }) => kind).sort(), ['alive', 'alive', 'ping']);
  });

  it('of a suspect says so in the same packet, and nothing else', () => {
    const bench = new Bench(QUIET).withMembers(3);
    bench.hear(suspect(2, 1, 'n3'), suspect(3, 1, 'n3'));
    untilProbe(bench);
    const packet = bench.sent().find(({ messages }) => messages[0]?.kind === 'ping');
    assert.equal(packet?.messages.length, 2);
    const accused = packet?.messages[1];
    assert.ok(accused?.kind === 'suspect' && accused.from === 'n1' && accused.incarnation === 1);
  });

  it('that is answered improves our health and hands payload and round trip to the delegate', () => {
    const bench = new Bench(QUIET).withMembers(2);
    bench.hear(suspect(1, 1, 'n2'));
    assert.equal(bench.swim.stats.healthScore, 1);
    const { message } = untilProbe(bench);
    bench.advance(30);
    bench.hear(ack(message.sequence, Uint8Array.of(1, 2, 3)));
    assert.equal(bench.swim.stats.healthScore, 0);
    assert.deepEqual(bench.delegate.payloads, [{ node: 'n2', bytes: 3, roundTripMs: 30 }]);
    bench.hear(ack(message.sequence, Uint8Array.of(1)));
    assert.equal(bench.delegate.payloads.length, 1, 'an answer counts once');
  });

  it('that is answered while this process stood still, or late, hands on the payload without a round trip', () => {
    const bench = new Bench(QUIET).withMembers(2);
    const first = untilProbe(bench);
    bench.now += 150;
    bench.hear(ack(first.message.sequence, Uint8Array.of(1, 2, 3)));
    const second = untilProbe(bench);
    bench.advance(600);
    bench.hear(ack(second.message.sequence, Uint8Array.of(4)));
    assert.deepEqual(bench.delegate.payloads, [
      { node: 'n2', bytes: 3, roundTripMs: undefined },
      { node: 'n2', bytes: 1, roundTripMs: undefined },
    ]);
    assert.equal(bench.swim.stats.roundTrips.count, 0);
  });
});

describe('an indirect probe (9.3)', () => {
  it('asks up to three others with the same number, and dials the target, when the timeout is over', () => {
    const bench = new Bench(QUIET).withMembers(6);
    const { to, message } = untilProbe(bench);
    bench.forget();
    bench.advance(499);
    assert.deepEqual(bench.sentOf('indirectPing'), []);
    bench.advance(1);
    const requests = bench.sentOf('indirectPing');
    assert.equal(requests.length, 3);
    assert.equal(new Set(requests.map((request) => request.to)).size, 3);
    for (const request of requests) {
      assert.notEqual(request.to, to);
      assert.deepEqual(request.message, {
        kind: 'indirectPing',
        sequence: message.sequence,
        target: Uint8Array.of(10, 0, 0, Number(to.split('.')[3])),
        port: 7946,
        node: message.node,
        nack: true,
        ...SOURCE,
      });
    }
    assert.deepEqual(
      bench.dialled().map((dial) => dial.to),
      [to],
    );
    assert.equal(bench.swim.stats.indirectProbes, 3);
  });

  it('does not ask old peers for nacks, nor dial those that cannot answer', () => {
    const bench = new Bench(QUIET).withMembers(3, { versions: Uint8Array.of(1, 2, 2, 2, 5, 5) });
    untilProbe(bench);
    bench.advance(500);
    assert.deepEqual(
      bench.sentOf('indirectPing').map(({ message }) => message.nack),
      [false],
    );
    assert.deepEqual(bench.dialled(), []);
  });

  it('that brings an ack is a success', () => {
    const bench = new Bench(QUIET).withMembers(3);
    const { message } = untilProbe(bench);
    bench.advance(600);
    bench.hear(ack(message.sequence));
    bench.advance(600);
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.equal(bench.stateOf(3), 'alive@1');
    assert.equal(bench.swim.stats.probesFailed, 0);
  });

  it('without any answer makes the target suspect at the end of the interval', () => {
    const bench = new Bench(QUIET).withMembers(3);
    const { message } = untilProbe(bench);
    bench.advance(999);
    assert.equal(bench.swim.member(message.node)?.state, 'alive');
    bench.advance(1);
    assert.equal(bench.swim.member(message.node)?.state, 'suspect');
    assert.equal(bench.swim.stats.probesFailed, 1);
    assert.equal(bench.swim.stats.healthScore, 1, 'one nack was due and did not come');
  });

  it('costs no health when every helper said no: the target is at fault, not we', () => {
    const bench = new Bench(QUIET).withMembers(4);
    const { message } = untilProbe(bench);
    bench.advance(500);
    assert.equal(bench.sentOf('indirectPing').length, 2);
    bench.hear({ kind: 'nack', sequence: message.sequence }, { kind: 'nack', sequence: message.sequence });
    bench.hear({ kind: 'nack', sequence: message.sequence });
    bench.advance(500);
    assert.equal(bench.swim.member(message.node)?.state, 'suspect');
    assert.equal(bench.swim.stats.healthScore, 0);
  });

  it('costs one point when nobody could be asked', () => {
    const bench = new Bench(QUIET).withMembers(2);
    untilProbe(bench);
    bench.advance(1_000);
    assert.equal(bench.swim.stats.healthScore, 1);
  });

  it('is judged later when our own health is poor', () => {
    const bench = new Bench(QUIET).withMembers(3);
    bench.hear(suspect(1, 1, 'n2'), suspect(1, 2, 'n2'));
    assert.equal(bench.swim.stats.healthScore, 2);
    const { message } = untilProbe(bench);
    bench.advance(2_999);
    assert.equal(bench.swim.member(message.node)?.state, 'alive');
    bench.advance(1);
    assert.equal(bench.swim.member(message.node)?.state, 'suspect');
  });

  it('succeeds by TCP alone, with a warning', () => {
    const bench = new Bench(QUIET).withMembers(2);
    const { message } = untilProbe(bench);
    bench.advance(500);
    const [dial] = bench.dialled();
    assert.ok(dial !== undefined);
    bench.step({ kind: 'streamOpened', stream: dial.stream });
    const asked = bench.answerOn(dial.stream);
    assert.deepEqual(asked, message, 'the same ping');
    bench.forget();
    const answer = encodeAck({ kind: 'ack', sequence: message.sequence, payload: undefined });
    bench.step({ kind: 'streamBytes', stream: dial.stream, bytes: answer });
    assert.ok(bench.isClosed(dial.stream));
    bench.advance(500);
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.deepEqual(bench.eventKinds(), ['datagramsBlocked n2']);
  });

  it('by TCP with a wrong number, an error or a failed dial does not save the target', () => {
    for (const end of ['wrong number', 'closed', 'silence'] as const) {
      const bench = new Bench(QUIET).withMembers(2);
      const { message } = untilProbe(bench);
      bench.advance(500);
      const stream = bench.dialled()[0]?.stream;
      assert.ok(stream !== undefined);
      const wrong = encodeAck({ kind: 'ack', sequence: message.sequence + 1, payload: undefined });
      if (end === 'wrong number') bench.step({ kind: 'streamBytes', stream, bytes: wrong });
      if (end === 'closed') bench.step({ kind: 'streamClosed', stream, error: 'refused' });
      bench.advance(500);
      assert.equal(bench.stateOf(2), 'suspect@1', end);
    }
  });

  it('without helpers and without TCP where both are switched off', () => {
    const bench = new Bench({ ...QUIET, indirectChecks: 0, tcpPing: false }).withMembers(4);
    untilProbe(bench);
    bench.forget();
    bench.advance(500);
    assert.deepEqual(bench.sentOf('indirectPing'), []);
    assert.deepEqual(bench.dialled(), []);
  });
});

describe('a process that stood still', () => {
  it('does not suspect whoever answered meanwhile', () => {
    const bench = new Bench(QUIET).withMembers(3);
    const { message } = untilProbe(bench);
    bench.stall(30_000);
    bench.hear(ack(message.sequence));
    bench.tick();
    assert.equal(bench.swim.stats.probesFailed, 0);
    assert.equal(bench.swim.member(message.node)?.state, 'alive');
  });

  it('asks others before it suspects one whose answer was lost, and doubts itself', () => {
    const bench = new Bench(QUIET).withMembers(3);
    const { message } = untilProbe(bench);
    bench.forget();
    bench.stall(30_000);
    bench.tick();
    assert.equal(bench.swim.member(message.node)?.state, 'alive');
    assert.equal(bench.swim.stats.healthScore, 1);
    bench.advance(500);
    assert.equal(bench.sentOf('indirectPing').length, 1);
  });

  it('takes one stall out once, however many inputs waited', () => {
    const bench = new Bench(QUIET).withMembers(3);
    bench.hear(suspect(2, 1, 'n3'));
    bench.stall(10_000);
    for (let i = 0; i < 20; i++) bench.hear(ack(4_000 + i));
    bench.tick();
    assert.equal(bench.swim.stats.healthScore, 1);
    assert.equal(bench.stateOf(2), 'suspect@1');
    bench.advance(4_100);
    assert.equal(bench.stateOf(2), 'dead@1', 'four seconds of listening are enough');
  });

  it('does not probe faster afterwards', () => {
    const bench = new Bench(QUIET).withMembers(2);
    const { message } = untilProbe(bench);
    bench.hear(ack(message.sequence));
    const probes = bench.swim.stats.probes;
    bench.stall(10_000);
    bench.advance(1_500);
    assert.ok(bench.swim.stats.probes <= probes + 2);
  });
});

describe('a ping to us', () => {
  it('is answered where it asks, with payload and news, when a member asks', () => {
    const bench = new Bench({ ...QUIET, gossipIntervalMs: 50_000 }).withMembers(2);
    bench.delegate.payload = Uint8Array.of(7, 7);
    bench.delegate.broadcasts = [Uint8Array.of(1, 2, 3)];
    bench.hear(pingFrom(2, 77));
    const [packet] = bench.sent();
    assert.equal(packet?.to, '10.0.0.2');
    assert.deepEqual(packet?.messages[0], ack(77, Uint8Array.of(7, 7)));
    assert.deepEqual(packet?.messages.at(-1), { kind: 'user', bytes: Uint8Array.of(1, 2, 3) });
    assert.deepEqual(packet?.messages.map(({ kind }) => kind).sort(), ['ack', 'alive', 'alive', 'user']);
  });

  it('without a source is answered where it came from; to a stranger with as little as possible (S-3)', () => {
    const bench = new Bench(QUIET).withMembers(2);
    bench.delegate.payload = new Uint8Array(200);
    bench.delegate.broadcasts = [new Uint8Array(300)];
    const ping = encodePing({
      kind: 'ping',
      node: '',
      sequence: 3,
      sourceAddress: undefined,
      sourcePort: 0,
      sourceNode: '',
    });
    bench.step({ kind: 'datagram', from: endpoint(50, 1234), bytes: ping });
    const [effect] = bench.effects;
    assert.ok(effect?.kind === 'sendDatagram');
    assert.deepEqual(effect.to, endpoint(50, 1234));
    assert.deepEqual(bench.sent()[0]?.messages, [ack(3, undefined)]);
  });

  it('for another name is dropped', () => {
    const bench = new Bench(QUIET).withMembers(2);
    bench.hear(pingFrom(2, 77, 'n3'));
    assert.deepEqual(bench.sent(), []);
    assert.equal(bench.swim.stats.dropped['pingForAnother'], 1);
  });
});

describe('a ping for another', () => {
  const request = (over: Partial<Extract<DatagramMessage, { kind: 'indirectPing' }>> = {}): DatagramMessage => ({
    ...pingFrom(2, 900),
    kind: 'indirectPing',
    target: Uint8Array.of(10, 0, 0, 3),
    port: 7946,
    node: 'n3',
    nack: true,
    ...over,
  });

  it('goes out under our own number, and the ack goes back under the asker’s, without payload', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000 }).withMembers(3);
    bench.hear(request());
    const [ping] = bench.sentOf('ping');
    assert.equal(ping?.to, '10.0.0.3');
    const sequence = ping?.message.sequence as number;
    assert.deepEqual(ping?.message, { kind: 'ping', node: 'n3', sequence, ...SOURCE });
    bench.forget();
    bench.hear(ack(sequence, Uint8Array.of(9)));
    const [answer] = bench.sentOf('ack');
    assert.equal(answer?.to, '10.0.0.2');
    assert.deepEqual(answer?.message, ack(900, undefined));
    bench.advance(1_000);
    assert.deepEqual(bench.sentOf('nack'), []);
  });

  it('brings a nack after the timeout if one was asked for, and no late ack', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000 }).withMembers(3);
    bench.hear(request(), request({ nack: false, sequence: 901 }));
    const [first, second] = bench.sentOf('ping').map(({ message }) => message.sequence);
    bench.advance(499);
    assert.deepEqual(bench.sentOf('nack'), []);
    bench.advance(1);
    assert.deepEqual(
      bench.sentOf('nack').map(({ to, message }) => [to, message.sequence]),
      [['10.0.0.2', 900]],
    );
    bench.forget();
    bench.hear(ack(first as number), ack(second as number));
    assert.deepEqual(bench.sentOf('ack'), []);
  });

  it('to somebody we do not know, or elsewhere than we know him, is not sent (S-3)', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000 }).withMembers(3);
    bench.hear(request({ node: 'n9' }), request({ port: 53 }), request({ target: Uint8Array.of(8, 8, 8, 8) }));
    bench.hear(request({ target: undefined }));
    assert.deepEqual(bench.sentOf('ping'), []);
    assert.equal(bench.sentOf('nack').length, 4);
    assert.equal(bench.swim.stats.dropped['indirectPingForStranger'], 4);
  });

  it('in floods stops at a limit', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000 }).withMembers(3);
    for (let i = 0; i < 1_030; i++) bench.hear(request({ sequence: i }));
    assert.equal(bench.swim.stats.dropped['tooManyIndirectPings'], 6);
  });
});

describe('gossip (10.3)', () => {
  it('goes to a few others, not to the left, to the dead for a while, and stops when there is nothing to say', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000, gossipToTheDeadMs: 1_000 }).withMembers(6);
    bench.hear(dead(5, 1, 'n2'), dead(6, 1, 'n6'));
    bench.forget();
    bench.advance(200);
    assert.equal(bench.sent().length, 3);
    bench.forget();
    bench.advance(800);
    const early = new Set(bench.sent().map(({ to }) => to));
    assert.ok(!early.has('10.0.0.6'));
    bench.advance(5_000);
    bench.forget();
    bench.advance(10_000);
    assert.deepEqual(bench.sent(), [], 'every message has had its transmits');
  });

  it('never makes a packet larger than the limit (G-10)', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000 });
    for (let n = 2; n < 60; n++) bench.hear(alive(n, 1, { meta: new Uint8Array(300).fill(n) }));
    bench.delegate.broadcasts = Array.from({ length: 50 }, (_, i) => new Uint8Array(20 + i * 7).fill(1));
    bench.forget();
    bench.advance(5_000);
    const sizes = bench.effects.flatMap((effect) => (effect.kind === 'sendDatagram' ? [effect.bytes.length] : []));
    assert.ok(sizes.length > 50);
    assert.ok(Math.max(...sizes) <= 1_400);
    assert.ok(Math.max(...sizes) > 1_200, 'and fills it');
  });

  it('carries a checksum to those who know it and none to others', () => {
    const bench = new Bench({ ...QUIET, probeIntervalMs: 100_000 });
    bench.hear(alive(2, 1, { versions: VERSIONS }));
    bench.forget();
    bench.advance(200);
    assert.ok(bench.effects.every((effect) => effect.kind !== 'sendDatagram' || effect.bytes[0] === 12));
    const old = new Bench({ ...QUIET, probeIntervalMs: 100_000 });
    old.hear(alive(2, 1, { versions: Uint8Array.of(1, 4, 2, 2, 5, 5) }));
    old.forget();
    old.advance(200);
    assert.ok(old.effects.every((effect) => effect.kind !== 'sendDatagram' || effect.bytes[0] !== 12));
    assert.ok(old.sent().length > 0);
  });

  it('is compressed where that is shorter', () => {
    const bench = new Bench({ ...QUIET, compression: true, probeIntervalMs: 100_000 });
    bench.hear(alive(2, 1, { meta: new Uint8Array(400) }));
    bench.forget();
    bench.advance(200);
    const [effect] = bench.effects;
    assert.ok(effect?.kind === 'sendDatagram' && effect.bytes[5] === 9 && effect.bytes.length < 250);
    assert.equal(bench.sentOf('alive').length > 0, true);
  });
});

describe('user messages', () => {
  it('arrive in order with the events around them, and are sent directly without news', () => {
    const bench = new Bench(QUIET);
    bench.hear({ kind: 'user', bytes: new TextEncoder().encode('hello') });
    assert.deepEqual(bench.delegate.userMessages, ['hello']);
    bench.forget();
    bench.swim.sendUserMessage(endpoint(9), Uint8Array.of(5), bench.effects);
    assert.deepEqual(bench.sent(), [{ to: '10.0.0.9', messages: [{ kind: 'user', bytes: Uint8Array.of(5) }] }]);
  });
});
