/**
 * Tags that outgrow memberlist's meta. Then the meta carries those that others need most, as many more as fit, and one tag that names the
 * whole set: `fn.tags` = `1:<bytes>:<hash>`, a form number, the size of the set as encoded, and the first 128 bits of its SHA-256 in
 * base64url. Plain Serf agents take it for a tag like any other; funknodes fetch the set by it.
 *
 * The set travels in a stream's user message, asked for and answered under type bytes that no Serf message has.
 */
import { createHash } from 'node:crypto';
import { compareBytes, equalBytes, utf8 } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { ESSENTIAL_TAGS, META_ORDER, TAG_SET } from '../../model/tags.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';
import type { SerfDecodeFailure } from './messages.ts';
import { decodeTags, encodeTags, META_SIZE_MAX } from './tags.ts';

/** The largest set that any node may have. */
export const TAG_SET_BYTES_MAX = 128_000;

const TYPE_REQUEST = 0xf1;
const TYPE_ANSWER = 0xf2;
const FORM = '1';
const HASH_BYTES = 16;
const HASH = /^[A-Za-z0-9_-]{22}$/;
const SIZE = /^[1-9][0-9]{0,8}$/;
/** Names of members and the digest: memberlist knows no limit for names, but its packets have one. */
const FIELD_BYTES_MAX = 1_024;

/** What `fn.tags` says. */
export interface TagDigest {
  /** The tag's value: two digests are of one set when these are equal. */
  readonly text: string;
  /** Of the set as encoded. */
  readonly size: number;
}

export interface TagSetRequest {
  readonly kind: 'tagSetRequest';
  /** Whose tags. */
  readonly node: string;
  readonly digest: string;
}

export interface TagSetAnswer {
  readonly kind: 'tagSetAnswer';
  readonly digest: string;
  /** As {@link encodeTags} writes it; undefined when the node that was asked does not have it, or not now. */
  readonly set: Uint8Array | undefined;
}

/** The one form in which a set is named, whoever writes it. */
export function digestOf(set: Uint8Array): TagDigest {
  const hash = createHash('sha256').update(set).digest().subarray(0, HASH_BYTES).toString('base64url');
  return { text: `${FORM}:${set.length}:${hash}`, size: set.length };
}

/** Undefined for what is not of a form that we know. */
export function parseDigest(text: string): TagDigest | undefined {
  const [form, size, hash, ...more] = text.split(':');
  if (form !== FORM || size === undefined || hash === undefined || more.length > 0) return undefined;
  return SIZE.test(size) && HASH.test(hash) ? { text, size: Number(size) } : undefined;
}

/** What gossip carries of these tags. */
export interface GossipedTags {
  readonly meta: Uint8Array;
  /** Undefined when the meta has room for all of them. */
  readonly digest: TagDigest | undefined;
}

/** The caller has asked {@link checkTags}. */
export function gossipedTags(tags: ReadonlyMap<string, string>): GossipedTags {
  const set = encodeTags(tags);
  if (set.length <= META_SIZE_MAX) return { meta: set, digest: undefined };
  const digest = digestOf(set);
  return { meta: encodeTags(carriedTags(tags, digest)), digest };
}

/** Undefined when these tags can be published; else what stands against it. */
export function checkTags(tags: ReadonlyMap<string, string>, bytesMax: number): string | undefined {
  if (tags.has(TAG_SET)) return `tag ${TAG_SET} is set by the node itself`;
  const set = encodeTags(tags);
  if (set.length <= META_SIZE_MAX) return undefined;
  if (set.length > bytesMax) return tooLarge(tags, set.length, bytesMax);
  if (readTagSet(set) === undefined) return 'the names of two tags differ only in what is no text';
  const carried = carriedTags(tags, digestOf(set));
  const missing = ESSENTIAL_TAGS.find((name) => tags.has(name) && !carried.has(name));
  if (missing === undefined) return undefined;
  return `tag ${missing} does not fit into the ${META_SIZE_MAX} bytes that gossip carries, and no node can do without it`;
}

/** The first tag, in the order given, that is too much, and by how much. */
function tooLarge(tags: ReadonlyMap<string, string>, whole: number, bytesMax: number): string | undefined {
  let size = 1 + MAP_HEADER_BYTES_MAX;
  for (const [name, value] of tags) {
    size += packedBytes(name) + packedBytes(value);
    if (size > bytesMax)
      return `tag ${name} does not fit: all tags need ${whole} bytes, ${whole - bytesMax} more than the ${bytesMax} allowed`;
  }
  return `all tags need ${whole} bytes, ${whole - bytesMax} more than the ${bytesMax} allowed`;
}

