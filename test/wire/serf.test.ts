import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MsgpackWriter } from '../../src/wire/msgpack/writer.ts';
import { decodeFilter, encodeFilter } from '../../src/wire/serf/filters.ts';
import {
  decodeSerfMessage,
  encodeSerfMessage,
  LAMPORT_TIME_MAX,
  type Query,
  SERF_TYPE,
  type SerfMessage,
} from '../../src/wire/serf/messages.ts';
import { decodeQueryPayload, encodeQueryPayload } from '../../src/wire/serf/payloads.ts';
import { decodePushPull, encodePushPull } from '../../src/wire/serf/push-pull.ts';
import { decodeTags, encodeTags } from '../../src/wire/serf/tags.ts';
import { fromHex, hex, tellVectors, vectors } from '../vectors.ts';

interface Decoded {
  readonly type: number;
  readonly fields?: Readonly<Record<string, unknown>> | null;
}

interface MessageVector {
  readonly name?: string;
  readonly id?: string;
  readonly hex: string;
  readonly decoded: Decoded;
}

const captured = vectors<{ readonly vectors: readonly MessageVector[] }>('serf-messages.json').vectors;
const generated = vectors<{ readonly serf: readonly MessageVector[] }>('messages-generated.json').serf;
const all: readonly MessageVector[] = [...captured, ...generated];
const PAYLOAD_TYPES: readonly number[] = [SERF_TYPE.conflictResponse, SERF_TYPE.keyRequest, SERF_TYPE.keyResponse];

function stateVectors(): readonly string[] {
  const text = JSON.stringify(vectors('tcp-push-pull.json'));
  return [...new Set([...text.matchAll(/"user_state_hex":"([0-9a-f]+)"/g)].map((match) => match[1] as string))];
}

/** Decodes and encodes again by whichever door the type byte belongs to. */
function roundTrip(bytes: Uint8Array, type: number): Uint8Array {
  if (type === SERF_TYPE.pushPull) {
    const state = decodePushPull(bytes);
    assert.notEqual(state.kind, 'undecodable', JSON.stringify(state));
    return state.kind === 'pushPull' ? encodePushPull(state) : bytes;
  }
  if (PAYLOAD_TYPES.includes(type)) {
    const payload = decodeQueryPayload(bytes);
    return payload.kind === 'undecodable' ? assert.fail(payload.reason) : encodeQueryPayload(payload);
  }
  const message = decodeSerfMessage(bytes);
  return message.kind === 'undecodable' ? assert.fail(message.reason) : encodeSerfMessage(message);
}

