/** The decoders of gossip, each with its door and the vectors it starts from. */
import { EMPTY_BYTES, utf8 } from '../../src/base/bytes.ts';
import { DecodeError } from '../../src/base/errors.ts';
import { type Random, randomBelow } from '../../src/base/random.ts';
import { lzwCompress, lzwDecompress } from '../../src/wire/lzw.ts';
import { hostOfAddress } from '../../src/wire/memberlist/address.ts';
import { crc32 } from '../../src/wire/memberlist/crc32.ts';
import { type GossipGuard, guardPacket, guardStream, NO_GUARD } from '../../src/wire/memberlist/guard.ts';
import { GuardedStream } from '../../src/wire/memberlist/guarded-stream.ts';
import { encodeCompress } from '../../src/wire/memberlist/messages.ts';
import { decodePacket } from '../../src/wire/memberlist/packet.ts';
import { open } from '../../src/wire/memberlist/sealing.ts';
import { StreamDecoder, type StreamProgress } from '../../src/wire/memberlist/stream.ts';
import { MsgpackReader } from '../../src/wire/msgpack/reader.ts';
import { decodeCoordinatePayload } from '../../src/wire/serf/coordinate.ts';
import { decodeFilter } from '../../src/wire/serf/filters.ts';
import { decodeSerfMessage } from '../../src/wire/serf/messages.ts';
import { decodeConflictName, decodeQueryPayload } from '../../src/wire/serf/payloads.ts';
import { decodePushPull } from '../../src/wire/serf/push-pull.ts';
import { readRpcRequest } from '../../src/wire/serf/rpc-request.ts';
import {
  decodeTagSetMessage,
  digestOf,
  encodeTagSetMessage,
  parseDigest,
  readTagSet,
  type TagDigest,
} from '../../src/wire/serf/tag-set.ts';
import { decodeTags, encodeTags } from '../../src/wire/serf/tags.ts';
import { seedsOf } from './corpus.ts';
import { type FuzzTarget, REFUSED, weightAllowed } from './harness.ts';

const UDP = ['udp-plain', 'udp-compressed', 'udp-proto2-conflict', 'compress-compound', 'tolerance'];
const TCP = ['tcp-push-pull', 'tcp-ping', 'tcp-any-address'];
const SERF = ['serf-messages', 'messages-generated'];
const KEY: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i);
const SEALED: GossipGuard = { ...NO_GUARD, keys: [Uint8Array.from({ length: 16 }, () => 7), KEY] };
const LABEL: Uint8Array = new TextEncoder().encode('cluster-a');
const LABELLED: GossipGuard = { ...SEALED, label: LABEL };
/** What one datagram, or one message of a stream, may decompress to (packet.ts, stream.ts). */
const DATAGRAM_DECOMPRESSED_BYTES = 262_144;
/** A compressed stream may become a hundred times as long (reliability.md 12). */
const STREAM_RATIO = 100;
const LZW_OUTPUT_BYTES = 65_536;

const packetSeeds: readonly Uint8Array[] = seedsOf(UDP, /^hex$/);
const messageSeeds: readonly Uint8Array[] = seedsOf(['messages-generated', 'udp-plain', 'acks-coordinates'], /^hex/);
const serfSeeds: readonly Uint8Array[] = seedsOf(SERF, /^hex$/);
const streamSeeds: readonly Uint8Array[] = seedsOf(TCP, /(request|response|plaintext|decompressed|^)_?hex$/);

const tagSetSeeds: readonly Uint8Array[] = [1, 20].map((count) =>
  encodeTags(new Map(Array.from({ length: count }, (_, i) => [`tag-${i}`, 'v'.repeat(3 * i)]))),
);
const SET_DIGEST: TagDigest = digestOf(tagSetSeeds[0] ?? EMPTY_BYTES);

/** A packet is refused when nothing of it is of use. */
function packet(bytes: Uint8Array, guard: GossipGuard): unknown {
  const { messages, failures } = decodePacket(bytes, guard);
  return messages.length === 0 ? REFUSED : { messages, failures };
}

