import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { concatBytes } from '../../src/base/bytes.ts';
import { lzwCompress } from '../../src/wire/lzw.ts';
import { type GossipGuard, NO_GUARD, openStream, readLabel, sealStream } from '../../src/wire/memberlist/guard.ts';
import { GuardedStream } from '../../src/wire/memberlist/guarded-stream.ts';
import {
  TYPE_COMPRESS,
  TYPE_ENCRYPT,
  TYPE_LABEL,
  encodeAck,
  encodeCompress,
  encodeErr,
  encodePing,
} from '../../src/wire/memberlist/messages.ts';
import { compressIfShorter } from '../../src/wire/memberlist/packet.ts';
import { StreamDecoder, encodePushPull, encodeStreamUser } from '../../src/wire/memberlist/stream.ts';
import type { NodeRecord, StreamMessage, StreamProgress } from '../../src/wire/memberlist/stream.ts';
import { MsgpackWriter } from '../../src/wire/msgpack/writer.ts';
import { fromHex, hex, scenarioGuard, tellVectors, vectors } from '../vectors.ts';

interface TcpVector {
  readonly id: string;
  readonly scenario?: string;
  readonly transport?: string;
  readonly request_hex: string;
  readonly response_hex: string;
}

type Side = 'dialled' | 'accepted';

interface Decoder {
  push(bytes: Uint8Array): StreamProgress;
}

function decodeWhole(bytes: Uint8Array, decoder: Decoder = new StreamDecoder()): StreamProgress {
  return decoder.push(bytes);
}

/** One byte at a time; the message must be complete with the last byte and not before. */
function decodeByByte(bytes: Uint8Array, decoder: Decoder = new StreamDecoder()): StreamProgress {
  for (let i = 0; i < bytes.length - 1; i++) {
    const progress = decoder.push(bytes.subarray(i, i + 1));
    if (progress.kind !== 'more') return progress;
  }
  return decoder.push(bytes.subarray(bytes.length - 1));
}

function encodeAgain(message: StreamMessage): Uint8Array {
  switch (message.kind) {
    case 'pushPull':
      return encodePushPull(message);
    case 'ping':
      return encodePing(message);
    case 'ack':
      return encodeAck(message);
    case 'user':
      return encodeStreamUser(message.bytes);
    case 'err':
      return encodeErr(message);
  }
}

/** As memberlist does it on a stream: always, even when it grows. */
function compressed(message: Uint8Array): Uint8Array {
  return encodeCompress({ algorithm: 0, buffer: lzwCompress(message) });
}

/** Of each file: messages read, rebuilt byte for byte, and how many of those bore a label, were sealed, were refused as they should. */
const counts: Record<string, { read: number; rebuilt: number; labelled: number; sealed: number; refused: number }> = {};

interface Check {
  readonly guard?: GossipGuard;
  /** Whose bytes these are: of who accepted the stream, or of who dialled it. */
  readonly side?: Side;
  /** Integers as we do not write them: only the layers around the message are built again. */
  readonly newCodec?: boolean;
  readonly refusal?: string;
}

function checkStream(
  file: string,
  wire: string,
  { guard = NO_GUARD, side = 'accepted', newCodec, refusal }: Check,
): void {
  if (wire === '') return;
  const bytes = fromHex(wire);
  counts[file] ??= { read: 0, rebuilt: 0, labelled: 0, sealed: 0, refused: 0 };
  const row = counts[file];
  const progress = decodeByByte(bytes, new GuardedStream(guard, side));
  assert.deepEqual(decodeWhole(bytes, new GuardedStream(guard, side)), progress, 'pieces do not matter');
  if (refusal !== undefined) {
    assert.equal(progress.kind === 'failed' ? progress.failure.reason : progress.kind, refusal);
    row.refused += 1;
    return;
  }
  assert.equal(progress.kind, 'message', wire.slice(0, 60));
  if (progress.kind !== 'message') return;
  const { message } = progress;
  row.read += 1;
  const isLabelled = bytes[0] === TYPE_LABEL;
  const isSealed = bytes[isLabelled ? 2 + (bytes[1] as number) : 0] === TYPE_ENCRYPT;
  if (isLabelled) row.labelled += 1;
  if (isSealed) row.sealed += 1;
  const again = rebuildStream(bytes, guard, (plain) => {
    if (newCodec === true) return plain;
    const content = encodeAgain(message);
    return plain[0] === TYPE_COMPRESS ? compressed(content) : content;
  });
  assert.equal(hex(again), wire);
  if (isSealed || newCodec !== true) row.rebuilt += 1;
}

