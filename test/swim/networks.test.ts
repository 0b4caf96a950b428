/** Gossip with some networks only: memberlist's CIDRsAllowed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { validateSwimConfig } from '../../src/swim/config.ts';
import { isAddressIn, isHostIn, parseNetwork } from '../../src/wire/memberlist/network.ts';
import { encodePing } from '../../src/wire/memberlist/messages.ts';
import { alive, Bench, endpoint, record } from './harness.ts';

function networks(...texts: readonly string[]): NonNullable<ReturnType<typeof parseNetwork>>[] {
  return texts.map((text) => parseNetwork(text) ?? assert.fail(text));
}

describe('a network', () => {
  it('holds the addresses whose leading bits are its own', () => {
    const [tens] = [networks('10.0.0.0/8')];
    assert.ok(isHostIn('10.255.1.2', tens) && !isHostIn('11.0.0.1', tens));
    const part = networks('192.168.4.0/22');
    assert.ok(isHostIn('192.168.7.255', part) && !isHostIn('192.168.8.0', part) && !isHostIn('192.168.3.255', part));
    assert.ok(isHostIn('1.2.3.4', networks('0.0.0.0/0')) && !isHostIn('::1', networks('0.0.0.0/0')));
    assert.ok(isHostIn('fd12::1', networks('fd00::/8')) && !isHostIn('fe80::1', networks('fd00::/8')));
    assert.ok(isHostIn('10.0.0.7', networks('fd00::/8', '10.0.0.7/32')), 'one of several is enough');
    assert.ok(!isHostIn('a-name', tens));
  });

  it('holds IPv4 in either of its forms', () => {
    const mapped = Uint8Array.from([...new Array<number>(10).fill(0), 0xff, 0xff, 10, 1, 2, 3]);
    assert.ok(isAddressIn(mapped, networks('10.0.0.0/8')) && isAddressIn(mapped.subarray(12), networks('10.0.0.0/8')));
    assert.ok(!isAddressIn(new Uint8Array(5), networks('0.0.0.0/0')));
  });

  it('is written as address and length, and nothing else', () => {
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0/8',
      'fd00::/129',
      'name/8',
      '10.0.0.0/-1',
      '10.0.0.0/8x',
      '',
    ])
      assert.equal(parseNetwork(text), undefined, text);
  });
});

describe('a node that gossips with some networks only', () => {
  const settings = { networksAllowed: networks('10.0.0.0/24') };

  it('hears nothing from others, neither by datagram nor by stream', () => {
    const bench = new Bench(settings);
    bench.forget();
    const stranger = { host: '10.0.1.2', port: 7946 };
    const unsigned = { sourceAddress: undefined, sourcePort: 0, sourceNode: '' };
    const ping = encodePing({ kind: 'ping', node: 'n1', sequence: 5, ...unsigned });
    bench.step({ kind: 'datagram', from: stranger, bytes: ping });
    assert.deepEqual(bench.sent(), []);
    const stream = 11 as Parameters<Bench['isClosed']>[0];
    bench.step({ kind: 'streamAccepted', stream, from: stranger });
    assert.ok(bench.isClosed(stream));
    assert.equal(bench.swim.stats.dropped['networkNotAllowed'], 2);
    bench.step({ kind: 'datagram', from: endpoint(99), bytes: ping });
    assert.equal(bench.sentOf('ack').length, 1);
  });

  it('makes nobody of theirs a member, whoever tells it', () => {
    const bench = new Bench(settings);
    const elsewhere = Uint8Array.of(10, 0, 1, 2);
    bench.hear(alive(2, 1), alive(3, 1, { address: elsewhere }));
    bench.exchange([record(4, 1, 'alive'), record(5, 1, 'alive', { address: elsewhere })]);
    bench.hear(alive(2, 2, { address: elsewhere }));
    assert.deepEqual(
      [2, 3, 4, 5].map((n) => bench.stateOf(n)),
      ['alive@1', undefined, 'alive@1', undefined],
    );
  });

  it('must be in one of them itself', () => {
    const { config } = new Bench();
    assert.deepEqual(validateSwimConfig({ ...config, networksAllowed: networks('10.1.0.0/16') }), [
      'advertise must lie in one of networksAllowed',
    ]);
  });
});