/** In pieces of random size, as TCP brings it; memory is looked at after each. */
function stream(
  bytes: Uint8Array,
  random: Random,
  into: { push(bytes: Uint8Array): StreamProgress; readonly buffered: number },
): unknown {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + randomBelow(random, randomBelow(random, 8) === 0 ? bytes.length : 64);
    const progress = into.push(bytes.slice(at, at + size));
    at += size;
    if (progress.kind === 'failed') return REFUSED;
    if (progress.kind === 'message') return progress.message;
    if (into.buffered > weightAllowed(bytes))
      throw new Error(`${into.buffered} bytes held for ${bytes.length} received`);
  }
  return { kind: 'more', buffered: into.buffered };
}

/** Decoders inside of wire/ that throw: everything but a DecodeError is a fault. */
function inner<T>(decode: () => T): T | typeof REFUSED {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return REFUSED;
    throw error;
  }
}

function undecodable(value: { readonly kind?: string } | undefined): unknown {
  return value === undefined || value.kind === 'undecodable' ? REFUSED : value;
}

function checked(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = 12;
  new DataView(bytes.buffer).setUint32(1, crc32(body));
  bytes.set(body, 5);
  return bytes;
}

/** What is decompressed is shared by the messages in it. */
const afterDecompression = (input: Uint8Array): number => weightAllowed(input) + DATAGRAM_DECOMPRESSED_BYTES;

