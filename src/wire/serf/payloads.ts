/** What travels inside a query or its response: conflict votes and keyring requests. wire-gossip.md 13.8, 13.9. */
import { fromUtf8 } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';
import { SERF_TYPE, type SerfDecodeFailure } from './messages.ts';

/** In the order of the numbers on the wire. */
export const WIRE_STATUSES = ['none', 'alive', 'leaving', 'left', 'failed'] as const;

/** A member as Serf writes it in a conflict vote. */
export interface WireMember {
  readonly name: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly status: (typeof WIRE_STATUSES)[number];
  readonly tags: ReadonlyMap<string, string>;
  /** Min, max, current of memberlist's protocol, then of Serf's, as in an alive message. */
  readonly versions: readonly number[];
}

export interface ConflictResponse {
  readonly kind: 'conflictResponse';
  /** Undefined: the voter does not know the name. */
  readonly member: WireMember | undefined;
}

export interface KeyRequest {
  readonly kind: 'keyRequest';
  /** Empty when keys are to be listed. */
  readonly key: Uint8Array;
}

export interface KeyResponse {
  readonly kind: 'keyResponse';
  readonly result: boolean;
  readonly message: string;
  /** In base64; undefined as the wire's nil. */
  readonly keys: readonly string[] | undefined;
  readonly primaryKey: string;
}

export type QueryPayload = ConflictResponse | KeyRequest | KeyResponse;

export function encodeQueryPayload(payload: QueryPayload): Uint8Array {
  const out = new MsgpackWriter().u8(SERF_TYPE[payload.kind]);
  switch (payload.kind) {
    case 'conflictResponse':
      if (payload.member === undefined) return out.nil().finish();
      writeMember(out, payload.member);
      return out.finish();
    case 'keyRequest':
      return out.mapHeader(1).text('Key').bytes(payload.key).finish();
    case 'keyResponse': {
      out.mapHeader(4).text('Keys');
      if (payload.keys === undefined) out.nil();
      else {
        out.arrayHeader(payload.keys.length);
        for (const key of payload.keys) out.text(key);
      }
      out.text('Message').text(payload.message).text('PrimaryKey').text(payload.primaryKey);
      return out.text('Result').bool(payload.result).finish();
    }
  }
}

/** The door: never throws. */
export function decodeQueryPayload(bytes: Uint8Array): QueryPayload | SerfDecodeFailure {
  try {
    const reader = new MsgpackReader(bytes);
    const type = reader.byte();
    switch (type) {
      case SERF_TYPE.conflictResponse:
        return { kind: 'conflictResponse', member: reader.isNil() ? undefined : readMember(reader) };
      case SERF_TYPE.keyRequest: {
        const noKey: { readonly Key: Uint8Array } = { Key: new Uint8Array(0) };
        return { kind: 'keyRequest', key: reader.struct({ Key: (r) => r.bytes() }, noKey).Key };
      }
      case SERF_TYPE.keyResponse:
        return readKeyResponse(reader);
      default:
        throw new DecodeError(`query payload type ${type} is unknown`);
    }
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'undecodable', reason: error.message };
    throw error;
  }
}

/** The name that a conflict vote is about: plain text, without a type byte. Undefined when it is no text. */
export function decodeConflictName(payload: Uint8Array): string | undefined {
  try {
    return fromUtf8(payload);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function writeMember(out: MsgpackWriter, member: WireMember): void {
  const [protocolMin = 0, protocolMax = 0, protocolCur = 0, delegateMin = 0, delegateMax = 0, delegateCur = 0] =
    member.versions;
  out.mapHeader(11).text('Addr').bytes(member.address).text('DelegateCur').int(delegateCur);
  out.text('DelegateMax').int(delegateMax).text('DelegateMin').int(delegateMin).text('Name').text(member.name);
  out.text('Port').int(member.port).text('ProtocolCur').int(protocolCur).text('ProtocolMax').int(protocolMax);
  out.text('ProtocolMin').int(protocolMin).text('Status').int(WIRE_STATUSES.indexOf(member.status));
  out.text('Tags').mapHeader(member.tags.size);
  for (const [name, value] of member.tags) out.text(name).text(value);
}

function readMember(reader: MsgpackReader): WireMember {
  const raw = reader.struct<RawMember>(MEMBER, NO_MEMBER);
  const status = WIRE_STATUSES[raw.Status];
  if (status === undefined) throw new DecodeError(`member status ${raw.Status} is unknown`);
  const versions = [
    raw.ProtocolMin,
    raw.ProtocolMax,
    raw.ProtocolCur,
    raw.DelegateMin,
    raw.DelegateMax,
    raw.DelegateCur,
  ];
  return { name: raw.Name, address: raw.Addr, port: raw.Port, status, tags: raw.Tags, versions };
}

function readKeyResponse(reader: MsgpackReader): KeyResponse {
  const raw = reader.struct<RawKeyResponse>(
    {
      Keys: (r) => (r.isNil() ? undefined : r.array((item) => item.text())),
      Message: (r) => r.text(),
      PrimaryKey: (r) => r.text(),
      Result: (r) => r.bool(),
    },
    { Keys: undefined, Message: '', PrimaryKey: '', Result: false },
  );
  return {
    kind: 'keyResponse',
    result: raw.Result,
    message: raw.Message,
    keys: raw.Keys,
    primaryKey: raw.PrimaryKey,
  };
}

function readTextMap(reader: MsgpackReader): ReadonlyMap<string, string> {
  const count = reader.mapHeader() ?? 0;
  const map = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    map.set(name, reader.text());
  }
  return map;
}

interface RawKeyResponse {
  readonly Keys: readonly string[] | undefined;
  readonly Message: string;
  readonly PrimaryKey: string;
  readonly Result: boolean;
}

interface RawMember {
  readonly Addr: Uint8Array;
  readonly DelegateCur: number;
  readonly DelegateMax: number;
  readonly DelegateMin: number;
  readonly Name: string;
  readonly Port: number;
  readonly ProtocolCur: number;
  readonly ProtocolMax: number;
  readonly ProtocolMin: number;
  readonly Status: number;
  readonly Tags: ReadonlyMap<string, string>;
}

const readU8 = (reader: MsgpackReader): number => reader.u8();

const MEMBER = {
  Addr: (reader: MsgpackReader): Uint8Array => reader.bytes(),
  DelegateCur: readU8,
  DelegateMax: readU8,
  DelegateMin: readU8,
  Name: (reader: MsgpackReader): string => reader.text(),
  Port: (reader: MsgpackReader): number => reader.u16(),
  ProtocolCur: readU8,
  ProtocolMax: readU8,
  ProtocolMin: readU8,
  Status: readU8,
  Tags: readTextMap,
};
const NO_MEMBER: RawMember = {
  Addr: new Uint8Array(0),
  DelegateCur: 0,
  DelegateMax: 0,
  DelegateMin: 0,
  Name: '',
  Port: 0,
  ProtocolCur: 0,
  ProtocolMax: 0,
  ProtocolMin: 0,
  Status: 0,
  Tags: new Map(),
};
