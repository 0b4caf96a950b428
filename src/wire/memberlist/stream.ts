/**
 * TCP streams: one message per direction, without a length in front, so the reader must find the end in the content. Node
 * records are read as they come and not again; every size is bounded before it is believed. wire-gossip.md section 7.
 */
import { assert } from '../../base/assert.ts';
import { EMPTY_BYTES } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader, NeedMoreBytes } from '../msgpack/reader.ts';
import type { FieldReaders } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';
import type { DecodeFailure, DecodeReason } from './failure.ts';
import {
  TYPE_ACK,
  TYPE_COMPRESS,
  TYPE_ENCRYPT,
  TYPE_ERR,
  TYPE_LABEL,
  TYPE_PING,
  TYPE_PUSH_PULL,
  TYPE_USER,
  readAck,
  readErr,
  readPing,
} from './messages.ts';
import type { Ack, Err, Ping, User } from './messages.ts';
import { decompress } from './packet.ts';

export const NODE_STATES = ['alive', 'suspect', 'dead', 'left'] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** A row of a push/pull. Bytes as they came. */
export interface NodeRecord {
  readonly name: string;
  readonly address: Uint8Array | undefined;
  readonly port: number;
  readonly meta: Uint8Array | undefined;
  readonly versions: Uint8Array | undefined;
  readonly incarnation: number;
  readonly state: NodeState;
}

export interface PushPull {
  readonly kind: 'pushPull';
  readonly join: boolean;
  readonly nodes: readonly NodeRecord[];
  readonly userState: Uint8Array;
}

export type StreamMessage = PushPull | Ping | Ack | User | Err;

export type StreamProgress =
  | { readonly kind: 'more' }
  | { readonly kind: 'message'; readonly message: StreamMessage }
  | { readonly kind: 'failed'; readonly failure: DecodeFailure };

/** memberlist's limits (wire-gossip 7.3, 7.5); the records of that many nodes would not fit the third one. */
const STREAM_NODES_MAX = 1_048_576;
const STREAM_USER_BYTES_MAX: number = 20 * 1_024 * 1_024;
/** All node records of a push/pull together. A full table of 4096 with 512 bytes of metadata each needs 3 MiB. */
const STREAM_NODES_BYTES_MAX = 16 * 1_024 * 1_024;
/** One header or node record. The largest that peers write has about a kilobyte. */
const RECORD_BYTES_MAX = 64 * 1_024;
/** Real peers stop at 40 MiB; beyond node records and user state together there is nothing to gain. */
const DECOMPRESSED_BYTES_MAX: number = STREAM_NODES_BYTES_MAX + STREAM_USER_BYTES_MAX;
const COMPRESSED_BYTES_MAX: number = STREAM_USER_BYTES_MAX;

const MORE: StreamProgress = { kind: 'more' };

export function encodePushPull(state: Omit<PushPull, 'kind'>): Uint8Array {
  assert(state.userState.length <= STREAM_USER_BYTES_MAX, 'the user state of a push/pull is at most 20 MiB');
  const writer = new MsgpackWriter(256 + state.nodes.length * 160 + state.userState.length).u8(TYPE_PUSH_PULL);
  writer.mapHeader(3).text('Join').bool(state.join).text('Nodes').int(state.nodes.length);
  writer.text('UserStateLen').int(state.userState.length);
  for (const node of state.nodes) writeNode(writer, node);
  return writer.raw(state.userState).finish();
}

export function encodeStreamUser(bytes: Uint8Array): Uint8Array {
  const writer = new MsgpackWriter(32 + bytes.length).u8(TYPE_USER);
  return writer.mapHeader(1).text('UserMsgLen').int(bytes.length).raw(bytes).finish();
}

/** Collects the bytes of one direction of a plain stream (guarded-stream.ts opens what is sealed) until they are a message. After a message or a failure it takes no more. */
export class StreamDecoder {
  #bytes: Uint8Array = EMPTY_BYTES;
  #size = 0;
  #body: PushPullBody | undefined;
  /** Bytes wanted before another attempt is worth its time. */
  #wanted = 1;
  #ended = false;

  /** Memory held, for the common limit of all streams. */
  get buffered(): number {
    return this.#bytes.length;
  }

