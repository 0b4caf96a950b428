/** Snapshots on their way to other members, and the word of how they fare (raft.md 10.3). */
import type { MonotonicMs } from '../base/machine.ts';
import type { MemberId, Term } from '../model/ids.ts';
import type { SnapshotMeta } from '../model/log.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import type { ClusterEffect } from './messages.ts';
import type { ReplicaHost } from './replica-host.ts';
import { SnapshotSender, type TransferEvent } from './snapshot-transfer.ts';

export interface SnapshotStreamsHost {
  /** What is to be sent; undefined while there is none. */
  copy(): { readonly meta: SnapshotMeta; readonly bytes: Uint8Array } | undefined;
  term(): Term;
  readonly send: ReplicaHost['send'];
  /** Of a stream that the log asked for. */
  onStatus(peer: MemberId, ok: boolean, now: MonotonicMs, effects: ClusterEffect[]): void;
}

export class SnapshotStreams {
  readonly #host: SnapshotStreamsHost;
  readonly #sender: SnapshotSender = new SnapshotSender();

  constructor(host: SnapshotStreamsHost) {
    this.#host = host;
  }

  nextDeadline(): MonotonicMs {
    return this.#sender.nextDeadline();
  }

  isSendingTo(to: MemberId): boolean {
    return this.#sender.isSendingTo(to);
  }

  begin(stream: { to: MemberId; forRaft: boolean }, now: MonotonicMs, effects: ClusterEffect[]): void {
    const transfers: TransferEvent[] = [];
    const copy = this.#host.copy();
    if (copy === undefined || !this.#sender.begin({ ...stream, term: this.#host.term(), ...copy }, now, transfers)) {
      if (stream.forRaft) this.#host.onStatus(stream.to, false, now, effects);
      return;
    }
    this.#perform(transfers, now, effects);
  }

  onAck(
    from: MemberId,
    ack: Extract<PeerMessage, { kind: 'snapshotAck' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    const transfers: TransferEvent[] = [];
    this.#sender.onAck(from, ack, now, transfers);
    this.#perform(transfers, now, effects);
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    const transfers: TransferEvent[] = [];
    this.#sender.tick(now, transfers);
    this.#perform(transfers, now, effects);
  }

  #perform(transfers: readonly TransferEvent[], now: MonotonicMs, effects: ClusterEffect[]): void {
    for (const transfer of transfers) {
      if (transfer.kind === 'send') this.#host.send(transfer.to, transfer.message, effects);
      else if (transfer.forRaft) this.#host.onStatus(transfer.to, transfer.ok, now, effects);
    }
  }
}
