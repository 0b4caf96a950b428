/** Query filters: each a byte string of a type byte and msgpack. wire-gossip.md 13.6. */
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';
import type { SerfDecodeFailure } from './messages.ts';

export type QueryFilter =
  /** Passes nodes by name. */
  | { readonly kind: 'nodes'; readonly names: readonly string[] }
  /** Passes nodes whose value of `tag` has a match of `expression` (RE2 syntax) anywhere. */
  | { readonly kind: 'tag'; readonly tag: string; readonly expression: string };

const TYPE_NODES = 0;
const TYPE_TAG = 1;

export function encodeFilter(filter: QueryFilter): Uint8Array {
  const out = new MsgpackWriter();
  if (filter.kind === 'tag') {
    return out.u8(TYPE_TAG).mapHeader(2).text('Expr').text(filter.expression).text('Tag').text(filter.tag).finish();
  }
  out.u8(TYPE_NODES).arrayHeader(filter.names.length);
  for (const name of filter.names) out.text(name);
  return out.finish();
}

/** The door: never throws. A filter that cannot be read matches no node. */
export function decodeFilter(bytes: Uint8Array): QueryFilter | SerfDecodeFailure {
  try {
    const reader = new MsgpackReader(bytes);
    const type = reader.byte();
    if (type === TYPE_NODES) return { kind: 'nodes', names: reader.array((r) => r.text()) };
    if (type !== TYPE_TAG) throw new DecodeError(`filter type ${type} is unknown`);
    const raw = reader.struct({ Expr: (r) => r.text(), Tag: (r) => r.text() }, { Expr: '', Tag: '' });
    return { kind: 'tag', tag: raw.Tag, expression: raw.Expr };
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'undecodable', reason: error.message };
    throw error;
  }
}
