import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import type { RequestId, StreamId } from '../../src/model/ids.ts';
import { swimConfig } from '../../src/swim/config.ts';
import type { SwimEffect } from '../../src/swim/messages.ts';
import { Swim } from '../../src/swim/swim.ts';
import { encodeAlive, encodeDead, encodeNack } from '../../src/wire/memberlist/messages.ts';
import { Bench, TestDelegate, alive, dead, endpoint, record, suspect } from './harness.ts';

describe('at start', () => {
  it('we insert ourselves with incarnation 1 and say so', () => {
    const bench = new Bench();
    assert.equal(bench.stateOf(1), 'alive@1');
    assert.deepEqual(bench.eventKinds(), ['memberJoined n1']);
    assert.deepEqual(bench.swim.self.addressBytes, Uint8Array.of(10, 0, 0, 1));
    assert.equal(bench.swim.stats.incarnation, 1);
  });

  it('nothing is believed or answered before', () => {
    const delegate = new TestDelegate();
    const config = swimConfig({ name: 'n1', advertise: endpoint(1) });
    const swim = new Swim({ config, random: new SeededRandom(1), delegate });
    const effects: SwimEffect[] = [];
    const stream = 1 as StreamId;
    const requestId = 1 as RequestId;
    swim.step({ kind: 'datagram', from: endpoint(2), bytes: encodeAlive(alive(2, 1)) }, 0, effects);
    swim.step({ kind: 'streamAccepted', stream, from: endpoint(2) }, 0, effects);
    swim.step({ kind: 'join', requestId, addresses: [endpoint(2)] }, 0, effects);
    assert.equal(swim.memberCount, 0);
    assert.equal(swim.nextDeadline(), Number.POSITIVE_INFINITY);
    const outcome = { kind: 'refused', reason: 'gossip has not started' };
    assert.deepEqual(effects, [
      { kind: 'closeStream', stream },
      { kind: 'reply', requestId, outcome },
    ]);
  });
});