  push(bytes: Uint8Array): StreamProgress {
    if (this.#ended) return MORE;
    this.#append(bytes);
    if (this.#size < this.#wanted) return MORE;
    const progress = this.#attempt();
    if (progress.kind !== 'more') this.#end();
    return progress;
  }

  #attempt(): StreamProgress {
    const received = this.#bytes.subarray(0, this.#size);
    try {
      if (received[0] === TYPE_PUSH_PULL) return this.#readPushPull(received);
      if (received[0] === TYPE_USER) return this.#readUser(received);
      if (received[0] === TYPE_COMPRESS) return this.#readCompressed(received);
      const message = readPlain(received);
      return message === undefined ? failed(typeReason(received[0]), `message type ${received[0]}`) : done(message);
    } catch (error) {
      if (error instanceof NeedMoreBytes)
        return this.#size <= this.#partialMax(received) ? MORE : failed('tooLarge', 'no end in sight');
      if (error instanceof DecodeError) return failed('badMessage', error.message);
      throw error;
    }
  }

  /** How many bytes may be here while something is still incomplete. */
  #partialMax(received: Uint8Array): number {
    // A compress message names its size early; nodes of a push/pull are passed one by one.
    return (received[0] === TYPE_COMPRESS ? this.#wanted : (this.#body?.at ?? 0)) + RECORD_BYTES_MAX;
  }

  #readPushPull(received: Uint8Array): StreamProgress {
    this.#body ??= beginPushPull(received);
    const message = this.#body.resume(received);
    if (message !== undefined) return done(message);
    this.#wanted = this.#body.end;
    return MORE;
  }

  #readUser(received: Uint8Array): StreamProgress {
    const reader = new MsgpackReader(received, 1);
    const size = userLength(reader.struct(USER_FIELDS, { UserMsgLen: 0 }).UserMsgLen);
    this.#wanted = reader.at + size;
    if (reader.left < size) return MORE;
    return done({ kind: 'user', bytes: reader.raw(size) });
  }

  #readCompressed(received: Uint8Array): StreamProgress {
    this.#wanted = compressedEnd(received);
    if (this.#size < this.#wanted) return MORE;
    const content = decompress(new MsgpackReader(received, 1, COMPRESSED_BYTES_MAX), DECOMPRESSED_BYTES_MAX);
    // One envelope only: real peers do not look for a second one.
    if (content[0] === TYPE_COMPRESS) return failed('nestedTooDeep', 'a compressed message inside a compressed one');
    const inner = new StreamDecoder().push(content);
    return inner.kind === 'more' ? failed('badMessage', 'a compressed message is cut off') : inner;
  }

  #append(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(size, Math.min(this.#bytes.length * 2, size + 1_048_576)));
      grown.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size = size;
  }

  #end(): void {
    this.#ended = true;
    this.#bytes = EMPTY_BYTES;
    this.#body = undefined;
  }
}

/** The rest of a push/pull behind its header, read record by record. */
class PushPullBody {
  readonly #join: boolean;
  readonly #count: number;
  readonly #userSize: number;
  readonly #nodes: NodeRecord[] = [];
  readonly #begin: number;
  /** Where the next record begins. */
  at: number;

  constructor(header: WireHeader, at: number) {
    if (header.Nodes < 0 || header.Nodes > STREAM_NODES_MAX)
      throw new DecodeError(`a push/pull of ${header.Nodes} nodes`);
    this.#join = header.Join;
    this.#count = header.Nodes;
    this.#userSize = userLength(header.UserStateLen);
    this.#begin = at;
    this.at = at;
  }

  /** The least number of bytes that can bring the next step. */
  get end(): number {
    return this.#nodes.length < this.#count ? this.at + 1 : this.at + this.#userSize;
  }

