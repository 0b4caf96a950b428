/**
 * The body of a `kv` command: requests of one turn in one entry of the log, under one time. Each is a blob, so that whoever forwards or
 * gathers them need not read them. Numbers are append-only.
 */
import { unreachable } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import type { KvMutation, SessionMark } from '../../model/kv.ts';
import { KV_BATCH_ITEMS_MAX, KV_REQUEST_BYTES_MAX } from './limits.ts';
import { readMutation, writeMutation } from './operation.ts';

const FORMAT = 1;

const MUTATE = 1;
const MUTATE_IN_SESSION = 2;
const OPEN_SESSION = 3;
const CLOSE_SESSION = 4;
const EXPIRE_SESSIONS = 5;

export type KvItem =
  | { readonly kind: 'mutate'; readonly mutation: KvMutation; readonly session: SessionMark | undefined }
  | { readonly kind: 'openSession' }
  | { readonly kind: 'closeSession'; readonly session: number }
  /** The leader's own: sessions idle for longer than `idleMs` go. Of another term it does nothing (raft.md 6.5). */
  | { readonly kind: 'expireSessions'; readonly term: number; readonly idleMs: number };

export interface KvBatch {
  /** Unix milliseconds by the clock of the leader that gathered it. */
  readonly timeMs: number;
  readonly items: readonly KvItem[];
}

export function encodeKvItem(item: KvItem): Uint8Array {
  const out = new ByteWriter(sizeOf(item));
  switch (item.kind) {
    case 'mutate':
      if (item.session === undefined) out.u8(MUTATE);
      else {
        const { session, seq, ackedBelow } = item.session;
        out.u8(MUTATE_IN_SESSION).varint(session).varint(seq).varint(ackedBelow);
      }
      writeMutation(out, item.mutation);
      break;
    case 'openSession':
      out.u8(OPEN_SESSION);
      break;
    case 'closeSession':
      out.u8(CLOSE_SESSION).varint(item.session);
      break;
    case 'expireSessions':
      out.u8(EXPIRE_SESSIONS).varint(item.term).varint(item.idleMs);
      break;
    default:
      unreachable(item);
  }
  return out.finish();
}

/** Throws {@link DecodeError}. Keys and values are views of `bytes`. */
export function decodeKvItem(bytes: Uint8Array): KvItem {
  const reader = new ByteReader(bytes);
  const item = readItem(reader);
  reader.end();
  return item;
}

/** Appends the body to what `out` holds already. */
export function writeKvBatch(out: ByteWriter, timeMs: number, items: readonly Uint8Array[]): void {
  out.u8(FORMAT).varint(timeMs).varint(items.length);
  for (const item of items) out.blob(item);
}

/** Throws {@link DecodeError}: a replica that cannot read what the others apply must not go on. */
export function decodeKvBatch(bytes: Uint8Array): KvBatch {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`key-value batch format ${format} is unknown`);
  const timeMs = reader.varint();
  const count = reader.varint();
  if (count > KV_BATCH_ITEMS_MAX) throw new DecodeError(`${count} requests in one batch`);
  const items: KvItem[] = [];
  for (let i = 0; i < count; i++) {
    const end = reader.varint() + reader.at;
    if (end - reader.at > KV_REQUEST_BYTES_MAX) throw new DecodeError('a request in a batch is too large');
    items.push(readItem(reader));
    if (reader.at !== end) throw new DecodeError('a request in a batch has another length than it says');
  }
  reader.end();
  return { timeMs, items };
}

function readItem(reader: ByteReader): KvItem {
  const kind = reader.u8();
  switch (kind) {
    case MUTATE:
      return { kind: 'mutate', mutation: readMutation(reader), session: undefined };
    case MUTATE_IN_SESSION: {
      const session = { session: reader.varint(), seq: reader.varint(), ackedBelow: reader.varint() };
      return { kind: 'mutate', mutation: readMutation(reader), session };
    }
    case OPEN_SESSION:
      return { kind: 'openSession' };
    case CLOSE_SESSION:
      return { kind: 'closeSession', session: reader.varint() };
    case EXPIRE_SESSIONS:
      return { kind: 'expireSessions', term: reader.varint(), idleMs: reader.varint() };
    default:
      throw new DecodeError(`key-value request ${kind} is unknown`);
  }
}

/** So that the writer rarely grows. */
function sizeOf(item: KvItem): number {
  if (item.kind !== 'mutate') return 24;
  const { mutation } = item;
  if (mutation.kind === 'put') return mutation.key.length + mutation.value.length + 48;
  return mutation.kind === 'delete' ? mutation.key.length + mutation.rangeEnd.length + 48 : 512;
}
