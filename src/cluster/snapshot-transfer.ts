/**
 * Snapshots in pieces, one outstanding piece per receiver: the receiver answers every piece with the offset it wants next,
 * so retransmission and resume are the same path (raft.md 10.3).
 */
import { concatBytes, EMPTY_BYTES } from '../base/bytes.ts';
import type { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { LogIndex, MemberId, Term } from '../model/ids.ts';
import type { SnapshotMeta } from '../model/log.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';

const CHUNK_BYTES = 256 * 1024;
const RESEND_MS = 500;
const NO_PROGRESS_MS = 10_000;
const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;
/** Streams going out at once; a further receiver asks again by itself. */
const OUTGOING_MAX = 16;

interface Outgoing {
  readonly to: MemberId;
  readonly forRaft: boolean;
  readonly term: Term;
  readonly meta: SnapshotMeta;
  readonly bytes: Uint8Array;
  offset: number;
  sentAt: MonotonicMs;
  progressAt: MonotonicMs;
}

export type SnapshotChunk = Extract<PeerMessage, { kind: 'snapshotChunk' }>;

/** What the owner must send, or how a stream ended. */
export type TransferEvent =
  | { readonly kind: 'send'; readonly to: MemberId; readonly message: PeerMessage }
  | { readonly kind: 'ended'; readonly to: MemberId; readonly forRaft: boolean; readonly ok: boolean };

export class SnapshotSender {
  readonly #outgoing: Map<MemberId, Outgoing> = new Map();

  isSendingTo(to: MemberId): boolean {
    return this.#outgoing.has(to);
  }

  /** False when too many streams are under way. */
  begin(
    stream: { to: MemberId; forRaft: boolean; term: Term; meta: SnapshotMeta; bytes: Uint8Array },
    now: MonotonicMs,
    events: TransferEvent[],
  ): boolean {
    if (!this.#outgoing.has(stream.to) && this.#outgoing.size >= OUTGOING_MAX) return false;
    const outgoing: Outgoing = { ...stream, offset: 0, sentAt: now, progressAt: now };
    this.#outgoing.set(stream.to, outgoing);
    events.push({ kind: 'send', to: outgoing.to, message: chunkOf(outgoing) });
    return true;
  }

  onAck(from: MemberId, ack: { index: LogIndex; offset: number }, now: MonotonicMs, events: TransferEvent[]): void {
    const outgoing = this.#outgoing.get(from);
    if (outgoing === undefined || outgoing.meta.lastLog.index !== ack.index) return;
    if (ack.offset > outgoing.bytes.length) return;
    if (ack.offset === outgoing.bytes.length) {
      this.#end(outgoing, true, events);
      return;
    }
    if (ack.offset === outgoing.offset) return; // A repeated answer; the timer resends.
    outgoing.offset = ack.offset;
    outgoing.progressAt = now;
    outgoing.sentAt = now;
    events.push({ kind: 'send', to: outgoing.to, message: chunkOf(outgoing) });
  }

  tick(now: MonotonicMs, events: TransferEvent[]): void {
    for (const outgoing of this.#outgoing.values()) {
      if (now - outgoing.progressAt >= NO_PROGRESS_MS) this.#end(outgoing, false, events);
      else if (now - outgoing.sentAt >= RESEND_MS) {
        outgoing.sentAt = now;
        events.push({ kind: 'send', to: outgoing.to, message: chunkOf(outgoing) });
      }
    }
  }

  nextDeadline(): MonotonicMs {
    let next = Number.POSITIVE_INFINITY;
    for (const outgoing of this.#outgoing.values()) {
      next = Math.min(next, outgoing.sentAt + RESEND_MS, outgoing.progressAt + NO_PROGRESS_MS);
    }
    return next;
  }

  cancelAll(): void {
    this.#outgoing.clear();
  }

  #end(outgoing: Outgoing, ok: boolean, events: TransferEvent[]): void {
    this.#outgoing.delete(outgoing.to);
    events.push({ kind: 'ended', to: outgoing.to, forRaft: outgoing.forRaft, ok });
  }
}

/** Collects one snapshot at a time; a newer one, or one of another sender, takes its place. */
export class SnapshotReceiver {
  #key = '';
  #parts: Uint8Array[] = [];
  #offset = 0;

  /** The answer to send, and the whole snapshot when this piece completed it. */
  onChunk(from: MemberId, chunk: SnapshotChunk): { wanted: number; complete: Uint8Array | undefined } {
    if (chunk.size > SNAPSHOT_BYTES_MAX || chunk.bytes.length === 0) return { wanted: 0, complete: undefined };
    const key = `${from} ${chunk.term} ${chunk.meta.lastLog.term} ${chunk.meta.lastLog.index} ${chunk.size}`;
    if (key !== this.#key) {
      // A later piece of an unknown stream is no new stream (P-42): ask for its beginning.
      if (chunk.offset !== 0) return { wanted: 0, complete: undefined };
      this.#key = key;
      this.#parts = [];
      this.#offset = 0;
    }
    if (chunk.offset === this.#offset && this.#offset + chunk.bytes.length <= chunk.size) {
      this.#parts.push(chunk.bytes);
      this.#offset += chunk.bytes.length;
    }
    if (this.#offset < chunk.size) return { wanted: this.#offset, complete: undefined };
    const complete = this.#parts.length === 1 ? this.#parts[0] : concatBytes(this.#parts);
    this.#key = '';
    this.#parts = [];
    this.#offset = 0;
    return { wanted: chunk.size, complete: complete ?? EMPTY_BYTES };
  }
}

function chunkOf(outgoing: Outgoing): PeerMessage {
  return {
    kind: 'snapshotChunk',
    forRaft: outgoing.forRaft,
    term: outgoing.term,
    meta: outgoing.meta,
    offset: outgoing.offset,
    size: outgoing.bytes.length,
    bytes: outgoing.bytes.subarray(outgoing.offset, outgoing.offset + CHUNK_BYTES),
  };
}

/** Why a node stops that has a snapshot which it cannot read. */
export function unreadable({ lastLog }: SnapshotMeta, problem: DecodeError): string {
  return `a snapshot at index ${lastLog.index} cannot be read: ${problem.message}`;
}
