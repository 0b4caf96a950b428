/**
 * The messages that Serf sends as memberlist user messages: a type byte, then one msgpack struct with sorted keys.
 * wire-gossip.md 13. What travels inside a query's payload is in `payloads.ts`, the push/pull state in `push-pull.ts`.
 */
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';

export const SERF_TYPE = {
  leaveIntent: 0,
  joinIntent: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const;

/** Lamport times above this are refused: it leaves our own clocks room for four thousand million increments. */
export const LAMPORT_TIME_MAX: number = 2 ** 53 - 2 ** 32;

/** In `query.flags` and `queryResponse.flags`: an acknowledgement is wanted, or is here. */
export const QUERY_FLAG_ACK = 1;
/** In `query.flags`: do not spread it further. */
export const QUERY_FLAG_NO_BROADCAST = 2;

export interface LeaveIntent {
  readonly kind: 'leaveIntent';
  readonly lamportTime: number;
  readonly node: string;
  /** Forget the member altogether. */
  readonly prune: boolean;
}

export interface JoinIntent {
  readonly kind: 'joinIntent';
  readonly lamportTime: number;
  readonly node: string;
}

export interface UserEvent {
  readonly kind: 'userEvent';
  readonly lamportTime: number;
  readonly name: string;
  readonly payload: Uint8Array | undefined;
  readonly coalesce: boolean;
}

export interface Query {
  readonly kind: 'query';
  readonly lamportTime: number;
  readonly id: number;
  readonly name: string;
  readonly payload: Uint8Array | undefined;
  /** Where the answer goes: IP bytes as the originator wrote them. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly sourceNode: string;
  /** Each a filter of `filters.ts`; undefined as the wire's nil. */
  readonly filters: readonly Uint8Array[] | undefined;
  readonly flags: number;
  readonly relayFactor: number;
  /** Nanoseconds, as on the wire. */
  readonly timeoutNs: number;
}

export interface QueryResponse {
  readonly kind: 'queryResponse';
  readonly lamportTime: number;
  readonly id: number;
  readonly from: string;
  readonly flags: number;
  readonly payload: Uint8Array | undefined;
}

export interface Relay {
  readonly kind: 'relay';
  readonly address: Uint8Array;
  readonly port: number;
  readonly zone: string;
  readonly node: string;
  /** A whole Serf message, to be sent on unchanged. */
  readonly message: Uint8Array;
}

export type SerfMessage = LeaveIntent | JoinIntent | UserEvent | Query | QueryResponse | Relay;

/** What the door answers to bytes that are no message. */
export interface SerfDecodeFailure {
  readonly kind: 'undecodable';
  readonly reason: string;
}

/** Filters that one query may carry; real peers send two at most. */
const FILTERS_MAX = 16;

export function encodeSerfMessage(message: SerfMessage): Uint8Array {
  const out = new MsgpackWriter().u8(SERF_TYPE[message.kind]);
  switch (message.kind) {
    case 'leaveIntent':
      out.mapHeader(3).text('LTime').int(message.lamportTime).text('Node').text(message.node);
      return out.text('Prune').bool(message.prune).finish();
    case 'joinIntent':
      return out.mapHeader(2).text('LTime').int(message.lamportTime).text('Node').text(message.node).finish();
    case 'userEvent':
      out.mapHeader(4).text('CC').bool(message.coalesce).text('LTime').int(message.lamportTime);
      return out.text('Name').text(message.name).text('Payload').bytesOrNil(message.payload).finish();
    case 'query':
      return encodeQuery(out, message);
    case 'queryResponse':
      out.mapHeader(5).text('Flags').int(message.flags).text('From').text(message.from).text('ID').int(message.id);
      return out.text('LTime').int(message.lamportTime).text('Payload').bytesOrNil(message.payload).finish();
    case 'relay':
      out.mapHeader(2).text('DestAddr').mapHeader(3).text('IP').bytes(message.address).text('Port').int(message.port);
      out.text('Zone').text(message.zone).text('DestName').text(message.node);
      return out.raw(message.message).finish();
  }
}

/** The door: never throws. */
export function decodeSerfMessage(bytes: Uint8Array): SerfMessage | SerfDecodeFailure {
  try {
    const reader = new MsgpackReader(bytes);
    return decodeBody(reader.byte(), reader);
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'undecodable', reason: error.message };
    throw error;
  }
}

/** Reads a Lamport time; refuses those that would leave our own clocks no room. */
export function readLamportTime(reader: MsgpackReader): number {
  const value = reader.u64();
  if (value > LAMPORT_TIME_MAX) throw new DecodeError('a Lamport time is too large');
  return value;
}

function decodeBody(type: number, reader: MsgpackReader): SerfMessage {
  switch (type) {
    case SERF_TYPE.leaveIntent: {
      const fields = { LTime: readLamportTime, Node: readText, Prune: readBool };
      const raw = reader.struct(fields, { LTime: 0, Node: '', Prune: false });
      return { kind: 'leaveIntent', lamportTime: raw.LTime, node: raw.Node, prune: raw.Prune };
    }
    case SERF_TYPE.joinIntent: {
      const raw = reader.struct({ LTime: readLamportTime, Node: readText }, { LTime: 0, Node: '' });
      return { kind: 'joinIntent', lamportTime: raw.LTime, node: raw.Node };
    }
    case SERF_TYPE.userEvent: {
      const raw = reader.struct<RawUserEvent>(USER_EVENT, NO_USER_EVENT);
      return { kind: 'userEvent', lamportTime: raw.LTime, name: raw.Name, payload: raw.Payload, coalesce: raw.CC };
    }
    case SERF_TYPE.query:
      return decodeQuery(reader);
    case SERF_TYPE.queryResponse: {
      const raw = reader.struct<RawResponse>(RESPONSE, NO_RESPONSE);
      return {
        kind: 'queryResponse',
        lamportTime: raw.LTime,
        id: raw.ID,
        from: raw.From,
        flags: raw.Flags,
        payload: raw.Payload,
      };
    }
    case SERF_TYPE.relay:
      return decodeRelay(reader);
    default:
      throw new DecodeError(`Serf message type ${type} is unknown here`);
  }
}

