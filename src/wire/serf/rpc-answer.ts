/**
 * What a Serf agent answers over its RPC: a header `{Error, Seq}`, then for some commands a body, and for streams header and record
 * again and again. New-spec msgpack, struct keys sorted by byte order. wire-gossip.md 20.2 to 20.5.
 */
import type { NetworkCoordinate } from '../../model/gossip-request.ts';
import type { Member } from '../../model/member.ts';
import { addressOfHost } from '../memberlist/address.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';

export interface RpcKeyResult {
  readonly messages: ReadonlyMap<string, string>;
  /** Undefined as the wire's nil. */
  readonly keys: ReadonlyMap<string, number> | undefined;
  readonly members: number;
  readonly failures: number;
  readonly responses: number;
}

export type RpcBody =
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  | { readonly kind: 'join'; readonly count: number }
  | { readonly kind: 'keys'; readonly result: RpcKeyResult }
  | { readonly kind: 'stats'; readonly groups: ReadonlyMap<string, ReadonlyMap<string, string>> }
  | { readonly kind: 'coordinate'; readonly coordinate: NetworkCoordinate | undefined }
  /** `event`: `member-join` and its like. */
  | { readonly kind: 'memberEvent'; readonly event: string; readonly members: readonly Member[] }
  | {
      readonly kind: 'userEvent';
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array;
      readonly coalesce: boolean;
    }
  | {
      readonly kind: 'queryEvent';
      readonly id: number;
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'log'; readonly line: string }
  | {
      readonly kind: 'queryRecord';
      readonly type: 'ack' | 'response' | 'done';
      readonly from: string;
      readonly payload: Uint8Array | undefined;
    };

/** One header, and the body behind it when there is one. `error` is empty when all is well. */
export function encodeRpcAnswer(seq: number, error: string, body?: RpcBody): Uint8Array {
  const out = new MsgpackWriter(256, 'parted');
  out.mapHeader(2).text('Error').text(error).text('Seq').int(seq);
  if (body !== undefined) writeBody(out, body);
  return out.finish();
}

function writeBody(out: MsgpackWriter, body: RpcBody): void {
  switch (body.kind) {
    case 'members':
      out.mapHeader(1).text('Members');
      writeMembers(out, body.members);
      return;
    case 'join':
      out.mapHeader(1).text('Num').int(body.count);
      return;
    case 'keys':
      writeKeys(out, body.result);
      return;
    case 'stats':
      out.mapHeader(body.groups.size);
      for (const [group, values] of body.groups) writeTexts(out.text(group), values);
      return;
    case 'coordinate':
      writeCoordinate(out, body.coordinate);
      return;
    case 'memberEvent':
      out.mapHeader(2).text('Event').text(body.event).text('Members');
      writeMembers(out, body.members);
      return;
    case 'userEvent':
      out.mapHeader(5).text('Coalesce').bool(body.coalesce).text('Event').text('user');
      out.text('LTime').int(body.lamportTime).text('Name').text(body.name);
      writePayload(out, body.payload);
      return;
    case 'queryEvent':
      out.mapHeader(5).text('Event').text('query').text('ID').int(body.id).text('LTime').int(body.lamportTime);
      out.text('Name').text(body.name);
      writePayload(out, body.payload);
      return;
    case 'log':
      out.mapHeader(1).text('Log').text(body.line);
      return;
    case 'queryRecord':
      out.mapHeader(3).text('From').text(body.from).text('Payload').bytesOrNil(body.payload);
      out.text('Type').text(body.type);
  }
}

/** An agent tells of no payload and of an empty one alike. */
function writePayload(out: MsgpackWriter, payload: Uint8Array): void {
  out.text('Payload').bytesOrNil(payload.length === 0 ? undefined : payload);
}

function writeMembers(out: MsgpackWriter, members: readonly Member[]): void {
  out.arrayHeader(members.length);
  for (const { name, address, status, tags, versions } of members) {
    const [protocolMin = 0, protocolMax = 0, protocolCur = 0, delegateMin = 0, delegateMax = 0, delegateCur = 0] =
      versions;
    out.mapHeader(11).text('Addr');
    out.bytesOrNil(addressOfHost(address.host));
    out.text('DelegateCur').int(delegateCur).text('DelegateMax').int(delegateMax);
    out.text('DelegateMin').int(delegateMin).text('Name').text(name).text('Port').int(address.port);
    out.text('ProtocolCur').int(protocolCur).text('ProtocolMax').int(protocolMax);
    out.text('ProtocolMin').int(protocolMin).text('Status').text(status);
    writeTexts(out.text('Tags'), tags);
  }
}

function writeTexts(out: MsgpackWriter, entries: ReadonlyMap<string, string>): void {
  out.mapHeader(entries.size);
  for (const [key, value] of entries) out.text(key).text(value);
}

function writeKeys(out: MsgpackWriter, { keys, messages, failures, members, responses }: RpcKeyResult): void {
  out.mapHeader(5).text('Keys');
  if (keys === undefined) out.nil();
  else {
    out.mapHeader(keys.size);
    for (const [key, count] of keys) out.text(key).int(count);
  }
  writeTexts(out.text('Messages'), messages);
  out.text('NumErr').int(failures).text('NumNodes').int(members).text('NumResp').int(responses);
}

function writeCoordinate(out: MsgpackWriter, coordinate: NetworkCoordinate | undefined): void {
  const { adjustment = 0, error = 0, height = 0, vec } = coordinate ?? {};
  out.mapHeader(2).text('Coord').mapHeader(4);
  out.text('Adjustment').float64(adjustment).text('Error').float64(error).text('Height').float64(height).text('Vec');
  if (vec === undefined) out.nil();
  else {
    out.arrayHeader(vec.length);
    for (const part of vec) out.float64(part);
  }
  out.text('Ok').bool(coordinate !== undefined);
}
