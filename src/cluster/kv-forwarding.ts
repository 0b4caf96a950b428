/**
 * Requests to the coordination state that another node must serve: sent over the link between nodes, those of a turn together. A request
 * that changes something and gets no answer is unknown, and is never sent twice; whether to try again is for a client with a session.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { MemberId } from '../model/ids.ts';
import type { KvAsk, KvTold, PeerMessage } from '../wire/peer/peer-message.ts';
import type { KvAnswers, OpenRequest } from './kv-askers.ts';
import type { ClusterEffect } from './messages.ts';

/** A leader that does not answer for so long has lost the request, or is none any more. */
const SILENT_MS = 3_000;
/** What was sent to a leader that leads no more may still be answered for so long: whatever it had committed. */
const LAST_WORD_MS = 250;
const FRAME_BYTES = 512 * 1024;

export interface KvForwardingHost {
  readonly answers: KvAnswers;
  readonly random: Random;
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  /** Certainly nothing of it is in the log. */
  retry(request: OpenRequest, now: MonotonicMs): void;
}

interface Sent {
  readonly request: OpenRequest;
  readonly to: MemberId;
  deadline: MonotonicMs;
}

export class KvForwarding {
  readonly #host: KvForwardingHost;
  /** Drawn with the first request: no answer to a question of an earlier start of this node can be taken for one to ours. */
  #nextId: number | undefined;
  readonly #sent: Map<number, Sent> = new Map();
  readonly #gathered: Map<string, { to: MemberId; hops: number; asks: KvAsk[]; bytes: number }> = new Map();
  /** No request is due before. */
  #dueAt: MonotonicMs = Number.POSITIVE_INFINITY;
  count = 0;

  constructor(host: KvForwardingHost) {
    this.#host = host;
  }

  get isWaiting(): boolean {
    return this.#gathered.size > 0;
  }

  nextDeadline(): MonotonicMs {
    return this.#dueAt;
  }

  forward(request: OpenRequest, to: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    const id = this.#nextId ?? Math.floor(this.#host.random.next() * 2 ** 32) * 2 ** 20;
    this.#nextId = id + 1;
    this.count += 1;
    const deadline = now + SILENT_MS;
    this.#sent.set(id, { request, to, deadline });
    this.#dueAt = Math.min(this.#dueAt, deadline);
    const key = `${request.hops} ${to}`;
    const frame = this.#gathered.get(key) ?? { to, hops: request.hops, asks: [], bytes: 0 };
    frame.asks.push({ id, request: request.request });
    frame.bytes += request.request.kind === 'item' ? request.request.item.length : 64;
    this.#gathered.set(key, frame);
    if (frame.bytes < FRAME_BYTES) return;
    this.#gathered.delete(key);
    this.#host.send(to, { kind: 'kvAsk', hops: frame.hops + 1, asks: frame.asks }, effects);
  }

  /** The end of a turn. */
  flush(effects: ClusterEffect[]): void {
    for (const { to, hops, asks } of this.#gathered.values())
      this.#host.send(to, { kind: 'kvAsk', hops: hops + 1, asks }, effects);
    this.#gathered.clear();
  }

  onAnswers(from: MemberId, told: readonly KvTold[], now: MonotonicMs): void {
    for (const { id, answer } of told) {
      const sent = this.#sent.get(id);
      if (sent === undefined || sent.to !== from) continue;
      this.#sent.delete(id);
      if (answer.kind === 'refused' && answer.code === 'NO_LEADER') this.#host.retry(sent.request, now);
      else this.#host.answers.give(sent.request.asker, answer);
    }
  }

  /** That member cannot be reached, or leads no more. */
  onLost(to: MemberId, now: MonotonicMs): void {
    for (const sent of this.#sent.values()) {
      if (sent.to !== to) continue;
      sent.deadline = Math.min(sent.deadline, now + LAST_WORD_MS);
      this.#dueAt = Math.min(this.#dueAt, sent.deadline);
    }
  }

  tick(now: MonotonicMs): void {
    if (now < this.#dueAt) return;
    this.#dueAt = Number.POSITIVE_INFINITY;
    for (const [id, { request, deadline }] of this.#sent) {
      if (deadline > now) {
        this.#dueAt = Math.min(this.#dueAt, deadline);
        continue;
      }
      this.#sent.delete(id);
      if (request.request.kind === 'read') this.#host.retry(request, now);
      else this.#host.answers.give(request.asker, { kind: 'unknown', reason: 'the leader did not answer' });
    }
  }

  end(reason: string): void {
    for (const { request } of this.#sent.values()) this.#host.answers.give(request.asker, { kind: 'unknown', reason });
    this.#sent.clear();
    this.#gathered.clear();
  }
}