function encodeQuery(out: MsgpackWriter, query: Query): Uint8Array {
  out.mapHeader(11).text('Addr').bytes(query.address).text('Filters');
  if (query.filters === undefined) out.nil();
  else {
    out.arrayHeader(query.filters.length);
    for (const filter of query.filters) out.bytes(filter);
  }
  out.text('Flags').int(query.flags).text('ID').int(query.id).text('LTime').int(query.lamportTime);
  out.text('Name').text(query.name).text('Payload').bytesOrNil(query.payload).text('Port').int(query.port);
  out.text('RelayFactor').int(query.relayFactor).text('SourceNode').text(query.sourceNode);
  return out.text('Timeout').int(query.timeoutNs).finish();
}

function decodeQuery(reader: MsgpackReader): Query {
  const raw = reader.struct<RawQuery>(QUERY, NO_QUERY);
  return {
    kind: 'query',
    lamportTime: raw.LTime,
    id: raw.ID,
    name: raw.Name,
    payload: raw.Payload,
    address: raw.Addr,
    port: raw.Port,
    sourceNode: raw.SourceNode,
    filters: raw.Filters,
    flags: raw.Flags,
    relayFactor: raw.RelayFactor,
    timeoutNs: raw.Timeout,
  };
}

function decodeRelay(reader: MsgpackReader): Relay {
  const noAddress: RawAddress = { IP: new Uint8Array(0), Port: 0, Zone: '' };
  const address = { IP: readBytes, Port: readPort, Zone: readText };
  const head = reader.struct(
    { DestAddr: (r) => r.struct(address, noAddress), DestName: readText },
    { DestAddr: noAddress, DestName: '' },
  );
  const { IP, Port, Zone } = head.DestAddr;
  const message = reader.raw(reader.left);
  if (message.length === 0) throw new DecodeError('a relay holds no message');
  return { kind: 'relay', address: IP, port: Port, zone: Zone, node: head.DestName, message };
}

interface RawAddress {
  readonly IP: Uint8Array;
  readonly Port: number;
  readonly Zone: string;
}

interface RawUserEvent {
  readonly CC: boolean;
  readonly LTime: number;
  readonly Name: string;
  readonly Payload: Uint8Array | undefined;
}

interface RawQuery {
  readonly Addr: Uint8Array;
  readonly Filters: readonly Uint8Array[] | undefined;
  readonly Flags: number;
  readonly ID: number;
  readonly LTime: number;
  readonly Name: string;
  readonly Payload: Uint8Array | undefined;
  readonly Port: number;
  readonly RelayFactor: number;
  readonly SourceNode: string;
  readonly Timeout: number;
}

interface RawResponse {
  readonly Flags: number;
  readonly From: string;
  readonly ID: number;
  readonly LTime: number;
  readonly Payload: Uint8Array | undefined;
}

const readText = (reader: MsgpackReader): string => reader.text();
const readBool = (reader: MsgpackReader): boolean => reader.bool();
const readBytes = (reader: MsgpackReader): Uint8Array => reader.bytes();
const readBytesOrNil = (reader: MsgpackReader): Uint8Array | undefined => reader.bytesOrNil();
const readU32 = (reader: MsgpackReader): number => reader.u32();
const readPort = (reader: MsgpackReader): number => reader.u16();

const USER_EVENT = { CC: readBool, LTime: readLamportTime, Name: readText, Payload: readBytesOrNil };
const NO_USER_EVENT: RawUserEvent = { CC: false, LTime: 0, Name: '', Payload: undefined };

const QUERY = {
  Addr: readBytes,
  Filters: (reader: MsgpackReader): Uint8Array[] | undefined =>
    reader.isNil() ? undefined : reader.array(readBytes, FILTERS_MAX),
  Flags: readU32,
  ID: readU32,
  LTime: readLamportTime,
  Name: readText,
  Payload: readBytesOrNil,
  Port: readPort,
  RelayFactor: (reader: MsgpackReader): number => reader.u8(),
  SourceNode: readText,
  Timeout: (reader: MsgpackReader): number => reader.i64(),
};
const NO_QUERY: RawQuery = {
  Addr: new Uint8Array(0),
  Filters: undefined,
  Flags: 0,
  ID: 0,
  LTime: 0,
  Name: '',
  Payload: undefined,
  Port: 0,
  RelayFactor: 0,
  SourceNode: '',
  Timeout: 0,
};

const RESPONSE = { Flags: readU32, From: readText, ID: readU32, LTime: readLamportTime, Payload: readBytesOrNil };
const NO_RESPONSE: RawResponse = { Flags: 0, From: '', ID: 0, LTime: 0, Payload: undefined };
