/** Who is gone stays gone after its row was dropped, unless it comes back itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SwimConfig } from '../../src/swim/config.ts';
import { encodeAck } from '../../src/wire/memberlist/messages.ts';
import { alive, Bench, dead, endpoint, record } from './harness.ts';

const QUIET: Partial<SwimConfig> = { gossipToTheDeadMs: 2_000, pushPullIntervalMs: 0, tcpPing: false };

/** n1 with n3, which is kept alive, and without n2, which died or left at incarnation 3 and whose row was dropped. */
function bereaved(settings: Partial<SwimConfig> = {}, { hasLeft = false } = {}): Bench {
  const bench = new Bench({ ...QUIET, ...settings });
  bench.hear(alive(2, 3));
  bench.hear(dead(2, 3, hasLeft ? 'n2' : 'n9'));
  keep(bench, 8);
  assert.equal(bench.stateOf(2), undefined);
  bench.forget();
  return bench;
}

/** Seconds in which n3 says again and again that it lives. */
let incarnation = 1;
function keep(bench: Bench, seconds: number): void {
  for (let i = 0; i < seconds * 2; i++) {
    incarnation += 1;
    bench.hear(alive(3, incarnation));
    bench.advance(500);
  }
}

function pingsTo(bench: Bench, n: number): number[] {
  return bench.sentOf('ping').flatMap(({ to, message }) => (to === endpoint(n).host ? [message.sequence] : []));
}

describe('a member that is gone and forgotten', () => {
  it('does not come back by the word of others: it is asked, and its silence is told as a suspicion', () => {
    const bench = bereaved();
    bench.exchange([record(2, 3, 'alive')]);
    assert.equal(bench.stateOf(2), undefined);
    const [first] = bench.sent();
    assert.deepEqual(
      first?.messages.map(({ kind }) => kind),
      ['suspect', 'ping'],
      'it hears what it is held for, and is pinged',
    );
    assert.equal(first?.to, '10.0.0.2');
    bench.hear(alive(2, 3), alive(2, 2));
    keep(bench, 2);
    assert.equal(pingsTo(bench, 2).length, 3);
    assert.equal(bench.swim.stats.dropped['wordOfTheDead'], 1);
    assert.deepEqual(
      bench.eventKinds().filter((kind) => kind.endsWith('n2')),
      [],
    );
    const told = bench.sentOf('suspect').filter(({ to, message }) => to === '10.0.0.3' && message.node === 'n2');
    assert.deepEqual(told[0]?.message, { kind: 'suspect', node: 'n2', incarnation: 3, from: 'n1' });
  });

  it('is back at once by its refutation', () => {
    const bench = bereaved();
    bench.exchange([record(2, 1, 'alive')]);
    bench.hear(alive(2, 4));
    assert.equal(bench.stateOf(2), 'alive@4');
    bench.advance(3_000);
    assert.equal(bench.swim.stats.dropped['wordOfTheDead'], undefined);
  });

  it('is back after one round trip when a new process of its name answers, whatever its incarnation', () => {
    const bench = bereaved();
    bench.exchange([record(2, 1, 'alive')], { join: true });
    assert.equal(bench.stateOf(2), undefined);
    const [sequence = 0] = pingsTo(bench, 2);
    bench.hear({ kind: 'ack', sequence, payload: undefined });
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.ok(bench.eventKinds().includes('memberJoined n2'));
  });

  it('may answer from another address, which the newest claim names', () => {
    const bench = bereaved();
    bench.exchange([record(2, 3, 'alive')]);
    bench.hear(alive(2, 1, { address: Uint8Array.of(10, 0, 0, 7) }));
    const [stale = 0] = pingsTo(bench, 2);
    bench.hear({ kind: 'ack', sequence: stale, payload: undefined });
    assert.equal(bench.stateOf(2), undefined, 'nobody waits for that answer any more');
    const [sequence = 0] = pingsTo(bench, 7);
    bench.hear({ kind: 'ack', sequence, payload: undefined });
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.equal(bench.swim.member('n2')?.address.host, '10.0.0.7');
  });

  it('that took leave does not come back by an answer alone, for it may not have ended yet; a new process refutes', () => {
    const bench = bereaved({}, { hasLeft: true });
    bench.exchange([record(2, 3, 'alive')]);
    const [sequence = 0] = pingsTo(bench, 2);
    bench.hear({ kind: 'ack', sequence, payload: undefined });
    assert.equal(bench.stateOf(2), undefined);
    bench.hear(alive(2, 4));
    assert.equal(bench.stateOf(2), 'alive@4');
  });

  it('is asked by TCP, too, when datagrams do not get through', () => {
    const bench = bereaved({ tcpPing: true });
    bench.exchange([record(2, 1, 'alive')]);
    bench.forget();
    keep(bench, 1);
    bench.advance(600);
    const call = bench.dialled().find(({ to }) => to === '10.0.0.2');
    assert.ok(call !== undefined);
    bench.step({ kind: 'streamOpened', stream: call.stream });
    const asked = bench.answerOn(call.stream);
    assert.equal(asked?.kind, 'ping');
    const sequence = asked.kind === 'ping' ? asked.sequence : 0;
    const bytes = encodeAck({ kind: 'ack', sequence, payload: undefined });
    bench.step({ kind: 'streamBytes', stream: call.stream, bytes });
    assert.equal(bench.stateOf(2), 'alive@1');
  });

  it('is not asked again for a second after its silence, and then is', () => {
    const bench = bereaved();
    bench.hear(alive(2, 3));
    bench.advance(1_500);
    assert.equal(pingsTo(bench, 2).length, 3);
    bench.hear(alive(2, 3));
    assert.equal(pingsTo(bench, 2).length, 3);
    bench.advance(1_100);
    bench.hear(alive(2, 3));
    assert.equal(pingsTo(bench, 2).length, 4);
  });

  it('is not remembered for longer than the time, nor beyond one per row of a full table, nor when that is switched off', () => {
    const late = bereaved({ tombstoneMs: 60_000 });
    late.advance(60_000);
    late.hear(alive(2, 3));
    assert.equal(late.stateOf(2), 'alive@3');
    const off = bereaved({ tombstoneMs: 0 });
    off.hear(alive(2, 3));
    assert.equal(off.stateOf(2), 'alive@3');
    // n2 is forgotten for the four that died after it.
    const full = bereaved({ membersMax: 4 });
    for (let n = 10; n < 14; n += 2) {
      full.hear(alive(n, 1), alive(n + 1, 1), dead(n, 1, 'n9'), dead(n + 1, 1, 'n9'));
      keep(full, 30);
      assert.equal(full.stateOf(n), undefined);
    }
    full.forget();
    full.hear(alive(10, 1));
    assert.equal(full.stateOf(10), undefined);
    full.hear(alive(2, 3));
    assert.equal(full.stateOf(2), 'alive@3');
  });
});
