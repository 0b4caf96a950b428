/**
 * What the application of a shard's owner hands to the application of the next one: node to node, in pieces, while the owner has released
 * and not yet said so. Best effort, and nothing rests on it: what is lost or late is not handed over, and the shard moves all the same.
 *
 * What is of an older proposal is never given to an application: a proposal names the active owner and epoch of each shard, and between it
 * and its commit neither changes. So a state counts for the commit of exactly that proposal, from exactly that owner and epoch.
 */
import { concatBytes } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Boot, LogIndex, NodeId, ShardId } from '../model/ids.ts';
import {
  type FormerOwner,
  HANDED_OVER_BYTES_MAX,
  type OwnerPair,
  SHARD_STATE_BYTES_MAX,
  type ShardState,
} from '../model/shard-map.ts';
import type { HandOverStats } from '../model/node-stats.ts';
import type { PeerMessage, StatePiece } from '../wire/peer/peer-message.ts';
import type { ClusterEffect } from './messages.ts';

/** Of one message: heartbeats share the link. */
const MESSAGE_BYTES = 256 * 1024;
/** About what a piece weighs beside its bytes. */
const PIECE_HEAD_BYTES = 16;
const RESEND_MS = 50;
/** The word that the release is done must still reach the leader before the deadline. */
const SPARE_MS = 25;
/** Taken in for shards that have not come yet. */
const INCOMING_BYTES_MAX = 2 * HANDED_OVER_BYTES_MAX;
/** As many as there may be shards. */
const INCOMING_SHARDS_MAX = 65_536;

export type HandOverMessage = Extract<PeerMessage, { kind: 'handOver' }>;
export type HandOverAck = Extract<PeerMessage, { kind: 'handOverAck' }>;

/** What is to be released, as the maps had it. */
export interface Releasing {
  readonly version: LogIndex;
  readonly deadline: MonotonicMs;
  readonly shards: readonly ShardId[];
  readonly epochs: readonly LogIndex[];
  readonly to: readonly (OwnerPair | undefined)[];
}

export interface HandOverHost {
  readonly node: NodeId;
  readonly boot: Boot;
  /** False: nobody here would look at it. */
  readonly takesStates: boolean;
  send(to: NodeId, message: PeerMessage, effects: ClusterEffect[]): void;
}

interface Batch {
  readonly seq: number;
  readonly pieces: StatePiece[];
  room: number;
}

interface Outgoing {
  readonly to: OwnerPair;
  readonly batches: Batch[];
  sentAt: MonotonicMs;
}

interface Incoming {
  readonly version: LogIndex;
  readonly from: FormerOwner;
  readonly size: number;
  readonly parts: Uint8Array[];
  received: number;
}

export class HandOver {
  readonly #host: HandOverHost;
  readonly #outgoing: Map<NodeId, Outgoing> = new Map();
  readonly #incoming: Map<ShardId, Incoming> = new Map();
  /** Handed over by this application, and nobody has begun to serve on it: a shard that stays after all gets it back. */
  readonly #own: Map<ShardId, { readonly epoch: LogIndex; readonly bytes: Uint8Array }> = new Map();
  /** Started, and not fetched yet. */
  readonly #ready: Map<ShardId, { readonly epoch: LogIndex; readonly bytes: Uint8Array }> = new Map();
  readonly stats: HandOverStats = {
    statesSent: 0,
    statesArrived: 0,
    statesDelivered: 0,
    statesDropped: 0,
  };
  #releasing: Releasing | undefined;
  /** Waits for the last acknowledgement, or for this instant. */
  #until: MonotonicMs = Number.POSITIVE_INFINITY;
  #seq = 0;
  #incomingBytes = 0;

  constructor(host: HandOverHost) {
    this.#host = host;
  }