describe('alive (8.1)', () => {
  it('about an unknown node makes it a member and is spread', () => {
    const bench = new Bench();
    bench.forget();
    bench.hear(alive(2, 1));
    assert.deepEqual(bench.eventKinds(), ['memberJoined n2']);
    assert.equal(bench.stateOf(2), 'alive@1');
    const gossip = bench.gossipAbout('n2');
    assert.deepEqual(gossip, alive(2, 1));
  });

  it('with incarnation 0, with broken versions, addresses, names or too much metadata is refused', () => {
    const bench = new Bench();
    bench.hear(alive(2, 0));
    for (const versions of [[], [1], [0, 5, 2, 2, 5, 5], [5, 1, 2, 2, 5, 5], [1, 5, 6, 2, 5, 5], [0, 0, 0, 0, 0, 0]]) {
      bench.hear(alive(2, 1, { versions: Uint8Array.from(versions) }));
    }
    bench.hear(alive(2, 1, { address: new Uint8Array(5) }), alive(2, 1, { name: '' }));
    bench.hear(alive(2, 1, { name: 'é'.repeat(128) }), alive(2, 1, { meta: new Uint8Array(513) }));
    bench.hear(alive(2, 0xffff_ffff));
    assert.equal(bench.swim.memberCount, 1);
    assert.deepEqual(bench.swim.stats.dropped, {
      badIncarnation: 2,
      badVersions: 6,
      badAddress: 1,
      badName: 2,
      metaTooLarge: 1,
    });
  });

  it('with port 0 means our default port', () => {
    const bench = new Bench();
    bench.hear(alive(2, 1, { port: 0 }));
    assert.deepEqual(bench.swim.member('n2')?.address, { host: '10.0.0.2', port: 7946 });
  });

  it('keeps sixteen-byte addresses verbatim and shows them as IPv4', () => {
    const bench = new Bench();
    const address = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2]);
    bench.hear(alive(2, 1, { address }));
    assert.equal(bench.swim.member('n2')?.address.host, '10.0.0.2');
    assert.deepEqual(bench.gossipAbout('n2'), alive(2, 1, { address }));
  });

  it('of the same or an older incarnation changes nothing', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(2, 5));
    bench.forget();
    bench.hear(alive(2, 5, { meta: Uint8Array.of(9) }), alive(2, 4, { meta: Uint8Array.of(9) }));
    assert.deepEqual(bench.eventKinds(), []);
    assert.deepEqual(bench.swim.member('n2')?.meta, Uint8Array.of(2));
  });

  it('of a higher incarnation updates metadata, and only a change of metadata is an event', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(2, 2, { versions: Uint8Array.of(1, 5, 2, 2, 5, 4) }));
    assert.deepEqual(bench.eventKinds(), []);
    assert.equal(bench.swim.member('n2')?.versions[5], 4);
    bench.hear(alive(2, 3, { meta: Uint8Array.of(9) }));
    assert.deepEqual(bench.eventKinds(), ['memberUpdated n2']);
  });

  it('from another address is a conflict, whatever its incarnation', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(3, 9, { name: 'n2' }), alive(2, 9, { port: 7000 }));
    assert.deepEqual(bench.eventKinds(), ['nameConflict', 'nameConflict']);
    assert.equal(bench.stateOf(2), 'alive@1');
    const [first] = bench.delegate.events;
    assert.deepEqual(first?.kind === 'nameConflict' && first.theirs, endpoint(3));
  });

  it('of the same host in the other byte form is a conflict too, as peers see it', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(2, 2, { address: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2]) }));
    assert.deepEqual(bench.eventKinds(), ['nameConflict']);
  });

  it('from another address takes over the name of one that left, at any incarnation', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(2, 7));
    bench.hear(dead(2, 7, 'n2'));
    bench.forget();
    bench.hear(alive(2, 1, { port: 7000 }));
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.equal(bench.swim.member('n2')?.address.port, 7000);
    assert.deepEqual(bench.eventKinds(), ['memberJoined n2']);
  });

  it('from another address takes over the name of a dead one when the delegate says so, or after the reclaim time', () => {
    const bench = new Bench({ deadNodeReclaimMs: 5_000 }).withMembers(3);
    bench.hear(dead(2, 1, 'n3'), dead(3, 1, 'n2'));
    bench.hear(alive(2, 1, { port: 7000 }));
    assert.equal(bench.stateOf(2), 'dead@1');
    bench.delegate.reclaims = (held, claim) => held.name === 'n2' && claim.port === 7000;
    bench.hear(alive(2, 1, { port: 7000 }), alive(3, 1, { port: 7000 }));
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.equal(bench.stateOf(3), 'dead@1');
    bench.now += 5_001;
    bench.hear(alive(3, 1, { port: 7000 }));
    assert.equal(bench.stateOf(3), 'alive@1');
  });

  it('about the dead from the same address needs a strictly higher incarnation: no resurrection (G-2)', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(dead(2, 1, 'n3'));
    bench.forget();
    bench.hear(alive(2, 1));
    assert.equal(bench.stateOf(2), 'dead@1');
    bench.hear(alive(2, 2));
    assert.deepEqual(bench.eventKinds(), ['memberJoined n2']);
  });

  it('that the delegate refuses is dropped', () => {
    const bench = new Bench();
    bench.delegate.refusesAlive = (claim) => (claim.name === 'n2' ? 'another cluster' : undefined);
    bench.hear(alive(2, 1), alive(3, 1));
    assert.equal(bench.stateOf(2), undefined);
    assert.equal(bench.stateOf(3), 'alive@1');
    assert.equal(bench.swim.stats.dropped['refusedAlive'], 1);
  });

  it('beyond the table limit is dropped, from a list once for all', () => {
    const bench = new Bench({ membersMax: 3 }).withMembers(3);
    bench.hear(alive(4, 1));
    assert.equal(bench.swim.memberCount, 3);
    bench.forget();
    bench.exchange([4, 5, 6].map((n) => record(n, 1, 'alive')));
    assert.deepEqual(bench.eventKinds(), ['dropped']);
  });

  it('about ourselves is ignored when it is what we said, and refuted when it is not', () => {
    const bench = new Bench();
    bench.forget();
    bench.hear(alive(1, 1));
    assert.deepEqual(bench.eventKinds(), []);
    bench.hear(alive(1, 1, { meta: Uint8Array.of(66) }));
    assert.equal(bench.stateOf(1), 'alive@2');
    bench.hear(alive(1, 9));
    assert.equal(bench.stateOf(1), 'alive@10');
    assert.deepEqual(bench.swim.self.meta, Uint8Array.of(1), 'nothing of it is adopted');
    assert.deepEqual(bench.gossipAbout('n1') ?? alive(1, 10), alive(1, 10));
  });

  it('about ourselves from another address is a conflict', () => {
    const bench = new Bench();
    bench.forget();
    bench.hear(alive(1, 9, { port: 7000 }));
    assert.deepEqual(bench.eventKinds(), ['nameConflict']);
    assert.equal(bench.stateOf(1), 'alive@1');
  });
});