export const GOSSIP_TARGETS: readonly FuzzTarget[] = [
  { name: 'datagram', seeds: packetSeeds, decode: (bytes) => packet(bytes, NO_GUARD), weightMax: afterDecompression },
  {
    name: 'datagram with a right checksum',
    seeds: [...packetSeeds.map((seed) => (seed[0] === 12 ? seed.slice(5) : seed)), ...messageSeeds],
    wrap: checked,
    decode: (bytes) => packet(bytes, NO_GUARD),
    weightMax: afterDecompression,
  },
  {
    name: 'datagram, compressed well',
    seeds: messageSeeds,
    wrap: (mutated) => encodeCompress({ algorithm: 0, buffer: lzwCompress(mutated) }),
    decode: (bytes) => packet(bytes, NO_GUARD),
    weightMax: afterDecompression,
  },
  {
    name: 'datagram, sealed',
    seeds: [...packetSeeds, ...seedsOf(['udp-encrypted', 'crypto'], /^(hex|packet)$/)],
    decode: (bytes) => packet(bytes, SEALED),
    weightMax: afterDecompression,
  },
  {
    name: 'datagram, sealed with our key',
    seeds: packetSeeds,
    wrap: (mutated, random) => guardPacket(mutated, { ...LABELLED, keys: [KEY] }, random),
    decode: (bytes) => packet(bytes, LABELLED),
    weightMax: afterDecompression,
  },
  {
    name: 'datagram, labelled',
    seeds: seedsOf(['labels-new-memberlist'], /^hex$/),
    decode: (bytes) => packet(bytes, { ...NO_GUARD, label: LABEL }),
    weightMax: afterDecompression,
  },
  {
    name: 'sealed payload',
    seeds: seedsOf(['crypto'], /^packet$/),
    decode: (bytes) => {
      const opened = open(bytes, [Uint8Array.from({ length: 16 }, (_, i) => 0x30 + (i % 10)), KEY], EMPTY_BYTES);
      return 'plain' in opened ? opened.plain : REFUSED;
    },
  },
  {
    name: 'stream',
    seeds: streamSeeds,
    decode: (bytes, random) => stream(bytes, random, new StreamDecoder()),
    weightMax: (input) => weightAllowed(input) + STREAM_RATIO * input.length,
  },
  {
    name: 'stream, sealed and labelled',
    seeds: [...streamSeeds, ...seedsOf(['labels-new-memberlist', 'tcp-push-pull'], /(request|response)_hex$/)],
    decode: (bytes, random) => stream(bytes, random, new GuardedStream(LABELLED, 'accepted')),
  },
  {
    name: 'stream, sealed with our key',
    seeds: streamSeeds,
    wrap: (mutated, random) => guardStream(mutated, { ...SEALED, keys: [KEY] }, 'accepted', random),
    decode: (bytes, random) => stream(bytes, random, new GuardedStream(SEALED, 'dialled')),
    weightMax: (input) => weightAllowed(input) + STREAM_RATIO * input.length,
  },
  {
    name: 'lzw',
    seeds: seedsOf(['lzw'], /^output_hex$/),
    decode: (bytes) => inner(() => lzwDecompress(bytes, LZW_OUTPUT_BYTES)),
    weightMax: (input) => weightAllowed(input) + LZW_OUTPUT_BYTES,
  },
  {
    name: 'msgpack value',
    seeds: [
      ...seedsOf(['msgpack', 'snapshot', 'rpc-scripted', 'rpc-keys-auth']),
      ...serfSeeds.map((seed) => seed.slice(1)),
    ],
    decode: (bytes) => inner(() => ({ value: new MsgpackReader(bytes).value() })),
  },
  { name: 'serf message', seeds: serfSeeds, decode: (bytes) => undecodable(decodeSerfMessage(bytes)) },
  {
    name: 'serf push/pull state',
    seeds: seedsOf(['tcp-push-pull', 'tcp-any-address', 'messages-generated'], /(user_state_hex|^hex)$/),
    decode: (bytes) => undecodable(decodePushPull(bytes)),
  },
  { name: 'query payload', seeds: serfSeeds, decode: (bytes) => undecodable(decodeQueryPayload(bytes)) },
  { name: 'query filter', seeds: serfSeeds.flatMap(filtersIn), decode: (bytes) => undecodable(decodeFilter(bytes)) },
  { name: 'tags', seeds: packetSeeds.flatMap(tagsIn), decode: (bytes) => decodeTags(bytes) ?? REFUSED },
  {
    name: 'set of tags',
    seeds: tagSetSeeds,
    decode: (bytes) => readTagSet(bytes) ?? REFUSED,
  },
  {
    name: 'set of tags, asked for and answered',
    seeds: [
      encodeTagSetMessage({ kind: 'tagSetRequest', node: 'n1', digest: SET_DIGEST.text }),
      ...[...tagSetSeeds, undefined].map((set) =>
        encodeTagSetMessage({ kind: 'tagSetAnswer', digest: SET_DIGEST.text, set }),
      ),
    ],
    decode: (bytes) => undecodable(decodeTagSetMessage(bytes)),
  },
  {
    name: 'name of a set of tags',
    seeds: [utf8(SET_DIGEST.text)],
    decode: (bytes) => parseDigest(new TextDecoder('latin1').decode(bytes)) ?? REFUSED,
  },
  { name: 'conflict name', seeds: serfSeeds, decode: (bytes) => decodeConflictName(bytes) ?? REFUSED },
  {
    name: 'coordinate payload',
    seeds: seedsOf(['acks-coordinates'], /^payload_hex$/),
    decode: (bytes) => undecodable(decodeCoordinatePayload(bytes)),
  },
  {
    name: 'agent RPC request',
    seeds: seedsOf(['rpc-cli', 'rpc-keys-auth', 'rpc-scripted'], /^hex$/),
    decode: (bytes) => {
      const reading = readRpcRequest(bytes);
      return reading.kind === 'request' || reading.kind === 'incomplete' ? reading : REFUSED;
    },
  },
  { name: 'address', seeds: [KEY.slice(0, 4), KEY.slice(0, 16)], decode: (bytes) => hostOfAddress(bytes) ?? REFUSED },
];

function filtersIn(seed: Uint8Array): readonly Uint8Array[] {
  const message = decodeSerfMessage(seed);
  return message.kind === 'query' ? (message.filters ?? []) : [];
}

function tagsIn(seed: Uint8Array): readonly Uint8Array[] {
  return decodePacket(seed).messages.flatMap((message) =>
    message.kind === 'alive' && message.meta !== undefined && message.meta.length > 0 ? [message.meta.slice()] : [],
  );
}