  nextDeadline(): MonotonicMs {
    let next = this.#until;
    for (const { sentAt } of this.#outgoing.values()) next = Math.min(next, sentAt + RESEND_MS);
    return next;
  }

  // The owner that gives up.

  /** A release is asked for: what it names may be handed over. */
  onRelease(releasing: Releasing): void {
    this.#cancel();
    this.#releasing = releasing;
  }

  /** It need not go on. */
  onReleaseOver(version: LogIndex): void {
    if (this.#releasing?.version === version) this.#cancel();
  }

  /** The application has released, and hands this over. True: the word to the leader waits until `tick` says that it may leave. */
  begin(
    { version, states }: { readonly version: LogIndex; readonly states: readonly ShardState[] },
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): boolean {
    const releasing = this.#releasing;
    if (releasing === undefined || releasing.version !== version || this.#until !== Number.POSITIVE_INFINITY)
      return false;
    const until = releasing.deadline - SPARE_MS;
    if (states.length === 0 || now >= until) return false;
    this.#pack(releasing, states);
    for (const outgoing of this.#outgoing.values()) this.#send(outgoing, now, effects);
    if (this.#outgoing.size === 0) return false;
    this.#until = until;
    return true;
  }

  onAck(from: NodeId, ack: HandOverAck, now: MonotonicMs, effects: ClusterEffect[]): void {
    const outgoing = this.#outgoing.get(from);
    const first = outgoing?.batches[0];
    if (outgoing === undefined || first?.seq !== ack.seq || ack.version !== this.#releasing?.version) return;
    outgoing.batches.shift();
    for (const { offset, size, bytes } of first.pieces) if (offset + bytes.length === size) this.stats.statesSent += 1;
    if (outgoing.batches.length === 0) this.#outgoing.delete(from);
    else this.#send(outgoing, now, effects);
  }

  /** The version whose release may be told now; undefined when there is none. */
  tick(now: MonotonicMs, effects: ClusterEffect[]): LogIndex | undefined {
    for (const outgoing of this.#outgoing.values())
      if (now >= outgoing.sentAt + RESEND_MS) this.#send(outgoing, now, effects);
    if (this.#until === Number.POSITIVE_INFINITY || (this.#outgoing.size > 0 && now < this.#until)) return undefined;
    for (const { batches } of this.#outgoing.values())
      for (const { pieces } of batches) this.stats.statesDropped += pieces.length;
    this.#outgoing.clear();
    this.#until = Number.POSITIVE_INFINITY;
    return this.#releasing?.version;
  }

  // The owner that gets it.

  onPieces(from: NodeId, message: HandOverMessage, effects: ClusterEffect[]): void {
    const { version, seq, fromBoot, toBoot, pieces } = message;
    if (toBoot !== this.#host.boot) return;
    // Taken or not: whoever sent it need not send it again.
    this.#host.send(from, { kind: 'handOverAck', version, seq }, effects);
    if (!this.#host.takesStates) return;
    for (const piece of pieces) this.#onPiece({ node: from, boot: fromBoot, epoch: piece.epoch }, version, piece);
  }

  /** What started, by the commit of `version`: what has arrived for it is ready to be fetched. The rest is of no use any more. */
  onStart(
    started: {
      readonly shards: readonly ShardId[];
      readonly epoch: LogIndex;
      readonly from: readonly (FormerOwner | undefined)[];
      readonly isResumed: boolean;
    },
    version: LogIndex,
  ): void {
    const { shards, epoch, from, isResumed } = started;
    for (const [i, shard] of shards.entries()) {
      const bytes = isResumed ? this.#takeOwn(shard, epoch) : this.#takeIncoming(shard, version, from[i]);
      if (bytes === undefined || !this.#host.takesStates) continue;
      this.#ready.set(shard, { epoch, bytes });
    }
  }

  /** The maps have changed: what was handed over for an older proposal will never be given to anybody. `newest`: pending, else active. */
  onMaps(newest: LogIndex, isOwn: (shard: ShardId) => boolean): void {
    for (const [shard, incoming] of this.#incoming) if (incoming.version < newest) this.#drop(shard, incoming);
    for (const shard of this.#own.keys()) if (!isOwn(shard)) this.#own.delete(shard);
  }

  /** Once. */
  fetch(shard: ShardId, epoch: LogIndex): Uint8Array | undefined {
    const ready = this.#ready.get(shard);
    this.#ready.delete(shard);
    if (ready === undefined || ready.epoch !== epoch) return undefined;
    this.stats.statesDelivered += 1;
    return ready.bytes;
  }

  #pack(releasing: Releasing, states: readonly ShardState[]): void {
    const places = new Map(releasing.shards.map((shard, i) => [shard, i]));
    let total = 0;
    for (const { shard, bytes } of states) {
      const place = places.get(shard);
      total += bytes.length;
      if (place === undefined || bytes.length > SHARD_STATE_BYTES_MAX || total > HANDED_OVER_BYTES_MAX) {
        this.stats.statesDropped += 1;
        continue;
      }
      const epoch = releasing.epochs[place] as LogIndex;
      this.#own.set(shard, { epoch, bytes });
      const to = releasing.to[place];
      if (to !== undefined && to.node !== this.#host.node) this.#addTo(to, { shard, epoch, bytes });
    }
  }

  #addTo(to: OwnerPair, { shard, epoch, bytes }: ShardState & { readonly epoch: LogIndex }): void {
    const outgoing = this.#outgoing.get(to.node) ?? { to, batches: [], sentAt: 0 };
    this.#outgoing.set(to.node, outgoing);
    let offset = 0;
    do {
      let batch = outgoing.batches.at(-1);
      if (batch === undefined || batch.room <= 0) {
        this.#seq += 1;
        batch = { seq: this.#seq, pieces: [], room: MESSAGE_BYTES };
        outgoing.batches.push(batch);
      }
      const part = bytes.subarray(offset, offset + batch.room);
      batch.pieces.push({ shard, epoch, offset, size: bytes.length, bytes: part });
      batch.room -= part.length + PIECE_HEAD_BYTES;
      offset += part.length;
    } while (offset < bytes.length);
  }

  #send(outgoing: Outgoing, now: MonotonicMs, effects: ClusterEffect[]): void {
    const batch = outgoing.batches[0];
    const releasing = this.#releasing;
    if (batch === undefined || releasing === undefined) return;
    outgoing.sentAt = now;
    const { node, boot } = outgoing.to;
    const { seq, pieces } = batch;
    const fromBoot = this.#host.boot;
    const { version } = releasing;
    this.#host.send(node, { kind: 'handOver', version, seq, fromBoot, toBoot: boot, pieces }, effects);
  }

  #cancel(): void {
    this.#releasing = undefined;
    this.#outgoing.clear();
    this.#until = Number.POSITIVE_INFINITY;
  }

  #onPiece(from: FormerOwner, version: LogIndex, piece: StatePiece): void {
    const { shard, offset, size, bytes } = piece;
    const known = this.#incoming.get(shard);
    if (known !== undefined && known.version > version) return;
    if (offset === 0 && (known === undefined || known.version < version)) {
      if (known !== undefined) this.#drop(shard, known);
      const isTooMuch = size > SHARD_STATE_BYTES_MAX || this.#incomingBytes + size > INCOMING_BYTES_MAX;
      if (isTooMuch || this.#incoming.size >= INCOMING_SHARDS_MAX) {
        this.stats.statesDropped += 1;
        return;
      }
      this.#incoming.set(shard, { version, from, size, parts: [], received: 0 });
      this.#incomingBytes += size;
    }
    const incoming = this.#incoming.get(shard);
    if (incoming === undefined || incoming.version !== version || !isSame(incoming.from, from)) return;
    if (offset !== incoming.received || incoming.size !== size || offset + bytes.length > size) return;
    if (bytes.length === 0 && incoming.parts.length > 0) return;
    incoming.parts.push(bytes);
    incoming.received += bytes.length;
    if (incoming.received === size) this.stats.statesArrived += 1;
  }

  #takeIncoming(shard: ShardId, version: LogIndex, from: FormerOwner | undefined): Uint8Array | undefined {
    const incoming = this.#incoming.get(shard);
    if (incoming === undefined) return undefined;
    const isIts = incoming.version === version && from !== undefined && isSame(incoming.from, from);
    if (!isIts || incoming.received < incoming.size) {
      this.#drop(shard, incoming);
      return undefined;
    }
    this.#incoming.delete(shard);
    this.#incomingBytes -= incoming.size;
    return concatBytes(incoming.parts);
  }

  #takeOwn(shard: ShardId, epoch: LogIndex): Uint8Array | undefined {
    const own = this.#own.get(shard);
    this.#own.delete(shard);
    return own?.epoch === epoch ? own.bytes : undefined;
  }

  #drop(shard: ShardId, incoming: Incoming): void {
    this.#incoming.delete(shard);
    this.#incomingBytes -= incoming.size;
    this.stats.statesDropped += 1;
  }
}

function isSame(a: FormerOwner, b: FormerOwner): boolean {
  return a.node === b.node && a.boot === b.boot && a.epoch === b.epoch;
}
