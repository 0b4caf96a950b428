/** A request to the coordination state on its way from node to node. Numbers are append-only. */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { KvRequest } from '../../model/kv.ts';
import { decodeKvItem, encodeKvItem } from './batch.ts';
import { readQuery, writeQuery } from './operation.ts';

const ITEM = 1;
const READ = 2;

/** What changes something is kept as it will stand in the log. */
export type CarriedRequest =
  | { readonly kind: 'item'; readonly item: Uint8Array }
  | Extract<KvRequest, { kind: 'read' }>;

export function writeCarried(out: ByteWriter, request: CarriedRequest): void {
  if (request.kind === 'item') {
    out.u8(ITEM).blob(request.item);
    return;
  }
  out.u8(READ).bool(request.consistency === 'stale');
  writeQuery(out, request.query);
}

/** Throws {@link DecodeError}: an item that no replica could read must not reach the log. */
export function readCarried(reader: ByteReader): CarriedRequest {
  const kind = reader.u8();
  if (kind === ITEM) {
    const item = reader.blob();
    // The leader's own business; from a peer it would end the sessions of others.
    if (decodeKvItem(item).kind === 'expireSessions') throw new DecodeError('a peer expires no sessions');
    return { kind: 'item', item };
  }
  if (kind !== READ) throw new DecodeError(`key-value request ${kind} is unknown`);
  const consistency = reader.bool() ? 'stale' : 'linearizable';
  return { kind: 'read', query: readQuery(reader), consistency };
}

/** As it will be carried: to the log, or to whoever can serve it. */
export function carried(request: KvRequest): CarriedRequest {
  return request.kind === 'read' ? request : { kind: 'item', item: encodeKvItem(request) };
}
