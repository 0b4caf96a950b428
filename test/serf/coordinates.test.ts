/** Network coordinates against values computed by Serf and by hand, hostile samples, and estimates in virtual time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../../src/base/random.ts';
import type { NetworkCoordinate } from '../../src/model/gossip-request.ts';
import { Coordinates } from '../../src/serf/coordinates.ts';
import { distance, pulled, START } from '../../src/serf/vivaldi.ts';
import { decodeCoordinatePayload, encodeCoordinatePayload } from '../../src/wire/serf/coordinate.ts';
import { fromHex, hex, vectors } from '../vectors.ts';
import { VirtualNetwork } from './network.ts';

interface SerfCoordinate {
  readonly Vec: readonly number[];
  readonly Error: number;
  readonly Adjustment: number;
  readonly Height: number;
}
interface Formulas {
  readonly initial_ack_payload_hex: string;
  readonly vivaldi: {
    readonly start: SerfCoordinate;
    readonly peer_coordinate: SerfCoordinate;
    readonly updates: readonly {
      readonly rtt_ns: number;
      readonly after: SerfCoordinate;
      readonly distance_to_peer_ns: number;
    }[];
  };
}
interface Acks {
  readonly vectors: readonly { readonly payload_hex: string | null; readonly coordinate: SerfCoordinate | null }[];
}

function ours({ Vec, Error, Adjustment, Height }: SerfCoordinate): NetworkCoordinate {
  return { vec: Vec, error: Error, adjustment: Adjustment, height: Height };
}

function at(...vec: number[]): NetworkCoordinate {
  return { ...START, vec: [...vec, ...new Array<number>(8 - vec.length).fill(0)] };
}

function fresh(): Coordinates {
  return new Coordinates('self', new SeededRandom(1));
}

describe('network coordinates', () => {
  it('follow the sequence that Serf computed, to the last bit', () => {
    const { start, peer_coordinate: peer, updates } = vectors<Formulas>('formulas.json').vivaldi;
    const coordinates = new Coordinates('self', new SeededRandom(1), ours(start));
    assert.ok(updates.length >= 5);
    for (const { rtt_ns, after, distance_to_peer_ns } of updates) {
      assert.equal(coordinates.learn('peer', ours(peer), rtt_ns / 1e9), true);
      assert.deepEqual(coordinates.own, ours(after));
      assert.equal(Math.round(distance(coordinates.own, ours(peer)) * 1e9), distance_to_peer_ns);
    }
  });

  it('of others are kept where no round trip could be taken, and ours does not move', () => {
    const coordinates = fresh();
    const told = encodeCoordinatePayload(at(0.01));
    coordinates.onAck('peer', told, undefined);
    assert.deepEqual(coordinates.of('peer'), at(0.01));
    assert.deepEqual(coordinates.own, START);
    coordinates.onAck('peer', encodeCoordinatePayload(at(11)), undefined);
    assert.deepEqual(coordinates.of('peer'), at(0.01), 'what nobody honest says is refused as ever');
    assert.equal(coordinates.stats.rejected, 1);
    coordinates.check((name) => name === 'peer');
  });

  it('ride on acks byte for byte as Serf sends them', () => {
    assert.equal(hex(fresh().payload), vectors<Formulas>('formulas.json').initial_ack_payload_hex);
    let seen = 0;
    for (const { payload_hex, coordinate } of vectors<Acks>('acks-coordinates.json').vectors) {
      if (payload_hex === null || coordinate === null) continue;
      const read = decodeCoordinatePayload(fromHex(payload_hex));
      assert.deepEqual(read, { kind: 'coordinate', coordinate: ours(coordinate) });
      assert.equal(hex(encodeCoordinatePayload(ours(coordinate))), payload_hex);
      seen += 1;
    }
    assert.ok(seen >= 2, `${seen} captured acks`);
  });

  it('move a quarter of the way that is missing, half of that between two who are equally unsure', () => {
    // Worked by hand. Two nodes 0.1 s apart on the first axis with heights 1e-5: the estimate is 0.10002 s. A round trip of 0.3 s
    // with errors 1.5 and 1.5 weighs 1/2: wrongness 0.19998 / 0.3 = 0.6666, error 1.5 * 0.875 + 0.125 * 0.6666 = 1.395825,
    // force 0.25 * 0.5 * 0.19998 = 0.0249975 away from the peer; height 2e-5 * 0.0249975 / 0.1 + 1e-5 = 1.49995e-5.
    const moved = pulled(at(0), at(0.1), 0.3, new SeededRandom(1));
    assert.ok(Math.abs((moved.vec[0] as number) + 0.0249975) < 1e-12);
    assert.deepEqual(moved.vec.slice(1), [0, 0, 0, 0, 0, 0, 0]);
    assert.ok(Math.abs(moved.error - 1.395825) < 1e-12);
    assert.ok(Math.abs(moved.height - 1.49995e-5) < 1e-15);
  });

  it('add both adjustments to the distance, unless that leaves nothing', () => {
    const a = { ...at(3, 4), height: 0.5, adjustment: 0.25 };
    const b = { ...at(), height: 0.25, adjustment: -0.125 };
    assert.equal(distance(a, b), 5.875);
    assert.equal(distance(a, { ...b, adjustment: -7 }), 5.75);
  });

  it('take the median of the last three round trips, so that a single slow one moves nothing', () => {
    const [calm, shaken] = [fresh(), fresh()];
    for (const one of [calm, shaken]) for (let i = 0; i < 30; i++) one.learn('peer', at(0.01), 0.01);
    calm.learn('peer', at(0.01), 0.01);
    shaken.learn('peer', at(0.01), 5);
    assert.deepEqual(shaken.own, calm.own);
  });

  it('reject what cannot be true, and stay as they were', () => {
    const coordinates = fresh();
    coordinates.learn('peer', at(0.01), 0.02);
    const before = coordinates.own;
    const bad: readonly (readonly [NetworkCoordinate, number])[] = [
      [at(Number.NaN), 0.1],
      [at(Number.POSITIVE_INFINITY), 0.1],
      [{ ...START, error: Number.NaN }, 0.1],
      [{ ...START, error: -1 }, 0.1],
      [{ ...START, height: Number.NEGATIVE_INFINITY }, 0.1],
      [{ ...START, height: -1 }, 0.1],
      [{ ...START, adjustment: Number.NaN }, 0.1],
      [{ ...START, vec: [0, 0, 0] }, 0.1],
      [{ ...START, vec: new Array<number>(9).fill(0) }, 0.1],
      [at(1e300), 0.1],
      [at(-11), 0.1],
      [at(0.01), -0.001],
      [at(0.01), 10.001],
      [at(0.01), Number.NaN],
    ];
    for (const [peer, seconds] of bad) assert.equal(coordinates.learn('liar', peer, seconds), false);
    for (const payload of ['00', '02c0', '01', '0181', '01a0']) coordinates.onAck('liar', fromHex(payload), 1);
    assert.equal(coordinates.stats.rejected, bad.length + 5);
    assert.deepEqual(coordinates.own, before);
    assert.equal(coordinates.of('liar'), undefined);
  });

  it('estimate the round trips of a network with two far halves, in virtual time', () => {
    const network = new VirtualNetwork(7);
    const isFar = (port: number): boolean => port % 2 === 0;
    network.delayMs = (from, to) => (isFar(from.address.port) === isFar(to.address.port) ? 2 : 40);
    const nodes = network.cluster(8);
    network.run(240_000);
    for (const a of nodes) {
      for (const b of nodes) {
        if (a === b) continue;
        const id = network.ask(a, (requestId) => ({
          kind: 'roundTrip',
          requestId,
          from: a.serf.name,
          to: b.serf.name,
        }));
        const outcome = a.replies.get(id);
        assert.ok(outcome?.kind === 'roundTrip', `${a.serf.name} knows ${b.serf.name}`);
        const real = isFar(a.address.port) === isFar(b.address.port) ? 0.004 : 0.08;
        const isNear = Math.abs(outcome.seconds - real) < Math.max(0.3 * real, 0.004);
        assert.ok(isNear, `${a.serf.name} to ${b.serf.name}: ${outcome.seconds}, really ${real}`);
      }
      const coordinate = a.serf.stats.coordinate;
      assert.ok(coordinate !== undefined && coordinate.error < 0.3, `error ${coordinate?.error}`);
      assert.equal(coordinate.rejected, 0);
    }
  });

  it('learn nothing from an ack that waited for this process', () => {
    const network = new VirtualNetwork(8);
    network.delayMs = () => 100;
    const [a, b] = network.cluster(2);
    assert.ok(a !== undefined && b !== undefined);
    network.run(20_000);
    for (let i = 0; i < 200; i++) {
      network.pause(a);
      network.run(60 + (i % 7) * 20);
      network.resume(a);
      network.run(313);
    }
    // A round trip is 200 to 204 ms, and may be taken for an eighth and 10 ms more.
    const { buckets, count } = a.serf.swimStats.roundTrips;
    const below = (bound: number): number => buckets.find(({ le }) => le === bound)?.count ?? 0;
    assert.ok(count > 30, `${count} samples`);
    assert.deepEqual([below(100), below(250)], [0, count], 'no sample of the length of a pause');
    assert.equal(a.statusOf('n2'), 'alive');
  });

  it('are forgotten with the member, and known of this node from the start', () => {
    const network = new VirtualNetwork(9);
    const [a, b] = network.cluster(2, { config: { reconnectTimeoutMs: 1_000, reapIntervalMs: 1_000 } });
    assert.ok(a !== undefined && b !== undefined);
    network.run(5_000);
    assert.equal(a.serf.stats.coordinate?.known, 1);
    network.kill(b);
    network.run(60_000);
    assert.equal(a.serf.member('n2'), undefined);
    assert.equal(a.serf.stats.coordinate?.known, 0);
    const own = network.ask(a, (requestId) => ({ kind: 'coordinate', requestId, node: 'n1' }));
    const outcome = a.replies.get(own);
    assert.ok(outcome?.kind === 'coordinate' && outcome.coordinate?.vec.length === 8);
    const gone = network.ask(a, (requestId) => ({ kind: 'roundTrip', requestId, from: 'n1', to: 'n2' }));
    assert.equal(a.replies.get(gone)?.kind, 'refused');
  });

  it('can be disabled: acks carry none, and requests say so', () => {
    const network = new VirtualNetwork(10);
    const a = network.add('a');
    const mute = network.add('mute', { config: { hasCoordinates: false } });
    network.join(a, mute);
    network.run(10_000);
    assert.equal(a.serf.stats.coordinate?.known, 0);
    assert.ok(a.serf.swimStats.roundTrips.count > 5);
    assert.equal(mute.serf.stats.coordinate, undefined);
    const id = network.ask(mute, (requestId) => ({ kind: 'roundTrip', requestId, from: 'a' }));
    const outcome = mute.replies.get(id);
    assert.ok(outcome?.kind === 'refused' && /disabled/.test(outcome.reason));
  });
});
