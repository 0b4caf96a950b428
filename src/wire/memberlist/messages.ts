/**
 * memberlist's messages as values and as bytes: one type byte, then a msgpack struct whose keys are in byte order. Absent (nil)
 * bytes are `undefined`, so that what was read is written the same. wire-gossip.md section 3.
 */
import { concatBytes } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import type { FieldReaders } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';

export const TYPE_PING = 0;
const TYPE_INDIRECT_PING = 1;
export const TYPE_ACK = 2;
const TYPE_SUSPECT = 3;
const TYPE_ALIVE = 4;
const TYPE_DEAD = 5;
export const TYPE_PUSH_PULL = 6;
export const TYPE_COMPOUND = 7;
export const TYPE_USER = 8;
export const TYPE_COMPRESS = 9;
export const TYPE_ENCRYPT = 10;
const TYPE_NACK = 11;
export const TYPE_CRC = 12;
export const TYPE_ERR = 13;
export const TYPE_LABEL = 244;

/** The asker, as it calls itself. Each field is left out of the message when it is empty or 0. */
export interface SourceFields {
  readonly sourceAddress: Uint8Array | undefined;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

export interface Ping extends SourceFields {
  readonly kind: 'ping';
  /** Whom it is for; the receiver drops it when that is somebody else. May be empty. */
  readonly node: string;
  readonly sequence: number;
}

export interface IndirectPing extends SourceFields {
  readonly kind: 'indirectPing';
  readonly sequence: number;
  readonly target: Uint8Array | undefined;
  readonly port: number;
  readonly node: string;
  readonly nack: boolean;
}

export interface Ack {
  readonly kind: 'ack';
  readonly sequence: number;
  readonly payload: Uint8Array | undefined;
}

export interface Nack {
  readonly kind: 'nack';
  readonly sequence: number;
}

export interface Suspect {
  readonly kind: 'suspect';
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

/** `from === node` means that it left on purpose. */
export interface Dead {
  readonly kind: 'dead';
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

export interface Alive {
  readonly kind: 'alive';
  readonly incarnation: number;
  readonly node: string;
  readonly address: Uint8Array | undefined;
  readonly port: number;
  readonly meta: Uint8Array | undefined;
  readonly versions: Uint8Array | undefined;
}

/** Opaque bytes of the delegate. */
export interface User {
  readonly kind: 'user';
  readonly bytes: Uint8Array;
}

export interface Err {
  readonly kind: 'err';
  readonly error: string;
}

/** What a datagram may hold, envelopes taken off. */
export type DatagramMessage = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | User;

export interface Compress {
  readonly algorithm: number;
  readonly buffer: Uint8Array | undefined;
}

export function encodePing(ping: Ping): Uint8Array {
  const writer = begin(TYPE_PING, 2 + sourceCount(ping));
  writer.text('Node').text(ping.node).text('SeqNo').int(ping.sequence);
  return writeSource(writer, ping).finish();
}

export function encodeIndirectPing(ping: IndirectPing): Uint8Array {
  const writer = begin(TYPE_INDIRECT_PING, 5 + sourceCount(ping));
  writer.text('Nack').bool(ping.nack).text('Node').text(ping.node).text('Port').int(ping.port);
  writer.text('SeqNo').int(ping.sequence);
  return writeSource(writer, ping).text('Target').bytesOrNil(ping.target).finish();
}

export function encodeAck(ack: Ack): Uint8Array {
  return begin(TYPE_ACK, 2).text('Payload').bytesOrNil(ack.payload).text('SeqNo').int(ack.sequence).finish();
}

export function encodeNack(nack: Nack): Uint8Array {
  return begin(TYPE_NACK, 1).text('SeqNo').int(nack.sequence).finish();
}

export function encodeErr(err: Err): Uint8Array {
  return begin(TYPE_ERR, 1).text('Error').text(err.error).finish();
}

export function encodeSuspect(suspect: Suspect): Uint8Array {
  return writeAccusation(TYPE_SUSPECT, suspect);
}

export function encodeDead(dead: Dead): Uint8Array {
  return writeAccusation(TYPE_DEAD, dead);
}

export function encodeAlive(alive: Alive): Uint8Array {
  const writer = begin(TYPE_ALIVE, 6).text('Addr').bytesOrNil(alive.address);
  writer.text('Incarnation').int(alive.incarnation).text('Meta').bytesOrNil(alive.meta);
  writer.text('Node').text(alive.node).text('Port').int(alive.port);
  return writer.text('Vsn').bytesOrNil(alive.versions).finish();
}

/** As it goes into a datagram: the type byte and the delegate's bytes. */
export function encodeUser(bytes: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(TYPE_USER), bytes]);
}

export function encodeCompress(compress: Compress): Uint8Array {
  const writer = begin(TYPE_COMPRESS, 2).text('Algo').int(compress.algorithm);
  return writer.text('Buf').bytesOrNil(compress.buffer).finish();
}

export function encodeDatagramMessage(message: DatagramMessage): Uint8Array {
  switch (message.kind) {
    case 'ping':
      return encodePing(message);
    case 'indirectPing':
      return encodeIndirectPing(message);
    case 'ack':
      return encodeAck(message);
    case 'nack':
      return encodeNack(message);
    case 'suspect':
      return encodeSuspect(message);
    case 'dead':
      return encodeDead(message);
    case 'alive':
      return encodeAlive(message);
    case 'user':
      return encodeUser(message.bytes);
  }
}

/** Reads the struct behind the type byte of a message that is no envelope; throws {@link DecodeError}. Bytes are views. */
export function decodeDatagramMessage(bytes: Uint8Array): DatagramMessage {
  if (bytes[0] === TYPE_USER) return { kind: 'user', bytes: bytes.subarray(1) };
  const reader = new MsgpackReader(bytes, 1, bytes.length);
  switch (bytes[0]) {
    case TYPE_PING:
      return readPing(reader);
    case TYPE_INDIRECT_PING:
      return readIndirectPing(reader);
    case TYPE_ACK:
      return readAck(reader);
    case TYPE_NACK:
      return { kind: 'nack', sequence: reader.struct({ SeqNo: readU32 }, { SeqNo: 0 }).SeqNo };
    case TYPE_SUSPECT:
      return { kind: 'suspect', ...readAccusation(reader) };
    case TYPE_DEAD:
      return { kind: 'dead', ...readAccusation(reader) };
    case TYPE_ALIVE:
      return readAlive(reader);
    default:
      throw new DecodeError(`message type ${bytes[0] ?? 'none'} does not belong in a datagram`);
  }
}

export function readPing(reader: MsgpackReader): Ping {
  const fields = reader.struct(PING_FIELDS, PING_ZERO);
  return { kind: 'ping', node: fields.Node, sequence: fields.SeqNo, ...sourceOf(fields) };
}

export function readAck(reader: MsgpackReader): Ack {
  const fields = reader.struct<WireAck>({ Payload: readBytes, SeqNo: readU32 }, { Payload: undefined, SeqNo: 0 });
  return { kind: 'ack', sequence: fields.SeqNo, payload: fields.Payload };
}

export function readErr(reader: MsgpackReader): Err {
  return { kind: 'err', error: reader.struct({ Error: readText }, { Error: '' }).Error };
}

export function readCompress(reader: MsgpackReader): Compress {
  const zero: WireCompress = { Algo: 0, Buf: undefined };
  const fields = reader.struct<WireCompress>({ Algo: (from) => from.u8(), Buf: readBytes }, zero);
  return { algorithm: fields.Algo, buffer: fields.Buf };
}

interface WireSource {
  SourceAddr: Uint8Array | undefined;
  SourceNode: string;
  SourcePort: number;
}

interface WirePing extends WireSource {
  Node: string;
  SeqNo: number;
}

interface WireIndirectPing extends WirePing {
  Nack: boolean;
  Port: number;
  Target: Uint8Array | undefined;
}

interface WireAck {
  Payload: Uint8Array | undefined;
  SeqNo: number;
}

interface WireAccusation {
  From: string;
  Incarnation: number;
  Node: string;
}

interface WireAlive {
  Addr: Uint8Array | undefined;
  Incarnation: number;
  Meta: Uint8Array | undefined;
  Node: string;
  Port: number;
  Vsn: Uint8Array | undefined;
}

interface WireCompress {
  Algo: number;
  Buf: Uint8Array | undefined;
}

const readText = (reader: MsgpackReader): string => reader.text();
const readBytes = (reader: MsgpackReader): Uint8Array | undefined => reader.bytesOrNil();
const readU16 = (reader: MsgpackReader): number => reader.u16();
const readU32 = (reader: MsgpackReader): number => reader.u32();

const SOURCE_FIELDS: FieldReaders<WireSource> = { SourceAddr: readBytes, SourceNode: readText, SourcePort: readU16 };
const PING_FIELDS: FieldReaders<WirePing> = { Node: readText, SeqNo: readU32, ...SOURCE_FIELDS };
const PING_ZERO: WirePing = { Node: '', SeqNo: 0, SourceAddr: undefined, SourceNode: '', SourcePort: 0 };
const INDIRECT_PING_FIELDS: FieldReaders<WireIndirectPing> = {
  ...PING_FIELDS,
  Nack: (reader) => reader.bool(),
  Port: readU16,
  Target: readBytes,
};
const INDIRECT_PING_ZERO: WireIndirectPing = { ...PING_ZERO, Nack: false, Port: 0, Target: undefined };
const ACCUSATION_FIELDS: FieldReaders<WireAccusation> = { From: readText, Incarnation: readU32, Node: readText };
const ACCUSATION_ZERO: WireAccusation = { From: '', Incarnation: 0, Node: '' };
const ALIVE_FIELDS: FieldReaders<WireAlive> = {
  Addr: readBytes,
  Incarnation: readU32,
  Meta: readBytes,
  Node: readText,
  Port: readU16,
  Vsn: readBytes,
};
const ALIVE_ZERO: WireAlive = { Addr: undefined, Incarnation: 0, Meta: undefined, Node: '', Port: 0, Vsn: undefined };

function readIndirectPing(reader: MsgpackReader): IndirectPing {
  const fields = reader.struct(INDIRECT_PING_FIELDS, INDIRECT_PING_ZERO);
  return {
    kind: 'indirectPing',
    sequence: fields.SeqNo,
    target: fields.Target,
    port: fields.Port,
    node: fields.Node,
    nack: fields.Nack,
    ...sourceOf(fields),
  };
}

function readAccusation(reader: MsgpackReader): Omit<Suspect, 'kind'> {
  const fields = reader.struct(ACCUSATION_FIELDS, ACCUSATION_ZERO);
  return { incarnation: fields.Incarnation, node: fields.Node, from: fields.From };
}

function readAlive(reader: MsgpackReader): Alive {
  const fields = reader.struct(ALIVE_FIELDS, ALIVE_ZERO);
  return {
    kind: 'alive',
    incarnation: fields.Incarnation,
    node: fields.Node,
    address: fields.Addr,
    port: fields.Port,
    meta: fields.Meta,
    versions: fields.Vsn,
  };
}

function sourceOf(fields: WireSource): SourceFields {
  return { sourceAddress: fields.SourceAddr, sourcePort: fields.SourcePort, sourceNode: fields.SourceNode };
}

function begin(type: number, fieldCount: number): MsgpackWriter {
  return new MsgpackWriter().u8(type).mapHeader(fieldCount);
}

function writeAccusation(type: number, accusation: Omit<Suspect, 'kind'>): Uint8Array {
  const writer = begin(type, 3).text('From').text(accusation.from);
  return writer.text('Incarnation').int(accusation.incarnation).text('Node').text(accusation.node).finish();
}

function hasBytes(bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes !== undefined && bytes.length > 0;
}

function sourceCount(source: SourceFields): number {
  return Number(hasBytes(source.sourceAddress)) + Number(source.sourceNode !== '') + Number(source.sourcePort !== 0);
}

function writeSource(writer: MsgpackWriter, source: SourceFields): MsgpackWriter {
  if (hasBytes(source.sourceAddress)) writer.text('SourceAddr').bytes(source.sourceAddress);
  if (source.sourceNode !== '') writer.text('SourceNode').text(source.sourceNode);
  if (source.sourcePort !== 0) writer.text('SourcePort').int(source.sourcePort);
  return writer;
}
