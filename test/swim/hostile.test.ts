import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { StreamId } from '../../src/model/ids.ts';
import { fromHex, vectors } from '../vectors.ts';
import { Bench, endpoint } from './harness.ts';

interface Udp {
  readonly hex: string;
}

interface Tcp {
  readonly request_hex: string;
  readonly response_hex: string;
}

const packets = ['udp-plain', 'udp-compressed', 'udp-proto2-conflict'].flatMap((file) =>
  vectors<{ readonly vectors: readonly Udp[] }>(`${file}.json`).vectors.map((vector) => fromHex(vector.hex)),
);
const streams = vectors<{ readonly vectors: readonly Tcp[] }>('tcp-push-pull.json').vectors.flatMap((vector) =>
  [vector.request_hex, vector.response_hex].filter((hex) => hex !== '').map(fromHex),
);

const edits = fc.array(fc.tuple(fc.nat(3_000), fc.nat(255)), { maxLength: 4 });
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('packet' as const), pick: fc.nat(packets.length - 1), edits }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('request' as const), pick: fc.nat(streams.length - 1), edits }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(streams.length - 1), edits }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat(9_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stall' as const), ms: fc.nat(9_000) }) },
);

function mutated(
  source: Uint8Array,
  changes: readonly (readonly [number, number])[],
  skipChecksum: boolean,
): Uint8Array {
  const bytes = source.slice(skipChecksum && source[0] === 12 ? 5 : 0);
  for (const [at, value] of changes) bytes[at % bytes.length] = value;
  return bytes;
}

describe('a node among liars', () => {
  it('keeps every invariant whatever real but mutated traffic comes, and stays within its limits', () => {
    fc.assert(
      fc.property(fc.array(happening, { minLength: 5, maxLength: 30 }), (history) => {
        // It bears the name and address of one that the captured traffic speaks of, to be accused and impersonated.
        const bench = new Bench({ name: 'n2', advertise: { host: '127.0.0.2', port: 7946 }, membersMax: 20 });
        let asked = 0;
        for (const one of history) {
          if (one.kind === 'time') bench.advance(one.ms);
          else if (one.kind === 'stall') {
            bench.stall(one.ms);
            bench.tick();
          } else if (one.kind === 'packet') {
            const bytes = mutated(packets[one.pick] as Uint8Array, one.edits, true);
            bench.step({ kind: 'datagram', from: endpoint(50), bytes });
          } else if (one.kind === 'request') {
            bench.request(mutated(streams[one.pick] as Uint8Array, one.edits, false));
          } else {
            bench.step({ kind: 'join', requestId: bench.requestId(), addresses: [endpoint(60)] });
            const stream = bench.dialled().at(-1)?.stream as StreamId;
            bench.step({ kind: 'streamOpened', stream });
            bench.step({
              kind: 'streamBytes',
              stream,
              bytes: mutated(streams[one.pick] as Uint8Array, one.edits, false),
            });
            bench.step({ kind: 'streamClosed', stream, error: undefined });
            asked += 1;
          }
          bench.forgetOld();
        }
        assert.equal(bench.swim.self.state, 'alive');
        assert.ok(bench.swim.memberCount <= 20);
        assert.equal(bench.replies, asked, 'every join has had its one answer');
      }),
      { numRuns: 400 },
    );
  });

  it('survives noise on both sockets', () => {
    const bench = new Bench();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        bench.step({ kind: 'datagram', from: endpoint(50), bytes });
        const stream = bench.accept();
        bench.step({ kind: 'streamBytes', stream, bytes });
        bench.step({ kind: 'streamClosed', stream, error: 'reset' });
        bench.forgetOld();
      }),
      { numRuns: 2_000 },
    );
    assert.equal(bench.swim.memberCount, 1);
  });
});
