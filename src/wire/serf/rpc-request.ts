/**
 * What clients ask over the Serf agent's RPC: a header `{Command, Seq}`, then for most commands a body. There is no framing: one
 * msgpack value follows the other. wire-gossip.md 20.1 to 20.3.
 */
import { DecodeError } from '../../base/errors.ts';
import { type FieldReaders, MsgpackReader, NeedMoreBytes } from '../msgpack/reader.ts';

/** The body of each command; an empty one is not on the wire. Field names are the wire's. */
export interface RpcBodies {
  readonly handshake: { readonly Version: number };
  readonly auth: { readonly AuthKey: string };
  readonly event: { readonly Name: string; readonly Payload: Uint8Array; readonly Coalesce: boolean };
  readonly 'force-leave': { readonly Node: string; readonly Prune: boolean };
  readonly join: { readonly Existing: readonly string[]; readonly Replay: boolean };
  readonly members: object;
  readonly 'members-filtered': {
    readonly Name: string;
    readonly Status: string;
    readonly Tags: ReadonlyMap<string, string>;
  };
  readonly tags: { readonly Tags: ReadonlyMap<string, string>; readonly DeleteTags: readonly string[] };
  readonly stream: { readonly Type: string };
  readonly monitor: { readonly LogLevel: string };
  readonly stop: { readonly Stop: number };
  readonly query: {
    readonly FilterNodes: readonly string[];
    readonly FilterTags: ReadonlyMap<string, string>;
    readonly Name: string;
    readonly Payload: Uint8Array;
    readonly RelayFactor: number;
    readonly RequestAck: boolean;
    /** Nanoseconds; 0 asks for the default. */
    readonly Timeout: number;
  };
  readonly respond: { readonly ID: number; readonly Payload: Uint8Array };
  readonly 'install-key': { readonly Key: string };
  readonly 'use-key': { readonly Key: string };
  readonly 'remove-key': { readonly Key: string };
  readonly 'list-keys': object;
  readonly stats: object;
  readonly 'get-coordinate': { readonly Node: string };
  readonly leave: object;
}

export type RpcCommand = keyof RpcBodies;

export type RpcRequest = {
  readonly [C in RpcCommand]: { readonly command: C; readonly seq: number; readonly body: RpcBodies[C] };
}[RpcCommand];

export type RpcReading =
  /** `size`: how many bytes it took. */
  | { readonly kind: 'request'; readonly size: number; readonly request: RpcRequest }
  /** The end has not come yet. */
  | { readonly kind: 'incomplete' }
  /** Nobody can tell where the next request would begin. */
  | { readonly kind: 'unknownCommand'; readonly command: string; readonly seq: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/** No request needs more: an event or a query is a packet at most, and nobody joins through a thousand nodes. */
export const RPC_REQUEST_BYTES_MAX = 65_536;
const NAME_BYTES_MAX = 1_024;
const ITEMS_MAX = 1_024;

const text = (reader: MsgpackReader): string => reader.text();
const name = (reader: MsgpackReader): string => reader.text(NAME_BYTES_MAX);
const flag = (reader: MsgpackReader): boolean => reader.bool();
const number = (reader: MsgpackReader): number => reader.i64();
// A copy: requests outlive the buffer that they came in.
const payload = (reader: MsgpackReader): Uint8Array => reader.bytes().slice();
const names = (reader: MsgpackReader): readonly string[] => reader.array(name, ITEMS_MAX);
const NONE = new Uint8Array(0);
const NO_TAGS: ReadonlyMap<string, string> = new Map();

function tags(reader: MsgpackReader): ReadonlyMap<string, string> {
  const read = new Map<string, string>();
  const count = reader.mapHeader(ITEMS_MAX) ?? 0;
  for (let i = 0; i < count; i++) {
    const key = reader.text(NAME_BYTES_MAX);
    read.set(key, reader.text());
  }
  return read;
}

interface BodyShape<T> {
  readonly fields: FieldReaders<T>;
  readonly zero: T;
}

const KEY: BodyShape<{ readonly Key: string }> = { fields: { Key: name }, zero: { Key: '' } };

/** The shape of each body; undefined where there is none. */
const SHAPES: { readonly [C in RpcCommand]: BodyShape<RpcBodies[C]> | undefined } = {
  handshake: { fields: { Version: number }, zero: { Version: 0 } },
  auth: { fields: { AuthKey: name }, zero: { AuthKey: '' } },
  event: {
    fields: { Name: name, Payload: payload, Coalesce: flag },
    zero: { Name: '', Payload: NONE, Coalesce: false },
  },
  'force-leave': { fields: { Node: name, Prune: flag }, zero: { Node: '', Prune: false } },
  join: { fields: { Existing: names, Replay: flag }, zero: { Existing: [], Replay: false } },
  members: undefined,
  'members-filtered': {
    fields: { Name: name, Status: name, Tags: tags },
    zero: { Name: '', Status: '', Tags: NO_TAGS },
  },
  tags: { fields: { Tags: tags, DeleteTags: names }, zero: { Tags: NO_TAGS, DeleteTags: [] } },
  stream: { fields: { Type: text }, zero: { Type: '' } },
  monitor: { fields: { LogLevel: name }, zero: { LogLevel: '' } },
  stop: { fields: { Stop: number }, zero: { Stop: 0 } },
  query: {
    fields: {
      FilterNodes: names,
      FilterTags: tags,
      Name: name,
      Payload: payload,
      RelayFactor: number,
      RequestAck: flag,
      Timeout: number,
    },
    zero: {
      FilterNodes: [],
      FilterTags: NO_TAGS,
      Name: '',
      Payload: NONE,
      RelayFactor: 0,
      RequestAck: false,
      Timeout: 0,
    },
  },
  respond: { fields: { ID: number, Payload: payload }, zero: { ID: 0, Payload: NONE } },
  'install-key': KEY,
  'use-key': KEY,
  'remove-key': KEY,
  'list-keys': undefined,
  stats: undefined,
  'get-coordinate': { fields: { Node: name }, zero: { Node: '' } },
  leave: undefined,
};

interface Header {
  readonly Command: string;
  readonly Seq: number;
}

const HEADER: BodyShape<Header> = { fields: { Command: name, Seq: (r) => r.u64() }, zero: { Command: '', Seq: 0 } };

/** The door: never throws. Reads the request that begins at the first byte. */
export function readRpcRequest(bytes: Uint8Array): RpcReading {
  try {
    const reader = new MsgpackReader(bytes, 0, RPC_REQUEST_BYTES_MAX);
    const { Command: command, Seq: seq } = reader.struct(HEADER.fields, HEADER.zero);
    if (!isCommand(command)) return { kind: 'unknownCommand', command, seq };
    // The table pairs every command with its own shape; the compiler sees only the union of them.
    const shape = SHAPES[command] as BodyShape<object> | undefined;
    const body = shape === undefined ? {} : reader.struct(shape.fields, shape.zero);
    return { kind: 'request', size: reader.at, request: { command, seq, body } as RpcRequest };
  } catch (error) {
    if (error instanceof NeedMoreBytes) return { kind: 'incomplete' };
    if (error instanceof DecodeError) return { kind: 'malformed', reason: error.message };
    throw error;
  }
}

function isCommand(command: string): command is RpcCommand {
  return Object.hasOwn(SHAPES, command);
}