  /** Reads what is there; the whole message when it is complete. Throws {@link NeedMoreBytes} inside a record. */
  resume(received: Uint8Array): PushPull | undefined {
    while (this.#nodes.length < this.#count) {
      const reader = new MsgpackReader(received, this.at, RECORD_BYTES_MAX);
      this.#nodes.push(readNode(reader));
      this.at = reader.at;
      if (this.at - this.#begin > STREAM_NODES_BYTES_MAX) throw new DecodeError('the node records are too many bytes');
    }
    if (received.length - this.at < this.#userSize) return undefined;
    const userState = received.slice(this.at, this.at + this.#userSize);
    return { kind: 'pushPull', join: this.#join, nodes: this.#nodes, userState };
  }
}

interface WireHeader {
  Join: boolean;
  Nodes: number;
  UserStateLen: number;
}

interface WireNode {
  Addr: Uint8Array | undefined;
  Incarnation: number;
  Meta: Uint8Array | undefined;
  Name: string;
  Port: number;
  State: number;
  Vsn: Uint8Array | undefined;
}

const readInt = (reader: MsgpackReader): number => reader.i64();
/** Copied: records are kept, and must not hold the whole stream's memory. */
const readOwnBytes = (reader: MsgpackReader): Uint8Array | undefined => reader.bytesOrNil()?.slice();

const HEADER_FIELDS: FieldReaders<WireHeader> = {
  Join: (reader) => reader.bool(),
  Nodes: readInt,
  UserStateLen: readInt,
};
const USER_FIELDS: FieldReaders<{ UserMsgLen: number }> = { UserMsgLen: readInt };
const NODE_FIELDS: FieldReaders<WireNode> = {
  Addr: readOwnBytes,
  Incarnation: (reader) => reader.u32(),
  Meta: readOwnBytes,
  Name: (reader) => reader.text(),
  Port: (reader) => reader.u16(),
  State: readInt,
  Vsn: readOwnBytes,
};
const NODE_ZERO: WireNode = {
  Addr: undefined,
  Incarnation: 0,
  Meta: undefined,
  Name: '',
  Port: 0,
  State: 0,
  Vsn: undefined,
};

function beginPushPull(received: Uint8Array): PushPullBody {
  const reader = new MsgpackReader(received, 1, RECORD_BYTES_MAX);
  const header = reader.struct(HEADER_FIELDS, { Join: false, Nodes: 0, UserStateLen: 0 });
  return new PushPullBody(header, reader.at);
}

function readNode(reader: MsgpackReader): NodeRecord {
  const fields = reader.struct(NODE_FIELDS, NODE_ZERO);
  const state = NODE_STATES[fields.State];
  if (state === undefined) throw new DecodeError(`node state ${fields.State} is unknown`);
  return {
    name: fields.Name,
    address: fields.Addr,
    port: fields.Port,
    meta: fields.Meta,
    versions: fields.Vsn,
    incarnation: fields.Incarnation,
    state,
  };
}

function writeNode(writer: MsgpackWriter, node: NodeRecord): void {
  writer.mapHeader(7).text('Addr').bytesOrNil(node.address).text('Incarnation').int(node.incarnation);
  writer.text('Meta').bytesOrNil(node.meta).text('Name').text(node.name).text('Port').int(node.port);
  writer.text('State').int(NODE_STATES.indexOf(node.state)).text('Vsn').bytesOrNil(node.versions);
}

function readPlain(received: Uint8Array): StreamMessage | undefined {
  const reader = new MsgpackReader(received, 1, RECORD_BYTES_MAX);
  switch (received[0]) {
    case TYPE_PING:
      return readPing(reader);
    case TYPE_ACK:
      return readAck(reader);
    case TYPE_ERR:
      return readErr(reader);
    default:
      return undefined;
  }
}

/**
 * Where a compress message ends, or how far it must come before that can be said. Reading its content again with every piece
 * would be quadratic; passing over its head is not.
 */
function compressedEnd(received: Uint8Array): number {
  const reader = new MsgpackReader(received, 1, COMPRESSED_BYTES_MAX);
  const count = reader.mapHeader(COMPRESS_FIELDS_MAX) ?? 0;
  for (let i = 0; i < count; i++) {
    if (reader.text(RECORD_BYTES_MAX) !== 'Buf') {
      reader.skip();
      continue;
    }
    const end = rawEnd(received, reader.at);
    if (end > received.length) return end;
    reader.skip();
  }
  return reader.at;
}

/** Two fields are known; a few more may come one day. */
const COMPRESS_FIELDS_MAX = 15;

/** Where the byte string that begins at `at` ends, whether or not it is here in full. */
function rawEnd(received: Uint8Array, at: number): number {
  const view = new DataView(received.buffer, received.byteOffset, received.byteLength);
  const tag = received[at];
  if (tag === undefined) throw new NeedMoreBytes('a value is missing');
  const width = RAW_LENGTH_WIDTHS.get(tag);
  if (width === undefined) return at + 1 + (tag >= 0xa0 && tag <= 0xbf ? tag & 0x1f : 0);
  if (at + 1 + width > received.length) throw new NeedMoreBytes('a length is missing');
  const size = width === 1 ? view.getUint8(at + 1) : width === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1);
  if (size > COMPRESSED_BYTES_MAX) throw new DecodeError(`a compressed message of ${size} bytes`);
  return at + 1 + width + size;
}

const RAW_LENGTH_WIDTHS: ReadonlyMap<number, number> = new Map([
  [0xd9, 1],
  [0xc4, 1],
  [0xda, 2],
  [0xc5, 2],
  [0xdb, 4],
  [0xc6, 4],
]);

function userLength(size: number): number {
  if (size < 0 || size > STREAM_USER_BYTES_MAX) throw new DecodeError(`user bytes of length ${size}`);
  return size;
}

function typeReason(type: number | undefined): DecodeReason {
  if (type === TYPE_ENCRYPT) return 'encrypted';
  return type === TYPE_LABEL ? 'labelled' : 'unknownType';
}

function done(message: StreamMessage): StreamProgress {
  return { kind: 'message', message };
}

function failed(reason: DecodeReason, detail: string): StreamProgress {
  return { kind: 'failed', failure: { reason, detail } };
}