describe('metadata', () => {
  it('of ours changes under the next incarnation', () => {
    const bench = new Bench().withMembers(2);
    bench.step({ kind: 'setMeta', meta: Uint8Array.of(42) });
    assert.equal(bench.stateOf(1), 'alive@2');
    assert.deepEqual(bench.eventKinds(), ['memberUpdated n1']);
    assert.deepEqual(bench.gossipAbout('n1'), alive(1, 2, { meta: Uint8Array.of(42) }));
  });
});

describe('suspect (8.2)', () => {
  it('about an unknown node or of an older incarnation is ignored', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(2, 3));
    bench.forget();
    bench.hear(suspect(9, 1, 'n3'), suspect(2, 2, 'n3'));
    assert.equal(bench.stateOf(2), 'alive@3');
    assert.equal(bench.stateOf(9), undefined);
  });

  it('makes an alive member suspect, takes its incarnation and is spread', () => {
    const bench = new Bench().withMembers(3);
    bench.hear(suspect(2, 4, 'n3'));
    assert.equal(bench.stateOf(2), 'suspect@4');
    assert.deepEqual(bench.eventKinds(), ['memberSuspected n2']);
    assert.deepEqual(bench.gossipAbout('n2'), suspect(2, 4, 'n3'));
  });

  it('about the dead or left is ignored', () => {
    const bench = new Bench().withMembers(3);
    bench.hear(dead(2, 1, 'n3'), dead(3, 1, 'n3'));
    bench.forget();
    bench.hear(suspect(2, 2, 'n4'), suspect(3, 2, 'n4'));
    assert.deepEqual(bench.eventKinds(), []);
  });

  it('about ourselves is refuted above the accused incarnation, at the price of health', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(suspect(1, 7, 'n2'));
    assert.equal(bench.stateOf(1), 'alive@8');
    assert.equal(bench.swim.stats.healthScore, 1);
    assert.equal(bench.swim.stats.refutations, 1);
    assert.deepEqual(bench.eventKinds(), ['refuted']);
    assert.deepEqual(bench.gossipAbout('n1'), alive(1, 8));
  });

  it('about ourselves, long refuted, is answered to whoever repeats it, if it is a member, and not too often', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(suspect(1, 3, 'n2'));
    bench.forget();
    const old = encodeDead(dead(1, 2, 'n2'));
    bench.step({ kind: 'datagram', from: endpoint(2), bytes: old });
    bench.step({ kind: 'datagram', from: endpoint(2), bytes: old });
    bench.step({ kind: 'datagram', from: endpoint(50), bytes: old });
    assert.deepEqual(bench.sent(), [{ to: '10.0.0.2', messages: [alive(1, 4)] }]);
    assert.equal(bench.stateOf(1), 'alive@4');
  });

  it('of an incarnation that could not be refuted is dropped', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(suspect(1, 0xffff_ffff, 'n2'), dead(2, 0xffff_ffff, 'n3'));
    assert.equal(bench.stateOf(1), 'alive@1');
    assert.equal(bench.stateOf(2), 'alive@1');
    assert.equal(bench.swim.stats.dropped['badIncarnation'], 2);
  });

  it('ends in a refutation of higher incarnation', () => {
    const bench = new Bench().withMembers(3);
    bench.hear(suspect(2, 1, 'n3'));
    bench.forget();
    bench.hear(alive(2, 2));
    assert.equal(bench.stateOf(2), 'alive@2');
    assert.deepEqual(bench.eventKinds(), ['memberRefuted n2']);
  });

  it('hinted by another layer is raised in our own name', () => {
    const bench = new Bench().withMembers(3);
    bench.step({ kind: 'hint', node: 'n2', hint: 'suspect' });
    bench.step({ kind: 'hint', node: 'n1', hint: 'suspect' });
    bench.step({ kind: 'hint', node: 'n99', hint: 'suspect' });
    assert.deepEqual(bench.eventKinds(), ['memberSuspected n2']);
    assert.deepEqual(bench.gossipAbout('n2'), suspect(2, 1, 'n1'));
  });
});