/** The digest, then as many tags as fit, in the order of `META_ORDER`; one that does not fit leaves its room to the next. */
function carriedTags(tags: ReadonlyMap<string, string>, digest: TagDigest): ReadonlyMap<string, string> {
  const carried = new Map([[TAG_SET, digest.text]]);
  let left = META_SIZE_MAX - 1 - MAP_HEADER_BYTES_MAX - packedBytes(TAG_SET) - packedBytes(digest.text);
  for (const [name, value] of [...tags].sort(([a], [b]) => preference(a, b))) {
    const size = packedBytes(name) + packedBytes(value);
    if (size > left) continue;
    left -= size;
    carried.set(name, value);
  }
  return carried;
}

function preference(a: string, b: string): number {
  return rankOf(a) - rankOf(b) || compareBytes(utf8(a), utf8(b));
}

function rankOf(name: string): number {
  const rank = META_ORDER.indexOf(name);
  if (rank !== -1) return rank;
  return META_ORDER.length + (name.startsWith('ep.') ? 0 : 1);
}

/** Of a map of more than 15 entries. */
const MAP_HEADER_BYTES_MAX = 3;

/** The old msgpack form: one byte in front of 31 bytes of text at most, three of 65,535, else five. */
function packedBytes(text: string): number {
  const size = utf8(text).length;
  return size + (size <= 31 ? 1 : size <= 0xffff ? 3 : 5);
}

/**
 * The set that `digest` names, when `set` is it and is in the one form in which sets are written; else what is wrong with it. `carried` is what gossip says of
 * the same node: all of it must be in the set.
 */
export function verifyTagSet(
  set: Uint8Array,
  digest: TagDigest,
  carried: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> | string {
  if (set.length !== digest.size) return `it has ${set.length} bytes, not ${digest.size}`;
  if (digestOf(set).text !== digest.text) return 'it has another hash';
  const tags = readTagSet(set);
  if (tags === undefined) return 'it is not written as sets of tags are';
  if (tags.has(TAG_SET)) return `it holds ${TAG_SET} itself`;
  for (const [name, value] of carried)
    if (name !== TAG_SET && tags.get(name) !== value) return `gossip says otherwise of tag ${name}`;
  return tags;
}

/** Undefined for what {@link encodeTags} would have written otherwise: names out of order or twice, text that is not UTF-8, bytes behind the end. */
export function readTagSet(set: Uint8Array): ReadonlyMap<string, string> | undefined {
  if (set[0] !== encodeTags(new Map())[0]) return undefined;
  const tags = decodeTags(set);
  return tags !== undefined && equalBytes(encodeTags(tags), set) ? tags : undefined;
}

export function encodeTagSetMessage(message: TagSetRequest | TagSetAnswer): Uint8Array {
  if (message.kind === 'tagSetRequest') {
    const out = new MsgpackWriter().u8(TYPE_REQUEST).mapHeader(2);
    return out.text('Digest').text(message.digest).text('Node').text(message.node).finish();
  }
  const out = new MsgpackWriter(128 + (message.set?.length ?? 0)).u8(TYPE_ANSWER).mapHeader(2);
  return out.text('Digest').text(message.digest).text('Set').bytesOrNil(message.set).finish();
}

/** The door: never throws. Undefined for what is none of the two, such as a message of Serf's. The set is a view into `bytes`. */
export function decodeTagSetMessage(bytes: Uint8Array): TagSetRequest | TagSetAnswer | SerfDecodeFailure | undefined {
  const [type] = bytes;
  if (type !== TYPE_REQUEST && type !== TYPE_ANSWER) return undefined;
  try {
    const reader = new MsgpackReader(bytes, 1, TAG_SET_BYTES_MAX);
    return type === TYPE_REQUEST ? readRequest(reader) : readAnswer(reader);
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'undecodable', reason: error.message };
    throw error;
  }
}

function readRequest(reader: MsgpackReader): TagSetRequest {
  const zero: { readonly Digest: string; readonly Node: string } = { Digest: '', Node: '' };
  const raw = reader.struct({ Digest: (r) => r.text(FIELD_BYTES_MAX), Node: (r) => r.text(FIELD_BYTES_MAX) }, zero);
  return { kind: 'tagSetRequest', node: raw.Node, digest: raw.Digest };
}

function readAnswer(reader: MsgpackReader): TagSetAnswer {
  const zero: { readonly Digest: string; readonly Set: Uint8Array | undefined } = { Digest: '', Set: undefined };
  const raw = reader.struct(
    { Digest: (r) => r.text(FIELD_BYTES_MAX), Set: (r) => r.bytesOrNil(TAG_SET_BYTES_MAX) },
    zero,
  );
  return { kind: 'tagSetAnswer', digest: raw.Digest, set: raw.Set };
}
