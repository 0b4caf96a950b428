/**
 * The leader's way to the log: what clients ask within a turn goes into one entry, and each is answered when that entry is applied here.
 * An accepted request ends as committed, refused before it was appended, or unknown (raft.md 6.3; I-22).
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { LogIndex, RequestId, Term } from '../model/ids.ts';
import type { KvReply } from '../model/kv.ts';
import type { Entry } from '../model/log.ts';
import type { RaftOutcome } from '../raft/messages.ts';
import { encodeKvCommand } from '../wire/command/command.ts';
import { KV_BATCH_ITEMS_MAX } from '../wire/kv/limits.ts';
import { type KvAnswers, type OpenRequest, refused } from './kv-askers.ts';
import type { ClusterEffect } from './messages.ts';
import type { Replica } from './replica.ts';

/** Of the requests in one entry, unless one alone is larger. */
const BATCH_BYTES = 512 * 1024;

export interface KvProposalsHost {
  readonly replica: Replica;
  readonly answers: KvAnswers;
  wallMs(now: MonotonicMs): number;
  nextRequestId(): RequestId;
  /** It was refused before it was appended, by a node that leads no more: it may be done elsewhere. */
  retry(request: OpenRequest, now: MonotonicMs): void;
}

interface Batch {
  readonly term: Term;
  readonly requests: readonly OpenRequest[];
}

export class KvProposals {
  readonly #host: KvProposalsHost;
  #gathered: OpenRequest[] = [];
  /** Proposed, and neither applied nor given up. */
  readonly #proposed: Map<LogIndex, Batch> = new Map();
  readonly #indexOf: Map<RequestId, LogIndex> = new Map();
  /** While Raft takes it. */
  #taking: { readonly requestId: RequestId; readonly requests: readonly OpenRequest[] } | undefined;
  batches = 0;
  items = 0;

  constructor(host: KvProposalsHost) {
    this.#host = host;
  }

  get isWaiting(): boolean {
    return this.#gathered.length > 0;
  }

  add(request: OpenRequest): void {
    this.#gathered.push(request);
  }

  /** The end of a turn. */
  flush(now: MonotonicMs, effects: ClusterEffect[]): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    for (let from = 0; from < gathered.length; ) {
      const to = endOfBatch(gathered, from);
      this.#propose(from === 0 && to === gathered.length ? gathered : gathered.slice(from, to), now, effects);
      from = to;
    }
  }

  /** Whether it was the answer to one of these. */
  onRaftReply(requestId: RequestId, outcome: RaftOutcome, now: MonotonicMs): boolean {
    const taking = this.#taking?.requestId === requestId ? this.#taking.requests : undefined;
    if (taking !== undefined) {
      this.#taking = undefined;
      if (outcome.kind === 'refused') this.#onRefused(taking, outcome, now);
      return true;
    }
    const index = this.#indexOf.get(requestId);
    if (index === undefined) return false;
    this.#indexOf.delete(requestId);
    // What is committed was applied in the same step, or will be: that answers.
    if (outcome.kind !== 'committed')
      this.#giveUp(index, outcome.kind === 'unknown' ? outcome.reason : 'leadership was lost');
    return true;
  }

  onApplied({ index, term }: Entry, replies: readonly KvReply[]): void {
    const batch = this.#proposed.get(index);
    if (batch === undefined) return;
    this.#proposed.delete(index);
    for (const [at, { asker }] of batch.requests.entries()) {
      const reply = replies[at];
      const isOurs = batch.term === term && reply !== undefined;
      this.#host.answers.give(asker, isOurs ? { kind: 'reply', reply } : unknown('another entry took its place'));
    }
  }

  /** The state has been replaced through `index`: what became of entries below is in it, but not who asked. */
  onImage(index: LogIndex): void {
    for (const at of this.#proposed.keys()) if (at <= index) this.#giveUp(at, 'the state came as a whole');
  }

  /** This node is no member of that cluster any more. */
  end(reason: string): void {
    for (const { asker } of this.#gathered.splice(0)) this.#host.answers.give(asker, refused('NOT_A_MEMBER', reason));
    for (const index of this.#proposed.keys()) this.#giveUp(index, reason);
    this.#indexOf.clear();
  }

  #propose(requests: readonly OpenRequest[], now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica } = this.#host;
    const items = requests.map(({ request }) => (request as Extract<typeof request, { kind: 'item' }>).item);
    const requestId = this.#host.nextRequestId();
    this.#taking = { requestId, requests };
    const command = encodeKvCommand(Math.max(0, Math.floor(this.#host.wallMs(now))), items);
    replica.step({ kind: 'propose', requestId, items: [command] }, now, effects);
    if (this.#taking?.requestId !== requestId) return;
    this.#taking = undefined;
    const { raft } = replica;
    if (raft === undefined) {
      for (const request of requests) this.#host.retry(request, now);
      return;
    }
    this.batches += 1;
    this.items += requests.length;
    this.#proposed.set(raft.lastIndex, { term: raft.term, requests });
    this.#indexOf.set(requestId, raft.lastIndex);
  }

  #onRefused(
    requests: readonly OpenRequest[],
    { code, reason }: Extract<RaftOutcome, { kind: 'refused' }>,
    now: MonotonicMs,
  ): void {
    for (const request of requests) {
      if (code === 'BUSY' || code === 'TOO_LARGE' || code === 'STORAGE_FULL')
        this.#host.answers.give(request.asker, refused(code, reason));
      else if (code === 'STOPPED') this.#host.answers.give(request.asker, refused('STOPPED', reason));
      else this.#host.retry(request, now);
    }
  }

  #giveUp(index: LogIndex, reason: string): void {
    const batch = this.#proposed.get(index);
    this.#proposed.delete(index);
    for (const { asker } of batch?.requests ?? []) this.#host.answers.give(asker, unknown(reason));
  }
}

function unknown(reason: string): { readonly kind: 'unknown'; readonly reason: string } {
  return { kind: 'unknown', reason };
}

function endOfBatch(requests: readonly OpenRequest[], from: number): number {
  let bytes = 0;
  let at = from;
  for (; at < requests.length && at - from < KV_BATCH_ITEMS_MAX; at++) {
    const { request } = requests[at] as OpenRequest;
    bytes += request.kind === 'item' ? request.item.length : 0;
    if (at > from && bytes > BATCH_BYTES) break;
  }
  return at;
}