describe('dead (8.3)', () => {
  it('is spread, and is left when the member itself says so', () => {
    const bench = new Bench().withMembers(3);
    bench.hear(dead(2, 1, 'n3'), dead(3, 1, 'n3'));
    assert.equal(bench.stateOf(2), 'dead@1');
    assert.equal(bench.stateOf(3), 'left@1');
    assert.deepEqual(bench.eventKinds(), ['memberLeft n2', 'memberLeft n3']);
  });

  it('is ignored when older, about strangers, or about those who are gone: dead never becomes left', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(alive(2, 5));
    bench.hear(dead(2, 4, 'n3'), dead(9, 1, 'n3'));
    assert.equal(bench.stateOf(2), 'alive@5');
    bench.hear(dead(2, 5, 'n3'));
    bench.forget();
    bench.hear(dead(2, 6, 'n2'));
    assert.equal(bench.stateOf(2), 'dead@5');
    assert.deepEqual(bench.eventKinds(), []);
  });

  it('about ourselves is refuted', () => {
    const bench = new Bench().withMembers(2);
    bench.hear(dead(1, 1, 'n2'));
    assert.equal(bench.stateOf(1), 'alive@2');
    bench.hear(dead(1, 2, 'n1'));
    assert.equal(bench.stateOf(1), 'alive@3', 'even in our own name: it is an echo of a former life');
  });
});

describe('a suspicion (9.4)', () => {
  it('kills after its time in our own name, with the incarnation we know', () => {
    // With three members nobody can confirm: the minimum applies, 4 s.
    const bench = new Bench({ probeIntervalMs: 1_000, pushPullIntervalMs: 0 }).withMembers(3);
    bench.hear(suspect(2, 1, 'n3'));
    bench.advance(3_999);
    assert.equal(bench.stateOf(2), 'suspect@1');
    bench.forget();
    bench.advance(1);
    assert.equal(bench.stateOf(2), 'dead@1');
    assert.deepEqual(bench.gossipAbout('n2'), dead(2, 1, 'n1'));
  });

  it('starts long and gets shorter with every other accuser, spreading each confirmation once', () => {
    const bench = new Bench({ pushPullIntervalMs: 0, probeIntervalMs: 100_000, probeTimeoutMs: 100 }).withMembers(8);
    const died = (): boolean => bench.stateOf(2)?.startsWith('dead') === true;
    bench.hear(suspect(2, 1, 'n3'), suspect(2, 1, 'n3'));
    // Interval 100 s: minimum 400 s, maximum 2400 s, two confirmations wanted.
    bench.advance(400_000);
    assert.equal(died(), false);
    bench.hear(suspect(2, 1, 'n4'));
    assert.deepEqual(bench.gossipAbout('n2'), suspect(2, 1, 'n4'));
    bench.hear(suspect(2, 1, 'n4'));
    bench.advance(600_000);
    assert.equal(died(), false);
    bench.hear(suspect(2, 1, 'n5'));
    bench.tick();
    assert.equal(died(), false, 'the minimum is long over, but the accused has a last word');
    bench.advance(6 * bench.config.gossipIntervalMs);
    assert.equal(died(), true);
  });

  it('does not run while this process stands still, whose own health suffers instead', () => {
    const bench = new Bench({ pushPullIntervalMs: 0 }).withMembers(3);
    bench.hear(suspect(2, 1, 'n3'));
    bench.advance(1_000);
    const health = bench.swim.stats.healthScore;
    bench.stall(60_000);
    bench.tick();
    assert.equal(bench.stateOf(2), 'suspect@1');
    assert.ok(bench.swim.stats.healthScore > health);
    // What waited in the socket comes before the tick.
    bench.stall(60_000);
    bench.hear(alive(2, 2));
    bench.tick();
    assert.equal(bench.stateOf(2), 'alive@2');
  });
});

describe('a sign of life', () => {
  it('from one that we hold for suspect, dead or left is answered with what we hold against it, so that it can refute', () => {
    const bench = new Bench({ pushPullIntervalMs: 0 }).withMembers(4);
    bench.hear(suspect(2, 3, 'n4'), dead(3, 5, 'n4'), dead(4, 1, 'n4'));
    bench.forget();
    const nack = encodeNack({ kind: 'nack', sequence: 9 });
    for (const n of [2, 2, 3, 4, 50]) bench.step({ kind: 'datagram', from: endpoint(n), bytes: nack });
    assert.deepEqual(bench.sent(), [
      { to: '10.0.0.2', messages: [suspect(2, 3, 'n1')] },
      { to: '10.0.0.3', messages: [dead(3, 5, 'n1')] },
      { to: '10.0.0.4', messages: [dead(4, 1, 'n1')] },
    ]);
  });

  it('that carries the refutation itself is not answered', () => {
    const bench = new Bench({ pushPullIntervalMs: 0 }).withMembers(3);
    bench.hear(suspect(2, 1, 'n3'));
    bench.forget();
    bench.step({ kind: 'datagram', from: endpoint(2), bytes: encodeAlive(alive(2, 2)) });
    assert.deepEqual(bench.sent(), []);
  });
});