describe('Serf messages', () => {
  it('come back byte for byte, all that real agents sent and every edge value of their encoder', (t) => {
    const kinds = new Set<number>();
    const written = { captured: 0, generated: 0 };
    for (const vector of all) {
      // Filters and tags have tables of their own; they are no messages.
      if (vector.decoded.fields === undefined && vector.decoded.type !== SERF_TYPE.relay) continue;
      kinds.add(vector.decoded.type);
      assert.equal(hex(roundTrip(fromHex(vector.hex), vector.decoded.type)), vector.hex, vector.id ?? vector.name);
      written[captured.includes(vector) ? 'captured' : 'generated'] += 1;
    }
    tellVectors(t, 'serf-messages', `${captured.length}, ${written.captured} read and written byte for byte`);
    const others = generated.length - written.generated;
    const rest = `${others} filters and tags in tests of their own`;
    tellVectors(t, 'messages-generated serf', `${written.generated} read and written byte for byte; ${rest}`);
    assert.deepEqual([...kinds].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('yield the fields that an independent decoder saw', () => {
    for (const vector of all) {
      const { type, fields } = vector.decoded;
      if (type !== SERF_TYPE.query || !('LTime' in (fields ?? {}))) continue;
      const query = decodeSerfMessage(fromHex(vector.hex)) as Query;
      const wanted = fields as Readonly<Record<string, unknown>>;
      assert.deepEqual(
        [
          query.lamportTime,
          query.id,
          query.name,
          query.flags,
          query.port,
          query.relayFactor,
          query.sourceNode,
          query.timeoutNs,
        ],
        ['LTime', 'ID', 'Name', 'Flags', 'Port', 'RelayFactor', 'SourceNode', 'Timeout'].map((key) => wanted[key]),
        vector.id ?? vector.name,
      );
      assert.equal(hex(query.address), (wanted['Addr'] as { hex: string }).hex);
    }
  });

  it('read payloads inside queries and responses, and relays keep what they carry', () => {
    let payloads = 0;
    for (const vector of captured) {
      const message = decodeSerfMessage(fromHex(vector.hex));
      if (message.kind === 'relay') {
        assert.equal(decodeSerfMessage(message.message).kind, 'queryResponse');
        assert.equal(hex(encodeSerfMessage(message)), vector.hex);
      }
      if ((message.kind !== 'query' && message.kind !== 'queryResponse') || message.payload === undefined) continue;
      if (!PAYLOAD_TYPES.includes(message.payload[0] ?? 0)) continue;
      payloads += 1;
      assert.equal(hex(roundTrip(message.payload, message.payload[0] ?? 0)), hex(message.payload));
    }
    assert.ok(payloads >= 8);
  });

  it('refuse Lamport times that would leave our clocks no room, and unknown types', () => {
    const intent = (time: number): SerfMessage => ({ kind: 'joinIntent', lamportTime: time, node: 'a' });
    assert.equal(decodeSerfMessage(encodeSerfMessage(intent(LAMPORT_TIME_MAX))).kind, 'joinIntent');
    assert.equal(decodeSerfMessage(encodeSerfMessage(intent(LAMPORT_TIME_MAX + 1))).kind, 'undecodable');
    for (const bytes of ['', '02', '0180ff', '0a80', 'ff80', '01', '0181a54c54696d65']) {
      const message = decodeSerfMessage(fromHex(bytes));
      assert.equal(message.kind, bytes === '0180ff' ? 'joinIntent' : 'undecodable', bytes);
    }
  });
});

describe('Serf push/pull state', () => {
  it('comes back byte for byte from every exchange of real agents', () => {
    const states = stateVectors();
    assert.ok(states.length >= 5, `${states.length} states`);
    for (const state of states) {
      if (state === '') continue;
      assert.equal(hex(roundTrip(fromHex(state), SERF_TYPE.pushPull)), state);
    }
  });

  it('needs no empty slots and no order of names', () => {
    const decoded = decodePushPull(
      encodePushPull({
        kind: 'pushPull',
        memberTime: 9,
        eventTime: 4,
        queryTime: 2,
        events: [{ lamportTime: 1, events: [{ name: 'deploy', payload: undefined }] }],
        leftMembers: ['gone'],
        statusTimes: new Map([['b', 3]]),
      }),
    );
    assert.ok(decoded.kind === 'pushPull');
    assert.deepEqual([...decoded.statusTimes], [['b', 3]]);
    assert.equal(decodePushPull(fromHex('0180')).kind, 'undecodable');
  });
});

describe('Serf tags', () => {
  it('have the bytes of real agents, and equal tags have equal bytes', () => {
    const metas = generated.filter((vector) => vector.name?.startsWith('tags_meta'));
    assert.equal(metas.length, 2);
    for (const { hex: meta } of metas) assert.equal(hex(encodeTags(decodeTags(fromHex(meta)) ?? new Map())), meta);
    const one = encodeTags(
      new Map([
        ['b', '2'],
        ['a', '1'],
      ]),
    );
    assert.deepEqual(
      one,
      encodeTags(
        new Map([
          ['a', '1'],
          ['b', '2'],
        ]),
      ),
    );
    assert.deepEqual(
      decodeTags(one),
      new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    );
  });

  it('of a protocol 2 peer are its role, and an empty meta is an empty role', () => {
    assert.deepEqual(decodeTags(new TextEncoder().encode('db')), new Map([['role', 'db']]));
    assert.deepEqual(decodeTags(new Uint8Array(0)), new Map([['role', '']]));
    assert.equal(decodeTags(fromHex('ff01')), undefined);
  });
});

describe('Serf filters', () => {
  it('come back byte for byte', () => {
    for (const { name, hex: bytes } of generated) {
      if (!name?.startsWith('filter_')) continue;
      const filter = decodeFilter(fromHex(bytes));
      assert.equal(filter.kind === 'undecodable' ? filter.reason : hex(encodeFilter(filter)), bytes);
    }
    for (const bytes of ['', '0290', '00', '01']) assert.equal(decodeFilter(fromHex(bytes)).kind, 'undecodable', bytes);
  });
});

describe('hostile bytes', () => {
  it('end in a value at every door, 20,000 mutations of real messages', () => {
    const whole = [...all.map((vector) => vector.hex), ...stateVectors().slice(0, 5)]
      .map(fromHex)
      .filter((b) => b.length > 0);
    const change = fc.tuple(fc.nat(4000), fc.nat(255), fc.constantFrom('set', 'cut', 'insert'));
    fc.assert(
      fc.property(fc.constantFrom(...whole), fc.array(change, { minLength: 1, maxLength: 6 }), (original, changes) => {
        let bytes = Array.from(original);
        for (const [at, byte, how] of changes) {
          const place = at % (bytes.length + 1);
          if (how === 'cut') bytes = bytes.slice(0, Math.max(1, place));
          else bytes.splice(place, how === 'set' ? 1 : 0, byte);
        }
        const mutated = Uint8Array.from(bytes);
        decodeSerfMessage(mutated);
        decodePushPull(mutated);
        decodeQueryPayload(mutated);
        decodeFilter(mutated);
        decodeTags(mutated);
      }),
      { numRuns: 20_000 },
    );
  });

  it('cannot make a small message claim a large one', () => {
    const bomb = new MsgpackWriter()
      .u8(SERF_TYPE.pushPull)
      .mapHeader(1)
      .text('StatusLTimes')
      .raw(fromHex('dfffffffff'))
      .finish();
    assert.equal(decodePushPull(bomb).kind, 'undecodable');
  });
});