/** The label as it came, the message anew, sealed under its own nonce by the key that opens it. */
function rebuildStream(bytes: Uint8Array, guard: GossipGuard, message: (plain: Uint8Array) => Uint8Array): Uint8Array {
  const labelled = readLabel(bytes);
  assert.ok(!('reason' in labelled));
  const body = bytes.subarray(labelled.end);
  const header = bytes.subarray(0, labelled.end);
  if (body[0] !== TYPE_ENCRYPT) return concatBytes([header, message(body)]);
  for (const key of guard.keys) {
    const opened = openStream(body, { ...guard, keys: [key] });
    if (!('plain' in opened)) continue;
    const nonce = body.subarray(6, 18);
    return concatBytes([header, sealStream(message(opened.plain), { key, label: guard.label, nonce })]);
  }
  return assert.fail('a key of the scenario opens it');
}

function sampleNodes(count: number): NodeRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `node-${i}`,
    address: Uint8Array.of(10, 0, i >> 8, i & 255),
    port: 7946,
    meta: Uint8Array.of(0xff, 0x80),
    versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
    incarnation: i + 1,
    state: (['alive', 'suspect', 'dead', 'left'] as const)[i % 4] as NodeRecord['state'],
  }));
}

describe('streams of real peers', () => {
  for (const file of ['tcp-push-pull', 'tcp-ping', 'labels-new-memberlist'] as const) {
    it(`are read in any pieces and written byte for byte: ${file}`, () => {
      const { vectors: list } = vectors<{ readonly vectors: readonly TcpVector[] }>(`${file}.json`);
      for (const vector of list) {
        if (vector.transport === 'udp') continue;
        const guard = scenarioGuard(vector.scenario ?? (vector.id.split('-')[0] as string));
        const newCodec = file === 'labels-new-memberlist';
        // A node without the key tries to join: it is refused, in a sealed answer.
        const refusal = vector.id === 'enc2-tcp-2' ? { refusal: 'notEncrypted' } : {};
        checkStream(file, vector.request_hex, { guard, newCodec, ...refusal });
        checkStream(file, vector.response_hex, { guard, newCodec, side: 'dialled' });
      }
    });
  }

  it('are read in any pieces and written byte for byte: bound to any address, and error answers', () => {
    const file = vectors<{
      readonly request_hex: string;
      readonly response_hex: string;
      readonly error_cases: readonly { readonly request_hex: string; readonly response_hex: string }[];
    }>('tcp-any-address.json');
    checkStream('tcp-any-address', file.request_hex, {});
    checkStream('tcp-any-address', file.response_hex, {});
    for (const { request_hex: request, response_hex: response } of file.error_cases) {
      assert.equal(decodeWhole(fromHex(request)).kind, 'failed', request);
      checkStream('tcp-any-address', response, {});
    }
  });

  it('are counted', (t) => {
    for (const [file, { read, rebuilt, sealed, labelled, refused }] of Object.entries(counts)) {
      const layers = `${sealed} of them sealed, ${labelled} labelled`;
      tellVectors(t, file, `${read} read, ${layers}; ${rebuilt} rebuilt byte for byte; ${refused} refused`);
    }
    const all = Object.values(counts);
    assert.ok(all.reduce((sum, row) => sum + row.sealed, 0) >= 14, 'sealed streams are read');
    assert.ok(all.reduce((sum, row) => sum + row.labelled, 0) >= 4, 'labelled streams are read');
  });
});