describe('removal (8.7)', () => {
  it('drops dead and left rows after the gossip-to-the-dead time, at a turn of the probing order', () => {
    const bench = new Bench({ gossipToTheDeadMs: 10_000, pushPullIntervalMs: 0 }).withMembers(3);
    bench.hear(dead(2, 1, 'n2'), dead(3, 1, 'n1'));
    bench.advance(9_000);
    assert.equal(bench.swim.memberCount, 3);
    bench.advance(4_000);
    assert.equal(bench.swim.memberCount, 1);
    assert.deepEqual(
      bench
        .eventKinds()
        .filter((kind) => kind.startsWith('memberRemoved'))
        .sort(),
      ['memberRemoved n2', 'memberRemoved n3'],
    );
  });
});

describe('leave (11.2)', () => {
  it('is done at once when nobody else is there', () => {
    const bench = new Bench();
    const requestId = bench.requestId();
    bench.step({ kind: 'leave', requestId });
    assert.deepEqual(bench.effects.at(-1), { kind: 'reply', requestId, outcome: { kind: 'left', complete: true } });
    assert.equal(bench.stateOf(1), 'left@1');
  });

  it('is done when dead(us, us) was sent its full count, and we go on answering', () => {
    const bench = new Bench().withMembers(3);
    const requestId = bench.requestId();
    bench.step({ kind: 'leave', requestId });
    assert.deepEqual(bench.eventKinds(), ['memberLeft n1']);
    bench.advance(1_000);
    const replies = bench.effects.filter((effect) => effect.kind === 'reply');
    assert.deepEqual(replies, [{ kind: 'reply', requestId, outcome: { kind: 'left', complete: true } }]);
    const dying = bench.sentOf('dead');
    assert.equal(dying.length, 4, 'retransmit multiplier 4, one digit of members');
    assert.deepEqual(dying[0]?.message, dead(1, 1, 'n1'));
    bench.forget();
    bench.hear(alive(1, 9), suspect(1, 9, 'n2'), dead(1, 9, 'n2'));
    assert.equal(bench.stateOf(1), 'left@1', 'a leaving node refutes nothing');
    bench.hear({ kind: 'ping', node: 'n1', sequence: 5, sourceAddress: undefined, sourcePort: 0, sourceNode: '' });
    assert.equal(bench.sentOf('ack').length, 1);
    const again = bench.requestId();
    bench.step({ kind: 'leave', requestId: again });
    assert.deepEqual(bench.effects.at(-1), {
      kind: 'reply',
      requestId: again,
      outcome: { kind: 'left', complete: true },
    });
  });

  it('is cut short by its timeout', () => {
    const bench = new Bench({ gossipIntervalMs: 60_000, leaveTimeoutMs: 300 }).withMembers(2);
    const requestId = bench.requestId();
    bench.step({ kind: 'leave', requestId });
    bench.advance(299);
    assert.equal(bench.effects.filter((effect) => effect.kind === 'reply').length, 0);
    bench.advance(1);
    assert.deepEqual(bench.effects.at(-1), { kind: 'reply', requestId, outcome: { kind: 'left', complete: false } });
  });
});

describe('the merge of a list (8.5)', () => {
  it('takes alive as alive, left as left, and dead or suspect as a suspicion of our own', () => {
    const bench = new Bench().withMembers(5);
    bench.exchange([
      record(2, 2, 'alive', { meta: Uint8Array.of(9) }),
      record(3, 1, 'suspect'),
      record(4, 1, 'dead'),
      record(5, 1, 'left'),
      record(6, 3, 'alive'),
      record(7, 3, 'dead'),
    ]);
    assert.equal(bench.stateOf(2), 'alive@2');
    assert.equal(bench.stateOf(3), 'suspect@1');
    assert.equal(bench.stateOf(4), 'suspect@1');
    assert.equal(bench.stateOf(5), 'left@1');
    assert.equal(bench.stateOf(6), 'alive@3');
    assert.equal(bench.stateOf(7), undefined);
    const accusers = bench.delegate.events.flatMap((event) => (event.kind === 'memberSuspected' ? [event.by] : []));
    assert.deepEqual(accusers, ['n1', 'n1']);
  });

  it('that says we are dead is refuted', () => {
    const bench = new Bench();
    bench.exchange([record(1, 4, 'dead', { meta: Uint8Array.of(1) })]);
    assert.equal(bench.stateOf(1), 'alive@5');
  });
});
