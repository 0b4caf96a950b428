/** Tags in memberlist's meta: a magic byte, then a msgpack map of text to text. wire-gossip.md 18.1. */
import { compareBytes, utf8 } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';

/** Memberlist's limit of a node's meta, the magic byte included. */
export const META_SIZE_MAX = 512;

const TAGS_MAGIC = 0xff;
const lossyText: InstanceType<typeof TextDecoder> = new TextDecoder('utf-8', {
  ignoreBOM: true,
});

/** In byte order of the names, so that equal tags have equal bytes. May be larger than {@link META_SIZE_MAX}. */
export function encodeTags(tags: ReadonlyMap<string, string>): Uint8Array {
  const entries = [...tags].map(([name, value]) => ({ name: utf8(name), value }));
  entries.sort((a, b) => compareBytes(a.name, b.name));
  const out = new MsgpackWriter(META_SIZE_MAX).u8(TAGS_MAGIC).mapHeader(entries.length);
  for (const { name, value } of entries) out.bytes(name).text(value);
  return out.finish();
}

/**
 * The door: never throws, but answers undefined to meta that is no map. Meta without the magic byte is the `role` of a peer that speaks Serf's protocol 2. Text that is not
 * UTF-8 is shown with replacement characters; the meta itself is passed on to others as it came.
 */
export function decodeTags(meta: Uint8Array): ReadonlyMap<string, string> | undefined {
  if (meta[0] !== TAGS_MAGIC) return new Map([['role', lossyText.decode(meta)]]);
  try {
    const reader = new MsgpackReader(meta, 1);
    const count = reader.mapHeader() ?? 0;
    const tags = new Map<string, string>();
    for (let i = 0; i < count; i++) {
      const name = lossyText.decode(reader.bytes());
      tags.set(name, lossyText.decode(reader.bytes()));
    }
    return tags;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