describe('a stream', () => {
  it('of a large push/pull is read in pieces of any size', () => {
    const message = encodePushPull({ join: true, nodes: sampleNodes(500), userState: new Uint8Array(70_000).fill(7) });
    for (const wire of [message, compressIfShorter(message)]) {
      for (const size of [1, 1_000, 65_536]) {
        const decoder = new StreamDecoder();
        let progress: StreamProgress = { kind: 'more' };
        for (let at = 0; at < wire.length; at += size) progress = decoder.push(wire.subarray(at, at + size));
        assert.equal(progress.kind, 'message');
        if (progress.kind === 'message') assert.deepEqual(encodeAgain(progress.message), message);
        assert.equal(decoder.buffered, 0, 'memory is given back');
      }
    }
  });

  it('keeps addresses of sixteen bytes as they came', () => {
    const { response_hex: wire } = vectors<{ readonly response_hex: string }>('tcp-any-address.json');
    const progress = decodeWhole(fromHex(wire));
    assert.ok(progress.kind === 'message' && progress.message.kind === 'pushPull');
    assert.equal(hex(progress.message.nodes[0]?.address ?? new Uint8Array(0)), '00000000000000000000ffff0a580001');
  });

  it('that promises too much is refused before it is believed', () => {
    const header = (nodes: number, userState: number): Uint8Array => {
      const writer = new MsgpackWriter().u8(6).mapHeader(3).text('Join').bool(false);
      return writer.text('Nodes').int(nodes).text('UserStateLen').int(userState).finish();
    };
    for (const wire of [
      header(1_048_577, 0),
      header(-1, 0),
      header(0, 20 * 1_048_576 + 1),
      header(0, -1),
      new MsgpackWriter().u8(8).mapHeader(1).text('UserMsgLen').int(-1).finish(),
    ]) {
      assert.equal(decodeWhole(wire).kind, 'failed', hex(wire));
    }
    assert.equal(decodeWhole(header(1_048_576, 0)).kind, 'more');
  });

  it('whose record never ends is refused after 64 KiB', () => {
    const decoder = new StreamDecoder();
    decoder.push(fromHex('00de7fff'));
    let progress: StreamProgress = { kind: 'more' };
    let sent = 0;
    while (progress.kind === 'more' && sent < 200_000) {
      progress = decoder.push(new Uint8Array(1_000));
      sent += 1_000;
    }
    assert.equal(progress.kind, 'failed');
    assert.ok(sent < 70_000);
  });

  it('that is compressed twice, cut off inside, or a bomb, is refused', () => {
    const ping = encodePing({
      kind: 'ping',
      node: 'n1',
      sequence: 1,
      sourceAddress: undefined,
      sourcePort: 0,
      sourceNode: '',
    });
    assert.equal(decodeWhole(compressed(ping)).kind, 'message');
    assert.equal(decodeWhole(compressed(compressed(ping))).kind, 'failed');
    assert.equal(decodeWhole(compressed(ping.subarray(0, -1))).kind, 'failed');
    assert.equal(decodeWhole(compressed(new Uint8Array(40 * 1_048_576))).kind, 'failed');
    const unsorted = new MsgpackWriter().u8(9).mapHeader(2).text('Buf').bytes(lzwCompress(ping)).text('Algo').int(0);
    assert.equal(decodeByByte(unsorted.finish()).kind, 'message');
  });

  it('of mutated bytes gives a message, a failure or a wish for more, never an exception', () => {
    const seeds = [
      ...vectors<{ readonly vectors: readonly TcpVector[] }>('tcp-push-pull.json').vectors,
      ...vectors<{ readonly vectors: readonly TcpVector[] }>('tcp-ping.json').vectors,
    ]
      .flatMap((vector) => [vector.request_hex, vector.response_hex])
      .filter((wire) => wire !== '')
      .map(fromHex);
    const mutation = fc.record({
      seed: fc.nat(seeds.length - 1),
      edits: fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 5 }),
      near: fc.boolean(),
      piece: fc.integer({ min: 1, max: 3_000 }),
    });
    fc.assert(
      fc.property(mutation, ({ seed, edits, near, piece }) => {
        const bytes = concatBytes([seeds[seed] as Uint8Array]);
        // Half of the edits hit the first bytes, where lengths and types are.
        for (const [at, value] of edits) bytes[at % (near ? Math.min(80, bytes.length) : bytes.length)] = value;
        const decoder = new StreamDecoder();
        for (let at = 0; at < bytes.length; at += piece) decoder.push(bytes.subarray(at, at + piece));
        assert.ok(decoder.buffered <= bytes.length * 2 + 1_048_576);
      }),
      { numRuns: 6_000 },
    );
  });
});
